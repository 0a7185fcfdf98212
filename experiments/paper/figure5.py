"""Figure 5: normalized latency of the large network and everything it is compared with.

Writes results/figure5.json and figures/figure5.png, teacher_curve.png, dqn_curve.png; trains what
is missing.
"""

import dataclasses
from pathlib import Path
from typing import Any

import offload_jax as oj
from experiments.paper import learned, script, train_dqn, train_teacher
from experiments.paper.presets import Preset
from experiments.reporting import artifacts, charts, objective
from offload_jax.learning import checkpoints

FLOOR = 0.5e6
"""Bytes per second: with bandwidths from here up, the mean latency of every policy exists."""


def run(
    preset: Preset,
    workdir: Path,
    *,
    seed: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Evaluates all policies on the wide test requests, and with the bandwidths floored.

    Args:
      preset: recipes and sizes.
      workdir: where checkpoints, metrics and results go.
      seed: of requests and weights.
      progress: show progress bars.
      tensorboard: write TensorBoard files too.

    Returns:
      Name of the policy to its metrics; `floor`: the same on requests with floored bandwidths. The
      intervals come from ten parts of the test set.
    """
    options: dict[str, Any] = {"seed": seed, "progress": progress, "tensorboard": tensorboard}
    teachers = train_teacher.run(preset, workdir, **options)
    training = train_dqn.run(preset, workdir, **options)
    names = ["large_dil_paper", "large_dil_paper_shared", "large_dil", "drl"]
    if preset.dqn_raw is not None:
        names.append("drl_raw")
    if preset.teacher_stream is not None:
        names.insert(3, "large_dil_stream")
    loaded: dict[str, Any] = {
        name: oj.policies.load(workdir / "checkpoints" / name) for name in names
    }

    def compute() -> dict[str, Any]:
        policies = {**oj.policies.untrained(seed, preset.objective), **loaded}
        wide = learned.test_set(preset.num_test)
        floored = learned.test_set(preset.num_test, floor=FLOOR)
        results: dict[str, Any] = {
            name: learned.evaluate_in_parts(policy, wide, preset.objective)
            for name, policy in policies.items()
        }
        results["floor"] = {
            name: learned.evaluate_in_parts(policy, floored, preset.objective)
            for name, policy in policies.items()
        }
        return results

    config = {
        "num_test": preset.num_test,
        "seed": seed,
        "objective": dataclasses.asdict(preset.objective),
        "weights": {name: checkpoints.digest(policy.params) for name, policy in loaded.items()},
    }
    results = artifacts.cached(workdir / "results" / "figure5.json", config, compute)
    floor = results["floor"]
    rows = {name: metrics for name, metrics in results.items() if name != "floor"}
    charts.bars(
        workdir / "figures" / "figure5.png",
        {"literal bandwidths": rows, "bandwidths from 0.5 MB/s": floor},
        title=f"All policies, {preset.num_wide:,} training requests",
        quantity=objective.quantity(preset.objective),
    )
    charts.curves(
        workdir / "figures" / "teacher_curve.png",
        {name: metrics["curve"] for name, metrics in teachers.items()},
        metric="loss",
        label="training loss (each network its own)",
    )
    charts.curves(
        workdir / "figures" / "dqn_curve.png",
        {name: metrics["curve"] for name, metrics in training.items()},
        metric="reward",
        label="mean reward of the actions tried",
    )
    return results


if __name__ == "__main__":
    script.main(run)
