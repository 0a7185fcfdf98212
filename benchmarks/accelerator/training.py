"""Trainings: examples a second, and how good the policy is how soon."""

import contextlib
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from benchmarks.accelerator.jobs import Figure, Job
from benchmarks.accelerator.sizes import Sizes
from experiments.graphs import presets as graph_presets
from experiments.graphs import test_sets, training_sets
from experiments.paper import evaluation, training
from experiments.paper.presets import Row
from offload_jax.chains.imitation import train_imitation
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.graphs.training import train_graph_policy
from offload_jax.learning import checkpoints
from offload_jax.learning.parameters import abstract_parameters

PART = "training"
# Ratio of the mean latency to that of the optimum.
GOAL = 1.01
# How often a policy is judged while it is trained.
_TIMES = 20


class _TimeIsUp(Exception):
    """Ends a training."""


def jobs(sizes: Sizes) -> tuple[list[Job], list[Job]]:
    """What is worth most, and the rest."""
    most, most_graphs = sizes.train
    large, paper = (
        Job(
            PART,
            name,
            "samples/s",
            functools.partial(_chains, *of, sizes.judged),
            (of[0].training.batch_size,),
            most,
        )
        for name, of in (
            ("large DIL, best recipe", sizes.large),
            ("large DIL, the paper's recipe", sizes.paper),
        )
    )
    teacher = functools.partial(_graphs, *sizes.teacher, sizes.judged)
    batch = (sizes.teacher[0].training.batch_size,)
    return [large], [Job(PART, "graph teacher", "graphs/s", teacher, batch, most_graphs), paper]


def _chains(row: Row, num: int, judged: int, size: int, left: float) -> Figure:
    problem = oj.scenarios.sample(jax.random.key(1), oj.scenarios.WIDE, num)
    examples = training.labelled(problem, oj.LATENCY)
    test = evaluation.sample_requests(evaluation.LITERAL, judged)
    optimum = float(np.mean(oj.solve(test).cost))

    def judge(params: Any) -> float:
        decision = LearnedPolicy(row.model, params)(test)
        return float(np.mean(oj.latency(test, decision))) / optimum

    model: Any = row.model
    train = functools.partial(train_imitation, examples, model=model, training=row.training)
    return _figure(train, row, num, judge, left)


def _graphs(row: graph_presets.Row, num: int, judged: int, size: int, left: float) -> Figure:
    requests = training_sets.training_requests(row.grounds, num, 0)
    test = test_sets.problems(20, judged)
    best = test_sets.best_known(20, judged).makespan

    def judge(params: Any) -> float:
        decision = LearnedGraphPolicy(row.model, params)(test)
        return float(np.mean(oj.graphs.simulate(test, *decision).makespan / best))

    train = functools.partial(train_graph_policy, requests, model=row.model, training=row.training)
    return _figure(train, row, len(row.grounds) * num, judge, left)


def _figure(
    train: Callable[..., Any], row: Any, num: int, judge: Callable[[Any], float], left: float
) -> Figure:
    """Trains until the end or until the time is up.

    Args:
      train: takes `checkpoint`, `checkpoint_every` and `on_epoch`.
      row: its network and recipe.
      num: examples.
      judge: from parameters to a ratio to the best.
      left: seconds.
    """
    epochs, abstract = row.training.num_epochs, abstract_parameters(row.model)
    every = max(1, epochs // _TIMES)
    seconds: list[float] = []
    ratios: dict[int, float] = {}
    end = time.perf_counter() + left
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(_TimeIsUp):
        folder = Path(name) / "checkpoint"

        def on_epoch(epoch: int, metrics: Any) -> None:
            seconds.append(metrics["seconds"])
            if epoch % every == 0:
                ratios[epoch] = judge(checkpoints.load(folder, lambda _: abstract)[1])
            if time.perf_counter() > end:
                raise _TimeIsUp

        train(checkpoint=folder, checkpoint_every=every, on_epoch=on_epoch)
    # The first epoch compiles, and now and then one writes a checkpoint.
    epoch = float(np.median(seconds[1:] or seconds))
    more: dict[str, Any] = {"epochs": len(seconds), "of": epochs, "seconds an epoch": epoch}
    if ratios:
        more["ratio to the best"] = list(ratios.values())[-1]
        reached = [number * epoch for number, ratio in ratios.items() if ratio <= GOAL]
        more |= {f"seconds to {GOAL}": reached[0]} if reached else {}
        more["ratios"] = ratios
    samples = num // row.training.batch_size * row.training.batch_size
    return Figure(samples / epoch, epoch, seconds[0] - epoch, len(seconds), more=more)
