"""The experiments on task graphs: what is stored about test graphs, and what a tiny run says."""

import itertools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from experiments.graphs import (
    compare,
    distill_student,
    gantt,
    generalization,
    losses,
    real_graphs,
    streams,
    test_sets,
    training_sets,
)
from experiments.graphs.presets import (
    BASELINE,
    FIRST,
    PACKAGED,
    PRESETS,
    STUDENT,
    TAUGHT,
    TEACHER,
)
from experiments.graphs.training_sets import Ground
from experiments.reporting.stage import Settings
from tests.experiments.conftest import Finished


@pytest.mark.parametrize("size", test_sets.SIZES)
def test_what_is_stored_is_about_these_graphs(size: int) -> None:
    known = test_sets.best_known(size)
    assert known.makespan.shape == (test_sets.SIZES[size],)
    assert np.isfinite(known.makespan).all()
    bound = oj.graphs.lower_bound(oj.graphs.graph_costs(test_sets.problems(size, 50)))
    assert (np.asarray(bound) <= known.makespan[:50]).all()


def test_no_rule_beats_a_proof() -> None:
    problem, known = test_sets.problems(12, 100), test_sets.best_known(12, 100)
    assert known.proven.all()
    makespan = np.asarray(oj.graphs.solve(problem, method="greedy").cost, np.float64)
    assert (makespan >= known.makespan * (1 - 1e-5)).all()


def test_other_graphs_are_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored = {"digest": "of others", "makespan": [], "status": []}
    (tmp_path / "layered_12.json").write_text(json.dumps(stored))
    monkeypatch.setattr(test_sets, "_FOLDER", tmp_path)
    test_sets.best_known.cache_clear()
    with pytest.raises(ValueError, match=r"layered_12\.json: is about other graphs"):
        test_sets.best_known(12)
    with pytest.raises(ValueError, match=r"layered_20\.json: not there"):
        test_sets.best_known(20)


def test_nothing_is_better_than_the_best_known(finished: Finished) -> None:
    rows = finished.results[compare.STAGE.name]["12"]
    assert {"greedy", "heft", "CP-SAT, 5 s", compare.BEST_PLACE} <= set(rows)
    assert {"teacher", "student", "student, best of 2", f"{PACKAGED}, best of 2"} <= set(rows)
    assert all(row["ratio"] > 1 - 1e-5 and row["seconds"] > 0 for row in rows.values())
    assert rows["CP-SAT, 5 s"]["proven"] == 1.0
    assert rows["search, 100 simulations"]["ratio"] <= rows["random"]["ratio"]


def test_taught_and_baseline_are_paired_by_seed(finished: Finished) -> None:
    results = finished.results[distill_student.STAGE.name]
    sizes = [results[name]["12"] for name in (TAUGHT, BASELINE)]
    for row in sizes:
        assert len(row["per_seed"]) == 2
        assert row["one"] == pytest.approx(np.mean(row["per_seed"]))
        assert row["best_of_2"] >= 1 - 1e-5
    change = np.mean(np.subtract(*(row["per_seed"] for row in sizes)))
    assert f"paired by seed: {change:.4f} ± " in finished.report


def test_the_default_trains_one_student_and_shows_the_packaged_one() -> None:
    assert set(PRESETS["default"].rows) == {STUDENT}
    assert {TEACHER, STUDENT, FIRST, TAUGHT, BASELINE} == set(PRESETS["paper"].rows)
    row = {
        str(size): {"one": 1.125, "with_rules": 1.0, "best_of_64": 1.0} for size in test_sets.SIZES
    }
    row |= {"parameters": 9231, "trainings": 1}
    results = {STUDENT: row, PACKAGED: row}
    text = distill_student.STAGE.section(results, Settings(Path(), "default"))
    assert text.count("1.125") == 2 * len(test_sets.SIZES)
    assert "--preset=paper" in text


def test_training_requests_are_of_their_group() -> None:
    grounds = (Ground((3, 5)), Ground((40,), servers=4), Ground((2,), users=3))
    small, large, shared = training_sets.training_requests(grounds, 8, 0)
    assert small.cycles.shape == (8, 5) and small.edge_servers == 1
    assert (np.asarray(small.cycles)[:4, 3:] == 0).all() and (np.asarray(small.cycles) > 0)[
        4:
    ].any()
    assert large.cycles.shape == (6, 40) and large.edge_servers == 4  # as many tasks as of 32
    assert shared.num_users == 3 and shared.device_speed.shape == (8, 3)
    assert np.asarray(shared.user)[0].tolist() == [0, 0, 1, 1, 2, 2]


def test_makespans_are_those_of_simulate() -> None:
    problem = test_sets.problems(12, 4)
    decision = oj.graphs.policies.greedy(problem)
    costs = oj.graphs.graph_costs(problem, library=np)
    expected = oj.graphs.simulate(problem, *decision).makespan
    np.testing.assert_allclose(test_sets.makespans(costs, *decision), expected, rtol=1e-5)


