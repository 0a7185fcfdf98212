"""Trains the small networks on few narrow requests (section 5.2).

Needs the teacher in checkpoints/large_dil and trains it if it is missing. Every row is repeated
over seeds, of requests and weights; the checkpoints are those of the first seed:

* baseline_dil: exact labels.
* kd_dil_paper: labels of the teacher, softened with T = 5; the student learns at T = 1.
* kd_dil: the teacher labels variations of the same requests.

Rows without checkpoint: `kd_matched_T`, student at the teacher's temperature with the factor T^2
(Hinton et al. 2015), and `kd_student_one_T`, both readings for every T of the sweep.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import offload_jax as oj
from experiments.paper import learned, script, train_teacher
from experiments.paper.presets import Preset
from experiments.reporting import artifacts
from offload_jax import configs
from offload_jax.chains.imitation import (
    Examples,
    ImitationTraining,
    Transform,
    taught,
    teacher_of,
    train_imitation,
)
from offload_jax.learning import checkpoints
from offload_jax.learning.parameters import num_parameters

_PAPER_TEMPERATURE = 5.0
COMPARED = ("baseline_dil", "kd_dil_paper", "kd_dil")
"""Rows with checkpoints, whose order is a claim of the paper."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to train the student.

    Attributes:
      training: the recipe.
      temperature: of the teacher's labels; None for exact labels.
      vary: whether the teacher labels variations.
      features: feature set in place of the preset's.
    """

    training: ImitationTraining
    temperature: float | None = None
    vary: bool = False
    features: str | None = None


def rows(preset: Preset) -> dict[str, Row]:
    """All rows by name; those of `COMPARED` come first."""
    fixed = preset.student
    result = {
        "baseline_dil": Row(fixed),
        "kd_dil_paper": Row(fixed, _PAPER_TEMPERATURE),
        "kd_dil": Row(preset.student_variations, 1.0, vary=True),
        "baseline_dil_raw": Row(fixed, features="raw"),
        "kd_dil_paper_raw": Row(fixed, _PAPER_TEMPERATURE, features="raw"),
    }
    for temperature in preset.temperatures:
        if temperature != _PAPER_TEMPERATURE:
            result[f"kd_student_one_{temperature:g}"] = Row(fixed, temperature)
        if temperature != 1.0:
            matched = dataclasses.replace(fixed, temperature=temperature)
            result[f"kd_matched_{temperature:g}"] = Row(matched, temperature)
    return result


def run(
    preset: Preset,
    workdir: Path,
    *,
    seed: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Trains what is missing and evaluates all students on wide and narrow test requests.

    Args:
      preset: recipes and sizes.
      workdir: where checkpoints, metrics and results go.
      seed: the first of `preset.num_seeds`, or of `num_seeds_compared`.
      progress: show progress bars.
      tensorboard: write TensorBoard files too.

    Returns:
      Name of the row to means and intervals over seeds of its metrics on wide test requests, with
      `narrow`, the same on narrow ones, and `per_seed`, the ratio of means of every seed.
    """
    train_teacher.run(preset, workdir, seed=seed, progress=progress, tensorboard=tensorboard)
    teacher = oj.policies.load(workdir / "checkpoints" / "large_dil")

    def compute_row(name: str, row: Row) -> dict[str, Any]:
        wide = learned.test_set(preset.num_test)
        narrow = learned.narrow_test_set(preset.num_test)
        model = preset.student_model
        if row.features is not None:
            model = dataclasses.replace(model, feature_set=row.features)
        label = None if row.temperature is None else teacher_of(teacher, row.temperature)
        transform: Transform | None = None
        if label is not None and row.vary:
            transform = taught(label, preset.variations)
        wide_metrics, narrow_metrics = [], []
        for number in range(seed, seed + _num_seeds(name, preset)):
            examples = learned.narrow_examples(preset, number)
            if label is not None:
                examples = Examples(examples.problem, label(examples.problem))
            with learned.reported(
                f"{name}_{number}",
                row.training.num_epochs,
                workdir,
                progress=progress,
                with_tensorboard=tensorboard,
            ) as on_epoch:
                policy = train_imitation(
                    examples,
                    model=model,
                    training=learned.with_seed(row.training, number),
                    transform=transform,
                    description=_description(row, preset, number),
                    checkpoint=_folder(name, number, seed, workdir),
                    checkpoint_every=100,
                    on_epoch=on_epoch,
                )
            wide_metrics.append(learned.evaluate(policy, wide, preset.objective))
            narrow_metrics.append(learned.evaluate(policy, narrow, preset.objective))
        return {
            "parameters": num_parameters(model),
            **learned.summarize(wide_metrics),
            "per_seed": [metrics["ratio_of_means"] for metrics in wide_metrics],
            "narrow": learned.summarize(narrow_metrics),
            "curve": learned.learning_curve(workdir, f"{name}_{seed}"),
        }

    results = {}
    for name, row in rows(preset).items():
        config = {
            "row": configs.as_data((row, preset.student_model, preset.variations)),
            "sizes": [preset.num_narrow, preset.num_test, _num_seeds(name, preset)],
            "seed": seed,
            "teacher": checkpoints.digest(teacher.params),
        }
        path = workdir / "results" / "student" / f"{name}.json"
        results[name] = artifacts.cached(path, config, functools.partial(compute_row, name, row))
    return results


def _num_seeds(name: str, preset: Preset) -> int:
    return preset.num_seeds_compared if name in COMPARED else preset.num_seeds


def _folder(name: str, number: int, seed: int, workdir: Path) -> Path | None:
    """Checkpoints for the three named policies and the first seed only."""
    kept = name in COMPARED and number == seed
    return workdir / "checkpoints" / name if kept else None


def _description(row: Row, preset: Preset, number: int) -> str:
    labels = "exact" if row.temperature is None else f"teacher, T = {row.temperature:g}"
    varied = f", {preset.variations}" if row.vary else ""
    return f"narrow, seed {number}, labels {labels}{varied}"


if __name__ == "__main__":
    script.main(run)
