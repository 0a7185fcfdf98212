"""Minimum cuts: the least serial latency of all placements, and bounds on the makespan."""

import math

import numpy as np
import pytest
from scipy.sparse import coo_array, csgraph

import offload_jax as oj
from offload_jax.graphs._flow import maximum_flow
from offload_jax.graphs._flow.bound import lower_bound
from offload_jax.graphs._flow.cut import Bytes, Cut, Layers, Prices
from offload_jax.graphs._flow.row import PAPER, find_row
from offload_jax.graphs._flow.swaps import least_by_swaps
from offload_jax.graphs.request import unpack_rows
from tests import oracle
from tests.graphs import cases
from tests.graphs.test_simulate import chain_as_graph

SOLVERS: tuple[maximum_flow.Solver, ...] = ("ortools", "scipy")
# SciPy's 32 bits leave 2^-29 of the cost of a single place for each charge.
TOLERANCE = {"ortools": 1e-12, "scipy": 1e-6}
# In every order of up to three places, and two orders of four.
ORDERS = [(0,), (0, 1), (0, 1, 2), (1, 0, 2), (0, 2, 1), (0, 1, 2, 3), (2, 0, 3, 1)]
ROWS = {name: cases.LAYOUTS[name] for name in ("paper", "two places, no contention", "one place")}


def cut(
    graph: oracle.Graph, solver: maximum_flow.Solver | None = None, *, factor: float = 1.0
) -> Cut:
    """Of an oracle's graph; costs are float64."""
    (request,) = unpack_rows(cases.as_costs(graph))
    layers = Layers(Bytes.of(request), find_row(graph.routes))
    prices = (request.seconds, request.seconds_per_byte, request.startup)
    return layers.cut(layers.charges(Prices(*(factor * price for price in prices))), solver)


def check_optimal(graph: oracle.Graph) -> None:
    """Holds cuts by both solvers against all placements."""
    least = oracle.least_serial_latency(graph)
    for solver in SOLVERS:
        found = cut(graph, solver)
        cost = oracle.serial_latency(graph, found.place.tolist())
        assert cost == pytest.approx(least, rel=TOLERANCE[solver])
        assert found.cost == pytest.approx(cost, rel=1e-12)
        assert found.lower_bound <= least * (1 + 1e-12)
        assert found.lower_bound == pytest.approx(least, rel=TOLERANCE[solver])


@pytest.mark.parametrize("send_once", [False, True])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_no_placement_costs_less(order: tuple[int, ...], send_once: bool) -> None:
    """With dead links, forbidden places, transfers of 0 bytes, start-up delays."""
    rng = np.random.default_rng([len(order), order[0], send_once])
    layout = cases.in_a_row(order, send_once=send_once)
    for case in range(40):
        graph = cases.random_graph(rng, layout, 1 + case % 4, exact=case % 3 > 0)
        check_optimal(graph)


@pytest.mark.parametrize("send_once", [False, True])
def test_both_solvers_find_the_same_places(send_once: bool) -> None:
    """Where all costs are multiples of the coarser unit and ties are everywhere."""
    rng = np.random.default_rng(71)
    layout = cases.in_a_row((0, 1, 2), send_once=send_once)
    for _ in range(60):
        graph = cases.random_graph(rng, layout, 12, alive=True)
        first, second = (cut(graph, solver) for solver in SOLVERS)
        np.testing.assert_array_equal(first.place, second.place)
        assert first.cost == second.cost == first.lower_bound == second.lower_bound


def test_equal_placements_give_the_nearest_to_the_first_place() -> None:
    rng = np.random.default_rng(72)
    for order in ((0, 1, 2), (2, 0, 1)):
        position = [find_row(cases.in_a_row(order).routes).order.index(k) for k in range(3)]
        for _ in range(20):
            graph = cases.random_graph(rng, cases.in_a_row(order), 3)
            found = cut(graph)
            placements = list(np.ndindex(3, 3, 3))
            costs = [oracle.serial_latency(graph, place) for place in placements]
            if (least := min(costs)) < math.inf:
                ties = [p for p, cost in zip(placements, costs, strict=True) if cost == least]
                nearest = np.min([[position[k] for k in place] for place in ties], axis=0)
                assert [position[k] for k in found.place] == nearest.tolist()


