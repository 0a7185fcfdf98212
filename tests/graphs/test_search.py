"""Search: valid, reproducible, never worse than the rules, and as good as can be on tiny graphs."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs._numba import annealing, starts
from offload_jax.graphs._numba import search as search_module
from offload_jax.graphs._numba.search import search, search_request
from offload_jax.graphs.request import unpack_rows
from tests import oracle
from tests.graphs import cases

RULES = ("greedy", "heft", "cpop", "peft")
NUM = 12


@pytest.fixture(name="requests", scope="module")
def _requests() -> list[cases.Request]:
    rng = np.random.default_rng(31)
    return [cases.random_request(rng, NUM, exact=False) for _ in range(8)]


def makespans(requests: list[cases.Request], found: tuple) -> np.ndarray:
    """By the oracle, which also refuses an order that is none."""
    place, order = (np.asarray(part).tolist() for part in found[:2])
    graphs = [oracle.three_places(*request) for request in requests]
    runs = [oracle.simulate_graph(*case) for case in zip(graphs, place, order, strict=True)]
    return np.array([run.makespan for run in runs])


def test_never_worse_than_a_rule(requests: list[cases.Request]) -> None:
    problem = cases.as_problem(requests)
    solution = oj.graphs.solve(problem, method="search")
    np.testing.assert_allclose(solution.cost, makespans(requests, solution), rtol=1e-5)
    for rule in RULES:
        cost = np.asarray(oj.graphs.solve(problem, method=rule).cost)
        assert (np.asarray(solution.cost) <= cost * (1 + 1e-6)).all(), rule
        assert np.mean(cost / solution.cost) > 1.02
    for place in range(3):
        single = oj.graphs.simulate(problem, np.full(NUM, place), np.arange(NUM)).makespan
        assert (np.asarray(solution.cost) <= np.asarray(single) * (1 + 1e-6)).all()


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_never_worse_than_what_it_begins_with(layout: cases.Layout) -> None:
    """With dead links, forbidden places and ties, and hardly any simulations or time."""
    rng = np.random.default_rng(33)
    graphs = [cases.random_graph(rng, layout, cases.NUM_TASKS) for _ in range(cases.BATCH)]
    costs = cases.as_costs(graphs)
    given = [[cases.random_decision(rng, graph) for graph in graphs] for _ in range(3)]
    start = [oj.graphs.Decision(*map(np.array, zip(*one, strict=True))) for one in given]
    known = [
        [oracle.simulate_graph(g, *d).makespan for g, d in zip(graphs, one, strict=True)]
        for one in given
    ]
    order = oj.graphs.solve(costs, method="greedy").order
    for place in range(len(layout.servers)):
        known.append(oj.graphs.simulate(costs, np.full(order.shape, place), order).makespan)
    rules = ["greedy", "heft"]
    rules += ["cut"] if layout.routes in (cases.PAPER.routes, ((((),),))) else []
    rough = [oj.graphs.solve(costs, method=rule).cost for rule in rules]
    for budget in ({"num_simulations": 1}, {"num_simulations": 40}, {"time_limit": 1e-9}):
        found = search(costs, start=start, **budget).decision
        decisions = zip(graphs, found.place.tolist(), found.order.tolist(), strict=True)
        cost = np.array([oracle.simulate_graph(*one).makespan for one in decisions])
        assert (cost <= known).all()
        if rules[-1] == "cut":
            assert (cost <= np.array(rough[-1]) * (1 + 1e-6)).all()
        if "time_limit" not in budget:
            assert (cost <= np.array(rough) * (1 + 1e-6)).all()


def test_a_group_of_tasks_moves_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain whose ends are cheap to part at one edge: a task that moves alone pays two others."""
    monkeypatch.setattr(starts, "try_rules", lambda *arguments: None)
    monkeypatch.setattr(search_module, "_NUM_NOISY", 0)
    num, first = 16, 7
    data = [8e6] * (num - 1)
    data[first - 1] = 1e4
    edges = {(v, v + 1): data[v] for v in range(num - 1)}
    inputs, outputs = [4e6] + [0.0] * (num - 1), [0.0] * (num - 1) + [1e3]
    request = cases.Request([4e8] * num, edges, inputs, outputs, 1e9, 4e9, 1e6, 1e6)
    graph = oracle.three_places(*request)
    splits = itertools.combinations_with_replacement(range(num + 1), 2)
    parts = [[0] * i + [1] * (j - i) + [2] * (num - j) for i, j in splits]
    best = min(oracle.serial_latency(graph, place) for place in parts)
    single = min(oracle.serial_latency(graph, [k] * num) for k in range(3))
    assert best < 0.8 * single
    (costs,) = unpack_rows(oj.graphs.graph_costs(cases.as_problem(request), library=np))
    place, *_ = search_request(costs, None, num_simulations=20_000)
    assert oracle.serial_latency(graph, place.tolist()) == pytest.approx(best, rel=1e-5)


