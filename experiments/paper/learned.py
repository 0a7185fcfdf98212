"""What the scripts that train policies share: data, progress, metrics, evaluation."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import tensorboardX
from scipy import stats
from tqdm import tqdm

import offload_jax as oj
from experiments.paper.presets import Preset
from experiments.reporting import artifacts
from offload_jax.chains.deep_q_learning import DqnTraining
from offload_jax.chains.imitation import Examples, ImitationTraining, Transform, one_hot
from offload_jax.chains.policies import Policy

Recipe = TypeVar("Recipe", ImitationTraining, DqnTraining)

# Keys of the three sets of requests; folded with the seed, except for the test set.
_TEST, _WIDE, _NARROW = 7, 1, 2


def test_set(num: int, *, floor: float = 0.0) -> oj.ChainProblem:
    """The wide test requests, the same for every seed and preset.

    Args:
      num: how many.
      floor: least bandwidth in bytes per second.
    """
    scenario = oj.scenarios.WIDE.with_bandwidth_floor(floor) if floor else oj.scenarios.WIDE
    return oj.scenarios.sample(jax.random.key(_TEST), scenario, num)


def wide_examples(preset: Preset, seed: int) -> Examples:
    """Wide training requests with exact labels (section 5.1)."""
    key = jax.random.fold_in(jax.random.key(seed), _WIDE)
    problem = oj.scenarios.sample(key, oj.scenarios.WIDE, preset.num_wide)
    return labelled(problem, preset.objective)


def narrow_examples(preset: Preset, seed: int) -> Examples:
    """Narrow training requests with exact labels (section 5.2)."""
    key = jax.random.fold_in(jax.random.key(seed), _NARROW)
    problem = oj.scenarios.sample(key, oj.scenarios.NARROW, preset.num_narrow)
    return labelled(problem, preset.objective)


def labelled(problem: oj.ChainProblem, objective: oj.Objective) -> Examples:
    """Requests with the exact optimum as their target."""
    return Examples(problem, one_hot(oj.solve(problem, objective=objective).decision))


def evaluate(
    policy: Policy, problem: oj.ChainProblem, objective: oj.Objective = oj.LATENCY
) -> dict[str, Any]:
    """Every aggregate of the normalised cost, and the agreement with the exact optimum."""
    decision = policy(problem)
    optimum = oj.solve(problem, objective=objective)
    accuracy = oj.metrics.accuracy(decision, optimum.decision)
    return {
        **oj.metrics.normalized_latency(problem, decision, objective=objective)._asdict(),
        "accuracy_per_subtask": accuracy.per_subtask,
        "accuracy": accuracy.mean,
        "accuracy_whole_decision": accuracy.whole_decision,
    }


def evaluate_in_parts(
    policy: Policy,
    problem: oj.ChainProblem,
    objective: oj.Objective = oj.LATENCY,
    *,
    parts: int = 10,
) -> dict[str, Any]:
    """`evaluate`, with the 95 % interval of the ratio of means from equal parts of the requests."""
    decision, optimum = policy(problem), oj.solve(problem, objective=objective)
    (num,) = problem.batch_shape
    size = num // min(parts, num)
    table = oj.chain_costs(problem, objective)
    cost = np.asarray(oj.evaluate(table, decision), np.float64)
    ratios = [
        {"ratio_of_means": cost[i : i + size].mean() / np.mean(optimum.cost[i : i + size])}
        for i in range(0, num - size + 1, size)
    ]
    interval = summarize(ratios).get("ratio_of_means_interval", 0.0)
    return {**evaluate(policy, problem, objective), "ratio_of_means_interval": interval}


def summarize(per_seed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, and half width of the 95 % interval of the mean, over seeds for every metric."""
    count = len(per_seed)
    t = stats.t.ppf(0.975, count - 1) if count > 1 else 0.0
    result: dict[str, Any] = {"seeds": count}
    for name in per_seed[0]:
        values = np.asarray([seed[name] for seed in per_seed], np.float64)
        result[name] = values.mean(axis=0)
        if count > 1:
            result[f"{name}_interval"] = t * values.std(axis=0, ddof=1) / np.sqrt(count)
    return result


@contextlib.contextmanager
def reported(
    name: str,
    num_epochs: int,
    workdir: Path,
    *,
    progress: bool = True,
    with_tensorboard: bool = False,
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A metrics callback for one training: progress bar, JSON lines, TensorBoard on request.

    Lines of epochs that are trained again after an interruption are replaced.
    """
    path = workdir / "metrics" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    board: Any = None
    with tqdm(total=num_epochs, desc=name, unit="epoch", disable=not progress) as bar:

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
            nonlocal board
            if not bar.n:
                _keep_before(path, epoch)
            if with_tensorboard and board is None:
                board = tensorboardX.SummaryWriter(str(workdir / "tensorboard" / name))
            with path.open("a") as file:
                file.write(json.dumps({"epoch": epoch, **metrics}) + "\n")
            if board is not None:
                for metric, value in metrics.items():
                    board.add_scalar(metric, value, epoch)
            bar.update(epoch - bar.n)
            bar.set_postfix(loss=f"{metrics['loss']:.4f}", refresh=False)

        try:
            yield on_epoch
        finally:
            if board is not None:
                board.close()


def learning_curve(workdir: Path, name: str) -> list[dict[str, float]]:
    """The metrics that a training wrote, one entry per epoch."""
    path = workdir / "metrics" / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _keep_before(path: Path, epoch: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # a line cut off by a kill
            if json.loads(line)["epoch"] < epoch:
                kept.append(line + "\n")
    artifacts.write_text(path, "".join(kept))


def narrow_test_set(num: int) -> oj.ChainProblem:
    """Narrow test requests: the distribution the students saw."""
    return oj.scenarios.sample(jax.random.key(_TEST), oj.scenarios.NARROW, num)


def fresh_stream(num: int, objective: oj.Objective) -> Transform:
    """Replaces each batch by `num` new wide requests with exact labels."""

    def transform(key: jax.Array, examples: Examples) -> Examples:
        return labelled(oj.scenarios.sample(key, oj.scenarios.WIDE, num), objective)

    return transform


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed."""
    return dataclasses.replace(recipe, seed=seed)