def test_a_chain_has_the_optimum_of_the_dynamic_program() -> None:
    rng = np.random.default_rng(73)
    cycles = rng.uniform(0.0, 2e9, (cases.BATCH, cases.NUM_TASKS))
    data = rng.uniform(0.0, 4e6, (cases.BATCH, cases.NUM_TASKS + 1))
    rates = rng.uniform(2e8, 4e9, (2, cases.BATCH)), rng.uniform(2.5e5, 5e6, (2, cases.BATCH))
    chain = oj.ChainProblem(cycles, data, *rates[0], *rates[1])
    graph = chain_as_graph(chain)
    found = oj.graphs.solve(graph, method="cut", objective=oj.graphs.SERIAL_LATENCY)
    np.testing.assert_allclose(found.cost, oj.solve(chain).cost, rtol=1e-5)
    schedule = oj.graphs.simulate(graph, found.place, found.order)
    np.testing.assert_allclose(schedule.makespan, found.cost, rtol=1e-5)


def test_two_places_are_a_plain_flow_between_them() -> None:
    """Stone (1977): one node a task, and its seconds here on the arc that leads there."""
    rng = np.random.default_rng(74)
    for _ in range(40):
        graph = cases.random_graph(rng, cases.in_a_row((0, 1)), 10, alive=True)
        arcs = []
        for v in graph.tasks:
            here, there = graph.seconds[v]
            ways = oracle.route_seconds(graph, v, graph.input[v], 0, 1)
            ways += oracle.route_seconds(graph, v, graph.output[v], 1, 0)
            arcs += [(10, v, there + ways), (v, 11, here)]
        for (u, v), num_bytes in graph.edges.items():
            arcs += [(u, v, oracle.route_seconds(graph, v, num_bytes, 0, 1))]
            arcs += [(v, u, oracle.route_seconds(graph, v, num_bytes, 1, 0))]
        tails, heads, seconds = zip(*arcs, strict=True)
        network = coo_array((4 * np.array(seconds), (tails, heads)), (12, 12)).tocsr()
        flow = csgraph.maximum_flow(network.astype(np.int32), 10, 11).flow_value
        assert cut(graph).cost == flow / 4


@pytest.mark.parametrize("send_once", [False, True])
def test_laws(send_once: bool) -> None:
    """Scaling and renumbering change nothing else, nor do empty tasks."""
    rng = np.random.default_rng(75)
    layout = cases.in_a_row((1, 0, 2), send_once=send_once)
    for _ in range(20):
        graph = cases.random_graph(rng, layout, 8, exact=False)
        found = cut(graph)
        longer = cut(graph, factor=1024.0)
        assert longer.cost == 1024 * found.cost
        np.testing.assert_array_equal(longer.place, found.place)

        order = cases.random_order(rng, graph)
        number = {v: i for i, v in enumerate(order)}
        fields = ("seconds", "input", "output", "release")
        renumbered = graph._replace(
            edges={(number[u], number[v]): size for (u, v), size in graph.edges.items()},
            **{name: tuple(getattr(graph, name)[v] for v in order) for name in fields},
        )
        again = cut(renumbered)
        assert again.cost == pytest.approx(found.cost, rel=1e-12)
        np.testing.assert_array_equal(again.place, found.place[order])

        more = cut(cases.padded(graph, 11))
        assert more.cost == pytest.approx(found.cost, rel=1e-12)
        np.testing.assert_array_equal(more.place[:8], found.place)


def test_forbidden_places_stay_empty() -> None:
    rng = np.random.default_rng(76)
    for _ in range(30):
        graph = cases.random_graph(rng, cases.in_a_row((0, 1, 2, 3)), 12, exact=False, alive=True)
        seconds = np.array(graph.seconds)
        forbidden = rng.random(seconds.shape) < 0.6
        forbidden[range(12), rng.integers(0, 4, 12)] = False
        seconds[forbidden] = math.inf
        found = cut(graph._replace(seconds=tuple(map(tuple, seconds))))
        assert not forbidden[range(12), found.place].any()
        assert found.cost < math.inf


@pytest.mark.parametrize("solver", SOLVERS)
def test_where_no_placement_is_possible_the_cost_is_infinite(solver: maximum_flow.Solver) -> None:
    graph = oracle.three_places([1.0] * 8, {}, [1.0] * 8, [1.0] * 8, 1.0, 1.0, 0.0, 1.0)
    graph = graph._replace(seconds=((math.inf, 1.0, 0.0),) * 8)
    assert cut(graph, solver).cost == math.inf


