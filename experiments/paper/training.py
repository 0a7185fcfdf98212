"""Trains the policies of a preset and measures them on the test requests.

The first training of a row of the preset leaves its checkpoint in checkpoints/<row>; every training
leaves its metrics in metrics/, and a row its result in results/trained/<row>.json.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import offload_jax as oj
from experiments.paper import evaluation, presets
from experiments.paper.presets import Preset, Row
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings
from experiments.reporting.statistics import summarize
from experiments.reporting.training_log import learning_curve, logged
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.learning import checkpoints
from offload_jax.learning.deep_q_learning import DqnTraining, train_dqn
from offload_jax.learning.distillation import label_variations, soft_labels
from offload_jax.learning.imitation import Examples, Transform, one_hot, train_imitation
from offload_jax.learning.parameters import num_parameters

TEACHER = "large_dil"
MEASURED_ON = (evaluation.LITERAL, evaluation.FLOORED, evaluation.NARROW)


def trained(name: str, row: Row, settings: Settings) -> dict[str, Any]:
    """Trains what is missing of a row and measures it.

    Returns:
      `trainings`, `parameters`, `requests` (trained on), `digest` (of the first weights), `curve`
      (metrics of the first training), and for each scenario of `MEASURED_ON` means and intervals
      over the trainings of the metrics, with `per_seed`, the ratio of means of each.
    """
    preset = presets.of(settings)
    path = settings.result(f"trained/{name}")
    if name in preset.rows and not _checkpoint(name, settings).exists():
        # The result alone is of no use to those who need the policy.
        path.unlink(missing_ok=True)
    teacher = None
    if row.labels in ("teacher", "variations"):
        teacher = trained(TEACHER, preset.rows[TEACHER], settings)["digest"]
    requests = preset.num_wide if row.requests == "wide" else preset.num_narrow
    config = {
        "row": dataclasses.asdict(row),
        "variations": dataclasses.asdict(preset.variations),
        "requests": requests,
        "test_requests": preset.num_test,
        "seed": settings.seed,
        "teacher": teacher,
    }

    def compute() -> dict[str, Any]:
        train = _trainer(name, row, settings, preset)
        policies = [train(settings.seed + number) for number in range(row.trainings)]
        results: dict[str, Any] = {
            "trainings": row.trainings,
            "parameters": num_parameters(row.model),
            "requests": requests,
            "digest": checkpoints.digest(policies[0].params),
            "curve": learning_curve(f"{name}_{settings.seed}", settings),
        }
        for scenario in MEASURED_ON:
            problem = evaluation.sample_requests(scenario, preset.num_test)
            metrics = [evaluation.evaluate(p, problem, settings.objective) for p in policies]
            per_seed = [each["ratio_of_means"] for each in metrics]
            results[scenario] = {**summarize(metrics), "per_seed": per_seed}
        return results

    return cached(path, config, compute)


def _checkpoint(name: str, settings: Settings) -> Path:
    return settings.workdir / "checkpoints" / name


def _trainer(
    name: str, row: Row, settings: Settings, preset: Preset
) -> Callable[[int], LearnedPolicy]:
    """A function from a seed to the policy."""
    kept, first = name in preset.rows, settings.seed
    teacher: Any = None
    transform: Transform | None = None
    if row.labels in ("teacher", "variations"):
        teacher = soft_labels(oj.policies.load(_checkpoint(TEACHER, settings)), row.temperature)
    if row.labels == "variations":
        transform = label_variations(teacher, preset.variations)
    if row.labels == "fresh":
        transform = _fresh(row.training.batch_size, settings.objective)

    def train(seed: int) -> LearnedPolicy:
        training = dataclasses.replace(row.training, seed=seed)
        run_name = f"{name}_{seed}"
        with logged(run_name, training.num_epochs, settings) as on_epoch:
            common: dict[str, Any] = {
                "model": row.model,
                "training": training,
                "description": f"{row.requests}, labels {row.labels} {row.temperature:g}, {seed}",
                "checkpoint": _checkpoint(name, settings) if kept and seed == first else None,
                "on_epoch": on_epoch,
            }
            problem = training_requests(row.requests, preset, seed)
            if isinstance(training, DqnTraining):
                return train_dqn(problem, **common)
            if teacher is None:
                examples = labelled(problem, settings.objective)
            else:
                examples = Examples(problem, teacher(problem))
            # About ten checkpoints in a training, however short its epochs are.
            every = max(1, training.num_epochs // 10)
            return train_imitation(examples, transform=transform, checkpoint_every=every, **common)

    return train


def training_requests(requests: str, preset: Preset, seed: int) -> oj.ChainProblem:
    """Requests to train on: wide (section 5.1) or narrow (section 5.2)."""
    scenario, number, key = {
        "wide": (oj.scenarios.WIDE, preset.num_wide, 1),
        "narrow": (oj.scenarios.NARROW, preset.num_narrow, 2),
    }[requests]
    return oj.scenarios.sample(jax.random.fold_in(jax.random.key(seed), key), scenario, number)


def labelled(problem: oj.ChainProblem, objective: oj.Objective) -> Examples:
    """Requests with the exact optimum as their target."""
    return Examples(problem, one_hot(oj.solve(problem, objective=objective).decision))


def _fresh(num: int, objective: oj.Objective) -> Transform:
    """Replaces each batch by `num` new wide requests with exact labels."""

    def transform(key: jax.Array, examples: Examples) -> Examples:
        return labelled(oj.scenarios.sample(key, oj.scenarios.WIDE, num), objective)

    return transform
