"""Replay on a three-step trace by hand, and against brute force over all decisions."""

import itertools
import math

import numpy as np
import pytest

import offload_jax as oj
from offload_jax import workloads
from offload_jax.workloads.links.replay import (
    ESTIMATORS,
    LinkClock,
    clairvoyant,
    estimate_bandwidth,
    recent_costs,
    recent_samples,
    replay_latency,
    with_bandwidth,
)

# 10 B/s for 2 s, nothing for 1 s, 40 B/s for the median 1.5 s: 80 bytes in 4.5 s.
THREE_STEPS = workloads.BandwidthTrace(
    name="three steps", time=np.array([100.0, 102.0, 103.0]), bandwidth=np.array([10.0, 0.0, 40.0])
)
# One subtask: 8 s on the device or 1 s on the edge, 15 bytes there and 5 back.
TASK = oj.ChainProblem([8.0], [15.0, 5.0], 1.0, 8.0, 1.0, 1.0)


def test_clock_by_hand() -> None:
    clock = LinkClock(THREE_STEPS)
    assert clock.period == 4.5
    cases = [
        (0.0, 10.0, 1.0),
        (0.0, 20.0, 2.0),  # done as the link goes down
        (0.0, 40.0, 3.5),
        (1.0, 15.0, 3.125),
        (2.5, 40.0, 4.0),
        (3.0, 60.0, 4.5),  # to the last byte of the trace
        (3.0, 65.0, 5.0),  # and on from its start
        (2.5, 0.0, 2.5),
        (9.5, 5.0, 10.0),  # third round
        (0.0, 170.0, 10.0),
    ]
    for start, size, done in cases:
        np.testing.assert_allclose(clock.finish(start, size), done, err_msg=f"{start}, {size}")


def test_a_transfer_of_whole_periods_is_done_with_its_last_byte() -> None:
    """Not when the period ends: the link may be down by then."""
    # 50 bytes in the first 2 s, then nothing for 1 s.
    trace = workloads.BandwidthTrace("tail", np.array([0.0, 1.0, 2.0]), np.array([20.0, 30.0, 0.0]))
    clock = LinkClock(trace)
    assert clock.period == 3.0
    for start, size, done in [
        (0.0, 50.0, 2.0),
        (0.0, 100.0, 5.0),
        (0.5, 40.0, 2.0),
        (1.0, 80.0, 5.0),
        (2.5, 50.0, 5.0),
        (7.0, 30.0, 8.0),
    ]:
        np.testing.assert_allclose(clock.finish(start, size), done, err_msg=f"{start}, {size}")


def test_a_dead_trace_delivers_only_nothing() -> None:
    dead = workloads.BandwidthTrace("dead", np.array([0.0]), np.array([0.0]))
    np.testing.assert_array_equal(LinkClock(dead).finish([1.0, 1.0], [0.0, 1.0]), [1.0, math.inf])


def test_replay_by_hand() -> None:
    start = workloads.request_times(THREE_STEPS, num_requests=3, interval=0.5)
    np.testing.assert_allclose(start, [2.0, 2.5, 3.0])
    np.testing.assert_allclose(
        recent_samples(THREE_STEPS, start, window=2),
        [[math.nan, 10.0], [math.nan, 10.0], [10.0, 0.0]],
    )
    result = workloads.replay(TASK, THREE_STEPS, oj.policies.optimal, start=start)
    np.testing.assert_allclose(result.estimate, [10.0, 10.0, 0.0])
    # 10 B/s promise 15/10 + 1 + 5/10 = 3 s; a dead link leaves the device.
    np.testing.assert_array_equal(result.decision, [[1], [1], [0]])
    # Up at 3 + 15/40 = 3.375, done at 4.375, down at 4.5, from 2 and 2.5 on.
    np.testing.assert_allclose(result.latency, [2.5, 2.0, 8.0])
    np.testing.assert_array_equal(result.best_decision, [[1], [1], [1]])
    np.testing.assert_allclose(result.best_latency, [2.5, 2.0, 1.5])
    # At 2 and 2.5 s the link is down, at 3 s it carries 40 B/s: all would have decided otherwise.
    np.testing.assert_array_equal(result.flipped, [True, True, True])


def test_short_trace_wraps_or_stops() -> None:
    wrapped = workloads.request_times(THREE_STEPS, num_requests=5, interval=1.0)
    np.testing.assert_allclose(wrapped, [2.0, 3.0, 4.0, 5.0, 6.0])
    stopped = workloads.request_times(THREE_STEPS, num_requests=5, interval=1.0, at_end="stop")
    np.testing.assert_allclose(stopped, [2.0, 3.0, 4.0])
    np.testing.assert_allclose(recent_samples(THREE_STEPS, wrapped[-2:], window=2), [[0, 40]] * 2)