@pytest.mark.parametrize("send_once", [False, True])
def test_no_order_takes_longer_than_everything_one_after_the_other(send_once: bool) -> None:
    """Releases aside; results that are sent once cross a link once here as in the cut."""
    rng = np.random.default_rng(77)
    layout = cases.PAPER._replace(send_once=send_once)
    graphs = [cases.random_graph(rng, layout) for _ in range(cases.BATCH)]
    graphs = [graph._replace(release=(0.0,) * cases.NUM_TASKS) for graph in graphs]
    costs = cases.as_costs(graphs)
    found = oj.graphs.solve(costs, method="cut", objective=oj.graphs.SERIAL_LATENCY)
    for _ in range(8):
        order = np.array([cases.random_order(rng, graph) for graph in graphs])
        makespan = np.asarray(oj.graphs.simulate(costs, found.place, order).makespan)
        assert (makespan <= np.asarray(found.cost)).all()


@pytest.mark.parametrize("order", [*ORDERS, (3, 1, 4, 0, 2)], ids=str)
def test_places_in_a_row_are_found(order: tuple[int, ...]) -> None:
    row = find_row(cases.in_a_row(order).routes)
    assert row.order == (order if order[0] <= order[-1] else order[::-1])


def test_hops_of_several_links_and_places_apart_are_rows() -> None:
    relayed = (((), (0, 1), (0, 1, 4)), ((3, 2), (), (4,)), ((5, 3, 2), (5,), ()))
    assert find_row(relayed).order == (0, 1, 2)
    assert find_row(relayed).up == ((0, 1), (4,))
    apart = (((), None, (0,)), (None, (), None), ((1,), None, ()))
    assert find_row(apart).order == (0, 2, 1)
    three_places = oracle.three_places([1.0], {}, [1.0], [1.0], 1.0, 1.0, 1.0, 1.0)
    assert find_row(three_places.routes) == PAPER
    one_way = (((), None, None), ((0,), (), (2,)), (None, None, ()))
    assert find_row(one_way).order == (0, 1, 2)


@pytest.mark.parametrize("name", ["four places", "pairs apart"])
def test_other_places_take_moves_of_two(name: str) -> None:
    """With dead links, forbidden places: between the optimum and single places."""
    rng = np.random.default_rng(78)
    graphs = [cases.random_graph(rng, cases.LAYOUTS[name]) for _ in range(cases.BATCH)]
    costs = cases.as_costs(graphs)
    found = oj.graphs.solve(costs, objective=oj.graphs.SERIAL_LATENCY)
    assert not np.asarray(found.optimal).any()
    best = 0
    for row, graph in enumerate(graphs):
        cost, place = float(found.cost[row]), np.asarray(found.place)[row].tolist()
        assert cost == pytest.approx(oracle.serial_latency(graph, place), rel=1e-6)
        least = oracle.least_serial_latency(graph)
        assert found.lower_bound[row] <= least <= cost * (1 + 1e-6)
        singles = [oracle.serial_latency(graph, [k] * cases.NUM_TASKS) for k in range(4)]
        assert cost <= min(singles) * (1 + 1e-6)
        best += cost <= least * (1 + 1e-6)
    assert best > 0.8 * len(graphs)


def test_moves_of_two_places_are_the_cut_where_there_are_but_two() -> None:
    rng = np.random.default_rng(84)
    for order in ((0, 1), (0, 1, 2)):
        routes = cases.in_a_row(order).routes
        for _ in range(30):
            graph = cases.random_graph(rng, cases.in_a_row(order), 10, exact=False)
            (request,) = unpack_rows(cases.as_costs(graph))
            moved, least = least_by_swaps(request, routes), cut(graph).cost
            assert moved.cost >= least * (1 - 1e-12)
            assert moved.lower_bound <= least
            if len(order) == 2:
                assert moved.cost == pytest.approx(least, rel=1e-12)


