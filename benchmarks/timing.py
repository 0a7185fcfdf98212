"""Times of calls, and the bandwidth of memory that they are held against."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.delay import protocols


class Seconds(NamedTuple):
    """Least wall and CPU time of a call, the latter of all threads of the process."""

    wall: float
    cpu: float


def in_turns(calls: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, Seconds]:
    """Least times of calls taken in turns, so that a slow moment hits all; one call warms up."""
    for call in calls.values():
        jax.block_until_ready(call())
    best = dict.fromkeys(calls, Seconds(np.inf, np.inf))
    for _ in range(rounds):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(call())
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = Seconds(min(best[name].wall, wall), min(best[name].cpu, cpu))
    return best


def median_seconds(call: Callable[[], Any], *, repeats: int) -> float:
    """Median wall time of a call after two warm-up calls."""
    seconds = protocols.repeated(
        lambda i: jax.block_until_ready(call()),
        clock=protocols.Clock(),
        duration=0.0,
        repeats=(repeats + 2, repeats + 2),
    )
    return float(np.median(seconds[2:]))


def copy_bandwidth(entries: int, *, repeats: int) -> float:
    """Bytes a second that are read and written when so many float32 are copied."""
    numbers, copy = jnp.zeros(entries, jnp.float32), jax.jit(lambda x: x + 1)
    return 2 * numbers.nbytes / median_seconds(lambda: copy(numbers), repeats=repeats)