def test_the_same_seed_finds_the_same(requests: list[cases.Request]) -> None:
    costs = oj.graphs.graph_costs(cases.as_problem(requests))
    first, again, other = (search(costs, num_simulations=500, seed=s).decision for s in (1, 1, 2))
    np.testing.assert_array_equal(first.place, again.place)
    np.testing.assert_array_equal(first.order, again.order)
    assert (np.asarray(first.order) != other.order).any()
    # Nor does it matter what else is in the batch.
    alone = search(
        oj.graphs.graph_costs(cases.as_problem(requests[5:6])), num_simulations=500, seed=1
    ).decision
    np.testing.assert_array_equal(alone.place[0], first.place[5])
    np.testing.assert_array_equal(alone.order[0], first.order[5])


def test_more_simulations_find_more() -> None:
    """No budget is worse than the first decisions, and larger ones are better on average."""
    rng = np.random.default_rng(31)
    requests = [cases.random_request(rng, NUM, exact=False) for _ in range(16)]
    problem = cases.as_problem(requests)
    costs = oj.graphs.graph_costs(problem)
    found = [
        makespans(requests, search(costs, num_simulations=number).decision)
        for number in (1, 64, 20000)
    ]
    greedy = np.asarray(oj.graphs.solve(problem, method="greedy").cost)
    assert (found[0] <= greedy * (1 + 1e-6)).all()
    for longer in found[1:]:
        assert (longer <= found[0] * (1 + 1e-9)).all()
    few, more, most = np.mean(found, axis=1)
    assert few > more > most


def test_within_a_time_limit(requests: list[cases.Request]) -> None:
    problem = cases.as_problem(requests)
    solution = oj.graphs.solve(problem, method="search", time_limit=0.2)
    np.testing.assert_allclose(solution.cost, makespans(requests, solution), rtol=1e-5)
    greedy = np.asarray(oj.graphs.solve(problem, method="greedy").cost)
    assert (np.asarray(solution.cost) <= greedy * (1 + 1e-6)).all()


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_the_best_decision_of_tiny_graphs(layout: cases.Layout) -> None:
    """All places and orders of three tasks, also with dead links and forbidden places."""
    rng = np.random.default_rng(32)
    graphs = [cases.random_graph(rng, layout, 3) for _ in range(cases.BATCH)]
    costs = cases.as_costs([cases.padded(graph) for graph in graphs])
    solution = oj.graphs.solve(costs, method="search")
    best = [oracle.best_decision(graph) for graph in graphs]
    np.testing.assert_array_equal(solution.cost, best)
    assert sum(b < math.inf for b in best) > 16


def test_one_task() -> None:
    request = cases.Request([8], {}, [1], [1], 1, 4, 1, 1)
    solution = oj.graphs.solve(cases.as_problem(request), method="search")
    assert float(solution.cost) == 4
    assert solution.place.tolist() == [1]
    assert solution.order.tolist() == [0]


def test_the_clock_is_looked_at_all_the_time(
    requests: list[cases.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between greedy starts and between few steps, where a step takes as long as here: a second."""
    clock, steps = iter(range(1000)), []
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(annealing, "anneal", lambda *arguments: steps.append(arguments[2]))
    costs = oj.graphs.graph_costs(cases.as_problem(requests[:1]))
    few = search(costs, time_limit=3.0).decision
    assert next(clock) < 15
    assert steps == []
    np.testing.assert_array_equal(few.order.shape, (1, NUM))
    search(costs, time_limit=200.0)
    assert next(clock) < 220
    assert len(steps) > 30
    assert set(steps) == {1}


def walkers(layout: cases.Layout, seed: int) -> Iterator[tuple]:
    """Random graphs, their requests, and walkers at random decisions."""
    rng = np.random.default_rng(seed)
    graphs = [cases.random_graph(rng, layout, 8) for _ in range(60)]
    for graph, request in zip(graphs, unpack_rows(cases.as_costs(graphs)), strict=True):
        decision = (np.array(part, np.int64) for part in cases.random_decision(rng, graph))
        yield graph, request, annealing.new_walker(request, *decision)


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_what_is_booked_in_part_is_as_if_booked_anew(layout: cases.Layout) -> None:
    """After steps taken and refused: finish, position, queues and makespans are those of all."""
    for number, (graph, request, walker) in enumerate(walkers(layout, 34)):
        annealing.seed(number)
        for _ in range(20):
            annealing.anneal(request, walker, 3, 0.1, 0.05)
            present = oracle.simulate_graph(graph, walker.place.tolist(), walker.order.tolist())
            best = walker.best_place.tolist(), walker.best_order.tolist()
            assert walker.makespan[0] == present.makespan
            assert walker.makespan[1] == oracle.simulate_graph(graph, *best).makespan
            anew = annealing.new_walker(request, walker.place, walker.order)
            for name in ("finish", "position", "tried_place", "tried_order"):
                np.testing.assert_array_equal(getattr(walker, name), getattr(anew, name))
            for one, other in zip(walker.queues, anew.queues, strict=True):
                np.testing.assert_array_equal(one, other)
