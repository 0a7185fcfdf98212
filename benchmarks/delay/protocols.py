"""Ways to load a policy, after the scenarios of MLPerf Inference (no conformance is claimed).

Pure logic on a clock. Single stream sends one request after the other, offline gives everything at
once, server sends requests at Poisson times into a batching queue and counts latency from the
scheduled arrival, so that a slow policy cannot slow its own load down.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

QUANTILES = {"p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class Clock:
    """The machine's clock, in seconds; waits by spinning, since sleeping overshoots."""

    def now(self) -> float:
        return time.perf_counter()

    def wait_until(self, moment: float) -> None:
        while self.now() < moment:
            pass


def summary(seconds: Any) -> dict[str, Any]:
    """Percentiles that are values which occurred, mean and number; JSON types."""
    values = np.quantile(seconds, list(QUANTILES.values()), method="inverted_cdf")
    percentiles = dict(zip(QUANTILES, map(float, values), strict=True))
    return {**percentiles, "mean": float(np.mean(seconds)), "num": len(seconds)}


def repeated(
    call: Callable[[int], Any], *, clock: Clock, duration: float, repeats: tuple[int, int]
) -> np.ndarray:
    """Seconds of calls one after the other: single stream, or offline with whole batches.

    Args:
      call: takes the number of the call, so that inputs can rotate.
      clock: see `Clock`.
      duration: seconds after which no further call starts, within `repeats`.
      repeats: least and greatest number of calls.
    """
    seconds: list[float] = []
    done = clock.now()
    end = done + duration
    while len(seconds) < repeats[0] or (done < end and len(seconds) < repeats[1]):
        start = clock.now()
        call(len(seconds))
        done = clock.now()
        seconds.append(done - start)
    return np.array(seconds)


def poisson_arrivals(rate: float, num: int, *, seed: int) -> np.ndarray:
    """Scheduled arrivals `[num]` in seconds; twice the rate is the same schedule, twice as fast."""
    return np.cumsum(np.random.default_rng(seed).standard_exponential(num)) / rate


def server(
    decide: Callable[[int, int], Any],
    arrivals: np.ndarray,
    *,
    clock: Clock,
    max_batch: int,
    give_up: float = math.inf,
) -> np.ndarray | None:
    """Answers scheduled arrivals; whatever waits, up to `max_batch`, is decided together.

    Args:
      decide: takes the first request and how many; returns when they are decided.
      arrivals: `[n]` seconds, sorted.
      clock: see `Clock`.
      max_batch: most requests decided together.
      give_up: latency in seconds at which the load is broken off, since the queue keeps growing.

    Returns:
      `[n]` seconds from arrival to decision, None if the load was broken off.
    """
    origin = clock.now()
    seconds: list[float] = []
    while (first := len(seconds)) < len(arrivals):
        clock.wait_until(origin + arrivals[first])
        arrived = int(np.searchsorted(arrivals, clock.now() - origin, side="right"))
        # A clock may read a rounding error before the moment it waited for.
        num = min(max(arrived - first, 1), max_batch)
        decide(first, num)
        seconds.extend(clock.now() - origin - arrivals[first : first + num])
        if seconds[first] > give_up:
            return None
    return np.array(seconds)


def highest_rate(
    run: Callable[[float], np.ndarray | None],
    *,
    bound: float,
    between: tuple[float, float],
    steps: int = 6,
) -> tuple[float, np.ndarray | None]:
    """The highest rate tried that keeps p99 under a bound, by halving intervals of the logarithm.

    Args:
      run: takes requests per second, gives what `server` does.
      bound: seconds.
      between: the lowest rate, which is tried last if nothing else keeps the bound, and the
        highest, which is tried first.
      steps: rates tried between them.

    Returns:
      Requests per second and the seconds there; 0 and None if no rate tried keeps the bound.
    """
    best: tuple[float, np.ndarray | None] = (0.0, None)

    def keeps(rate: float) -> bool:
        nonlocal best
        seconds = run(math.exp(rate))
        kept = seconds is not None and summary(seconds)["p99"] <= bound
        if kept:
            best = (math.exp(rate), seconds)
        return kept

    lowest, highest = map(math.log, between)
    if keeps(highest):
        return best
    low, high = lowest, highest
    for _ in range(steps):
        rate = (low + high) / 2
        low, high = (rate, high) if keeps(rate) else (low, rate)
    if best[1] is None:
        keeps(lowest)
    return best
