"""Delay against the size of the batch and against the number of subtasks, and how it grows."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.delay import measure
from benchmarks.delay.contenders import Contender
from benchmarks.delay.measure import Settings
from benchmarks.delay.pool import Requests
from benchmarks.delay.protocols import Clock

BATCH, SUBTASKS = "curve_batch", "curve_subtasks"

_LONG = (3, 6, 13, 32, 100, 316, 1000)
LENGTHS: dict[str, Sequence[int]] = {
    "optimal_enumeration": range(3, 14),
    "optimal_dp": _LONG,
    "single_exact": _LONG,
    "numpy_dp": _LONG,
    "numba_loop": (3, 6, 13, 32),
    "dynamax": _LONG,
    "torch_struct": _LONG,
    "cpsat": (3, 6, 13, 25, 50, 100, 200),
}
"""Numbers of subtasks by policy; networks only take the chains they were made for."""

ONE_BY_ONE = ("single_exact", "cpsat")
EXPONENTIAL = ("optimal_enumeration",)
_FEWEST, _MOST = 16, 1 << 14
# Scores and subtasks of a batch: enough work for a call to outweigh its start.
_SCORES, _STEPS = 1 << 22, 1 << 19


class Point(NamedTuple):
    """One measurement of a series.

    Attributes:
      protocol: `BATCH` or `SUBTASKS`.
      batch_size: problems in a call.
      num_subtasks: A.
      growth: about how much longer the call is than the one before it.
      job: measures it.
    """

    protocol: str
    batch_size: int
    num_subtasks: int
    growth: float
    job: Callable[[], dict[str, Any]]


def rows(
    contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> Iterator[dict[str, Any]]:
    """The rows of both curves, as far as the contender takes part in them."""
    # A curve has many points: each gets a quarter of the time, and long calls are not repeated.
    quick = dataclasses.replace(settings, duration=settings.duration / 4)
    for points in (
        _over_batches(contender, requests, quick, clock),
        _over_lengths(contender, quick, clock),
    ):
        for row in _series(contender, points, settings):
            yield row
            if row["status"] == "timed out":
                return


def _over_batches(
    contender: Contender, requests: Requests, settings: Settings, clock: Clock
) -> Iterator[Point]:
    sizes = settings.curve_batch_sizes if contender.batch is not None else ()
    before = 0
    for size in sizes:
        job = functools.partial(_batch, contender, requests, size, settings.duration, clock)
        growth = size / before if before else 1.0
        yield Point(BATCH, size, requests.problem.num_subtasks, growth, job)
        before = size


def _over_lengths(contender: Contender, settings: Settings, clock: Clock) -> Iterator[Point]:
    one_by_one, exponential = contender.name in ONE_BY_ONE, contender.name in EXPONENTIAL
    before = 0.0
    for length in LENGTHS.get(contender.name, ()):
        size = 1 if one_by_one else batch_size(length, exponential=exponential)

        def job(size: int = size, length: int = length) -> dict[str, Any]:
            pool = Requests(size + 255, seed=settings.seed, num_subtasks=length)
            if one_by_one:
                return measure.singles(contender, pool, settings, clock=clock)
            return _batch(contender, pool, size, settings.duration, clock)

        work = size * (3.0**length if exponential else float(length))
        yield Point(SUBTASKS, size, length, work / before if before else 1.0, job)
        before = work


def _batch(
    contender: Contender, requests: Requests, size: int, duration: float, clock: Clock
) -> dict[str, Any]:
    return measure.batch(contender, requests, size, duration=duration, clock=clock, repeats=(1, 50))


def batch_size(num_subtasks: int, *, exponential: bool) -> int:
    """Problems in a call: fewer the longer they are, so that memory and time stay bounded."""
    fits = _SCORES // 3**num_subtasks if exponential else _STEPS // num_subtasks
    return min(max(fits, _FEWEST), _MOST)


def _series(
    contender: Contender, points: Iterator[Point], settings: Settings
) -> Iterator[dict[str, Any]]:
    """Point after point until one fails or the next would be too slow; the last row says so."""
    seconds = 0.0
    for point in points:
        head = {
            "policy": contender.name,
            "protocol": point.protocol,
            "batch_size": point.batch_size,
            "num_subtasks": point.num_subtasks,
            "on_host": contender.on_host,
        }
        expected = seconds * point.growth
        if expected > settings.longest_call:
            note = f"a call would take about {expected:.2g} s; the series ends before it"
            yield {**head, "status": "too slow", "note": note}
            return
        row = measure.attempt(head, point.job, limit=settings.time_limit)
        yield row
        if row["status"] != "measured":
            return
        seconds = row["seconds_per_decision"]["median"] * point.batch_size


class Fit(NamedTuple):
    """How delay grows.

    Attributes:
      policy: which.
      protocol: `BATCH` or `SUBTASKS`.
      exponential: False for time ∝ size^value, True for time ∝ value^size.
      value: the exponent or the growth factor.
      sizes: the smallest and the largest size that it was fitted to.
    """

    policy: str
    protocol: str
    exponential: bool
    value: float
    sizes: tuple[int, int]


def fits(rows: Sequence[Mapping[str, Any]]) -> list[Fit]:
    """Least-squares fits to the series in rows, by policy in the order of the rows.

    Time is that of a call for the batch size and that of a problem for the number of subtasks.
    Small sizes measure the start of a call, so only the larger half of a series counts; series
    of fewer than three points give nothing.
    """
    found = []
    for protocol in (BATCH, SUBTASKS):
        for policy, points in series(rows, protocol).items():
            large = points[len(points) // 2 :] if len(points) > 3 else points
            if len(points) < 3:
                continue
            sizes = [size for size, _ in large]
            scale = np.array(sizes) if protocol == BATCH else 1.0
            seconds = np.array([delay for _, delay in large]) * scale
            exponential = protocol == SUBTASKS and policy in EXPONENTIAL
            value = growth_factor(sizes, seconds) if exponential else exponent(sizes, seconds)
            found.append(Fit(policy, protocol, exponential, value, (sizes[0], sizes[-1])))
    return found


def series(rows: Sequence[Mapping[str, Any]], protocol: str) -> dict[str, list[tuple[int, float]]]:
    """Measured sizes and seconds per decision of every policy, by size."""
    size = "batch_size" if protocol == BATCH else "num_subtasks"
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row["protocol"] == protocol and "seconds_per_decision" in row:
            point = (row[size], row["seconds_per_decision"]["median"])
            found.setdefault(row["policy"], []).append(point)
    return {policy: sorted(points) for policy, points in found.items()}


def exponent(sizes: Any, seconds: Any) -> float:
    """x of seconds ∝ sizes^x, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth_factor(sizes: Any, seconds: Any) -> float:
    """g of seconds ∝ g^sizes, by least squares on logarithms."""
    return math.exp(np.polyfit(np.asarray(sizes, float), np.log(seconds), 1)[0])
