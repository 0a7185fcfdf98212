"""Solvers on graphs of several users, against all placements and sequences; latencies of users."""

import math
from typing import Any

import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs._cpsat import solve as cpsat
from offload_jax.graphs._flow import solve as flow
from offload_jax.graphs._flow.bound import lower_bound
from offload_jax.graphs.request import unpack_rows
from offload_jax.graphs.timetable import timetable
from tests import oracle, period_oracle
from tests.graphs import cases

LAYOUTS = ("paper", "two servers, sent once", "four places", "four places, sent once")


def drawn(rng: np.random.Generator, seed: int, num_tasks: int, layouts: int = 4) -> oracle.Graph:
    """Two users, every fifth time on one radio."""
    layout = cases.LAYOUTS[LAYOUTS[seed % layouts]]
    options = {"shared": seed % 5 == 0, "exact": seed % 3 > 0}
    return cases.several_users(rng, layout, 2, num_tasks, **options)


def check_makespan(seed: int) -> None:
    """CP-SAT, the cut, loads and timetables of one problem of several users."""
    rng = np.random.default_rng(seed)
    in_a_row = seed % 4 < 2
    graph = drawn(rng, seed, 2 if in_a_row else 1)
    costs = cases.as_costs(graph)
    (request,) = unpack_rows(costs)
    optimum, found = oracle.joint_optimum(graph), cpsat.solve_batch(costs)
    assert found.optimal
    np.testing.assert_allclose(found.cost, optimum, 1e-9)
    if optimum < math.inf:
        assert oracle.faults(graph, cases.as_timetable(graph, found.schedule)) == []
        assert found.schedule.completion.max() == found.cost
        if in_a_row:
            assert lower_bound(request, optimum * (1 + 1e-9), costs) <= optimum * (1 + 1e-9)
            least = oracle.least_serial_latency(graph)
            np.testing.assert_allclose(flow.cut(costs).cost, least, 1e-5)
    decision = cases.random_decision(rng, graph)
    expected, table = oracle.simulate_graph(graph, *decision), timetable(request, *decision)
    np.testing.assert_allclose(table.start, expected.start, 1e-6)
    np.testing.assert_allclose(table.completion.max(), expected.makespan, 1e-6)


def test_no_schedule_is_faster() -> None:
    # Of the last two, loads bound too high where a task with an output has others after it.
    for seed in (*range(10), 1005, 1032):
        check_makespan(seed)


def check_prices(seed: int) -> None:
    """The period, and prices by the entries of links, against all placements, also in memory."""
    rng = np.random.default_rng(seed)
    graph = drawn(rng, seed, 2)
    costs, num_tasks = cases.as_costs(graph), len(graph.tasks)
    place = rng.integers(0, len(graph.servers), num_tasks)
    expected = period_oracle.graph_period(graph, place.tolist())
    np.testing.assert_allclose(oj.graphs.period(costs, place), expected, 1e-6)
    execution = rng.integers(0, 6, (num_tasks, len(graph.servers))).astype(float)
    per_byte = rng.integers(0, 4, len(graph.startup)).astype(float)
    prices = oj.graphs.Prices(execution, per_byte)
    memory, held = rng.integers(0, 4, num_tasks), rng.integers(2, 9, len(graph.servers))
    limited = seed % 4 == 1
    limit = {"memory": memory, "max_memory": dict(enumerate(held.tolist()))}
    options = {"side_constraints": oj.SideConstraints(**limit)} if limited else {}

    def keeps(place: tuple) -> bool:
        """Each device has its own memory."""
        at = [graph.place_of(k, v) for v, k in enumerate(place)]
        sums = [sum(memory[w] for w, there in enumerate(at) if there == here) for here in at]
        return not limited or all(sums[v] <= held[k] for v, k in enumerate(place))

    for objective, tables, weights in (
        (prices, (execution, per_byte), (0, 1, 0)),
        (oj.PERIOD, (0 * execution, 0 * per_byte), (0, 0, 1)),
    ):
        least = period_oracle.least(graph, *tables, weights, keeps=keeps)
        for method in ("cut", "cpsat", "search"):
            if method == "cut" and (limited or seed % 4 > 1 or objective is oj.PERIOD):
                continue
            try:
                found = oj.graphs.solve(costs, method=method, objective=objective, **options)
            except ValueError as error:
                assert "fits no place" in str(error) or "lack" in str(error)
                assert least == math.inf
                continue
            if method != "search" or seed < 1_000:
                np.testing.assert_allclose(found.cost, least, 1e-6, err_msg=f"{seed} {method}")
            assert found.cost >= least * (1 - 1e-6)
            assert found.lower_bound <= least * (1 + 1e-6)


