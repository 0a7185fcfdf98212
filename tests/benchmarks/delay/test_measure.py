"""Single measurements and their order, on fake policies; nothing is timed."""

import dataclasses
import threading
import time
from typing import Any

import numpy as np
import pytest

from benchmarks.delay import measure, rows
from benchmarks.delay.pool import Requests
from tests.benchmarks.delay.fakes import FakeClock, all_local

TINY = measure.Settings(
    protocols=("paper", "single_stream", "offline", "server"),
    batch_sizes=(1, 7),
    duration=0.02,
    decisions=500,
    max_requests=30,
)


@pytest.fixture(scope="module")
def requests() -> Requests:
    return Requests(600, seed=0)


def test_known_delays_are_found_and_wrong_decisions_show(requests: Requests) -> None:
    clock = FakeClock()
    found = list(rows.rows(all_local(clock, each=1e-5), requests, TINY, clock=clock))
    assert [row["protocol"] for row in found] == [
        "paper_batch",
        "paper_loop",
        "single_stream",
        "offline",
        "offline",
        "server",
    ]
    assert {row["status"] for row in found} == {"measured"}
    for row in found:
        assert row["normalized_latency"]["ratio_of_means"] > 1.1
    for row in found[:-1]:
        assert row["seconds_per_decision"]["median"] == pytest.approx(1e-5)
    assert found[0]["decisions"] == 500
    assert found[-1]["requests_per_second"] > 0 and found[-1]["decisions"] > 100


@pytest.mark.parametrize("on_host", [True, False])
def test_under_load_the_decisions_belong_to_the_requests(requests: Requests, on_host: bool) -> None:
    clock = FakeClock()
    optimal = np.zeros((600, 6), np.int8)
    optimal[:, 2] = 1
    known = {problem.tobytes(): i for i, problem in enumerate(requests.problem.cycles)}

    def batch(problem: Any) -> np.ndarray:
        clock.spend(1e-4)
        return optimal[[known[cycles.tobytes()] for cycles in problem.cycles]]

    fake = dataclasses.replace(all_local(clock, each=0.0, on_host=on_host), batch=batch)
    row = measure.server(fake, requests, TINY, clock=clock)
    expected = requests.quality(slice(None), optimal)
    assert row["normalized_latency"]["median"] == pytest.approx(expected["median"], rel=0.1)
    assert row["latency"]["p99"] <= TINY.p99_bound


def test_a_policy_too_slow_for_any_load_says_so(requests: Requests) -> None:
    clock = FakeClock()
    row = measure.server(all_local(clock, each=1.0), requests, TINY, clock=clock)
    assert row["requests_per_second"] == 0 and row["lowest_rate_tried"] > 0
    assert row["decisions"] > 0


@pytest.mark.parametrize(("on_host", "decisions"), [(True, 64), (False, 256)])
def test_a_slow_policy_is_measured_on_less_and_says_so(
    requests: Requests, on_host: bool, decisions: int
) -> None:
    clock = FakeClock()
    settings = measure.Settings(duration=0.1, decisions=500)
    fake = all_local(clock, each=2**-10 if on_host else 2**-8, on_host=on_host)
    row = measure.batch_that_fits(fake, requests, settings, 5000, clock=clock)
    assert row["status"] == "too slow" and row["decisions"] == decisions
    assert "for 5000" in row["note"]


def test_networks_are_compared_with_a_matrix_product_beside_them(requests: Requests) -> None:
    clock = FakeClock()
    rates = iter([1e6, 3e6])
    settings = dataclasses.replace(TINY, protocols=("paper",))
    fake = all_local(clock, each=1e-5, flops=10.0)
    batch, one = rows.rows(fake, requests, settings, clock=clock, matrix_rate=lambda: next(rates))
    assert batch["matrix_product_flops_per_second"] == 2e6
    assert batch["flops_per_second"] == pytest.approx(1e6)
    assert batch["share_of_matrix_product"] == pytest.approx(0.5)
    assert "share_of_matrix_product" not in one


def hang(*request: Any) -> Any:
    while True:
        time.sleep(0.001)


def test_a_policy_that_hangs_is_given_up(requests: Requests) -> None:
    clock = FakeClock()
    fake = dataclasses.replace(all_local(clock, each=1e-5), batch=hang, one=hang)
    settings = dataclasses.replace(TINY, protocols=("paper", "server", "curves"), time_limit=0.05)
    found = list(rows.rows(fake, requests, settings, clock=clock))
    assert [row["status"] for row in found] == ["timed out"] * 3
    assert "no answer within 0.05 s" in found[0]["note"]
    assert all("hung in paper_batch" in row["note"] for row in found[1:])
    assert not measure.left_behind()


def test_a_call_that_never_returns_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_GRACE", 0.01)
    release = threading.Event()
    with pytest.raises(measure.HungError, match="still runs"):
        measure.within(0.01, release.wait)
    assert measure.left_behind()
    release.set()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.name == "measurement":
            thread.join(60)
    assert not measure.left_behind()


def test_results_and_errors_of_a_job_come_back() -> None:
    assert measure.within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        measure.within(60, lambda: 1 / 0)
    row = measure.attempt({"policy": "p"}, lambda: {}[1], limit=60)
    assert row == {"policy": "p", "status": "failed", "note": "KeyError: 1"}
