"""The delay harness on fake policies: rows, files, table and errors; nothing is timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks import contenders, delay_table, inference_delay, measure, peers
from benchmarks.contenders import Contender
from tests.benchmarks.test_protocols import FakeClock

TINY = measure.Settings(
    protocols=measure.PROTOCOLS,
    batch_sizes=(1, 7),
    duration=0.02,
    decisions=500,
    max_requests=30,
)


def fake(clock: FakeClock, *, each: float, name: str = "fake") -> Contender:
    """Everything local, after `each` seconds a request."""

    def batch(problem: oj.ChainProblem) -> np.ndarray:
        clock.spend(each * len(problem.device_speed))
        return np.zeros(problem.cycles.shape, np.int8)

    def one(*request: Any) -> np.ndarray:
        clock.spend(each)
        return np.zeros(len(request[0]), np.int8)

    return Contender(name, True, batch, one, lambda problem: problem, lambda problem: {})


def test_known_delays_are_found_and_wrong_decisions_show() -> None:
    clock = FakeClock()
    requests = measure.Requests(600, seed=0)
    rows = list(measure.rows(fake(clock, each=1e-5), requests, TINY, clock=clock))
    assert [row["protocol"] for row in rows] == [
        "paper_batch",
        "paper_loop",
        "single_stream",
        "offline",
        "offline",
        "server",
    ]
    assert {row["status"] for row in rows} == {"measured"}
    for row in rows[:-1]:
        assert row["seconds_per_decision"]["median"] == pytest.approx(1e-5)
        assert row["normalized_latency"]["ratio_of_means"] > 1.1
    assert rows[0]["decisions"] == 500
    assert rows[-1]["requests_per_second"] > 0


def test_a_slow_policy_is_measured_on_less_and_says_so() -> None:
    clock = FakeClock()
    settings = measure.Settings(protocols=("paper",), duration=1.0, decisions=500)
    requests = measure.Requests(600, seed=0)
    row = next(measure.rows(fake(clock, each=0.01), requests, settings, clock=clock))
    assert row["status"] == "too slow" and row["decisions"] == 256
    assert "about 5 s for 500" in row["note"]
    assert row["seconds_per_decision"]["median"] == pytest.approx(0.01)


def test_a_crash_is_a_row_and_the_others_still_run(tmp_path: Path) -> None:
    def build(name: str, **options: Any) -> Contender:
        if name == "edge":
            raise RuntimeError("no luck\nat all")
        contender = contenders.build(name, **options)
        if name == "cloud":

            def crash(problem: Any) -> Any:
                raise MemoryError("out of memory")

            return Contender(name, True, crash, None, contender.place, contender.prepare)
        return contender

    settings = measure.Settings(protocols=("paper",), duration=0.01, decisions=64, max_requests=5)
    document = inference_delay.run(
        ["edge", "cloud", "greedy", "optimal_dp", "single_exact", "numpy_dp", "numba_loop"],
        settings,
        platform="cpu",
        checkpoints=tmp_path,
        output=tmp_path / "out",
        build=build,
        report=lambda line: None,
    )
    assert json.loads((tmp_path / "out" / "cpu.json").read_text()) == json.loads(
        json.dumps(document)
    )
    check_schema(document)
    status = {(row["policy"], row["protocol"]): row["status"] for row in document["rows"]}
    assert status["edge", "all"] == status["cloud", "paper_batch"] == "failed"
    exact = {"optimal_dp", "single_exact", "numpy_dp", "numba_loop"}
    for row in document["rows"]:
        if row["policy"] in exact:
            assert row["status"] == "measured"
            assert row["normalized_latency"]["ratio_of_means"] == pytest.approx(1.0, abs=1e-5)
    table = delay_table.render(inference_delay.stored(tmp_path / "out"), contenders.NAMES)
    assert "not measured" in table and "MemoryError: out of memory" in table
    assert "122.54" in table and "119.72" in table


def check_schema(document: dict[str, Any]) -> None:
    keys = {"format", "environment", "settings", "dispatch_floor", "rows"}
    assert set(document) == {*keys, "matrix_product_flops_per_second"}
    assert {"machine", "device", "platform", "versions", "commit"} <= set(document["environment"])
    for row in document["rows"]:
        assert {"policy", "protocol", "batch_size", "status", "peak_memory_bytes"} <= set(row)
        if row["status"] != "measured":
            assert row["note"]
        elif row["protocol"] != "server":
            assert {"median", "quartile1", "quartile3", "repeats"} == set(
                row["seconds_per_decision"]
            )
            assert set(oj.metrics.NormalizedLatency._fields) == set(row["normalized_latency"])
            assert row["decisions"] > 0


def test_an_interrupted_run_keeps_what_it_measured(tmp_path: Path) -> None:
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    settings = measure.Settings(protocols=("paper",), duration=0.01, decisions=8, max_requests=5)
    with pytest.raises(KeyboardInterrupt):
        inference_delay.run(
            ["local", "greedy"],
            settings,
            platform="cpu",
            checkpoints=tmp_path,
            output=tmp_path,
            report=report,
        )
    document = json.loads((tmp_path / "cpu.json").read_text())
    assert [row["protocol"] for row in document["rows"]] == ["paper_batch", "paper_loop"]


def test_a_table_of_nothing_renders() -> None:
    table = delay_table.render({"cpu": None, "gpu": None}, ("greedy", "kd_dil"))
    assert table.count("not measured") == 8


@pytest.mark.parametrize("seconds", [2.0, 3.5e-3, 4e-6, 1.25e-8])
def test_durations_have_units(seconds: float) -> None:
    number, unit = delay_table.duration(seconds).split()
    size = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=1e-2)


@pytest.mark.parametrize("num", [1, 300, 5000])
def test_peers_find_the_optimum(num: int) -> None:
    problem = measure.Requests(num, seed=1).problem
    for peer in (peers.numpy_dp, peers.numba_dp):
        decision = peer(*jax.tree.leaves(problem))
        assert measure.quality(problem, decision)["p99"] < 1 + 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["optimal"]}, "unknown, there are optimal_dp, optimal_enumeration"),
        ({"names": ["drl"]}, "no checkpoint .*drl; in that folder: none"),
        ({"platform": "quantum"}, "not present, there is cpu"),
        ({"settings": measure.Settings(duration=0.0)}, "must be more than 0 seconds"),
        ({"settings": measure.Settings(protocols=("mlperf",))}, "there are paper, single_stream"),
        ({"settings": measure.Settings(batch_sizes=(0,))}, "must be at least 1"),
    ],
)
def test_bad_input_says_what_exists(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"names": ["local"], "settings": TINY, "platform": "cpu"}
    arguments |= {"checkpoints": tmp_path / "none", "output": tmp_path / "out", **options}
    names, settings = arguments.pop("names"), arguments.pop("settings")
    with pytest.raises(inference_delay.InputError, match=message):
        inference_delay.run(names, settings, **arguments)
    assert not (tmp_path / "out").exists()


def test_the_command_exits_with_one_line() -> None:
    command = [sys.executable, "-m", "benchmarks.inference_delay", "--policies=nobody"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1 and "nobody" in result.stderr