def test_no_placement_costs_less() -> None:
    for seed in range(8):
        check_prices(seed)


def latency_of(graph: oracle.Graph, objective: oj.graphs.UserLatency) -> Any:
    """What the objective makes of when users are served."""
    since = []
    for i in range(graph.users):
        mine = [v for v in graph.tasks if graph.user_of(v) == i and not graph.is_empty(v)]
        since.append(min((graph.release[v] for v in mine), default=0.0))
    weights = [1.0] * graph.users if objective.weights is None else objective.weights.tolist()

    def value(served: Any) -> float:
        waits = [end - begin for end, begin in zip(served, since, strict=True)]
        if objective.largest:
            return max(waits)
        return sum(w * wait for w, wait in zip(weights, waits, strict=True)) / sum(weights)

    return value


def check_latency(seed: int, num_tasks: int) -> None:
    """No schedule serves users sooner than CP-SAT's, in the mean or the last one."""
    rng = np.random.default_rng(seed)
    graph = drawn(rng, seed, num_tasks, 2)
    costs = cases.as_costs(graph)
    weights = rng.integers((seed % 7 > 0, 1), 5)
    for objective in (oj.MEAN_LATENCY, oj.MAX_LATENCY, oj.graphs.UserLatency(weights)):
        value = latency_of(graph, objective)
        found = oj.graphs.solve(costs, method="cpsat", objective=objective)
        assert found.optimal, (seed, objective)
        if found.cost == math.inf:
            assert oracle.joint_optimum(graph) == math.inf
            continue
        below = float(found.cost) - 1e-6 * max(1.0, float(found.cost))
        assert oracle.joint_optimum(graph, below, value) == below, (seed, objective)
        if found.schedule is not None:
            assert oracle.faults(graph, cases.as_timetable(graph, found.schedule)) == []
        for method in ("cpsat", "search", "greedy", "cut"):
            if method != "cpsat":
                other = oj.graphs.solve(costs, method=method, objective=objective)
                assert other.cost >= below
                assert other.lower_bound <= found.cost * (1 + 1e-6)
            else:
                other = found
            if other.cost < math.inf:
                waits = np.asarray(oj.graphs.user_latency(costs, other), float)
                shares = objective.shares(2)
                total = waits.max() if objective.largest else shares @ waits
                np.testing.assert_allclose(total, other.cost, 1e-5, err_msg=f"{seed} {method}")


def test_no_schedule_serves_users_sooner() -> None:
    for seed in range(4):
        check_latency(seed, 2)


def ten_users(seed: int, num_users: int = 10, num_tasks: int = 3) -> oj.graphs.GraphProblem:
    """Devices and radios of the scenario's range, one edge, arrivals within a second."""
    rng = np.random.default_rng(seed)
    users = [cases.random_request(rng, num_tasks, exact=False) for _ in range(num_users)]
    shared = {"p2": users[0].p2, "b2": users[0].b2}
    requests = [cases.as_problem(one._replace(**shared)) for one in users]
    return oj.graphs.merge(requests, release=rng.uniform(0.0, 1.0, num_users))