def test_estimators_by_hand() -> None:
    samples = np.array([[math.nan, 2.0, 6.0], [0.0, 4.0, 2.0]])
    expected = {
        "last": [6.0, 2.0],
        "moving_average": [4.0, 2.0],
        "harmonic_mean": [3.0, 0.0],
        "minimum": [2.0, 0.0],
    }
    assert tuple(expected) == ESTIMATORS
    for name, values in expected.items():
        np.testing.assert_allclose(estimate_bandwidth(samples, estimator=name), values)


def _task(seed: int, num_subtasks: int = 3) -> oj.ChainProblem:
    generator = np.random.default_rng(seed)
    return oj.ChainProblem(
        generator.uniform(0, 2e9, num_subtasks),
        generator.uniform(0, 2e6, num_subtasks + 1),
        5e8,
        4e9,
        1e6,
        1e6,
    )


def test_clairvoyant_is_the_best_of_all_decisions() -> None:
    for seed in range(5):
        trace = workloads.markov_trace(seed, num_samples=20)
        trace.bandwidth[::4] = 0.0
        start = np.linspace(1.0, 25.0, 7)
        task = _task(seed)
        decision, seconds = clairvoyant(task, trace, start)
        everything = [
            replay_latency(task, trace, start, np.tile(d, (7, 1)))
            for d in itertools.product(range(3), repeat=3)
        ]
        np.testing.assert_allclose(seconds, np.min(everything, axis=0))
        np.testing.assert_allclose(replay_latency(task, trace, start, decision), seconds)


def test_constant_trace_costs_what_the_model_says() -> None:
    trace = workloads.BandwidthTrace("flat", np.arange(3.0), np.full(3, 1e6))
    task = _task(0)
    start = workloads.request_times(trace, num_requests=4, interval=0.7)
    result = workloads.replay(task, trace, oj.policies.optimal, start=start)
    np.testing.assert_allclose(result.latency, oj.solve(task).cost, rtol=1e-5)
    np.testing.assert_allclose(result.best_latency, oj.solve(task).cost, rtol=1e-5)
    assert not result.flipped.any()


def test_least_expected_cost_is_the_optimum_at_the_harmonic_mean() -> None:
    trace = workloads.markov_trace(1, num_samples=30)
    start = workloads.request_times(trace, num_requests=20, interval=1.3)
    samples = recent_samples(trace, start, window=5)
    task = _task(2)
    robust = oj.solve(recent_costs(task, samples)).cost
    mean = estimate_bandwidth(samples, estimator="harmonic_mean")
    np.testing.assert_allclose(robust, oj.solve(with_bandwidth(task, mean)).cost, rtol=1e-5)


def test_markov_trace_is_a_legal_trace() -> None:
    trace = workloads.markov_trace(3, num_samples=50, interval=0.5)
    np.testing.assert_allclose(np.diff(trace.time), 0.5)
    assert (trace.bandwidth > 0).all()
    np.testing.assert_array_equal(
        trace.bandwidth, workloads.markov_trace(3, num_samples=50, interval=0.5).bandwidth
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_requests": 0, "interval": 1.0}, "num_requests = 0"),
        ({"num_requests": 1, "interval": 0.0}, "interval = 0.0"),
        ({"num_requests": 1, "interval": 1.0, "at_end": "loop"}, "at_end = 'loop'"),
    ],
)
def test_bad_requests_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workloads.request_times(THREE_STEPS, **options)


def test_other_bad_arguments_are_refused() -> None:
    start = np.array([2.0])
    with pytest.raises(ValueError, match="estimator: unknown 'guess'"):
        workloads.replay(TASK, THREE_STEPS, oj.policies.local, start=start, estimator="guess")
    with pytest.raises(ValueError, match="window = 0"):
        workloads.replay(TASK, THREE_STEPS, oj.policies.local, start=start, window=0)
    with pytest.raises(ValueError, match="of one task, not of a batch"):
        batch = oj.ChainProblem(np.ones((2, 1)), np.ones(2), 1.0, 1.0, 1.0, 1.0)
        clairvoyant(batch, THREE_STEPS, start)
    single = workloads.BandwidthTrace("single", np.array([0.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="single: over before the first request"):
        workloads.request_times(single, num_requests=1, interval=1.0, at_end="stop")
    with pytest.raises(ValueError, match="num_samples = 0"):
        workloads.markov_trace(0, num_samples=0)
