"""`simulate` against the oracle, and the laws that every schedule obeys."""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given

import offload_jax as oj
from tests import oracle
from tests.graphs import cases

N = cases.NUM_TASKS


def decisions(
    rng: np.random.Generator, graphs: list[oracle.Graph]
) -> tuple[np.ndarray, np.ndarray]:
    place, order = zip(*(cases.random_decision(rng, graph) for graph in graphs), strict=True)
    return np.array(place, np.int8), np.array(order, np.int32)


def assert_equals_oracle(
    graph: oracle.Graph, schedule: Any, row: tuple, order: np.ndarray, tolerance: float = 0.0
) -> float:
    """Compares every time, if all end; float32 is exact where the numbers are."""
    found = cases.as_timetable(graph, schedule, row)
    expected = oracle.simulate_graph(graph, found.place, order.tolist())
    assert found.makespan == pytest.approx(expected.makespan, rel=tolerance, abs=0)
    if expected.makespan < math.inf:
        assert found.start == pytest.approx(expected.start, rel=tolerance, abs=tolerance)
        assert found.finish == pytest.approx(expected.finish, rel=tolerance, abs=tolerance)
        assert found.transfers.keys() == expected.transfers.keys()
        for name, hops in expected.transfers.items():
            for hop, (link, *span) in zip(found.transfers[name], hops, strict=True):
                assert hop[0] == link
                assert hop[1:] == pytest.approx(tuple(span), rel=tolerance, abs=tolerance)
        assert oracle.faults(graph, found, max(tolerance, 1e-9)) == []
    return expected.makespan


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_hostile_costs_as_the_oracle(layout: cases.Layout) -> None:
    rng = np.random.default_rng(1)
    finite = 0
    for _ in range(4):
        graphs = [cases.random_graph(rng, layout) for _ in range(cases.BATCH)]
        place, order = decisions(rng, graphs)
        schedule = oj.graphs.simulate(cases.as_costs(graphs), place, order, transfers=True)
        np.testing.assert_array_equal(schedule.place, place)
        np.testing.assert_array_equal(schedule.order, order)
        for row, graph in enumerate(graphs):
            makespan = assert_equals_oracle(graph, schedule, (row,), order[row])
            finite += makespan < math.inf
    assert finite > 20


@pytest.mark.parametrize("static", [{}, {"edge_servers": 3, "send_once": True}], ids=str)
def test_larger_problems_as_the_oracle(static: dict) -> None:
    rng = np.random.default_rng(2)
    requests = [
        cases.random_request(rng, 20, exact=False, **static)._replace(
            release=rng.integers(0, 2, 20).tolist()
        )
        for _ in range(16)
    ]
    graphs = [oracle.three_places(*request) for request in requests]
    place, order = decisions(rng, graphs)
    schedule = oj.graphs.simulate(cases.as_problem(requests), place, order, transfers=True)
    for row, graph in enumerate(graphs):
        assert_equals_oracle(graph, schedule, (row,), order[row], tolerance=1e-5)


numbers = functools.partial(st.sampled_from, [0.0, 1.0, 2.0, 3.0, 5.0])


@st.composite
def hostile(draw: st.DrawFn) -> tuple[oracle.Graph, list[int], list[int]]:
    """A graph of one shape, fewer tasks being the same as empty ones, and a decision."""
    layout = cases.LAYOUTS["four places, sent once"]

    def several(count: int, *special: float) -> tuple:
        element = numbers() | st.sampled_from([0.0, *special])
        return tuple(draw(st.lists(element, min_size=count, max_size=count)))

    pairs = [(u, v) for v in range(N) for u in range(v)]
    results = several(N)
    edges = {pair: results[pair[0]] for pair in pairs if draw(st.booleans())}
    graph = oracle.Graph(
        seconds=tuple(several(4, math.inf) for _ in range(N)),
        edges=edges,
        input=several(N),
        output=several(N),
        release=several(N),
        seconds_per_byte=several(7, math.inf),
        startup=several(7),
        **layout._asdict(),
    )
    place = draw(st.lists(st.integers(0, 3), min_size=N, max_size=N))
    order = draw(st.permutations(range(N)))
    # The permutation says whose turn it is among those that may be taken.
    sequence = oracle.ready_sequence(graph._replace(seconds=((1.0,) * 4,) * N), order)
    return graph, place, sequence


