"""What is measured, row by row: each is kept as soon as it is there, whatever happens to the next.

A job is one thing at several sizes, smallest first. A size that the time left or the memory does
not allow ends the job, and so does one that fails; the row says why.
"""

import dataclasses
import functools
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.delay import protocols

# Calls of the next size that have to fit into the time left, beside compiling it.
_CALLS = 4


class Figure(NamedTuple):
    """What measuring one size gives.

    Attributes:
      value: in the unit of the job.
      seconds: of a call; tells how long the next size would take.
      compiling: seconds.
      calls: over how many `seconds` is the median.
      bytes_per_second: what is read and written, where that is known.
      more: further numbers and words by name; JSON types.
    """

    value: float
    seconds: float = 0.0
    compiling: float = 0.0
    calls: int = 1
    bytes_per_second: float = 0.0
    more: dict[str, Any] = {}  # noqa: RUF012


class Job(NamedTuple):
    """One thing to measure.

    Attributes:
      part: under which heading it stands.
      name: what the tables call it.
      unit: of its values; what is a second is the better the more it is, all else the less.
      measure: takes a size and the seconds that it may take.
      sizes: how many problems at a time, in ascending order.
      most: seconds for all sizes.
    """

    part: str
    name: str
    unit: str
    measure: Callable[[int, float], Figure]
    sizes: Sequence[int] = (1,)
    most: float = 40.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One size of one job.

    Attributes:
      part, name, unit: those of the job.
      size: problems at a time.
      value: None if there is none, and `note` says why.
      seconds, compiling, calls, bytes_per_second, more: see `Figure`.
      note: why there is no value, in one line.
    """

    part: str
    name: str
    unit: str
    size: int
    value: float | None = None
    seconds: float = 0.0
    compiling: float = 0.0
    calls: int = 0
    bytes_per_second: float = 0.0
    more: dict[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""


class TooLargeError(Exception):
    """A size that the memory does not hold, as is known before it is tried."""


def run(jobs: Sequence[Job], seconds: float) -> Iterator[Row]:
    """The rows of jobs, one after the other, as far as the time reaches.

    Args:
      jobs: what is worth most comes first.
      seconds: for all; a job begins only before they are over.
    """
    end = time.perf_counter() + seconds
    for job in jobs:
        if time.perf_counter() >= end:
            return
        yield from _rows(job, min(end, time.perf_counter() + job.most))
        gc.collect()  # what it held on the device


def _rows(job: Job, end: float) -> Iterator[Row]:
    before: Row | None = None
    for size in job.sizes:
        row = Row(job.part, job.name, job.unit, size)
        left = end - time.perf_counter()
        if before is not None:
            call = before.seconds * size / before.size
            if before.compiling + _CALLS * call > left:
                yield dataclasses.replace(row, note=f"no time: a call takes some {call:.2g} s")
                return
        try:
            figure = job.measure(size, left)
        except Exception as error:
            yield dataclasses.replace(row, note=_reason(error))
            return
        before = dataclasses.replace(row, **figure._asdict())
        yield before


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else ''}"
    if isinstance(error, TooLargeError):
        text = str(error)
    elif isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        text = f"out of memory: {text}"
    return text[:200]


def timed(
    function: Callable[..., Any], *arguments: Any, left: float, duration: float
) -> tuple[float, float, int]:
    """Median seconds of a warm call of a jitted function, seconds to compile it, and calls timed.

    Args:
      function: not yet jitted.
      *arguments: where they are to be read.
      left: seconds that all of this may take; after a slow first call fewer follow.
      duration: seconds for the calls.

    Raises:
      TooLargeError: the program needs more memory than there is.
    """
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    compiling = time.perf_counter() - start
    plan = compiled.memory_analysis()
    check_memory(getattr(plan, "temp_size_in_bytes", 0) + getattr(plan, "output_size_in_bytes", 0))
    start = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    first = time.perf_counter() - start
    is_slow = 3 * first > left - compiling
    seconds = protocols.repeated(
        lambda i: jax.block_until_ready(compiled(*arguments)),
        clock=protocols.Clock(),
        duration=duration,
        repeats=(1 if is_slow else 3, 100),
    )
    return float(np.median(seconds)), compiling, len(seconds)


def check_memory(needed: float) -> None:
    """Refuses what the device cannot hold; on a CPU the system would end the process.

    Raises:
      TooLargeError: names both.
    """
    free = free_bytes(jax.devices()[0])
    if needed > free:
        raise TooLargeError(f"needs {needed / 1e9:.3g} GB, there are {free / 1e9:.3g} GB")


def free_bytes(device: Any) -> float:
    """Memory that is left on a device, of the machine for a CPU."""
    if stats := device.memory_stats():
        return stats["bytes_limit"] - stats["bytes_in_use"]
    with open("/proc/meminfo") as lines:
        kilobytes = dict(line.split(":") for line in lines)["MemAvailable"].split()[0]
    return 1024.0 * int(kilobytes)


def tiled(sample: Callable[..., Any], scenario: Any, num: int, *, block: int) -> Any:
    """A batch of `num` rows that repeats the first few: for times, which do not depend on them.

    Args:
      sample: takes a key, a scenario and how many rows.
      scenario: of the rows.
      num: rows in all.
      block: rows that differ.

    Raises:
      TooLargeError: twice the batch is more than the memory that is left.
    """
    few = sampled(sample, scenario, min(num, block))
    check_memory(2 * num / min(num, block) * size_in_bytes(few))

    def fill(leaf: jax.Array) -> jax.Array:
        times = -(-num // leaf.shape[0])
        return jax.numpy.tile(leaf, (times, *[1] * (leaf.ndim - 1)))[:num]

    return jax.block_until_ready(jax.tree.map(fill, few))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def sampled(sample: Callable[..., Any], scenario: Any, num: int) -> Any:
    """So many rows of a scenario."""
    # Operation by operation it takes far longer to compile.
    return sample(jax.random.key(0), scenario, num)


def size_in_bytes(tree: Any) -> int:
    """Of all arrays together."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
