"""Single measurements, on policies of known delay and a clock that only moves when told to."""

from typing import Any

import jax
import pytest

from benchmarks.delay import measure, run
from benchmarks.delay.family import Contender, Requests
from benchmarks.delay.measure import Settings
from tests.benchmarks.delay import fakes
from tests.benchmarks.delay.fakes import FakeClock

TINY = Settings(batch_sizes=(1, 7), decisions=500, duration=0.02)
NUM = 600


@pytest.fixture
def requests() -> Requests:
    return fakes.sample(NUM, 3)


def slow(clock: FakeClock, each: float, *, error: int = 0) -> Contender:
    """Right but for `error`, after `each` seconds a request."""

    def batch(problem: Any) -> Any:
        clock.spend(each * len(problem["number"]))
        return {"number": problem["number"] + error}

    def one(number: int) -> Any:
        clock.spend(each)
        return fakes.one(number + error)

    return Contender(batch, one)


@pytest.mark.parametrize("error", [0, 1])
def test_known_delays_are_found_and_wrong_decisions_show(requests: Requests, error: int) -> None:
    clock = FakeClock()
    both = list(run.rows("p", slow(clock, 1e-5, error=error), requests, TINY, clock=clock))
    found = both[1::2]
    assert {row["status"] for row in both[::2]} == {"started"}
    assert [(row["kind"], row["batch_size"]) for row in found] == [
        ("single", 1),
        ("server", 64),
        ("batch", 1),
        ("batch", 7),
        ("batch", 500),
    ]
    assert {row["status"] for row in found} == {"measured"}
    for row in found:
        assert row["quality"]["ratio_of_means"] == 1 + error
        if row["kind"] != "server":
            assert row["delay"]["p50"] == pytest.approx(1e-5)
    served = found[1]
    assert served["requests_per_second"] > 1e4 and served["decisions"] > 100
    assert served["delay"]["p99"] <= TINY.p99_bound


def test_inputs_rotate(requests: Requests) -> None:
    clock, seen = FakeClock(), []

    def batch(problem: Any) -> Any:
        seen.append(int(problem["number"][0]))
        clock.spend(0.006)
        return problem

    row = measure.batch(Contender(batch, None), requests, 10, TINY, clock=clock)
    assert row["quality"]["p99"] == 1 and row["decisions"] == 40
    # The first call warms up.
    assert seen == [3, 3, 13, 23, 33]


class TickingClock(FakeClock):
    """Every look at it takes a tenth of a millisecond."""

    def now(self) -> float:
        self.spend(1e-4)
        return self.time


def test_what_a_device_adds_stands_apart(requests: Requests) -> None:
    decide = jax.jit(lambda problem: problem)
    contender = Contender(decide, lambda number: fakes.one(int(number)), on_host=False)
    row = measure.batch(contender, requests, 500, TINY, clock=FakeClock())
    extra = {"starting_seconds", "temporary_bytes"}
    assert extra | {"host_to_device_seconds", "device_to_host_seconds"} <= set(row)
    assert row["starting_seconds"] > 0 and row["quality"]["p99"] == 1
    row = measure.single(contender, requests, TINY, clock=TickingClock())
    assert row["dispatch_floor"]["num"] > 1
    # Under load it gets batches of one size only, whatever has arrived.
    row = measure.server(contender, requests, TINY, clock=TickingClock())
    assert row["quality"]["p99"] == 1
    assert decide._cache_size() == 1


def test_a_policy_that_takes_single_requests_is_served_too(requests: Requests) -> None:
    clock = FakeClock()
    contender = Contender(None, slow(clock, 1e-4).one)
    row = measure.server(contender, requests, TINY, clock=clock)
    assert 2000 < row["requests_per_second"] < 12_000 and row["quality"]["p99"] == 1


def test_a_policy_too_slow_for_any_load_says_so(requests: Requests) -> None:
    clock = FakeClock()
    row = measure.server(slow(clock, 1.0), requests, TINY, clock=clock)
    assert row["requests_per_second"] == 0 and "2000 requests/s were too many" in row["note"]
    assert row["decisions"] > 0


@pytest.mark.parametrize(
    ("size", "starts"), [(10, {0, 10, 20, 30}), (97, {0, 1, 2, 3}), (100, {0})]
)
def test_batches_differ_where_there_are_enough_requests(size: int, starts: set[int]) -> None:
    slices = measure.rotation(100, size)
    assert all(each.stop - each.start == size and each.stop <= 100 for each in slices)
    assert {each.start for each in slices} == starts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration": 0.0}, "duration = 0: must be more than 0 seconds"),
        ({"time_limit": -1.0}, "time_limit = -1: must be more"),
        ({"p99_bound": float("nan")}, "p99_bound = nan: must be more"),
        ({"protocols": ("mlperf",)}, "'mlperf' unknown, there are paper, single_stream"),
        ({"batch_sizes": (0,)}, "batch_sizes = .*: must be at least one size"),
        ({"batch_sizes": ()}, "batch_sizes = .*: must be at least one size"),
        ({"decisions": 0}, "decisions = .*: must be at least one size"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**options)
