"""Protocols on a clock that only moves when told to, with policies of known delay."""

import numpy as np
import pytest

from benchmarks.delay import protocols
from tests.benchmarks.delay.fakes import FakeClock


def test_percentiles_are_values_that_occurred() -> None:
    seconds = np.random.default_rng(0).permutation(np.arange(1, 1001))
    expected = {"p25": 250, "p50": 500, "p75": 750, "p90": 900, "p99": 990, "p99.9": 999}
    assert protocols.summary(seconds) == {**expected, "mean": 500.5, "num": 1000}
    assert set(protocols.summary([3.0]).values()) == {3.0, 1}


@pytest.mark.parametrize(
    ("duration", "repeats", "num"),
    [(1e9, (1, 4), 4), (1.0, (1, 9), 4), (0.9, (1, 9), 4), (0.1, (1, 9), 1), (0.1, (3, 9), 3)],
)
def test_calls_are_repeated_within_their_limits(
    duration: float, repeats: tuple[int, int], num: int
) -> None:
    clock, seen = FakeClock(), []

    def call(i: int) -> None:
        seen.append(i)
        clock.spend(0.25)

    seconds = protocols.repeated(call, clock=clock, duration=duration, repeats=repeats)
    assert seconds.tolist() == [0.25] * num
    assert seen == list(range(num))


def test_poisson_arrivals_have_the_rate_and_scale_with_it() -> None:
    slow = protocols.poisson_arrivals(10.0, 20_000, seed=3)
    gaps = np.diff(slow)
    assert (gaps > 0).all()
    assert abs(gaps.mean() - 0.1) < 0.003 and abs(gaps.std() - 0.1) < 0.003
    np.testing.assert_allclose(protocols.poisson_arrivals(20.0, 20_000, seed=3), slow / 2)
    assert (protocols.poisson_arrivals(10.0, 5, seed=4) != slow[:5]).all()


def test_server_counts_from_the_scheduled_arrival_and_batches_what_waits() -> None:
    clock, batches = FakeClock(), []

    def decide(first: int, num: int) -> None:
        batches.append((first, num))
        clock.spend(1.0)

    arrivals = np.array([0.0, 0.25, 0.5, 0.75, 5.0])
    seconds = protocols.server(decide, arrivals, clock=clock, max_batch=2)
    assert batches == [(0, 1), (1, 2), (3, 1), (4, 1)]
    np.testing.assert_allclose(seconds, [1.0, 1.75, 1.5, 2.25, 1.0])


def test_server_gives_up_on_a_growing_queue() -> None:
    clock, decided = FakeClock(), []

    def decide(first: int, num: int) -> None:
        decided.append(first)
        clock.spend(1.0)

    # Request i is answered after i + 1 seconds and arrived after i / 2: 1 + i / 2 of latency.
    arrivals = np.arange(1000) * 0.5
    assert protocols.server(decide, arrivals, clock=clock, max_batch=1, give_up=5.0) is None
    assert decided == list(range(10))


def test_highest_rate_finds_the_capacity() -> None:
    def run(rate: float) -> np.ndarray | None:
        clock = FakeClock()
        arrivals = np.arange(1, 400) / rate
        return protocols.server(
            lambda first, num: clock.spend(0.01), arrivals, clock=clock, max_batch=1, give_up=1.0
        )

    rate, seconds = protocols.highest_rate(run, bound=0.011, between=(1.0, 1e4), steps=20)
    assert seconds is not None
    assert 99 < rate < 101
    assert protocols.highest_rate(run, bound=1e-3, between=(1.0, 1e4)) == (0.0, None)
    assert protocols.highest_rate(run, bound=1.0, between=(1.0, 50.0))[0] == pytest.approx(50.0)
    # Halving from above does not reach the lowest rate, so it is tried by itself.
    assert protocols.highest_rate(run, bound=0.011, between=(99.0, 1e9), steps=2)[0] == (
        pytest.approx(99.0)
    )


def test_the_machines_clock_waits() -> None:
    clock = protocols.Clock()
    moment = clock.now() + 1e-4
    clock.wait_until(moment)
    assert clock.now() >= moment
