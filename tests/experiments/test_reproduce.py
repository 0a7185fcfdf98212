"""The main job at tiny size: results, figures, report, and doing nothing twice."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import reproduce
from experiments.paper import random_chains
from experiments.paper.presets import QUICK
from experiments.reporting import artifacts
from experiments.studies import real_tasks


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    (folder / "one.log").write_text("0 1.0\n1 0.0\n2 20.0\n")
    return folder


def test_random_chains_cover_the_four_settings(tmp_path: Path) -> None:
    results = random_chains.run(tmp_path, num=200)
    assert set(results) == {
        "wide",
        "narrow",
        "wide-floor-0.5MBps",
        "narrow-floor-0.5MBps",
    }
    for rows in results.values():
        assert rows["optimal"]["ratio_of_means"] == pytest.approx(1.0, abs=1e-6)
        for name, row in rows.items():
            assert row["mean"] >= 1 - 1e-6, name
            assert row["p99"] >= row["median"], name
    assert (tmp_path / "figures" / "random_chains.png").stat().st_size > 10_000
    assert "Edge < Local" in random_chains.section(results)


def test_results_are_reused_until_the_settings_change(tmp_path: Path) -> None:
    random_chains.run(tmp_path, num=200)
    path = tmp_path / "results" / "random_chains.json"
    stored = json.loads(path.read_text())
    stored["results"]["wide"]["greedy"]["median"] = 123.0
    path.write_text(json.dumps(stored))
    assert random_chains.run(tmp_path, num=200)["wide"]["greedy"]["median"] == 123.0
    assert random_chains.run(tmp_path, num=200, seed=1)["wide"]["greedy"]["median"] < 10


def test_a_foreign_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"mine\.json"):
        artifacts.cached(path, {"a": 1}, dict)
    assert path.read_text() == "[1, 2]"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file.json"
    artifacts.write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts.os, "replace", fail)
    with pytest.raises(OSError, match="space"):
        artifacts.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_summary_counts_splits_by_hand() -> None:
    stats = real_tasks.summary(np.array([0.0, 0.2, 0.4, 0.0]), np.array([0, 2, 2, 1]))
    assert stats["split_share"] == 0.5
    assert stats["mean_gain_when_split"] == pytest.approx(0.3)
    assert stats["max_gain"] == pytest.approx(0.4)
    assert stats["best_single_share"] == [0.25, 0.25, 0.5]


def test_decisions_are_described_as_runs() -> None:
    assert real_tasks.describe([0, 0, 1, 2, 2, 2, 0]) == "D2 E1 C3 D1"


@pytest.fixture
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first two stages, on two networks; the others have tests of their own."""
    every = reproduce.stages
    few = {name: real_tasks.NETWORKS[name] for name in ("VGG16", "MobileNetV2")}
    monkeypatch.setattr(real_tasks, "NETWORKS", few)
    monkeypatch.setattr(reproduce, "stages", lambda *a, **k: every(*a, **k)[:2])


SMALL = dataclasses.replace(QUICK, num_test=200)


@pytest.mark.usefixtures("without_training")
def test_the_job_writes_a_report(tmp_path: Path, traces: Path) -> None:
    results = reproduce.run(tmp_path, preset=SMALL, trace_dir=traces)
    report = (tmp_path / "report.md").read_text()
    for figure in ("random_chains", "real_tasks"):
        assert f"figures/{figure}.png" in report
        assert (tmp_path / "figures" / f"{figure}.png").exists()
    rows = results["real tasks"]["conditions"]
    assert len(rows) == len(real_tasks.NETWORKS) * 12
    for row in rows:
        single = min(row["single_cost"].values())
        assert row["optimal_cost"] <= single * (1 + 1e-6)
    assert results["real tasks"]["traces"]["VGG16"]["cases"] == 9
    assert "200 test requests" in report


def test_a_folder_without_traces_is_refused_before_any_work(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="empty"):
        reproduce.run(tmp_path / "out", preset=SMALL, trace_dir=empty)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", ["reproduce", "paper.figure5"])
def test_scripts_refuse_an_unknown_objective_in_one_line(script: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"experiments.{script}", "--objective=speed"]
    result = subprocess.run(
        [*command, f"--workdir={tmp_path / 'out'}"], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "'speed' is neither latency, energy nor two weights" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
