"""Figure 6: the small networks, trained on 1 000 narrow requests and tested on wide ones.

Writes results/figure6.json and figures/figure6.png, student_curve.png, temperatures.png; trains
what is missing.
"""

import dataclasses
from pathlib import Path
from typing import Any

import offload_jax as oj
from experiments.paper import distill_student, learned, script, train_dqn
from experiments.paper.presets import Preset
from experiments.reporting import artifacts, charts, objective


def run(
    preset: Preset,
    workdir: Path,
    *,
    seed: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Puts the students, DRL on 1 000 requests, and both greedy variants side by side.

    Args:
      preset: recipes and sizes.
      workdir: where checkpoints, metrics and results go.
      seed: the first of `preset.num_seeds`.
      progress: show progress bars.
      tensorboard: write TensorBoard files too.

    Returns:
      Name of the policy to its metrics, means and intervals over seeds; `orderings`: the claims
      "KD-DIL is better than ..." with both intervals, and whether they are apart.
    """
    options: dict[str, Any] = {"seed": seed, "progress": progress, "tensorboard": tensorboard}
    students = distill_student.run(preset, workdir, **options)
    dqn = train_dqn.run(preset, workdir, **options)

    def compute() -> dict[str, Any]:
        wide = learned.test_set(preset.num_test)
        untrained = oj.policies.untrained(seed, preset.objective)
        results: dict[str, Any] = {
            name: learned.evaluate_in_parts(untrained[name], wide, preset.objective)
            for name in ("optimal", "greedy", "greedy_with_return")
        }
        for name, metrics in {"drl_small": dqn["drl_small"], **students}.items():
            results[name] = {key: value for key, value in metrics.items() if key != "curve"}
        results["orderings"] = {
            student: {
                other: compare(results[student], results[other])
                for other in ("baseline_dil", "greedy", "greedy_with_return", "drl_small")
            }
            for student in ("kd_dil_paper", "kd_dil")
        }
        return results

    config = {
        "num_test": preset.num_test,
        "seed": seed,
        "objective": dataclasses.asdict(preset.objective),
        "students": {name: metrics["per_seed"] for name, metrics in students.items()},
        "dqn": dqn["drl_small"]["per_seed"],
    }
    results = artifacts.cached(workdir / "results" / "figure6.json", config, compute)
    rows = {name: metrics for name, metrics in results.items() if name != "orderings"}
    students_shown = ("kd_dil", "kd_dil_paper", "baseline_dil")
    shown = ("optimal", *students_shown, "drl_small", "greedy", "greedy_with_return")
    charts.bars(
        workdir / "figures" / "figure6.png",
        {"wide test requests": {name: rows[name] for name in shown}},
        title=f"Small networks, {preset.num_narrow:,} narrow training requests",
        quantity=objective.quantity(preset.objective),
    )
    charts.curves(
        workdir / "figures" / "student_curve.png",
        {name: students[name]["curve"] for name in students_shown},
        metric="loss",
        label="training loss (each student its own), first seed",
    )
    charts.temperatures(
        workdir / "figures" / "temperatures.png",
        rows,
        preset.temperatures,
        quantity=objective.quantity(preset.objective),
    )
    return results


def compare(better: dict[str, Any], worse: dict[str, Any]) -> dict[str, Any]:
    """Whether one ratio of means is below another with 95 % intervals that do not touch.

    Heuristics do not depend on the seed; they have no interval here. Where both were trained on the
    same seeds, and so on the same requests, the mean difference and its interval are given too.
    """
    means = [entry["ratio_of_means"] for entry in (better, worse)]
    widths = [
        entry.get("ratio_of_means_interval", 0.0) if "per_seed" in entry else 0.0
        for entry in (better, worse)
    ]
    result = {
        "better": means[0] < means[1],
        "intervals_apart": bool(means[0] + widths[0] < means[1] - widths[1]),
        "intervals": [[m - w, m + w] for m, w in zip(means, widths, strict=True)],
    }
    per_seed = [entry.get("per_seed", ()) for entry in (better, worse)]
    if len(per_seed[0]) == len(per_seed[1]) > 1:
        paired = [{"difference": b - w} for b, w in zip(*per_seed, strict=True)]
        difference = learned.summarize(paired)
        result["difference"] = difference["difference"]
        result["difference_interval"] = difference["difference_interval"]
    return result


if __name__ == "__main__":
    script.main(run)
