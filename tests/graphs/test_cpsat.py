"""CP-SAT: the joint optimum, against every sequence of tiny graphs and what is known of larger."""

import dataclasses
import math

import joblib
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.cpsat import statuses
from offload_jax.graphs._cpsat import solve as cpsat
from tests import oracle
from tests.graphs import cases


def solve(
    graph: oracle.Graph,
    hint: oj.graphs.Decision | None = None,
    *,
    costs: oj.graphs.GraphCosts | None = None,
    time_limit: float | None = None,
) -> oj.graphs.GraphSolution:
    """Solves one graph; whatever comes back can be carried out and is what it says."""
    costs = cases.as_costs(graph) if costs is None else costs
    answer = cpsat.solve_batch(costs, hint, time_limit=time_limit)
    assert answer.lower_bound <= answer.cost
    assert answer.cost == answer.schedule.makespan
    if answer.cost < math.inf:
        assert oracle.faults(graph, cases.as_timetable(graph, answer.schedule)) == []
        order = np.asarray(answer.schedule.order).tolist()
        position = {v: i for i, v in enumerate(order)}
        assert sorted(order) == list(graph.tasks)
        assert all(position[u] < position[v] for u, v in graph.edges)
        assert (np.diff(answer.schedule.start[order]) >= 0).all()
    return answer


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_tiny_graphs_by_every_sequence(layout: cases.Layout, exact: bool) -> None:
    """Dead links, forbidden places, start-up delays, releases, homes, free links, equal servers."""
    rng = np.random.default_rng(51)
    # The 25th rough one on three places is one whose optimum presolve of OR-Tools 9.15 loses.
    for _ in range(26 if layout is cases.PAPER else 10):
        graph = cases.random_graph(rng, layout, 3, exact=exact)
        optimum, answer = oracle.joint_optimum(graph), solve(graph)
        assert answer.optimal
        assert statuses(answer) == ("OPTIMAL" if optimum < math.inf else "INFEASIBLE")
        # Numbers that are whole in some unit are solved without rounding.
        assert answer.cost == optimum if exact else answer.cost == pytest.approx(optimum, rel=1e-9)
        assert answer.lower_bound <= optimum


def test_one_more_task_by_every_sequence() -> None:
    rng = np.random.default_rng(52)
    for name in ("paper", "two servers, sent once"):
        for _ in range(6):
            graph = cases.random_graph(rng, cases.LAYOUTS[name], 4)
            assert solve(graph).cost == oracle.joint_optimum(graph)


def test_chains_have_the_optimum_of_the_dynamic_program() -> None:
    rng = np.random.default_rng(53)
    num, length = 32, 7
    cycles = rng.uniform(1e7, 2e9, (num, length))
    data = rng.uniform(1e4, 5e6, (num, length + 1))
    rates = np.exp(
        rng.uniform(np.log([1e8, 5e8, 2e5, 2e5]), np.log([1e9, 5e9, 6e6, 6e6]), (num, 4))
    )
    chain = oj.ChainProblem(cycles, data, *rates.T)
    depends = np.eye(length, k=1, dtype=bool)
    graph = oj.graphs.GraphProblem(
        cycles,
        np.broadcast_to(data[:, 1:, None], (num, length, length)),
        np.broadcast_to(depends, (num, length, length)),
        np.where(np.arange(length) == 0, data[:, :1], 0.0),
        np.where(np.arange(length) == length - 1, data[:, -1:], 0.0),
        *rates.T,
    )
    costs = oj.graphs.graph_costs(graph, library=np)
    with joblib.parallel_config(n_jobs=1):
        solution = cpsat.solve_batch(costs)
    assert solution.optimal.all()
    np.testing.assert_allclose(solution.cost, oj.solve(chain).cost, rtol=1e-6)
    np.testing.assert_allclose(solution.lower_bound, solution.cost, rtol=1e-9)


@pytest.mark.parametrize("once", [False, True])
def test_hints_bounds_and_limits(once: bool) -> None:
    """With no time the hint comes back, with time something at least as good and a proof."""
    rng = np.random.default_rng(54)
    for _ in range(3):
        request = cases.random_request(rng, 9, exact=False, send_once=once, edge_servers=2)
        graph = oracle.three_places(*request)
        costs = oj.graphs.graph_costs(cases.as_problem(request), library=np)
        place, order = cases.random_decision(rng, graph)
        known = oracle.simulate_graph(graph, place, order).makespan
        hint = oj.graphs.Decision(np.array(place), np.array(order))
        at_once = solve(graph, hint, costs=costs, time_limit=1e-9)
        assert at_once.cost <= known * (1 + 1e-12)
        assert not at_once.optimal
        assert statuses(at_once) == "FEASIBLE"
        proven = solve(graph, hint, costs=costs)
        assert statuses(proven) == "OPTIMAL"
        assert at_once.lower_bound <= proven.lower_bound <= proven.cost <= at_once.cost
        assert proven.cost - proven.lower_bound <= 1e-9 * proven.cost
        best = oj.graphs.Decision(proven.schedule.place, proven.schedule.order)
        assert solve(graph, best, costs=costs).cost == pytest.approx(proven.cost, rel=1e-9)