@given(case=hostile())
def test_whatever_hypothesis_makes_up(
    case: tuple[oracle.Graph, list[int], list[int]],
) -> None:
    graph, place, order = case
    schedule = oj.graphs.simulate(cases.as_costs(graph), place, order, transfers=True)
    assert_equals_oracle(graph, schedule, (), np.array(order))


def chain_as_graph(chain: oj.ChainProblem, release: float = 0.0) -> oj.graphs.GraphProblem:
    """Each subtask needs the one before; the ends are input and output."""
    data, number = np.asarray(chain.data), chain.num_subtasks
    following = np.eye(number, k=1, dtype=bool)
    first, last = np.eye(number)[[0, -1]]
    return oj.graphs.GraphProblem(
        cycles=chain.cycles,
        data=data[..., None, :-1] * following,
        depends=following,
        input=data[..., :1] * first,
        output=data[..., -1:] * last,
        device_speed=chain.device_speed,
        edge_speed=chain.edge_speed,
        device_edge_bandwidth=chain.device_edge_bandwidth,
        edge_cloud_bandwidth=chain.edge_cloud_bandwidth,
        release=release,
    )


@pytest.fixture(name="chains", scope="module")
def _chains() -> oj.ChainProblem:
    """A thousand chains of four, some with dead links, without work or without data."""
    from tests.cases import wide_problem

    rng = np.random.default_rng(3)
    chains = wide_problem(rng, 4, (1000,))
    for field in (chains.device_edge_bandwidth, chains.edge_cloud_bandwidth):
        field[rng.random(1000) < 0.1] = 0.0
    for field in (chains.cycles, chains.data):
        field[rng.random(field.shape) < 0.1] = 0.0
    return chains


def test_chains_have_their_latency_and_their_optimum(chains: oj.ChainProblem) -> None:
    """For every place vector of every chain: `oj.latency`; at their best: the dynamic program."""
    place = np.array(list(oracle.all_decisions(4)), np.int8)
    graph = chain_as_graph(jax.tree.map(lambda leaf: leaf[:, None], chains))
    makespan = oj.graphs.simulate(graph, place, np.arange(4)).makespan
    assert makespan.shape == (1000, 81)
    latency = jax.jit(jax.vmap(oj.latency, (None, 0), 1))(chains, place)
    np.testing.assert_allclose(makespan, latency, rtol=1e-5)
    np.testing.assert_allclose(makespan.min(-1), oj.solve(chains).cost, rtol=1e-5)


def without_contention(graph: oracle.Graph) -> oracle.Graph:
    return graph._replace(servers=(None,) * 4, serial=(False,) * 7, send_once=False)


def test_without_contention_it_is_the_longest_path() -> None:
    rng = np.random.default_rng(4)
    layout = cases.LAYOUTS["four places"]
    graphs = [without_contention(cases.random_graph(rng, layout)) for _ in range(cases.BATCH)]
    place, order = decisions(rng, graphs)
    makespan = oj.graphs.simulate(cases.as_costs(graphs), place, order).makespan
    expected = [oracle.longest_path(g, p) for g, p in zip(graphs, place, strict=True)]
    np.testing.assert_array_equal(makespan, expected)
    assert np.isfinite(makespan).sum() > 10


@pytest.fixture(name="case", scope="module")
def _case() -> tuple[list[oracle.Graph], np.ndarray, np.ndarray, np.ndarray]:
    """Graphs, a decision for each, and its makespans."""
    rng = np.random.default_rng(5)
    layout = cases.LAYOUTS["four places, sent once"]
    graphs = [cases.random_graph(rng, layout) for _ in range(cases.BATCH)]
    place, order = decisions(rng, graphs)
    return graphs, place, order, oj.graphs.simulate(cases.as_costs(graphs), place, order).makespan


