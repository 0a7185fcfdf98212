"""The oracle itself: published answers, and that its parts agree with each other."""

import math

import numpy as np
import pytest

from tests import oracle
from tests.graphs import cases, published


@pytest.mark.parametrize(("graph", "rule", "makespan"), published.MAKESPANS)
def test_published_makespans(graph: oracle.Graph, rule: str, makespan: float) -> None:
    (place, order), plan = getattr(oracle, rule)(graph)
    assert plan.makespan() == makespan
    timetable = oracle.simulate_graph(graph, place, order)
    assert timetable.makespan == makespan
    assert oracle.faults(graph, timetable) == []


def test_published_ranks_and_table() -> None:
    ranks = oracle.upward_ranks(published.TOPCUOGLU)
    np.testing.assert_allclose(ranks, published.TOPCUOGLU_UPWARD, atol=1e-3)
    assert oracle.decreasing(published.TOPCUOGLU, ranks)[:4] == [0, 2, 3, 1]
    table = oracle.optimistic_cost_table(published.ARABNEJAD)
    np.testing.assert_allclose(table, published.ARABNEJAD_TABLE)


def test_the_insertion_example_needs_insertion() -> None:
    decision = oracle.greedy_graph(published.INSERTION)
    assert oracle.simulate_graph(published.INSERTION, *decision).makespan == 10


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_simulated_schedules_have_no_faults(layout: cases.Layout) -> None:
    rng = np.random.default_rng(0)
    finite = 0
    for _ in range(100):
        graph = cases.random_graph(rng, layout)
        timetable = oracle.simulate_graph(graph, *cases.random_decision(rng, graph))
        if timetable.makespan < math.inf:
            assert oracle.faults(graph, timetable) == []
            finite += 1
    assert finite >= 10


def test_faults_are_found() -> None:
    """Each of these schedules is wrong in one way."""
    graph = oracle.three_places([4, 4], {(0, 1): 2}, [1, 0], [0, 1], 1, 2, 1, 1)
    good = oracle.simulate_graph(graph, (1, 0), (0, 1))
    assert oracle.faults(graph, good) == []
    assert good == (
        (1, 5),
        (3, 9),
        (1, 0),
        {("input", 0): ((0, 0, 1),), ("data", 0, 1): ((1, 3, 5),)},
        9,
    )
    moved = good._replace(transfers=good.transfers | {("data", 0, 1): ((1, 2, 4),)})
    for wrong, what in (
        (good._replace(start=(0, 5), finish=(2, 9)), "before its input"),
        (good._replace(start=(1, 4), finish=(3, 8)), "before the data of 0"),
        (good._replace(finish=(3, 8)), "runs not 4.0 s"),
        (good._replace(makespan=8), "after the makespan"),
        (good._replace(transfers={}), "do not follow route"),
        (good._replace(place=(3, 0)), "no place 3"),
        (moved, "link 1 at 2, data there at 3"),
    ):
        assert any(what in fault for fault in oracle.faults(graph, wrong)), what
    apart = oracle.three_places([4, 4], {}, [1, 1], [0, 0], 1, 2, 1, 1)
    crowded = oracle.Timetable(
        (1, 1), (3, 3), (1, 1), {("input", 0): ((0, 0, 1),), ("input", 1): ((0, 0, 1),)}, 3
    )
    assert oracle.faults(apart, crowded) == [
        "link 0: two transfers at once",
        "place 1: too many at once",
    ]


def test_joint_optimum_by_hand() -> None:
    """Two tasks whose inputs share a link: the long task's goes first, though numbered second."""
    graph = oracle.three_places([2, 8], {}, [1, 1], [0, 0], 0.1, 1, 1, 0, edge_servers=2)
    assert oracle.joint_optimum(graph) == 9
    assert oracle.best_decision(graph) == 9
    assert oracle.simulate_graph(graph, (1, 1), (0, 1)).makespan == 10


def test_gaps_make_the_joint_optimum_better_than_any_decision() -> None:
    """Task 1's output leaves late; a gap of the link before it serves who is taken later."""
    rng = np.random.default_rng(3)
    below = 0
    for _ in range(60):
        graph = cases.random_graph(rng, cases.PAPER, 3)
        joint, best = oracle.joint_optimum(graph), oracle.best_decision(graph)
        assert joint <= best
        below += joint < best
    assert 0 < below < 30
