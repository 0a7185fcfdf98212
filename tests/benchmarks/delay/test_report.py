"""Section and figure from documents that hold everything, little or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.delay import report, run
from tests.benchmarks.delay.fakes import FAMILY

PERCENTILES = {"p50": 1e-6, "p90": 2e-6, "p99": 3e-6, "p99.9": 4e-6}


def row(policy: str, kind: str, size: int, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "policy": policy,
        "kind": kind,
        "batch_size": size,
        "status": "measured",
        "delay": {name: seconds * k for k, name in enumerate(PERCENTILES, 1)},
        "quality": {"ratio_of_means": 1.25, "p99": 1.0},
        "device": "a device",
        **more,
    }


def document(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": run.FORMAT,
        "family": FAMILY.module,
        "environment": {
            "processor": "a processor",
            "cores": 2,
            "python": "3.11.0",
            "versions": {"jax": "1.2.3"},
            "commit": "abc",
        },
        "settings": {"decisions": 1000, "duration": 0.5, "p99_bound": 0.01},
        "rows": list(rows),
    }


def everything() -> dict[str, Any]:
    timed_out = {"status": "timed out", "note": "no answer"}
    served = {"policy": "dies", "kind": "server", "batch_size": 64, "status": "measured"}
    return document(
        row("right", "single", 1, 2e-6, starting_seconds=0.75),
        row("right", "batch", 10, 4e-8),
        row("right", "batch", 1000, 2e-8, starting_seconds=1.5),
        row("hangs", "single", 1, 3e-6, dispatch_floor={"p50": 1.25e-5}),
        {"policy": "hangs", "kind": "batch", "batch_size": 1000, **timed_out},
        row("wrong", "batch", 1000, 4.68e-6),
        row("wrong", "batch", 100, 4e-6, quality={"ratio_of_means": 1.5, "p99": 2.0}),
        {**served, "requests_per_second": 4321.0, "delay": PERCENTILES},
        {
            **served,
            "policy": "fails",
            "requests_per_second": 0.0,
            "note": "20 requests/s were too many",
        },
        {"policy": "foreign", "kind": "all", "status": "unavailable", "note": "pip install it"},
    )


def cells(text: str, policy: str, *more: str) -> list[list[str]]:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return [line for line in lines if line[: 1 + len(more)] == [policy, *more]]


def test_table_1_has_both_columns_over_the_reference() -> None:
    text = report.table(everything()["rows"], 1000, FAMILY)
    assert cells(text, "right") == [["right", "2.00", "20 ns", "1", "2 µs", "1", "1.2500"]]
    assert cells(text, "wrong") == [["wrong", "", "4.68 µs", "234", "–", "", "1.2500"]]
    assert cells(text, "hangs") == [["hangs", "", "timed out", "", "3 µs", "1.5", "1.2500"]]
    assert cells(text, "foreign")[0][2:] == ["unavailable", "", "unavailable", "", ""]
    # Published elsewhere, and not measured here.
    assert cells(text, "refuses")[0] == ["refuses", "0.50", "–", "", "–", "", ""]
    assert not cells(text, "network")


def test_every_measurement_is_in_the_section() -> None:
    text = report.section({"cpu": everything()}, FAMILY)
    assert text.startswith("## Table 1") and text.count("\n## ") == 0
    assert cells(text, "right", "batch", "1000")[0][3:] == [
        *("20 ns", "40 ns", "60 ns", "80 ns", "", "1.2500", "1.5 s", "")
    ]
    assert cells(text, "right", "single")[0][-2:] == ["750 ms", ""]
    assert cells(text, "dies", "server")[0][3:8] == ["1 µs", "2 µs", "3 µs", "4 µs", "4,321"]
    assert cells(text, "fails", "server")[0][3:8] == ["", "", "", "", "0"]
    assert cells(text, "fails", "server")[0][-1] == "20 requests/s were too many"
    assert cells(text, "hangs", "batch")[0][-1] == "no answer"
    assert cells(text, "foreign", "all")[0][-1] == "pip install it"
    for words in (
        "Measured on cpu: a device, a processor, 2 cores, Python 3.11.0, jax 1.2.3, commit abc",
        "An empty jitted call takes 12.5 µs",
        "Claimed to be exact, but were not on these requests: wrong.",
        "figures/delay_batch.png",
        "gpu: not measured.",
    ):
        assert words in text, words


def test_little_and_nothing_make_a_section() -> None:
    for each in everything()["rows"]:
        text = report.section({"gpu": document(each)}, FAMILY)
        assert "cpu: not measured." in text and f"| {each['policy']}" in text
    text = report.section({"cpu": document()}, FAMILY)
    assert "a processor" in text and "figures/" not in text and "Claimed" not in text
    assert report.section({}, FAMILY).count("not measured.") == len(report.PLATFORMS)


def test_what_is_in_a_folder_is_written(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for platform in ("cpu", "gpu"):
        (results / f"delay_{platform}.json").write_text(json.dumps(everything()))
    text = report.write(tmp_path, FAMILY)
    assert (results / "table1.md").read_text() == text and "figures/delay_batch_gpu.png" in text
    figures = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in figures] == ["delay_batch.png", "delay_batch_gpu.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_a_curve_has_several_sizes() -> None:
    assert report.series(everything()["rows"]) == {
        "right": [(10, 4e-8), (1000, 2e-8)],
        "wrong": [(100, 4e-6), (1000, 4.68e-6)],
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "something else"}'])
def test_a_foreign_file_is_named_and_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results" / "delay_gpu.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=r"delay_gpu\.json: no results"):
        report.read(tmp_path, FAMILY)
    assert path.read_text() == text


@pytest.mark.parametrize("seconds", [2.0, 3.5e-3, 4e-6, 1.25e-8])
def test_durations_have_units(seconds: float) -> None:
    number, unit = report.duration(seconds).split()
    size = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=1e-2)