def test_gaps_are_used() -> None:
    """Place 0 waits 9 s for task 1's data; 8 s of work with a later number fit into the gap."""
    graph = oracle.table([[9, 1], [1, 9], [8, 99]], {(0, 1): 8.0})
    assert solve(graph).cost == oracle.joint_optimum(graph) == 10


def test_equal_servers_share_the_work() -> None:
    """Twelve tasks of 1..12 s on m servers: the work divided, as no cut is lost."""
    seconds = tuple((float(i),) for i in range(1, 13))
    for servers, makespan in ((1, 78), (2, 39), (3, 26), (6, 13), (12, 12), (None, 12)):
        graph = oracle.table([[0.0]] * 12, {})._replace(
            seconds=seconds, servers=(servers,), routes=(((),),), serial=(),
            seconds_per_byte=(), startup=(),
        )  # fmt: skip
        answer = solve(graph)
        assert (answer.cost, answer.lower_bound, answer.optimal) == (makespan, makespan, True)


def test_times_of_every_size() -> None:
    """Scaled time scales the optimum, and one place may be 10^12 times slower than another."""
    rng = np.random.default_rng(55)
    request = cases.random_request(rng, 6, exact=False)
    costs = oj.graphs.graph_costs(cases.as_problem(request), library=np)
    one = cpsat.solve_batch(costs).cost
    for scale in (1e-12, 1e12):
        scaled = {
            name: getattr(costs, name) * scale
            for name in ("seconds", "release", "seconds_per_byte", "startup")
        }
        answer = cpsat.solve_batch(dataclasses.replace(costs, **scaled))
        assert answer.cost == pytest.approx(one * scale, rel=1e-9)
        assert answer.optimal
    slow = oracle.table([[1e12, 7.5], [3.25, 1e12], [1e12, 5.125]], {(0, 1): 1.0, (1, 2): 2.0})
    answer = solve(slow)
    assert answer.cost == 7.5 + 1 + 3.25 + 2 + 5.125
    assert answer.optimal


def test_a_batch_over_processes_and_what_it_returns() -> None:
    rng = np.random.default_rng(56)
    graphs = [cases.random_graph(rng, cases.PAPER, 3) for _ in range(10)]
    with joblib.parallel_config(n_jobs=2):
        solution = cpsat.solve_batch(cases.as_costs(graphs), progress=False)
    alone = [solve(graph) for graph in graphs]
    np.testing.assert_array_equal(solution.cost, [answer.cost for answer in alone])
    np.testing.assert_array_equal(statuses(solution), [statuses(answer) for answer in alone])
    assert solution.schedule is not None
    for row, graph in enumerate(graphs):
        if solution.cost[row] < math.inf:
            assert oracle.faults(graph, cases.as_timetable(graph, solution.schedule, (row,))) == []
    assert {"OPTIMAL", "INFEASIBLE"} >= set(statuses(solution).tolist())


def test_bad_routes() -> None:
    rng = np.random.default_rng(57)
    costs = cases.as_costs([cases.random_graph(rng, cases.PAPER, 3) for _ in range(2)])
    routes = (((), (0,), (0, 2, 0)), *cases.PAPER.routes[1:])
    with pytest.raises(ValueError, match=r"routes\[0\]\[2\].*takes a link twice"):
        cpsat.solve_batch(dataclasses.replace(costs, routes=routes))


def test_the_time_limit_holds_while_the_model_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is not complete by the deadline is not solved; its bound and the start count."""
    rng = np.random.default_rng(58)
    request = cases.random_request(rng, 9, exact=False)
    graph = oracle.three_places(*request)
    costs = oj.graphs.graph_costs(cases.as_problem(request), library=np)
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("offload_jax.graphs._cpsat.model.run_model", None)
    solution = solve(graph, costs=costs, time_limit=12.0)
    assert statuses(solution) == "FEASIBLE"
    assert 13 <= next(clock) < 20
    monkeypatch.undo()
    assert 0 < solution.lower_bound <= solve(graph, costs=costs).cost <= solution.cost