def test_results_sent_once_need_places_in_a_row() -> None:
    rng = np.random.default_rng(78)
    costs = cases.as_costs(cases.random_graph(rng, cases.LAYOUTS["four places, sent once"]))
    with pytest.raises(ValueError, match="routes: the places are not in a row"):
        oj.graphs.solve(costs, method="cut")
    triangle = oracle.table([(1.0, 1.0, 1.0)] * 2, {(0, 1): 1.0})
    with pytest.raises(ValueError, match="not in a row"):
        find_row(triangle.routes)


@pytest.mark.parametrize("layout", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("send_once", [False, True])
def test_no_schedule_is_faster_than_the_bound(layout: cases.Layout, send_once: bool) -> None:
    rng = np.random.default_rng(79)
    layout = layout._replace(send_once=send_once, servers=(2, *layout.servers[1:]))
    for _ in range(12):
        graph = cases.random_graph(rng, layout, 3)
        costs = cases.as_costs(graph)
        (request,) = unpack_rows(costs)
        least = oracle.joint_optimum(graph)
        path = float(oj.graphs.lower_bound(cases.as_costs(cases.padded(graph))))
        for horizon in (math.inf, least):
            bound = lower_bound(request, horizon, costs)
            assert bound <= least
            assert bound >= path * (1 - 1e-6)


def test_the_bound_counts_what_one_processor_has_to_do() -> None:
    """Tasks that only one place may run."""
    graph = oracle.three_places([3.0, 4.0, 5.0], {}, [0.0] * 3, [0.0] * 3, 1.0, 1.0, 1.0, 1.0)
    graph = graph._replace(seconds=tuple((s, math.inf, math.inf) for s, *_ in graph.seconds))
    costs = cases.as_costs(graph)
    (request,) = unpack_rows(costs)
    assert lower_bound(request, math.inf, costs) == pytest.approx(12.0)
    far = graph._replace(
        seconds=tuple((math.inf, s, math.inf) for s, *_ in graph.seconds),
        input=(2.0,) * 3,
        output=(1.0,) * 3,
    )
    (request,) = unpack_rows(cases.as_costs(far))
    # The first input takes 2 s, and the last output 1 s.
    assert lower_bound(request, math.inf, cases.as_costs(far)) == pytest.approx(15.0)


def test_solve_and_policy_give_the_places_of_the_cut() -> None:
    rng = np.random.default_rng(80)
    requests = [cases.random_request(rng, exact=False) for _ in range(4)]
    problem = cases.as_problem(requests)
    found = oj.graphs.solve(problem, method="cut")
    serial = oj.graphs.solve(problem, objective=oj.graphs.SERIAL_LATENCY)
    for row, request in enumerate(requests):
        graph = oracle.three_places(*request)
        place = np.asarray(found.place)[row].tolist()
        assert float(serial.cost[row]) == pytest.approx(oracle.serial_latency(graph, place), 1e-6)
        assert float(serial.cost[row]) == pytest.approx(oracle.least_serial_latency(graph), 1e-6)
    np.testing.assert_array_equal(serial.place, found.place)
    np.testing.assert_array_equal(oj.graphs.policies.cut(problem).place, found.place)
    np.testing.assert_array_equal(oj.graphs.policies.cut(problem).order, found.order)
    assert np.asarray(serial.optimal).all() and not np.asarray(found.optimal).any()
    assert (np.asarray(serial.lower_bound) <= serial.cost).all()


def test_without_or_tools_scipy_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(81)
    problem = cases.as_problem([cases.random_request(rng) for _ in range(4)])
    found = oj.graphs.solve(problem, objective=oj.graphs.SERIAL_LATENCY)
    monkeypatch.setattr(maximum_flow, "installed", lambda: "scipy")
    again = oj.graphs.solve(problem, objective=oj.graphs.SERIAL_LATENCY)
    np.testing.assert_array_equal(found.cost, again.cost)
    np.testing.assert_array_equal(found.place, again.place)


def test_objectives_are_refused_by_name() -> None:
    rng = np.random.default_rng(82)
    problem = cases.as_problem(cases.random_request(rng))
    with pytest.raises(ValueError, match='objective: .*SERIAL_LATENCY is for "cut" alone'):
        oj.graphs.solve(problem, method="greedy", objective=oj.graphs.SERIAL_LATENCY)
    with pytest.raises(ValueError, match='objective: method "greedy" minimises the makespan'):
        oj.graphs.solve(problem, method="greedy", objective=oj.ENERGY)
