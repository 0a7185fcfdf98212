"""The benchmark on MRLCO's graphs: its evaluator by hand and by enumeration, table and files."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from absl import flags

import offload_jax as oj
from benchmarks.mrlco import __main__ as mrlco
from benchmarks.mrlco import evaluator

MIB = 2**20
# Two entries and an exit that reads both; 7 MiB take the device 7 s and the link 8 s.
GRAPH = f"""digraph G {{
  1 [size="{7 * MIB}", alpha="0.1", expect_size="{14 * MIB}"]
  1 -> 3 [size ="{14 * MIB}"]
  2 [size="{14 * MIB}", alpha="0.1", expect_size="{7 * MIB}"]
  2 -> 3 [size ="{7 * MIB}"]
  3 [size="{21 * MIB}", alpha="0.1", expect_size="{7 * MIB}"]
}}
"""
ORDER = [0, 1, 2]


@pytest.fixture
def graph(tmp_path: Path) -> oj.graphs.TaskGraph:
    (tmp_path / "one.gv").write_text(GRAPH)
    return oj.graphs.read(tmp_path / "one.gv")


@pytest.mark.parametrize(
    ("place", "free", "queued"),
    [
        ([0, 0, 0], 42, 42),
        # Uploads of 8 and 16 s from 0 on, or to 24 s, then 24 s for the third: 48 + 2.1 + 8.
        ([1, 1, 1], 16 + 24 + 2.1 + 8, 24 + 24 + 2.1 + 8),
        # The second is back at 16 + 1.4 + 8, or 8 s later.
        ([1, 1, 0], 25.4 + 21, 33.4 + 21),
        ([0, 1, 1], 16 + 24 + 2.1 + 8, 16 + 24 + 2.1 + 8),
    ],
)
def test_the_evaluator_by_hand(
    graph: oj.graphs.TaskGraph, place: list[int], free: float, queued: float
) -> None:
    tasks = evaluator.tasks_of(graph, mrlco.CYCLES_PER_BYTE)
    assert tasks.result == [14 * MIB, 7 * MIB, 7 * MIB] and tasks.needs == [[], [], [0, 1]]
    for queue, seconds in ((False, free), (True, queued)):
        assert evaluator.latency(tasks, place, ORDER, queue=queue) == pytest.approx(seconds)


@pytest.mark.parametrize("queue", [False, True])
def test_its_optimum_is_that_of_enumeration(queue: bool) -> None:
    random = np.random.default_rng(0)
    for num_tasks in (1, 5, 8):
        needs = [[u for u in range(v) if random.random() < 0.3] for v in range(num_tasks)]
        size, result = random.integers(1, 10 * MIB, (2, num_tasks)).tolist()
        tasks = evaluator.Tasks(size, result, needs)
        order = evaluator.order_of(tasks)
        places = itertools.product((0, 1), repeat=num_tasks)
        least = min(evaluator.latency(tasks, place, order, queue=queue) for place in places)
        found = evaluator.optimum(tasks, queue=queue, time_limit=60.0)
        assert found.proven and found.latency == pytest.approx(least, abs=1e-9)
        rule = evaluator.greedy(tasks)
        assert rule.order.tolist() == order
        assert evaluator.latency(tasks, rule.place.tolist(), order, queue=queue) >= least


def test_table(graph: oj.graphs.TaskGraph) -> None:
    policies = oj.graphs.policies
    decide = dict(zip(mrlco.PLACES, (policies.local, policies.edge), strict=True))
    row = mrlco.compared(graph, decide, 10.0, 10.0)
    # On the server: 24 s for the inputs, 2.1 s after the second upload's 1.4, 8 s back.
    makespans = [row["decisions"][name]["makespan"] for name in mrlco.PLACES]
    assert makespans == pytest.approx([42, 24 + 1.4 + 2.1 + 8])
    assert row["proven"] and row["optimum"] <= min(makespans)
    best = row["decisions"][mrlco.THEIR_OPTIMUM]["theirs"][0]
    assert best == row["their_optimum"][0] == min(42, 50.1, 46.4)
    text = mrlco.table([row])
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:]] == [
        *mrlco.PLACES, "best single place", "CP-SAT", mrlco.THEIR_GREEDY, mrlco.THEIR_OPTIMUM
    ]  # fmt: skip
    assert mrlco.summary([row]).startswith("1 of 1 optima are proven")


def run(path: Path, *arguments: str) -> None:
    values = flags.FlagValues()
    mrlco.define(values)
    values(["mrlco", f"--graph_dir={path}", f"--workdir={path / 'work'}", *arguments])
    mrlco.main(values)


def test_a_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"holds no file .gv, at any depth"):
        run(tmp_path)
    for name in ("a/one.gv", "b/one.gv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(GRAPH)
    monkeypatch.setattr(
        mrlco, "contenders", lambda: dict.fromkeys(mrlco.PLACES, oj.graphs.policies.local)
    )
    run(tmp_path, "--num_graphs=1")
    store = tmp_path / "work" / "graphs.jsonl"
    store.write_text(store.read_text() + '["b/one.gv", {"tas')  # stopped while writing
    capsys.readouterr()
    run(tmp_path)
    printed = capsys.readouterr().out
    assert "a/one.gv" not in printed and "b/one.gv: " in printed
    assert set(mrlco.read_rows(store)) == {"a/one.gv", "b/one.gv"}
    assert "2 of 2 optima are proven" in (tmp_path / "work" / "table.md").read_text()
    store.write_text("{}\n" + store.read_text())
    with pytest.raises(ValueError, match=r"graphs.jsonl, line 1: is not of this benchmark"):
        mrlco.read_rows(store)
