"""Every row can be measured, at sizes of a moment, and what is measured is kept; no time counts."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks.accelerator import __main__ as accelerator
from benchmarks.accelerator import agreement, jobs, report
from benchmarks.accelerator.jobs import Figure, Job
from benchmarks.accelerator.sizes import SIZES
from tests import oracle

JOBS = accelerator.jobs(SIZES["small"])


def fixed(value: float, seconds: float = 0.0) -> Job:
    """A job that measures nothing."""
    return Job("part", f"row {value:g}", "ns", lambda size, left: Figure(value, seconds), (1, 10))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.part}, {job.name}")
def test_every_row_is_measured(job: Job) -> None:
    rows = list(jobs.run([job], 600.0))
    assert [row.size for row in rows] == list(job.sizes)
    for row in rows:
        assert not row.note and row.value is not None
        if job.part == agreement.PART:
            assert row.value == 0  # the CPU and itself
        else:
            assert row.value > 0 and row.calls >= 1


def test_full_sizes_measure_the_same_rows_and_more() -> None:
    full = accelerator.jobs(SIZES["full"])
    assert {job.part for job in full} == set(accelerator.PARTS)
    assert len({(job.part, job.name) for job in full}) == len(full) > len(JOBS)
    chains = [job for job in full if job.part == agreement.PART and job.name.startswith("solve")]
    assert sum(job.sizes[0] for job in chains) == 1_000_000


def test_what_fails_is_named_and_the_rest_goes_on() -> None:
    def full(size: int, left: float) -> Figure:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying\nmore")

    def huge(size: int, left: float) -> Figure:
        jobs.check_memory(1e30)
        raise AssertionError

    failing = [Job("part", name, "ns", each, (1, 2)) for name, each in (("f", full), ("h", huge))]
    first, second, *rest = jobs.run([*failing, fixed(3.0)], 60.0)
    assert first.value is second.value is None
    assert (
        first.note
        == "out of memory: JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying"
    )
    assert second.note.startswith("needs 1e+21 GB, there are ")
    assert [row.value for row in rest] == [3.0, 3.0]


def test_sizes_that_take_too_long_are_left_out() -> None:
    first, second = jobs.run([fixed(1.0, seconds=100.0)], 60.0)
    assert first.value == 1.0
    assert second.value is None and second.note == "no time: a call takes some 1e+03 s"
    assert list(jobs.run([fixed(1.0)], 0.0)) == []


def test_what_is_measured_is_kept(tmp_path: Path) -> None:
    """Ctrl-C ends the run, not what it wrote; the file names what is missing."""

    def interrupted(size: int, left: float) -> Figure:
        raise KeyboardInterrupt

    todo = [fixed(1.5), Job("part", "never", "ns", interrupted), fixed(2.5)]
    with pytest.raises(KeyboardInterrupt):
        accelerator.measure(todo, tmp_path, 60.0)
    document = report.read(tmp_path)
    assert [row["value"] for row in document["rows"]] == [1.5, 1.5]
    assert document["left_out"] == ["part: never", "part: row 2.5"]
    text = (tmp_path / "accelerator.md").read_text()
    assert "| row 1.5 |" in text and "Not measured: part: never; part: row 2.5." in text
    assert document["platform"] == "cpu" and document["versions"]["jax"] == jax.__version__


def test_two_results_stand_side_by_side(tmp_path: Path) -> None:
    rates = [
        [jobs.Row("graphs", "greedy", "schedules/s", size, value=value) for size, value in each]
        for each in ([(10, 4.0), (100, 5.0)], [(100, 500.0)])
    ]
    times = [
        [jobs.Row("chains", "solve", "ns a decision", 10, value=value)] for value in (8.0, 2.0)
    ]
    for name, rows in zip(("cpu", "card"), zip(rates, times, strict=True), strict=True):
        about = {**report.describe(), "device": name}
        report.write(tmp_path / name, about, [row for each in rows for row in each], [])
    text = report.compare(*(report.read(tmp_path / name) for name in ("cpu", "card")))
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    (greedy,), (solve,) = ([row for row in cells if name in row] for name in ("greedy", "solve"))
    assert greedy[4:9] == ["5", "100", "500", "100", "100"]
    assert solve[4:9] == ["8", "10", "2", "10", "4"]


def test_foreign_and_older_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"accelerator.json: no result of benchmarks.accelerator"):
        report.read(tmp_path)
    report.path_of(tmp_path).write_text(json.dumps({"format": "else"}))
    with pytest.raises(ValueError, match="its format is 'else'"):
        report.read(tmp_path)


def test_hostile_chains_are_what_they_say() -> None:
    problem = agreement.hostile_chains(64, 5)
    oj.validate(problem)
    found = oj.solve(problem)
    for row in range(16, 24):  # one of each kind
        fields = (np.asarray(leaf[row], np.float64) for leaf in jax.tree.leaves(problem))
        chain = oracle.Chain(*(tuple(x) if x.ndim else float(x) for x in fields))
        np.testing.assert_allclose(found.cost[row], oracle.optimum(chain)[1], rtol=1e-5)
    assert (problem.device_edge_bandwidth == 0).any() and (problem.edge_cloud_bandwidth == 0).any()
    assert not problem.cycles[4].any() and not problem.data[5].any()


def test_differences_are_relative_and_infinities_equal() -> None:
    found = agreement.relative(np.array([2.0, np.inf, 0.0, np.inf]), np.array([1.0, np.inf, 0, 3]))
    np.testing.assert_array_equal(found, [1.0, 0.0, 0.0, np.inf])


def test_decisions_that_differ_are_ties_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that answers something else is found out, and one of equal cost is not."""
    problem = agreement.hostile_chains(16, 6)
    problem.cycles[1], problem.data[1] = 0.0, 0.0  # any decision takes no time
    monkeypatch.setattr(agreement, "hostile_chains", lambda *_: problem)
    best = jax.tree.map(np.asarray, oj.solve(problem))
    other = best._replace(
        decision=np.where(np.arange(16)[:, None] < 2, (best.decision + 1) % 3, best.decision)
    )
    monkeypatch.setattr(agreement, "on_both", lambda *_: (other, best))
    figure = agreement._chains(6, 16, 60.0)
    assert figure.value == 1
    assert figure.more["decisions"] == 2 and figure.more["of these ties"] == 1
