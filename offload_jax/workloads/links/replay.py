"""Decisions over time: requests that arrive while the wireless link follows a bandwidth trace.

The bandwidth between device and edge is that of the trace, held from each sample to the next; all
else in the problem stays. A decision is taken at the moment of the request, on an estimate from
the samples that are over by then, and its transfers go at the bandwidth that follows: a transfer is
done when the integral of the trace since its start reaches its bytes.

Nothing overtakes on such a link, so the earliest time each subtask can be done at each place gives
the optimum of someone who knows the future: a dynamic program over arrival times, exact.

An estimate can be more than a number to plug in. Cost is linear in 1 / bandwidth, so

- the decision of least *expected* cost over the recent samples is the optimal one for their
  harmonic mean (`recent_costs` averages the tables, and a test holds the two against each other);
- the decision of least *worst-case* cost over them is the optimal one for their minimum.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Num

from offload_jax.chains.costs import ChainCosts, chain_costs
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.objectives import LATENCY, Objective
from offload_jax.summary import summarize
from offload_jax.validation import ArrayLike, check_class, check_integer, check_known
from offload_jax.workloads.links.traces import BandwidthTrace

ESTIMATORS = ("last", "moving_average", "harmonic_mean", "minimum")
_CLOUD = 2


class LinkClock:
    """When transfers over a traced link are done; the trace starts again at its end.

    Time 0 is the first sample. The last sample holds as long as the median sample does.
    """

    def __init__(self, trace: BandwidthTrace) -> None:
        check_class("trace", trace, BandwidthTrace)
        gaps = np.diff(trace.time)
        last = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
        self.start = trace.time - trace.time[0]
        self.bandwidth = trace.bandwidth
        self._durations = np.append(gaps, last)
        self.period = float(self._durations.sum())
        self._sent = np.concatenate([[0.0], np.cumsum(self._durations * trace.bandwidth)])

    def sample(self, time: ArrayLike) -> np.ndarray:
        """The number of the sample that holds at `time` seconds, counted on over repetitions."""
        rounds, phase = np.divmod(time, self.period)
        inside = np.searchsorted(self.start, phase, side="right") - 1
        return (rounds * len(self.start) + inside).astype(np.int64)

    def finish(self, time: ArrayLike, size: ArrayLike) -> np.ndarray:
        """When `size` bytes `[...]` sent from `time` seconds `[...]` on have arrived.

        `inf` if they never do; `time` itself if there are none.
        """
        time, size = np.broadcast_arrays(np.asarray(time, float), np.asarray(size, float))
        total = self._sent[-1]
        moving = (size > 0) & np.isfinite(time) & (total > 0)
        begin = np.where(moving, time, 0.0)
        rounds, phase = np.divmod(begin, self.period)
        inside = np.searchsorted(self.start, phase, side="right") - 1
        sent = self._sent[inside] + (phase - self.start[inside]) * self.bandwidth[inside]
        target = sent + size
        # The smallest time at which so much was sent: never at the start of a round.
        more = np.where(moving, np.ceil(target / max(total, 1e-300)) - 1, 0.0)
        rest = np.where(moving, np.clip(target - more * total, 0.0, total), 0.0)
        step = np.clip(np.searchsorted(self._sent[1:], rest, side="left"), 0, len(self.start) - 1)
        rate = np.where(self.bandwidth[step] > 0, self.bandwidth[step], 1.0)
        done = (rounds + more) * self.period + self.start[step] + (rest - self._sent[step]) / rate
        done = np.maximum(done, begin)
        stuck = (size > 0) & ~moving
        return np.where(moving, done, np.where(stuck, math.inf, time))


class Replay(NamedTuple):
    """What happened to R requests.

    Attributes:
      start: seconds since the first sample.
      estimate: bytes per second that the policy decided on.
      decision: what it decided.
      latency: seconds that the request then took.
      best_decision: what someone who knows the trace decides.
      best_latency: seconds that this takes; never more than `latency`.
      flipped: True where the policy would have decided otherwise on the bandwidth at the start.
    """

    start: Float64[np.ndarray, " R"]
    estimate: Float64[np.ndarray, " R"]
    decision: Int8[np.ndarray, "R A"]
    latency: Float64[np.ndarray, " R"]
    best_decision: Int8[np.ndarray, "R A"]
    best_latency: Float64[np.ndarray, " R"]
    flipped: Bool[np.ndarray, " R"]

    def __repr__(self) -> str:
        return summarize(self)


def request_times(
    trace: BandwidthTrace, *, num_requests: int, interval: float, at_end: str = "wrap"
) -> Float64[np.ndarray, " R"]:
    """Requests at equal intervals, the first when the first sample is over.

    Args:
      trace: the trace.
      num_requests: at least 1.
      interval: seconds between requests, above 0.
      at_end: "wrap" starts the trace again where it is too short; "stop" leaves out the requests
        after its end (transfers that are under way then still wrap).

    Raises:
      ValueError: an argument is out of range, or the trace is over before the first request.
    """
    check_integer("num_requests", num_requests)
    if not 0 < interval < math.inf:
        raise ValueError(f"interval = {interval}: must be finite and greater than 0")
    if at_end not in ("wrap", "stop"):
        raise ValueError(f'at_end = {at_end!r}: must be "wrap" or "stop"')
    clock = LinkClock(trace)
    later = clock.start[clock.start > 0]
    first = float(later[0]) if len(later) else clock.period
    times = first + interval * np.arange(num_requests)
    if at_end == "stop":
        times = times[times < clock.period]
        if not len(times):
            raise ValueError(f"{trace.name}: over before the first request; use at_end='wrap'")
    return times


def recent_samples(
    trace: BandwidthTrace, time: ArrayLike, *, window: int
) -> Float64[np.ndarray, "R w"]:
    """The last `window` samples that are over at each `time` `[R]`, oldest first.

    Where fewer are over, the missing ones are NaN.
    """
    check_integer("window", window)
    newest = LinkClock(trace).sample(np.asarray(time, float)) - 1
    number = newest[:, None] - np.arange(window - 1, -1, -1)
    values = trace.bandwidth[number % len(trace.bandwidth)]
    return np.where(number >= 0, values, math.nan)


def estimate_bandwidth(
    samples: Num[np.ndarray, "R w"], *, estimator: str
) -> Float64[np.ndarray, " R"]:
    """One bandwidth from recent samples, NaN being none: "last", "moving_average",
    "harmonic_mean" (0 if any sample is) or "minimum"."""
    check_known("estimator", estimator, ESTIMATORS)
    if estimator == "last":
        return np.asarray(samples[:, -1], float)
    if estimator == "moving_average":
        return np.nanmean(samples, axis=1)
    if estimator == "minimum":
        return np.nanmin(samples, axis=1)
    alive = np.where(samples == 0, 1.0, samples)
    mean = 1.0 / np.nanmean(1.0 / alive, axis=1)
    return np.where((samples == 0).any(axis=1), 0.0, mean)


def with_bandwidth(problem: ChainProblem, bandwidth: ArrayLike) -> ChainProblem:
    """One problem under many wireless bandwidths `[R]`, in bytes per second."""
    return dataclasses.replace(problem, device_edge_bandwidth=np.asarray(bandwidth, np.float64))


def recent_costs(
    problem: ChainProblem, samples: Num[np.ndarray, "R w"], *, objective: Objective = LATENCY
) -> ChainCosts:
    """Expected costs over recent samples: the mean of the tables of each, `[R, A, 3]`.

    The robust decision is the optimum of this table.
    """
    known = ~np.isnan(samples)
    costs = chain_costs(with_bandwidth(problem, np.where(known, samples, 1.0)), objective)
    count = known.sum(axis=1)

    def mean(table: Any) -> np.ndarray:
        table = np.asarray(table, np.float64)
        tail = (1,) * (table.ndim - known.ndim)
        table = np.where(known.reshape(*known.shape, *tail), table, 0.0)
        return table.sum(axis=1) / count.reshape(-1, *tail)

    return ChainCosts(mean(costs.execution), mean(costs.transfer))


def replay_latency(
    problem: ChainProblem, trace: BandwidthTrace, start: ArrayLike, decision: ArrayLike
) -> Float64[np.ndarray, " R"]:
    """Seconds that requests take when the wireless link follows the trace.

    Args:
      problem: one problem; its `device_edge_bandwidth` is not used.
      trace: the bandwidth of the wireless link.
      start: `[R]` seconds since the first sample.
      decision: `[R, A]` decisions.
    """
    clock, data, running, wide = _timing(problem, trace)
    start, decision = np.asarray(start, float), np.asarray(decision)
    now, place = start, np.zeros(len(start), np.int8)
    for t in range(len(data)):
        following = decision[:, t] if t < len(running) else np.zeros_like(place)
        now = _travel(clock, now, place, following, data[t], wide[t])
        if t < len(running):
            now = now + running[t][following]
        place = following
    return now - start


def clairvoyant(
    problem: ChainProblem, trace: BandwidthTrace, start: ArrayLike
) -> tuple[Int8[np.ndarray, "R A"], Float64[np.ndarray, " R"]]:
    """The best decisions of someone who knows the trace, and the seconds they take.

    Args:
      problem: one problem; its `device_edge_bandwidth` is not used.
      trace: the bandwidth of the wireless link.
      start: `[R]` seconds since the first sample.
    """
    clock, data, running, wide = _timing(problem, trace)
    start = np.asarray(start, float)
    num_subtasks = len(running)
    done = [start, np.full(start.shape, math.inf), np.full(start.shape, math.inf)]
    sources = []
    for t in range(num_subtasks + 1):
        targets = range(len(done)) if t < num_subtasks else (0,)
        arrivals, came = [], []
        for k in targets:
            times = np.stack(
                [_travel(clock, done[j], j, k, data[t], wide[t]) for j in range(len(done))]
            )
            arrivals.append(np.min(times, axis=0) + (running[t][k] if t < num_subtasks else 0.0))
            came.append(np.argmin(times, axis=0))
        sources.append(np.stack(came))
        done = arrivals
    decision = np.zeros((len(start), num_subtasks), np.int8)
    place = np.zeros(len(start), np.int64)
    for t in reversed(range(num_subtasks)):
        place = np.take_along_axis(sources[t + 1], place[None], 0)[0]
        decision[:, t] = place
    return decision, done[0] - start


def _timing(problem: ChainProblem, trace: BandwidthTrace) -> tuple[LinkClock, Any, Any, Any]:
    """The clock, `[A + 1]` bytes, `[A, 3]` seconds of running, `[A + 1]` seconds edge to cloud."""
    validate(problem)
    cycles, data = (np.asarray(v, np.float64) for v in (problem.cycles, problem.data))
    if cycles.ndim > 1 or data.ndim > 1:
        raise ValueError("problem: the requests of a replay are of one task, not of a batch")
    speeds = [float(problem.device_speed), float(problem.edge_speed), math.inf]
    rate = float(problem.edge_cloud_bandwidth)
    wide = np.where(data > 0, data / rate if rate > 0 else math.inf, 0.0)
    return LinkClock(trace), data, cycles[:, None] / np.asarray(speeds), wide


def _travel(clock: LinkClock, now: Any, source: Any, target: Any, size: Any, wide: Any) -> Any:
    """When data that leaves `source` at `now` is at `target`: wireless first on the way up."""
    wireless = (np.asarray(source) == 0) != (np.asarray(target) == 0)
    wired = (np.asarray(source) == _CLOUD) != (np.asarray(target) == _CLOUD)
    now = np.where(wired & (np.asarray(source) == _CLOUD), now + wide, now)
    now = clock.finish(now, np.where(wireless, size, 0.0))
    return np.where(wired & (np.asarray(target) == _CLOUD), now + wide, now)


def replay(
    problem: ChainProblem,
    trace: BandwidthTrace,
    policy: Callable[[ChainProblem], Any],
    *,
    start: ArrayLike,
    estimator: str = "last",
    window: int = 5,
) -> Replay:
    """Lets a policy decide on estimated bandwidth and pays the bandwidth that follows.

    Args:
      problem: one problem; its `device_edge_bandwidth` is not used.
      trace: the bandwidth of the wireless link.
      policy: maps a batch of problems `[R]` to decisions `[R, A]`.
      start: `[R]` seconds since the first sample, such as `request_times` gives.
      estimator: "last", "moving_average", "harmonic_mean" or "minimum" of the recent samples.
      window: how many samples are recent.

    Raises:
      ValueError: the problem is invalid or a batch, or an argument is out of range.
    """
    validate(problem)
    start = np.asarray(start, float)
    samples = recent_samples(trace, start, window=window)
    estimate = estimate_bandwidth(samples, estimator=estimator)
    decision = np.asarray(policy(with_bandwidth(problem, estimate)), np.int8)
    clock = LinkClock(trace)
    current = trace.bandwidth[clock.sample(start) % len(trace.bandwidth)]
    informed = np.asarray(policy(with_bandwidth(problem, current)), np.int8)
    best_decision, best_latency = clairvoyant(problem, trace, start)
    return Replay(
        start=start,
        estimate=estimate,
        decision=decision,
        latency=replay_latency(problem, trace, start, decision),
        best_decision=best_decision,
        best_latency=best_latency,
        flipped=(decision != informed).any(axis=1),
    )
