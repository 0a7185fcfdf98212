"""Chains: the bandwidth of memory, exact solvers, rules, labels."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax

import offload_jax as oj
from benchmarks import stored_labels
from benchmarks.accelerator.jobs import Figure, Job, size_in_bytes, tiled, timed
from benchmarks.accelerator.sizes import Sizes
from benchmarks.timing import copy_bandwidth
from offload_jax.datasets import DatasetConfig, graphs

COPY = "copy"
PART = "chains"
# Requests that differ; the others repeat them.
_BLOCK = 10_000
_COPIES = 15


def jobs(sizes: Sizes) -> tuple[list[Job], list[Job]]:
    """What is worth most, and the rest."""
    exhaustive = functools.partial(oj.solve, method="exhaustive")
    solved = [_job(f"solve, A = {a}", oj.solve, a, sizes.batches, sizes) for a in sizes.lengths]
    first, rest = solved[:3], solved[3:]
    rest += [
        _job(f"enumeration of 3^{a}", exhaustive, a, batches, sizes)
        for a, batches in sizes.enumerated
    ]
    rest += [_job("greedy, A = 6", oj.policies.greedy, 6, sizes.batches, sizes)]
    rest += [_job("latency of decisions, A = 6", oj.latency, 6, sizes.batches, sizes)]
    num_chains, num_graphs = sizes.labelled
    num_tasks = sizes.num_tasks[0]
    layered = oj.graphs.scenarios.layered(num_tasks)
    rest += [
        _labels("chains, A = 6", lambda n: DatasetConfig(n, _scenario(6)), num_chains),
        _labels("chains, A = 50", lambda n: DatasetConfig(n, _scenario(50)), num_chains // 4),
        _labels(
            f"graphs, N = {num_tasks}, by greedy",
            lambda n: graphs.DatasetConfig(n, layered, method="greedy"),
            num_graphs,
        ),
    ]
    return [Job(PART, COPY, "GB/s", _copy, (sizes.copied,)), *first], rest


def _copy(size: int, left: float) -> Figure:
    bandwidth = copy_bandwidth(size, repeats=_COPIES)
    return Figure(bandwidth / 1e9, calls=_COPIES, bytes_per_second=bandwidth)


def _scenario(num_subtasks: int) -> oj.scenarios.Scenario:
    return dataclasses.replace(oj.scenarios.WIDE, num_subtasks=num_subtasks)


def _job(
    name: str,
    function: Callable[..., Any],
    num_subtasks: int,
    batches: tuple[int, ...],
    sizes: Sizes,
) -> Job:
    """Nanoseconds a problem of a function of a batch, or of a batch and decisions about it."""

    def measure(size: int, left: float) -> Figure:
        scenario = _scenario(num_subtasks)
        problem = tiled(oj.scenarios.sample, scenario, size, block=_BLOCK)
        arguments: tuple[Any, ...] = (problem,)
        if function is oj.latency:
            arguments += (oj.policies.random(problem),)
        found = jax.eval_shape(function, *arguments)
        seconds, compiling, calls = timed(function, *arguments, left=left, duration=sizes.duration)
        # Whether a solution is proven is the same for all and not worth a byte.
        written = [leaf for leaf in jax.tree.leaves(found) if leaf.dtype != bool]
        moved = size_in_bytes(arguments) + sum(leaf.size * leaf.dtype.itemsize for leaf in written)
        return Figure(1e9 * seconds / size, seconds, compiling, calls, moved / seconds)

    return Job(PART, name, "ns a decision", measure, batches)


def _labels(name: str, config: Callable[[int], Any], num: int) -> Job:
    """Samples drawn and labelled a second, shard by shard."""

    def measure(size: int, left: float) -> Figure:
        whole = config(size)
        start = time.perf_counter()
        stored_labels.make(config(min(size, whole.shard_size)))
        first = time.perf_counter() - start
        start = time.perf_counter()
        stored_labels.make(whole)
        seconds = time.perf_counter() - start
        return Figure(size / seconds, seconds, first)

    return Job(PART, f"labels in bulk, {name}", "samples/s", measure, (num,))