def test_scaling_time_scales_it(case: Any) -> None:
    graphs, place, order, makespan = case
    costs = cases.as_costs(graphs)
    slower = {
        name: 4 * getattr(costs, name)
        for name in ("seconds", "seconds_per_byte", "startup", "release")
    }
    scaled = oj.graphs.simulate(dataclasses.replace(costs, **slower), place, order)
    np.testing.assert_array_equal(scaled.makespan, 4 * makespan)


def renumber(graph: oracle.Graph, old: list[int]) -> oracle.Graph:
    """Task i becomes what was task `old[i]`."""
    new = {task: i for i, task in enumerate(old)}
    lists = ("seconds", "input", "output", "release")
    return graph._replace(
        edges={(new[u], new[v]): num_bytes for (u, v), num_bytes in graph.edges.items()},
        **{name: tuple(getattr(graph, name)[task] for task in old) for name in lists},
    )


def test_numbers_of_tasks_do_not_matter(case: Any) -> None:
    graphs, place, order, makespan = case
    rng = np.random.default_rng(6)
    olds = np.array([cases.random_order(rng, graph) for graph in graphs])
    renumbered = [renumber(g, old.tolist()) for g, old in zip(graphs, olds, strict=True)]
    schedule = oj.graphs.simulate(
        cases.as_costs(renumbered),
        np.take_along_axis(place, olds, 1),
        np.take_along_axis(np.argsort(olds, 1), order, 1),
    )
    np.testing.assert_array_equal(schedule.makespan, makespan)
    assert (olds != np.arange(N)).any()


def test_empty_tasks_change_nothing(case: Any) -> None:
    """Three of them, anywhere among the numbers and in the order, at any place."""
    graphs, place, order, makespan = case
    rng = np.random.default_rng(7)
    longer, places, orders = [], [], []
    for graph, own_place, own_order in zip(graphs, place, order, strict=True):
        added = cases.padded(graph, N + 3)
        new = [N, N + 1, N + 2]
        old = np.insert(np.arange(N), rng.integers(0, N + 1, 3), new).tolist()
        longer.append(renumber(added, old))
        places.append(np.array([*own_place, *rng.integers(0, 4, 3)])[old])
        sequence = np.insert(own_order, rng.integers(0, N + 1, 3), new)
        orders.append([old.index(task) for task in sequence])
    schedule = oj.graphs.simulate(cases.as_costs(longer), np.array(places), np.array(orders))
    np.testing.assert_array_equal(schedule.makespan, makespan)


def test_a_release_of_an_empty_task_counts() -> None:
    graph = oracle.three_places([0, 4], {}, [0, 0], [0, 0], 1, 1, 1, 1, release=[7, 0])
    schedule = oj.graphs.simulate(cases.as_costs(graph), [0, 0], [0, 1])
    np.testing.assert_array_equal(schedule.finish, [7, 4])
    assert float(schedule.makespan) == 7


def test_release_does_not_hold_back_the_data_of_predecessors() -> None:
    """Data of 6 bytes is on its way while the reader is not yet released; its input is not."""
    graph = oracle.three_places([1, 1], {(0, 1): 6}, [0, 2], [0, 0], 1, 1, 1, 1, release=[0, 5])
    schedule = oj.graphs.simulate(cases.as_costs(graph), [0, 1], [0, 1], transfers=True)
    assert float(schedule.transfers.input_start[1, 0]) == 5
    # The input is booked first and the link goes to no one in between.
    assert float(schedule.transfers.data_start[0, 1, 0]) == 7
    other_way = dataclasses.replace(cases.as_costs(graph), input=np.zeros(2, np.float32))
    schedule = oj.graphs.simulate(other_way, [0, 1], [0, 1], transfers=True)
    assert float(schedule.transfers.data_start[0, 1, 0]) == 1
    assert float(schedule.start[1]) == 7


