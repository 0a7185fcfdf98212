"""Task graphs: schedules a second of the simulator, the rule and the student."""

import functools
from collections.abc import Callable
from typing import Any

import jax

import offload_jax as oj
from benchmarks.accelerator.jobs import Figure, Job, tiled, timed
from benchmarks.accelerator.sizes import Sizes

PART = "graphs"
# Graphs that differ; the others repeat them.
_BLOCK = 1000


def jobs(sizes: Sizes) -> tuple[list[Job], list[Job]]:
    """What is worth most, the first number of tasks, and the rest."""
    found = [_jobs(num_tasks, sizes) for num_tasks in sizes.num_tasks]
    return found[0], [job for each in found[1:] for job in each]


def _jobs(num_tasks: int, sizes: Sizes) -> list[Job]:
    policies, student = oj.graphs.policies, oj.graphs.policies.student()
    decide_at_random = jax.jit(policies.random)
    best_of, key = student.best_of(sizes.samples), jax.random.key(1)

    def simulate(problem: Any, decision: Any) -> Any:
        return oj.graphs.simulate(problem, *decision).makespan

    best = f"student, best of {sizes.samples}"
    calls: list[tuple[str, Callable[..., Any], tuple[int, ...], int]] = [
        ("simulate", simulate, sizes.simulated, 1),
        ("greedy", policies.greedy, sizes.simulated, 1),
        ("student", student, sizes.decided, 1),
        (best, lambda problem: best_of(problem, key), sizes.decided, sizes.samples),
    ]

    def measure(function: Callable[..., Any], schedules: int, size: int, left: float) -> Figure:
        scenario = oj.graphs.scenarios.layered(num_tasks)
        problem = tiled(oj.graphs.scenarios.sample, scenario, size, block=_BLOCK)
        arguments: tuple[Any, ...] = (problem,)
        if function is simulate:
            arguments += (jax.block_until_ready(decide_at_random(problem)),)
        seconds, compiling, calls = timed(function, *arguments, left=left, duration=sizes.duration)
        return Figure(schedules * size / seconds, seconds, compiling, calls)

    return [
        Job(
            PART,
            f"{name}, N = {num_tasks}",
            "schedules/s",
            functools.partial(measure, function, schedules),
            batches,
        )
        for name, function, batches, schedules in calls
    ]
