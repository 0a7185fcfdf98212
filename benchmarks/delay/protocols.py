"""Ways to load a policy, after the scenarios of MLPerf Inference (no conformance is claimed).

Pure logic on an injectable clock. SingleStream sends one request after the other, Offline gives
everything at once, Server sends requests at Poisson times into a batching queue and counts
latency from the scheduled arrival, so that a slow policy cannot slow its own load down.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class Clock(Protocol):
    """Seconds from any origin, and waiting."""

    def now(self) -> float: ...

    def wait_until(self, moment: float) -> None: ...


class WallClock:
    """The machine's clock; waits by spinning, since sleeping overshoots."""

    def now(self) -> float:
        return time.perf_counter()

    def wait_until(self, moment: float) -> None:
        while time.perf_counter() < moment:
            pass


@dataclasses.dataclass(frozen=True)
class Latencies:
    """Seconds from request to decision.

    Attributes:
      seconds: `[n]` in order of the requests that were answered.
      stopped: True if the load was broken off because the queue kept growing.
    """

    seconds: np.ndarray
    stopped: bool = False

    def summary(self) -> dict[str, Any]:
        """Percentiles in seconds, mean, number of requests; JSON types."""
        return {
            **percentiles(self.seconds),
            "mean": float(np.mean(self.seconds)),
            "num": len(self.seconds),
        }


def percentiles(seconds: Any) -> dict[str, float]:
    """p50, p90, p99 and p99.9: the smallest value that so many percent do not exceed."""
    values = np.quantile(seconds, list(QUANTILES.values()), method="inverted_cdf")
    return {name: float(value) for name, value in zip(QUANTILES, values, strict=True)}


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles over repeats."""
    low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {
        "median": float(median),
        "quartile1": float(low),
        "quartile3": float(high),
        "repeats": len(seconds),
    }


def single_stream(
    decide: Callable[[int], Any], *, clock: Clock, duration: float, max_requests: int
) -> Latencies:
    """One request after the other until the time or the number is reached; at least one."""
    seconds = []
    end = clock.now() + duration
    for i in range(max_requests):
        start = clock.now()
        decide(i)
        done = clock.now()
        seconds.append(done - start)
        if done >= end:
            break
    return Latencies(np.array(seconds))


def offline(
    call: Callable[[int], Any], *, clock: Clock, duration: float, repeats: tuple[int, int] = (3, 50)
) -> list[float]:
    """Seconds of repeated calls on whole batches.

    Args:
      call: takes the number of the call, so that inputs can rotate.
      clock: see `Clock`.
      duration: seconds after which no further call starts.
      repeats: least and greatest number of calls.
    """
    seconds: list[float] = []
    end = clock.now() + duration
    while len(seconds) < repeats[0] or (clock.now() < end and len(seconds) < repeats[1]):
        start = clock.now()
        call(len(seconds))
        seconds.append(clock.now() - start)
    return seconds


def poisson_arrivals(rate: float, num: int, *, seed: int) -> np.ndarray:
    """Scheduled arrivals `[num]` in seconds at `rate` per second; the same seed, the same times.

    Rates share their random numbers: twice the rate is the same schedule, twice as fast.
    """
    return np.cumsum(np.random.default_rng(seed).standard_exponential(num)) / rate


def server(
    decide: Callable[[int, int], Any],
    arrivals: np.ndarray,
    *,
    clock: Clock,
    max_batch: int,
    give_up: float = math.inf,
) -> Latencies:
    """Answers scheduled arrivals; whatever waits, up to `max_batch`, is decided together.

    Args:
      decide: takes the first request and how many; returns when they are decided.
      arrivals: `[n]` seconds, sorted.
      clock: see `Clock`.
      max_batch: most requests decided together.
      give_up: latency in seconds at which the load is broken off.
    """
    origin = clock.now()
    seconds: list[float] = []
    first = 0
    while first < len(arrivals):
        clock.wait_until(origin + arrivals[first])
        arrived = int(np.searchsorted(arrivals, clock.now() - origin, side="right"))
        # A clock may read a rounding error before the moment it waited for.
        num = min(max(arrived - first, 1), max_batch)
        decide(first, num)
        done = clock.now() - origin
        seconds.extend(done - arrivals[first : first + num])
        if seconds[-num] > give_up:
            return Latencies(np.array(seconds), stopped=True)
        first += num
    return Latencies(np.array(seconds))


def highest_rate(
    run: Callable[[float], Latencies],
    *,
    bound: float,
    between: tuple[float, float],
    steps: int = 6,
) -> tuple[float, Latencies | None]:
    """The highest rate tried that keeps p99 under a bound, by halving intervals of the logarithm.

    Args:
      run: takes requests per second.
      bound: seconds.
      between: the lowest rate, which is tried last if nothing else keeps the bound, and the
        highest, which is tried first.
      steps: rates tried between them.

    Returns:
      Requests per second and the latencies there; 0 and None if no rate tried keeps the bound.
    """
    best: tuple[float, Latencies | None] = (0.0, None)
    lowest, highest = map(math.log, between)

    def keeps(rate: float) -> bool:
        nonlocal best
        latencies = run(math.exp(rate))
        kept = not latencies.stopped and percentiles(latencies.seconds)["p99"] <= bound
        if kept:
            best = (math.exp(rate), latencies)
        return kept

    if keeps(highest):
        return best
    low, high = lowest, highest
    for _ in range(steps):
        rate = (low + high) / 2
        if keeps(rate):
            low = rate
        else:
            high = rate
    if best[1] is None:
        keeps(lowest)
    return best
