"""Trade-offs between latency and energy: exact fronts, with the policies as points.

Writes results/pareto.json and figures/pareto.png.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.paper import evaluation, presets
from experiments.reporting import tables
from experiments.reporting.comparison import title
from experiments.reporting.plots import figure
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

# A processor at 2 GHz draws 8 W by the default power model: computing fast costs energy.
THIRSTY = dataclasses.replace(
    oj.scenarios.WIDE.with_bandwidth_floor(0.5e6),
    name="thirsty device",
    data=(0.0, 4e6),
    device_speed=(2e9, 2e9),
    edge_speed=(2e9, 5e9),
)
SCENARIOS = {"wide": oj.scenarios.WIDE, "thirsty device": THIRSTY}
WEIGHTED = oj.Objective(latency_weight=1.0, energy_weight=1.0)


def compute(settings: Settings, *, num: int | None = None) -> dict[str, Any]:
    """Computes fronts in bulk and one by one.

    Args:
      settings: of the run; trained policies in its folder become points beside the fronts.
      num: requests whose fronts are counted, in place of the preset's.

    Returns:
      `bulk` (for each scenario, sizes of the fronts and seconds), `six` and `fifty` (a front each
      with its seconds), `policies` (points beside the front of six).
    """
    num, seed = num or presets.of(settings).num_chains, settings.seed
    loaded = evaluation.load_policies(settings)
    policies = {
        **oj.policies.untrained(seed),
        "optimal_energy": functools.partial(oj.policies.optimal, objective=oj.ENERGY),
        "optimal_weighted": functools.partial(oj.policies.optimal, objective=WEIGHTED),
        **loaded,
    }

    def compute_all() -> dict[str, Any]:
        key = jax.random.key(seed)
        bulk = {name: _bulk(oj.scenarios.sample(key, s, num)) for name, s in SCENARIOS.items()}
        candidates = oj.scenarios.sample(jax.random.fold_in(key, 1), THIRSTY, 1000)
        six = candidates[_most_telling(candidates)]
        # Fifty subtasks with the data and cycles of six, so that both have the same scale.
        scenario = dataclasses.replace(
            THIRSTY, num_subtasks=50, cycles=(0.0, 2.4e8), data=(0.0, 2e6)
        )
        long_chains = oj.scenarios.sample(jax.random.fold_in(key, 2), scenario, 30)
        fifty = long_chains[
            int(np.argmax([len(oj.pareto_front(long_chains[i]).latency) for i in range(30)]))
        ]
        batch = jax.tree.map(lambda leaf: leaf[None], six)
        points = {}
        for name, policy in policies.items():
            decision = policy(batch)
            seconds, joules = oj.latency(batch, decision)[0], oj.energy(batch, decision)[0]
            points[name] = [float(seconds), float(joules)]
        return {"bulk": bulk, "six": _one(six), "fifty": _one(fifty), "policies": points}

    config = {
        "seed": seed,
        "num": num,
        "scenarios": {name: dataclasses.asdict(s) for name, s in SCENARIOS.items()},
        "policies": list(policies),
        "weights": evaluation.digests(loaded),
    }
    return cached(settings.result("pareto"), config, compute_all)


def _most_telling(problem: oj.ChainProblem) -> int:
    """A request with a long front on which the simple policies all differ."""
    policies = (oj.policies.optimal, oj.policies.greedy, oj.policies.local, oj.policies.edge)
    cost = np.stack([oj.latency(problem, policy(problem)) for policy in policies])
    ordered = np.sort(cost / cost[0], axis=0)
    telling = (np.diff(ordered, axis=0) > 0.05).all(axis=0) & (ordered[-1] < 4)
    return int(np.argmax(np.where(telling, oj.pareto_fronts(problem).valid.sum(-1), -1)))


def _bulk(problem: oj.ChainProblem) -> dict[str, float]:
    start = time.perf_counter()
    size = oj.pareto_fronts(problem).valid.sum(-1)
    seconds = time.perf_counter() - start
    return {
        "problems": len(size),
        "seconds": seconds,
        "mean_points": float(size.mean()),
        "most_points": int(size.max()),
        "share_with_trade_off": float((size > 1).mean()),
    }


def _one(problem: oj.ChainProblem) -> dict[str, Any]:
    start = time.perf_counter()
    front = oj.pareto_front(problem)
    return {
        "seconds": time.perf_counter() - start,
        "latency": front.latency,
        "energy": front.energy,
        "decision": front.decision,
    }


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Both fronts as steps (what a budget buys), the policies as points beside that of six."""
    six = results["six"]
    least = np.min(six["latency"]), np.max(six["energy"])
    shown, far = {}, []
    for name, (seconds, joules) in results["policies"].items():
        if seconds > 8 * least[0] or joules > 3 * least[1]:
            far.append(title(name))
        else:
            shown[title(name)] = seconds, joules
    with figure(settings.figure("pareto"), size=(10.0, 5.4), ncols=2) as (fig, panels):
        for axis, name, others in zip(panels, ("six", "fifty"), (shown, None), strict=True):
            front = results[name]
            oj.plot.front(np.stack([front["latency"], front["energy"]], -1), others=others, ax=axis)
            axis.set_title(f"{len(front['decision'][0])} subtasks: {len(front['latency'])} points")
            if axis.get_legend():
                axis.get_legend().remove()
        fig.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=6,
            fontsize=8,
            title=f"not shown: {', '.join(far)}" if far else None,
            title_fontsize=8,
        )


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about fronts, as Markdown."""
    bulk = [
        [
            name,
            stats["problems"],
            f"{stats['seconds']:.2f}",
            f"{stats['mean_points']:.2f}",
            stats["most_points"],
            f"{100 * stats['share_with_trade_off']:.0f} %",
        ]
        for name, stats in results["bulk"].items()
    ]
    headers = ["scenario", "problems", "s", "mean points", "most", "with a trade-off"]
    fifty = results["fifty"]
    return "\n".join(
        [
            "## Latency against energy\n",
            "Exact Pareto fronts; in the wide scenario the free cloud often wins both ways, so most"
            " fronts are a point or two.\n",
            tables.markdown(headers, bulk),
            f"\nThe front of 50 subtasks has {len(fifty['latency'])} points, by label setting in"
            f" {fifty['seconds']:.3f} s.\n",
            "![Pareto fronts](figures/pareto.png)\n",
        ]
    )


STAGE = Stage(
    "fronts",
    compute,
    section,
    draw,
    options={"num": (int, "Requests whose fronts are counted.")},
    flags=("preset", "seed", "policy"),
)

if __name__ == "__main__":
    script(STAGE)