def check_ten_users(seed: int, method: str, time_limit: float | None) -> None:
    """Serving one user after the other beats the least makespan, and is itself beaten."""
    problem = ten_users(seed)
    makespan = oj.graphs.solve(problem, method="search")
    rule = oj.graphs.solve(problem, method="greedy", objective=oj.MEAN_LATENCY)
    best = oj.graphs.solve(problem, method=method, objective=oj.MEAN_LATENCY, time_limit=time_limit)
    waits = np.asarray(oj.graphs.user_latency(problem, makespan))
    assert rule.cost <= waits.mean() * (1 + 1e-5)
    assert best.cost < rule.cost
    assert best.lower_bound <= best.cost


@pytest.mark.parametrize("seed", range(2))
def test_ten_users_wait_less_than_by_the_rule(seed: int) -> None:
    check_ten_users(seed, "search", None)


def test_one_user_waits_for_the_makespan() -> None:
    problem = cases.as_problem(cases.random_request(np.random.default_rng(5), 4, exact=False))
    exact = oj.graphs.solve(problem, method="cpsat")
    for objective in (oj.MEAN_LATENCY, oj.MAX_LATENCY):
        found = oj.graphs.solve(problem, method="cpsat", objective=objective)
        assert found.optimal
        np.testing.assert_allclose(found.cost, exact.cost, 1e-6)


def test_filling_tasks_do_not_arrive() -> None:
    """They are user 0's, at time 0, whoever else is there."""
    problem = oj.graphs.GraphProblem(
        [0.0, 1e9], np.zeros((2, 2)), np.zeros((2, 2), bool), [0, 0], [0, 0], [1e9, 1e9], 1e9,
        [1e6, 1e6], 1e6, release=[0.0, 4.0], user=[0, 0], num_users=2,
    )  # fmt: skip
    decision = oj.graphs.Decision(np.zeros(2, int), np.arange(2))
    np.testing.assert_allclose(oj.graphs.user_latency(problem, decision), [1.0, 0.0], 1e-6)


def test_joules_of_several_devices_are_those_of_each() -> None:
    """Users who do not meet spend together what each spends alone, idling included."""
    rng = np.random.default_rng(9)
    users = [cases.random_request(rng, 3, exact=False) for _ in range(3)]
    requests = [cases.as_problem(one._replace(p2=1e9, b2=1e6)) for one in users]
    problem = oj.graphs.merge(requests)
    apart = [oj.graphs.solve(one, objective=oj.ENERGY) for one in requests]
    together = oj.graphs.solve(problem, objective=oj.ENERGY)
    np.testing.assert_allclose(together.cost, sum(one.cost for one in apart), 1e-9)
    found = oj.graphs.solve(problem, method="cpsat", time_limit=0.5)
    spent = oj.graphs.energy(problem, found)
    prices = oj.graphs.energy_prices(problem)
    placed = prices.execution[np.arange(9), found.place].sum()
    hops, bought = found.schedule.transfers, 0.0
    for v in range(9):
        sent = np.nansum(hops.input_finish[v, 0] - hops.input_start[v, 0])
        back = (hops.output_finish - hops.output_start)[v, int(found.place[v] == 2)]
        bought += 1.258 * sent + 1.181 * np.nansum(back)
        for u in range(9):
            spans = (hops.data_finish - hops.data_start)[u, v]
            if found.place[u] == 0 < found.place[v]:
                bought += 1.258 * np.nansum(spans[0])
            if found.place[v] == 0 < found.place[u]:
                bought += 1.181 * np.nansum(spans[int(found.place[u] == 2)])
    np.testing.assert_allclose(spent, placed + bought, 1e-5)


def test_idle_power_counts_for_each_device() -> None:
    power = oj.PowerModel(idle_watts=0.5)
    problem = oj.graphs.merge(
        [
            oj.graphs.GraphProblem([cycles], [[0.0]], [[False]], [0.0], [0.0], 1e9, 1e9, 1e6, 1e6)
            for cycles in (1e9, 3e9)
        ]
    )
    schedule = oj.graphs.solve(problem, method="cpsat", allowed={0: [0], 1: [0]}).schedule
    # Each second of computing 1 J, and the first device waits 2 s for the second.
    np.testing.assert_allclose(oj.graphs.energy(problem, schedule, power), 1 + 3 + 0.5 * 2, 1e-6)