def test_a_search_improves_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_sets, "_FOLDER", tmp_path)
    monkeypatch.setattr(test_sets, "SIZES", {12: 3})
    path = test_sets.improve(12, rounds=3, simulations=100, time_limit=0.0, progress=False)
    stored = json.loads(path.read_text())
    assert stored["status"] == ["SEARCH"] * 3
    assert (np.array(stored["lower_bound"]) <= np.array(stored["makespan"]) * (1 + 1e-6)).all()


def test_checkpoints_of_a_run_decide(finished: Finished) -> None:
    problem = test_sets.problems(12, 4)
    for name in (TEACHER, STUDENT, FIRST, TAUGHT, BASELINE):
        policy = oj.graphs.policies.load(finished.settings.workdir / "checkpoints" / name)
        makespan = oj.graphs.simulate(problem, *policy(problem)).makespan
        assert (np.asarray(makespan) >= test_sets.best_known(12, 4).makespan * (1 - 1e-5)).all()


def test_what_to_use_takes_the_best_that_is_fast_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_sets, "SIZES", {12: 1000})
    rows = {
        "fast": {"seconds": 5e-6, "by_link": [1.5, 1.2, None]},
        "slow": {"seconds": 0.5, "by_link": [1.1, 1.3, None]},
    }
    table = compare.what_to_use({"12": rows}).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[3:-1]] for line in table[2:]]
    assert cells[0] == ["fast (1.500)"] * 4 + ["slow (1.100)"] * 2
    assert cells[1] == ["fast (1.200)"] * 6
    assert cells[2] == [""] * 6


def test_the_student_elsewhere(finished: Finished) -> None:
    results = finished.results[generalization.STAGE.name]
    for kind in ("12", "profiled networks"):
        ratios = [row["ratio"] for name, row in results[kind].items() if name != "graphs"]
        assert min(ratios) >= 1.0
    assert results["12"]["graphs"] == 4
    assert "imported workflows" not in results


def test_charts_are_of_what_was_decided(finished: Finished) -> None:
    problem = test_sets.problems(gantt.SIZE)[gantt.ROW]
    for found in (finished.results[gantt.STAGE.name][method] for method in gantt.METHODS):
        schedule = oj.graphs.simulate(problem, found["place"], found["order"])
        assert float(schedule.makespan) == pytest.approx(found["makespan"])


def test_streams_are_above_their_bound(finished: Finished) -> None:
    policies = finished.results[streams.STAGE.name]["policies"]
    assert set(policies) == set(streams.TITLES)
    least = [row["mean"][0] for row in policies[streams.BOUND]]
    for rows in policies.values():
        means = [row["mean"][0] for row in rows]
        assert (np.array(means) >= least).all() and means[0] <= means[1]


def test_a_folder_of_graphs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no task graph"):
        real_graphs.read_graphs(tmp_path)
    text = 'digraph { a [Weight="2"]; b [Weight="1"]; a -> b [Weight="8"] }'
    (tmp_path / "two.dot").write_text(text)
    (tmp_path / "notes.txt").write_text("not a graph")
    graphs = real_graphs.read_graphs(tmp_path)
    assert list(graphs) == ["two.dot"]
    assert graphs["two.dot"].num_tasks == 2
    (tmp_path / "broken.stg").write_text("3\n0 1")
    with pytest.raises(ValueError, match=r"broken\.stg"):
        real_graphs.read_graphs(tmp_path)


def test_test_graphs_are_prefixes() -> None:
    few, more = test_sets.problems(12, 3), test_sets.problems(12, 5)
    for a, b in zip(jax.tree.leaves(few), jax.tree.leaves(more), strict=True):
        np.testing.assert_array_equal(a, b[:3])


def test_the_best_places_of_an_order_are_those_of_brute_force() -> None:
    """CP-SAT may choose any place for every task, but not the order in which links serve."""
    rng = np.random.default_rng(14)
    scenario = oj.graphs.scenarios.layered(6)
    problem = oj.graphs.scenarios.sample(jax.random.key(15), scenario, 6)
    places = np.array(list(itertools.product(range(3), repeat=6)))
    for row in range(6):
        costs = oj.graphs.graph_costs(problem[row], library=np)
        order = np.asarray(oj.graphs.policies.random(problem[row], key=jax.random.key(row)).order)
        decision = oj.graphs.Decision(rng.integers(0, 3, 6), order)
        found = losses.best_places(costs, decision, time_limit=10.0)
        least = float(np.min(oj.graphs.simulate(costs, places, order).makespan))
        assert found == pytest.approx(least, rel=1e-5)


def test_what_is_free_loses_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "SIZES", (12,))
    monkeypatch.setattr(losses, "_SIMULATIONS", 5000)
    results = losses.STAGE.compute(Settings(tmp_path), num=2)
    for size in map(str, losses.SIZES):
        one, placed, ordered, timed, again, best = (
            mean for mean, _ in results[size]["ratio"].values()
        )
        assert 1 - 1e-9 <= best <= min(placed, ordered) <= max(placed, ordered) <= one
        assert 1 - 1e-9 <= timed <= one
        assert best <= again
        assert all(1 < number <= losses.SAMPLES for number in results[size]["distinct"].values())
    assert "the best places and order found" in losses.STAGE.section(results, Settings(tmp_path))
