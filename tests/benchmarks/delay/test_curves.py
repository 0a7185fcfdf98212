"""Series of measurements: fits on synthetic data, and where a series ends."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from benchmarks.delay import curves, measure
from benchmarks.delay.pool import Requests
from tests.benchmarks.delay.fakes import FakeClock, all_local

SETTINGS = measure.Settings(
    protocols=("curves",), duration=0.1, curve_batch_sizes=(1, 10, 100, 500)
)


def row(policy: str, protocol: str, size: int, seconds: float) -> dict[str, Any]:
    sizes = {"batch_size": size, "num_subtasks": 6}
    if protocol == curves.SUBTASKS:
        sizes = {"batch_size": 16, "num_subtasks": size}
    return {
        "policy": policy,
        "protocol": protocol,
        "status": "measured",
        **sizes,
        "seconds_per_decision": {"median": seconds},
    }


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_exponents_are_found(exponent: float) -> None:
    sizes = np.array([10, 30, 100, 1000])
    assert curves.exponent(sizes, 3e-6 * sizes**exponent) == pytest.approx(exponent)
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(4))
    assert curves.exponent(sizes, noise * sizes**exponent) == pytest.approx(exponent, abs=0.1)


def test_growth_factors_are_found() -> None:
    sizes = np.arange(3, 14)
    assert curves.growth_factor(sizes, 1e-7 * 2.9**sizes) == pytest.approx(2.9)


def test_fits_look_at_large_sizes_and_know_what_grows_exponentially() -> None:
    # A start of 1 ms and 2 ns a request: a call of few requests takes the same time as of one.
    rows = [
        row("greedy", curves.BATCH, size, 1e-3 / size + 2e-9)
        for size in (1, 10, 10**7, 10**8, 10**9, 10**10)
    ]
    rows += [row("optimal_dp", curves.SUBTASKS, a, 1e-9 * a) for a in (3, 30, 300)]
    rows += [row("optimal_enumeration", curves.SUBTASKS, a, 1e-9 * 3.0**a) for a in range(3, 9)]
    rows += [row("cpsat", curves.SUBTASKS, a, 1e-3) for a in (3, 30)]
    rows.append({**row("drl", curves.BATCH, 1, 1.0), "status": "too slow"})
    found = {fit.policy: fit for fit in curves.fits(rows)}
    assert set(found) == {"greedy", "optimal_dp", "optimal_enumeration"}
    assert found["greedy"].value == pytest.approx(1.0, abs=0.02)
    assert found["greedy"].sizes == (10**8, 10**10)
    assert found["optimal_dp"].value == pytest.approx(1.0)
    assert found["optimal_dp"].sizes == (3, 300)
    assert found["optimal_enumeration"].exponential
    assert found["optimal_enumeration"].value == pytest.approx(3.0)
    assert found["optimal_enumeration"].sizes == (6, 8)


def test_a_series_is_measured_and_ends_before_it_is_too_slow() -> None:
    clock = FakeClock()
    requests = Requests(510, seed=0)
    quick = list(curves.rows(all_local(clock, each=1e-5), requests, SETTINGS, clock=clock))
    assert [each["batch_size"] for each in quick] == [1, 10, 100, 500]
    assert {each["status"] for each in quick} == {"measured"}
    for each in quick:
        assert each["seconds_per_decision"]["median"] == pytest.approx(1e-5)
        assert each["normalized_latency"]["ratio_of_means"] > 1
    slow = list(curves.rows(all_local(clock, each=0.02), requests, SETTINGS, clock=clock))
    assert [each["status"] for each in slow] == ["measured", "measured", "too slow"]
    assert "about 2 s" in slow[-1]["note"] and slow[-1]["batch_size"] == 100


@pytest.mark.parametrize("one_by_one", [True, False])
def test_chains_get_longer_until_one_is_refused(
    one_by_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(curves.LENGTHS, "fake", (2, 9, 12))
    monkeypatch.setattr(curves, "ONE_BY_ONE", ("fake",) if one_by_one else ())
    monkeypatch.setattr(curves, "_MOST", 20)
    clock = FakeClock()
    fake = all_local(clock, each=1e-4)
    batch, one = fake.batch, fake.one

    def refuse(length: int) -> None:
        if length == 9:
            raise ValueError("at most 8 subtasks")

    def limited_batch(problem: Any) -> Any:
        refuse(problem.num_subtasks)
        assert batch is not None
        return batch(problem)

    def limited_one(*request: Any) -> Any:
        refuse(len(request[0]))
        assert one is not None
        return one(*request)

    fake = dataclasses.replace(fake, batch=limited_batch, one=limited_one)
    settings = dataclasses.replace(SETTINGS, curve_batch_sizes=(1,))
    _, *found = curves.rows(fake, Requests(10, seed=0), settings, clock=clock)
    assert [each["num_subtasks"] for each in found] == [2, 9]
    assert [each["status"] for each in found] == ["measured", "failed"]
    assert {each["batch_size"] for each in found} == {1 if one_by_one else 20}
    assert "at most 8 subtasks" in found[-1]["note"]


def test_long_chains_come_in_small_batches() -> None:
    for exponential in (True, False):
        sizes = [curves.batch_size(a, exponential=exponential) for a in range(3, 14)]
        assert sizes == sorted(sizes, reverse=True) and min(sizes) >= 16
    assert curves.batch_size(1000, exponential=False) * 1000 < 1e6
