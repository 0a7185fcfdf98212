"""What fitting chains to a fixed number of subtasks costs.

Longer chains are merged: by the best merge there is for the problem, and by two that look at the
task only (equal parts, cuts of least data). Writes results/resize_study.json and
figures/resize_study.png.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.paper import evaluation, presets
from experiments.reporting import tables
from experiments.reporting.plots import PALETTE, figure
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

LENGTHS = (12, 20)


def merge_equal_parts(problem: oj.ChainProblem, num_subtasks: int) -> oj.ChainProblem:
    """Cuts after every A / n subtasks."""
    kept = np.linspace(0, problem.num_subtasks, num_subtasks + 1).round().astype(int)[1:-1]
    return _merge_at(problem, np.broadcast_to(kept, (*problem.batch_shape, num_subtasks - 1)))


def merge_least_data(problem: oj.ChainProblem, num_subtasks: int) -> oj.ChainProblem:
    """Keeps the n - 1 inner cuts with the least data."""
    order = np.argsort(np.asarray(problem.data)[..., 1:-1], axis=-1) + 1
    return _merge_at(problem, np.sort(order[..., : num_subtasks - 1], axis=-1))


def _merge_at(problem: oj.ChainProblem, kept: np.ndarray) -> oj.ChainProblem:
    """Merges between cuts `[..., n - 1]`, numbers of data sizes in increasing order."""
    first = np.concatenate([np.zeros_like(kept[..., :1]), kept], axis=-1)
    cuts = np.concatenate([first, np.full_like(kept[..., :1], problem.num_subtasks)], axis=-1)
    total = np.cumsum(np.asarray(problem.cycles, np.float64), axis=-1)
    total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    merged = np.diff(np.take_along_axis(total, cuts, axis=-1), axis=-1)
    data = np.take_along_axis(np.asarray(problem.data), cuts, axis=-1)
    return dataclasses.replace(problem, cycles=merged.astype(np.float32), data=data)


Merge = Callable[[oj.ChainProblem, int], oj.ChainProblem]


def merges_for(objective: oj.Objective) -> dict[str, Merge]:
    """The ways to merge by name."""
    return {
        "best merge": functools.partial(oj.resize, objective=objective),
        "least data": merge_least_data,
        "equal parts": merge_equal_parts,
    }


def compute(
    settings: Settings,
    *,
    num: int | None = None,
    lengths: Sequence[int] = LENGTHS,
    targets: Sequence[int] = (),
) -> dict[str, Any]:
    """Merges random chains of 12 and 20 subtasks and compares optima and trained policies.

    Args:
      settings: of the run; "best merge" minimises its objective, and trained policies in its folder
        are measured too.
      num: how many chains of each length, in place of the preset's.
      lengths: subtasks of the chains.
      targets: subtasks after merging, in place of the preset's.

    Returns:
      `merges` (length, merge, target: metrics of the merged optimum over the original one),
      `insertion` (largest change of the optimum) and `policies` (length, policy: metrics of its
      decision on six subtasks, expanded, over the original optimum).
    """
    preset, objective = presets.of(settings), settings.objective
    num, targets = num or preset.num_chains, targets or preset.merged_to
    policies: dict[str, oj.policies.Policy] = {
        name: oj.policies.untrained(objective=objective)[name] for name in ("optimal", "greedy")
    }
    loaded = evaluation.load_policies(settings)
    policies.update(loaded)

    def compute_all() -> dict[str, Any]:
        merges: dict[str, Any] = {}
        learned: dict[str, Any] = {}
        for length in (evaluation.NUM_SUBTASKS, *lengths):
            scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=length)
            problem = oj.scenarios.sample(jax.random.key(settings.seed), scenario, num)
            best = oj.solve(problem, objective=objective).cost
            table = oj.chain_costs(problem, objective)
            fitted = oj.resize_with_segments(problem, evaluation.NUM_SUBTASKS, objective=objective)
            learned[str(length)] = {
                name: _metrics(oj.evaluate(table, fitted.expand(policy(fitted.problem))), best)
                for name, policy in policies.items()
            }
            if length == evaluation.NUM_SUBTASKS:
                longer = oj.solve(oj.resize(problem, 20), objective=objective).cost
                inserted = float(np.max(np.abs(np.asarray(longer / best) - 1)))
                continue
            merges[str(length)] = {
                name: {
                    str(target): _metrics(
                        oj.solve(merge(problem, target), objective=objective).cost, best
                    )
                    for target in targets
                }
                for name, merge in merges_for(objective).items()
            }
        return {"merges": merges, "insertion": inserted, "policies": learned}

    config = {
        "seed": settings.seed,
        "num": num,
        "objective": dataclasses.asdict(objective),
        "lengths": list(lengths),
        "targets": list(targets),
        "policies": list(policies),
        "weights": evaluation.digests(loaded),
    }
    return cached(settings.result("resize_study"), config, compute_all)


def _metrics(cost: Any, best: Any) -> dict[str, float]:
    metrics = oj.metrics.aggregate(cost, best)
    return {name: float(value) for name, value in metrics._asdict().items()}


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Mean loss of the optimum by the number of subtasks that are left."""
    with figure(settings.figure("resize_study")) as (_, axes):
        for length, style in zip(results["merges"], ("-", "--"), strict=False):
            for i, (name, by_target) in enumerate(results["merges"][length].items()):
                loss = [100 * (metrics["mean"] - 1) for metrics in by_target.values()]
                axes.plot(
                    [int(target) for target in by_target],
                    np.maximum(loss, 1e-3),
                    style,
                    marker="o",
                    ms=4,
                    color=PALETTE[i],
                    label=f"{name}, {length} subtasks",
                )
        axes.set(xlabel="subtasks after merging", ylabel="mean loss of the optimum (%)")
        axes.set(yscale="log", ylim=(0.8e-3, None))
        axes.set_yticks([1e-3, 1e-2, 0.1, 1, 10, 100], ["≤ 0.001", "0.01", "0.1", "1", "10", "100"])
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about resizing, as Markdown."""

    def percent(metrics: Mapping[str, float]) -> str:
        return f"{100 * (metrics['mean'] - 1):.3f} % (p99 {100 * (metrics['p99'] - 1):.1f} %)"

    merges = [
        [length, name, *(percent(metrics) for metrics in by_target.values())]
        for length, merged in results["merges"].items()
        for name, by_target in merged.items()
    ]
    targets = next(iter(results["merges"].values()))["best merge"]
    policies = [
        [name, *(f"{by[name]['ratio_of_means']:.4f}" for by in results["policies"].values())]
        for name in next(iter(results["policies"].values()))
    ]
    return "\n".join(
        [
            "## Chains of other lengths\n",
            f"Inserting empty subtasks up to 20 changes optima by {results['insertion']:.1e} at"
            " most (float32). Merging: mean loss of the optimum over the chain as it was.\n",
            tables.markdown(["subtasks", "merge", *(f"to {n}" for n in targets)], merges),
            f"\nPolicies for {evaluation.NUM_SUBTASKS} subtasks through the best merge: their"
            f" {settings.quantity} over the optimum of the original chain, ratio of means.\n",
            tables.markdown(["policy", *(f"from {n}" for n in results["policies"])], policies),
            "\n![Loss by merging](figures/resize_study.png)\n",
        ]
    )


STAGE = Stage(
    "chains of other lengths",
    compute,
    section,
    draw,
    options={"num": (int, "Chains of each length.")},
    flags=("preset", "seed", "objective", "policy"),
)

if __name__ == "__main__":
    script(STAGE)