def network(speed: Any, bandwidth: Any) -> oj.Network:
    """Phones, an edge and a cloud."""
    places = oj.Processor("phone", speed), oj.Processor("edge", 2.0), oj.Processor("cloud", 8.0)
    links = oj.Link("phone", "edge", bandwidth, round_trip_time=0.5), oj.Link("edge", "cloud", 4.0)
    return oj.Network(places, links)


TASK = oj.graphs.TaskGraph.from_edges(
    [2.0, 4.0, 3.0, 1.0], [(0, 2), (1, 3)], [1.0, 2.0], input=[1, 2, 0, 0], output=[0, 0, 1, 1]
)


@pytest.mark.parametrize("shared", [False, True])
def test_users_on_a_network(shared: bool) -> None:
    bandwidth = 2.0 if shared else np.array([1.0, 2.0])
    costs = oj.graphs.network_costs(
        TASK,
        network(np.array([1.0, 0.5]), bandwidth),
        user=[0, 1, 0, 1],
        num_users=2,
        shared_radio=shared,
    )
    rates = (0.5, 0.5) if shared else (1.0, 0.5, 1.0, 0.5)
    graph = oracle.Graph(
        seconds=((2, 1, 0.25), (8, 2, 0.5), (3, 1.5, 0.375), (2, 0.5, 0.125)),
        edges={(0, 2): 1.0, (1, 3): 2.0},
        input=(1, 2, 0, 0),
        output=(0, 0, 1, 1),
        release=(0.0,) * 4,
        seconds_per_byte=(*rates, 0.25, 0.25),
        startup=(*(0.25 for _ in rates), 0.0, 0.0),
        routes=oracle.PAPER_ROUTES,
        servers=(1, 1, 1),
        serial=(True,) * 4,
        user=(0, 1, 0, 1),
        users=2,
        own_places=(True, False, False),
        own_links=(not shared, not shared, False, False),
    )
    oj.graphs.validate_costs(costs)
    rng = np.random.default_rng(3)
    for _ in range(50):
        decision = cases.random_decision(rng, graph)
        expected = oracle.simulate_graph(graph, *decision).makespan
        (request,) = unpack_rows(costs)
        np.testing.assert_allclose(timetable(request, *decision).makespan, expected, 1e-9)
    watts = oj.graphs.network_prices(costs, network(np.array([1.0, 0.5]), bandwidth))
    assert watts.per_byte.shape == costs.seconds_per_byte.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: oj.graphs.UserLatency([1.0, -1.0]), r"weights\[1\] = -1.0"),
        (
            lambda: oj.graphs.UserLatency([0.0, 0.0]),
            "weights: must be one for each user, not all 0",
        ),
        (lambda: oj.graphs.UserLatency([1.0], largest=True), "weights: for the mean"),
        (
            lambda: oj.graphs.solve(ten_users(0), objective=oj.graphs.UserLatency([1.0, 2.0])),
            "weights: must be those of 10 users, got 2",
        ),
        (
            lambda: oj.graphs.solve(ten_users(0), method="heft", objective=oj.MEAN_LATENCY),
            'objective: method "heft" minimises the makespan alone',
        ),
        (
            lambda: oj.graphs.network_costs(
                TASK, network(1.0, np.ones(3)), user=[0, 1, 0, 1], num_users=2
            ),
            "bandwidth of a link: last axis must be 1 or 2, a value for each user, got shape",
        ),
        (
            lambda: oj.graphs.network_costs(
                TASK, network(1.0, [1.0, 2.0]), user=0, num_users=2, shared_radio=True
            ),
            "bandwidth of a link: last axis must be 1, for users share it",
        ),
        (
            lambda: oj.graphs.network_costs(
                TASK, network(1.0, 1.0), user=[0, 1, 2, 0], num_users=2
            ),
            r"user\[2\] = 2: users are 0..1",
        ),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