def test_a_result_that_is_sent_once_crosses_each_link_once() -> None:
    """To the cloud twice and then to the edge, which it has passed; or to the edge first."""
    edges = {(0, 1): 2, (0, 2): 2, (0, 3): 2}
    request = cases.Request([2, 0, 0, 0], edges, [0] * 4, [0] * 4, 1, 1, 1, 0.5)
    place, order = [0, 2, 2, 1], [0, 1, 2, 3]
    apart = oj.graphs.simulate(cases.as_problem(request), place, order)
    np.testing.assert_array_equal(apart.start, [0, 2 + 2 + 4, 2 + 2 + 4 + 4, 2 + 2 + 2 + 2])
    problem = cases.as_problem(request._replace(send_once=True))
    once = oj.graphs.simulate(problem, place, order)
    np.testing.assert_array_equal(once.start, [0, 2 + 2 + 4, 2 + 2 + 4, 2 + 2])
    edge_first = oj.graphs.simulate(problem, place, [0, 3, 1, 2], transfers=True)
    np.testing.assert_array_equal(edge_first.start, [0, 2 + 2 + 4, 2 + 2 + 4, 2 + 2])
    # For the first reader in the cloud the second hop alone is left, for the other one none.
    np.testing.assert_array_equal(edge_first.transfers.data_start[0, 1], [math.nan, 4])
    assert np.isnan(edge_first.transfers.data_start[0, 2]).all()


def test_start_up_delays_follow_a_transfer_and_leave_the_link_free() -> None:
    """Two inputs over a link with a delay of 10 s; nothing is paid for no bytes."""
    graph = oracle.three_places([0, 0, 0], {}, [1, 2, 0], [0] * 3, 1, 1, 1, 1)
    costs = cases.as_costs(graph._replace(startup=(10.0,) * 4))
    schedule = oj.graphs.simulate(costs, [1, 2, 1], [0, 1, 2], transfers=True)
    np.testing.assert_array_equal(schedule.start, [11, 1 + 2 + 10 + 2 + 10, 0])
    np.testing.assert_array_equal(schedule.transfers.input_start[1], [1, 13])
    np.testing.assert_array_equal(schedule.transfers.input_finish[1], [3, 15])


def test_dead_links() -> None:
    """Bytes over a dead link never arrive; none arrive at once."""
    request = cases.Request([2, 2], {(0, 1): 0}, [0, 0], [0, 1], 1, 2, 0, 1)
    place = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [2, 0]])
    makespan = oj.graphs.simulate(cases.as_problem(request), place, np.arange(2)).makespan
    np.testing.assert_array_equal(makespan, [4, math.inf, math.inf, 3, 2])


def problems(rng: np.random.Generator, number: int) -> oj.graphs.GraphProblem:
    return cases.as_problem([cases.random_request(rng, exact=False) for _ in range(number)])


def test_one_graph_under_a_thousand_link_conditions() -> None:
    rng = np.random.default_rng(8)
    problem = problems(rng, 1)[0]
    order = np.arange(N)
    place = rng.integers(0, 3, N)
    rates = rng.uniform(0, 5e6, (2, 1000)).astype(np.float32)
    many = dataclasses.replace(
        problem, device_edge_bandwidth=rates[0], edge_cloud_bandwidth=rates[1]
    )
    makespan = oj.graphs.simulate(many, place, order).makespan
    assert makespan.shape == (1000,)
    full = many[np.arange(1000)]
    each = oj.graphs.simulate(
        full, np.broadcast_to(place, (1000, N)), np.broadcast_to(order, (1000, N))
    )
    np.testing.assert_array_equal(makespan, each.makespan)


