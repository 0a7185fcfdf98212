"""Contenders in their processes: what ends, what is kept, what is done again. Nothing is timed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.delay import run
from benchmarks.delay.measure import Settings
from tests.benchmarks.delay.fakes import FAMILY

TINY = Settings(protocols=("paper", "offline"), batch_sizes=(1, 3), decisions=3, duration=1e-3)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints" / "network").mkdir(parents=True)
    return tmp_path / "checkpoints"


def measure(
    names: list[str], checkpoints: Path, settings: Settings = TINY, platform: str = "cpu"
) -> list[dict[str, Any]]:
    output = checkpoints.parent / "output"
    document = run.measure_all(
        names,
        settings,
        family=FAMILY,
        platform=platform,
        checkpoints=checkpoints,
        output=output,
    )
    written = json.loads((output / "results" / f"delay_{platform}.json").read_text())
    assert written["rows"] == document["rows"] and written["format"] == run.FORMAT
    return document["rows"]


def started(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "built.txt").read_text().split()]


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["policy"], row["kind"], row.get("batch_size"), row["status"]) for row in rows]


def test_what_goes_wrong_is_a_row_and_the_others_still_run(checkpoints: Path) -> None:
    names = ["fails", "refuses", "dies", "foreign", "right"]
    rows = measure(names, checkpoints)
    assert told(rows) == [
        ("fails", "single", 1, "measured"),
        ("fails", "batch", 1, "failed"),
        ("fails", "batch", 3, "failed"),
        ("refuses", "all", None, "failed"),
        ("dies", "single", 1, "measured"),
        ("dies", "batch", 1, "failed"),
        ("foreign", "all", None, "unavailable"),
        ("right", "single", 1, "measured"),
        ("right", "batch", 1, "measured"),
        ("right", "batch", 3, "measured"),
    ]
    notes = [row["note"] for row in rows if row["status"] != "measured"]
    assert notes[0] == "MemoryError: out of memory" and notes[2] == "RuntimeError: no luck"
    assert notes[3] == "its process ended with status 3" and "'.[bench]'" in notes[4]
    assert rows[-1]["quality"]["p99"] == 1.0 and rows[-1]["cpu_seconds"] >= 0
    assert rows[-1]["device"] == "cpu"


def test_what_hangs_is_ended_with_its_process_and_not_tried_again(checkpoints: Path) -> None:
    limited = Settings(protocols=("paper",), decisions=3, duration=1e-3, time_limit=8.0)
    rows = measure(["hangs"], checkpoints, limited)
    assert told(rows) == [("hangs", "single", 1, "measured"), ("hangs", "batch", 3, "timed out")]
    assert "no answer within 8 s" in rows[-1]["note"]
    (process,) = started(checkpoints.parent)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert measure(["hangs"], checkpoints, limited) == rows
    assert started(checkpoints.parent) == [process]


def test_a_further_run_does_what_is_missing(checkpoints: Path) -> None:
    weights = checkpoints / "network" / "weights"
    weights.write_text("1")
    first = measure(["network", "dies"], checkpoints)
    again = measure(["network", "dies", "right"], checkpoints)
    assert again[0] == first[0] and len(started(checkpoints)) == 1
    # What died is tried again; `right` is new.
    assert len(started(checkpoints.parent)) == 3
    weights.write_text("2")
    measure(["network"], checkpoints)
    assert len(started(checkpoints)) == 2


def test_other_settings_are_another_result(checkpoints: Path) -> None:
    measure(["right"], checkpoints)
    more = Settings(protocols=("paper",), decisions=4, duration=1e-3)
    assert told(measure(["right"], checkpoints, more))[-1] == ("right", "batch", 4, "measured")


def test_a_missing_platform_is_named(checkpoints: Path) -> None:
    with pytest.raises(ValueError, match="platform 'quantum': not present, there is cpu"):
        measure(["right"], checkpoints, platform="quantum")


def test_a_measurement_is_made_once_however_many_ask() -> None:
    settings = Settings(batch_sizes=(10, 1), decisions=10)
    both = run.jobs(run.Contender(len, len), settings)
    assert both == [("single", 1), ("server", 64), ("batch", 1), ("batch", 10)]
    assert run.jobs(run.Contender(None, len), settings) == [("single", 1), ("server", 1)]
    paper = Settings(protocols=("paper",), decisions=10)
    assert run.jobs(run.Contender(len, None), paper) == [("batch", 10)]
