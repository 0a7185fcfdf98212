"""Policies that need no training on random chains: wide and narrow, literal and floored bandwidth.

Settles which of the paper's claims about Local, Edge and Cloud hold under which aggregate.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from tabulate import tabulate
from tqdm.auto import tqdm

import offload_jax as oj
from experiments.reporting import command_line
from experiments.reporting.artifacts import cached
from experiments.reporting.objective import define, parse, quantity
from experiments.reporting.plotting import PALETTE, figure

BANDWIDTH_FLOOR = 0.5e6
AGGREGATES = oj.metrics.NormalizedLatency._fields


def settings() -> dict[str, oj.scenarios.Scenario]:
    """The four test distributions by name."""
    return {
        scenario.name: scenario
        for base in (oj.scenarios.WIDE, oj.scenarios.NARROW)
        for scenario in (base, base.with_bandwidth_floor(BANDWIDTH_FLOOR))
    }


def run(
    workdir: Path,
    *,
    num: int = 10_000,
    seed: int = 0,
    objective: oj.Objective = oj.LATENCY,
) -> dict[str, Any]:
    """Evaluates every untrained policy in the four settings.

    Args:
      workdir: gets `results/random_chains.json` and `figures/random_chains.png`.
      num: samples a setting.
      seed: of the samples and of the random policy.
      objective: what is compared.

    Returns:
      Setting -> policy -> `mean_cost` (seconds, for latency) and the five aggregates of the
      normalised cost.
    """

    def compute() -> dict[str, Any]:
        results: dict[str, Any] = {}
        for name, scenario in tqdm(settings().items(), desc="random chains"):
            problem = oj.scenarios.sample(jax.random.key(seed), scenario, num)
            results[name] = {
                policy_name: _evaluate(problem, policy(problem), objective)
                for policy_name, policy in oj.policies.untrained(seed, objective).items()
            }
        return results

    config = {
        "num": num,
        "seed": seed,
        "objective": dataclasses.asdict(objective),
        "settings": [dataclasses.asdict(scenario) for scenario in settings().values()],
    }
    results = cached(workdir / "results" / "random_chains.json", config, compute)
    draw(results, workdir / "figures" / "random_chains.png", quantity(objective))
    return results


def _evaluate(
    problem: oj.ChainProblem, decision: jax.Array, objective: oj.Objective
) -> dict[str, float]:
    ratios = oj.metrics.normalized_latency(problem, decision, objective=objective)
    cost = np.asarray(oj.evaluate(oj.chain_costs(problem, objective), decision), np.float64)
    return {"mean_cost": float(cost.mean())} | {
        name: float(value) for name, value in ratios._asdict().items()
    }


def draw(results: Mapping[str, Any], path: Path, what: str) -> None:
    """Bars of every policy in the wide setting, literal and floored, two aggregates."""
    wide, floored = list(settings())[:2]
    bars = [
        (f"{label}, {aggregate.replace('_', ' ')}", setting, aggregate)
        for setting, label in ((wide, "literal"), (floored, "bandwidth ≥ 0.5 MB/s"))
        for aggregate in ("ratio_of_means", "median")
    ]
    names = list(results[wide])
    width = 0.8 / len(bars)
    with figure(path, size=(8.5, 4.2)) as (_, axes):
        for i, (label, setting, aggregate) in enumerate(bars):
            heights = [results[setting][name][aggregate] for name in names]
            offset = (i - (len(bars) - 1) / 2) * width
            axes.bar(np.arange(len(names)) + offset, heights, width, label=label, color=PALETTE[i])
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.9)
        axes.set_xticks(range(len(names)), [name.replace("_with_", "\nwith ") for name in names])
        axes.set_ylabel(f"{what} / optimal {what} (log)")
        axes.legend()


def section(results: Mapping[str, Any]) -> str:
    """The part of the report about random chains, as Markdown."""
    parts = [
        "## Random chains\n",
        "Cost (latency in seconds, unless another objective was asked for) over that of the exact"
        " optimum, without any training. All aggregates are stated because"
        " they disagree: with bandwidths that reach 0 the mean latency of edge, cloud and random"
        " does not exist, so their ratio of means never settles.\n",
        "![Policies on random chains](figures/random_chains.png)\n",
    ]
    for setting, rows in results.items():
        table = [
            [name, row["mean_cost"], *(row[aggregate] for aggregate in AGGREGATES)]
            for name, row in rows.items()
        ]
        headers = ["policy", "mean cost", *(name.replace("_", " ") for name in AGGREGATES)]
        parts += [f"### {setting}\n", tabulate(table, headers, "pipe", floatfmt=".3f"), ""]
    parts += ["### The paper's claims about fixed places\n", _claims(results), ""]
    return "\n".join(parts)


def _claims(results: Mapping[str, Any]) -> str:
    claims = [("Edge < Local", "edge", "local"), ("Edge < Cloud", "edge", "cloud")]
    table = []
    for setting, rows in results.items():
        for claim, less, more in claims:
            verdicts = [
                "holds" if rows[less][aggregate] < rows[more][aggregate] else "fails"
                for aggregate in AGGREGATES
            ]
            table.append([setting, claim, *verdicts])
    return tabulate(
        table, ["setting", "claim", *(name.replace("_", " ") for name in AGGREGATES)], "pipe"
    )


def main() -> None:
    results = run(
        Path(_WORKDIR.value),
        num=_NUM.value,
        seed=_SEED.value,
        objective=parse(_OBJECTIVE.value),
    )
    print(section(results))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "runs/random_chains", "Where results go.")
    _NUM = flags.DEFINE_integer("num", 10_000, "Samples a setting.", lower_bound=1)
    _SEED = flags.DEFINE_integer("seed", 0, "Seed of the samples.")
    _OBJECTIVE = define()
    command_line.run(main)