def test_thousands_of_schedules_of_one_problem_and_axes_that_broadcast() -> None:
    rng = np.random.default_rng(9)
    requests = [cases.random_request(rng, exact=False) for _ in range(3)]
    place = rng.integers(0, 3, (4, 1, N))
    order = np.array([cases.random_order(rng, oracle.three_places(*r)) for r in requests])
    problem = cases.as_problem(requests)
    schedule = oj.graphs.simulate(problem, place, order, transfers=True)
    assert schedule.makespan.shape == (4, 3)
    assert schedule.start.shape == schedule.place.shape == schedule.order.shape == (4, 3, N)
    for i, j in np.ndindex(4, 3):
        graph = oracle.three_places(*requests[j])
        assert_equals_oracle(graph, schedule, (i, j), order[j], tolerance=1e-5)
    places = rng.integers(0, 3, (1000, N))
    orders = np.array([cases.random_order(rng, graph) for _ in range(1000)])
    makespan = oj.graphs.simulate(problem[2], places, orders).makespan
    assert makespan.shape == (1000,)
    for row in range(0, 1000, 50):
        expected = oracle.simulate_graph(graph, places[row].tolist(), orders[row].tolist())
        assert float(makespan[row]) == pytest.approx(expected.makespan, rel=1e-5)


def test_a_known_problem_inside_jit() -> None:
    graphs = oj.graphs
    problem = graphs.scenarios.sample(jax.random.key(0), graphs.scenarios.layered(8), 1)[0]
    decide = jax.jit(lambda key: graphs.policies.random(problem, key=key))
    decision = decide(jax.random.key(1))
    inside = jax.jit(lambda *decision: graphs.simulate(problem, *decision).makespan)(*decision)
    np.testing.assert_allclose(inside, graphs.simulate(problem, *decision).makespan, rtol=1e-5)


def test_jit_and_vmap(case: Any) -> None:
    graphs, place, order, makespan = case
    costs = cases.as_costs(graphs)
    jitted = jax.jit(functools.partial(oj.graphs.simulate, transfers=True))(costs, place, order)
    plain = oj.graphs.simulate(costs, place, order, transfers=True)
    jax.tree.map(np.testing.assert_array_equal, jitted, plain)
    mapped = jax.jit(jax.vmap(oj.graphs.simulate))(costs, place, order)
    np.testing.assert_array_equal(mapped.makespan, makespan)
    np.testing.assert_array_equal(mapped.start, plain.start)
    # One graph, mapped over decisions only.
    one = cases.as_costs(graphs[0])
    orders = np.broadcast_to(order[0], order.shape)
    inner = jax.vmap(oj.graphs.simulate, (None, 0, 0))(one, place, orders)
    np.testing.assert_array_equal(inner.makespan, oj.graphs.simulate(one, place, orders).makespan)


@pytest.fixture(name="compilations")
def _compilations() -> Iterator[list[str]]:
    """What JAX traces or compiles while a test runs."""
    events: list[str] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event.endswith(("jaxpr_trace_duration", "backend_compile_duration")):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)


def test_new_values_are_not_traced_again(compilations: list[str]) -> None:
    rng = np.random.default_rng(10)
    batches = []
    for _ in range(3):
        requests = [cases.random_request(rng) for _ in range(7)]
        graphs = [oracle.three_places(*request) for request in requests]
        batches.append((cases.as_problem(requests), *decisions(rng, graphs)))
    simulate = jax.jit(oj.graphs.simulate)
    makespans = [simulate(*batches[0]).makespan]
    assert compilations
    compilations.clear()
    makespans += [simulate(*batch).makespan for batch in batches[1:]]
    # Plain calls go to the loops and compile nothing at all.
    makespans += [oj.graphs.simulate(*batch).makespan for batch in batches[1:]]
    assert compilations == []
    assert len(np.unique(np.array(makespans))) > 3


def test_rows_do_not_depend_on_the_chunk_they_are_in() -> None:
    # More than one chunk, and the last one filled up.
    problem = oj.graphs.scenarios.sample(jax.random.key(3), oj.graphs.scenarios.layered(5), 301)
    greedy = oj.graphs.policies.greedy(problem)
    makespan = oj.graphs.simulate(problem, *greedy).makespan
    for rows in (slice(0, 7), slice(148, 155), slice(294, 301)):
        few = oj.graphs.policies.greedy(problem[rows])
        np.testing.assert_array_equal(few.place, greedy.place[rows])
        np.testing.assert_array_equal(few.order, greedy.order[rows])
        np.testing.assert_allclose(
            oj.graphs.simulate(problem[rows], *few).makespan, makespan[rows], rtol=1e-6
        )
    assert makespan.shape == (301,)
