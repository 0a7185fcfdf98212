"""Prices, energy, period, limits and memory of task graphs, against all placements and orders."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

import offload_jax as oj
from tests import oracle, period_oracle
from tests.graphs import cases

_MESH = cases.LAYOUTS["four places"]
_ROW = cases.in_a_row([1, 0, 2])
LAYOUTS = [_ROW, _ROW._replace(send_once=True), _MESH, cases.LAYOUTS["four places, sent once"],
           cases.PAPER, cases.LAYOUTS["two servers, sent once"]]  # fmt: skip


def random_prices(rng: np.random.Generator, graph: oracle.Graph) -> oj.graphs.Prices:
    """Small whole numbers: ties everywhere, no rounding; some places forbidden."""
    execution = rng.integers(0, 6, (len(graph.seconds), len(graph.servers))).astype(float)
    execution[rng.random(execution.shape) < 0.05] = math.inf
    return oj.graphs.Prices(execution, rng.integers(0, 4, len(graph.serial)).astype(float))


def check_placement(seed: int, methods: tuple[str, ...]) -> bool:
    """Prices or the period of one request; whether it had memory limits, too."""
    rng = np.random.default_rng(seed)
    layout = LAYOUTS[seed % len(LAYOUTS)]
    graph = cases.random_graph(rng, layout, int(rng.integers(1, 5)), exact=seed % 3 > 0)
    prices = random_prices(rng, graph)
    memory, held = rng.integers(0, 4, len(graph.tasks)), rng.integers(1, 8, len(layout.servers))
    limited = seed % 4 == 0
    options = {}

    def keeps(place: tuple) -> bool:
        return not limited or bool((np.bincount(place, memory, len(held)) <= held).all())

    if limited:
        options["side_constraints"] = oj.SideConstraints(
            memory=memory, max_memory=dict(enumerate(held.tolist()))
        )
    free = np.zeros_like(prices.execution), np.zeros(len(graph.serial))
    for objective, weights, tables in (
        (prices, (0, 1, 0), (prices.execution, prices.per_byte)),
        (oj.PERIOD, (0, 0, 1), free),
    ):
        least = period_oracle.least(graph, *tables, weights, keeps=keeps)
        for method in methods:
            if method == "cut" and (limited or objective is not prices or len(held) == 4):
                continue
            try:
                found = oj.graphs.solve(
                    cases.as_costs(graph), method=method, objective=objective, **options
                )
            except ValueError as error:
                assert "fits no place" in str(error) or "lack" in str(error)
                assert least == math.inf
                continue
            place = tuple(found.place.tolist())
            # Search proves nothing, and with memory may stop a little above.
            close = 0.02 if method == "search" else 1e-6
            np.testing.assert_allclose(found.cost, least, close, err_msg=f"{seed} {method}")
            assert found.cost >= least * (1 - 1e-6)
            assert found.lower_bound <= found.cost
            if method != "search":
                assert found.optimal, (seed, method)
            if least < math.inf:
                assert keeps(place)
    return limited


def test_no_placement_costs_less() -> None:
    assert sum(check_placement(seed, ("cut", "search", "cpsat")) for seed in range(18)) > 3


def check_schedule(seed: int, most_tasks: int = 4) -> tuple[int, int]:
    """CP-SAT for prices within a makespan and the like; how many were possible, how many not.

    Of up to so many tasks at three places, and fewer at four.
    """
    rng = np.random.default_rng(seed)
    layout = LAYOUTS[seed % len(LAYOUTS)]
    num_tasks = int(rng.integers(2, most_tasks + (1 if len(layout.servers) == 3 else 0)))
    graph = cases.random_graph(rng, layout, num_tasks, exact=seed % 3 > 0)
    prices = random_prices(rng, graph)
    # The oracle tries all sequences of what takes time.
    moved = [*graph.edges.values(), *graph.input, *graph.output]
    if np.count_nonzero(moved) + num_tasks > 11:
        return 0, 0
    costs, tables = cases.as_costs(graph), (prices.execution, prices.per_byte)
    free = np.zeros_like(prices.execution), np.zeros(len(graph.serial))
    fastest = period_oracle.least(graph, *tables, (1, 0, 0))
    cheapest = period_oracle.least(graph, *tables, (0, 1, 0))
    if math.inf in (fastest, cheapest):
        return 0, 0
    slack = float(rng.choice([0.4, 1.0, 1.2, 1.6]))
    weighted = oj.graphs.Prices(*tables, latency_weight=float(rng.choice([0.25, 1.0, 3.0])))
    possible = [0, 0]
    for objective, limits, weights in (
        (prices, {"max_latency": fastest * slack}, (0, 1, 0)),
        (weighted, {}, (weighted.latency_weight, 1, 0)),
        (weighted, {"max_latency": fastest * slack}, (weighted.latency_weight, 1, 0)),
        (oj.PERIOD, {"max_latency": fastest * slack}, (0, 0, 1)),
    ):
        given = tables if objective is not oj.PERIOD else free
        limit = limits.get("max_latency", math.inf)
        least = period_oracle.least(graph, *given, weights, (limit, math.inf, math.inf))
        found = oj.graphs.solve(costs, method="cpsat", objective=objective, **limits)
        np.testing.assert_allclose(found.cost, least, 2e-6, 1e-9, err_msg=f"{seed} {weights}")
        assert found.optimal
        searched = oj.graphs.solve(costs, method="search", objective=objective, **limits)
        assert searched.cost >= least * (1 - 1e-6)
        assert searched.lower_bound <= least * (1 + 1e-6)
        possible[int(least == math.inf)] += 1
    return possible[0], possible[1]


def test_no_schedule_costs_less() -> None:
    assert (np.sum([check_schedule(seed) for seed in range(10)], 0) > 2).all()


def _points(graph: oracle.Graph, prices: oj.graphs.Prices, seconds: Callable) -> list[tuple]:
    """Seconds and price of every possible placement."""
    found = []
    for place in itertools.product(graph.places, repeat=len(graph.tasks)):
        price = period_oracle.graph_price(graph, place, prices.execution, prices.per_byte)
        if price < math.inf:
            found.append((seconds(graph, place), price))
    return sorted(found)


def check_hull(rng: np.random.Generator, send_once: bool, num_tasks: int) -> int:
    """Parametric cuts find every corner of the hull of all placements; how many there are."""
    graph = cases.random_graph(rng, cases.in_a_row([0, 1, 2], send_once=send_once), num_tasks)
    prices = random_prices(rng, graph)
    lower: list[tuple] = []
    for point in _points(graph, prices, oracle.serial_latency):
        if lower and point[1] >= lower[-1][1]:
            continue
        while len(lower) > 1 and _is_above(lower[-1], lower[-2], point):
            lower.pop()
        lower.append(point)
    found = oj.graphs.pareto_front(cases.as_costs(graph), prices=prices, method="cut")
    np.testing.assert_allclose(np.stack(found[:2], 1).ravel(), np.ravel(lower))
    return len(lower)


@pytest.mark.parametrize("send_once", [False, True])
def test_parametric_cuts_find_every_corner_of_the_hull(send_once: bool) -> None:
    rng = np.random.default_rng(int(send_once))
    assert sum(check_hull(rng, send_once, 4) for _ in range(10)) > 12


def _is_above(middle: tuple, first: tuple, last: tuple) -> bool:
    """Whether a point lies on or above the line between its neighbours."""
    run, rise = last[0] - first[0], last[1] - first[1]
    return (middle[1] - first[1]) * run >= rise * (middle[0] - first[0])


@pytest.mark.parametrize("against", ["energy", "period"])
def test_front_is_that_of_all_schedules(against: str) -> None:
    """And search finds no other points, and in so small graphs both ends."""
    rng = np.random.default_rng(2)
    num_points = 0
    for _ in range(4):
        graph = cases.random_graph(rng, cases.PAPER, 3, alive=True)
        prices = random_prices(rng, graph)
        costs = cases.as_costs(graph)
        if against == "energy":
            points = _points(graph, prices, oracle.placement_optimum)
            found, searched = (
                oj.graphs.pareto_front(costs, prices=prices, method=method)
                for method in ("cpsat", "search")
            )
        else:
            every = itertools.product(graph.places, repeat=len(graph.tasks))
            points = sorted(
                (oracle.placement_optimum(graph, p), period_oracle.graph_period(graph, p))
                for p in every
            )
            found, searched = (
                oj.graphs.period_front(costs, method=method) for method in ("cpsat", "search")
            )
        front: list[tuple] = []
        for point in points:
            if not front or point[1] < front[-1][1]:
                front.append(point)
        np.testing.assert_allclose(np.stack(found[:2], 1), front, 1e-6)
        assert found.optimal.all()
        for latency, other in zip(*searched[:2], strict=True):
            assert min(p[1] for p in front if p[0] <= latency * (1 + 1e-6)) <= other * (1 + 1e-6)
        assert searched[1][-1] == pytest.approx(front[-1][1], rel=1e-6)
        num_points += len(front)
    assert num_points > 4


def test_fronts_keep_to_memory_and_allowed_places() -> None:
    rng = np.random.default_rng(7)
    problem = cases.as_problem(cases.random_request(rng, 4, exact=False))
    memory = oj.SideConstraints(memory=[1.0] * 4, max_memory={0: 2.0})
    for method in ("search", "cpsat"):
        for front in (oj.graphs.pareto_front, oj.graphs.period_front):
            found = front(problem, method=method, side_constraints=memory, allowed={1: ["device"]})
            assert len(found.latency)
            assert (found.place[:, 1] == 0).all()
            assert ((found.place == 0).sum(1) <= 2).all()
    with pytest.raises(ValueError, match='side_constraints: method "cut" takes none'):
        oj.graphs.pareto_front(problem, method="cut", side_constraints=memory)


def test_prices_may_be_limited_and_not_weighed() -> None:
    """The least makespan within a price is that of the front."""
    rng = np.random.default_rng(2)
    graph = cases.random_graph(rng, cases.PAPER, 3, alive=True)
    prices = random_prices(rng, graph)
    costs, tables = cases.as_costs(graph), (prices.execution, prices.per_byte)
    front = oj.graphs.pareto_front(costs, prices=prices)
    timed = oj.graphs.Prices(*tables, latency_weight=1.0, price_weight=0.0)
    streamed = oj.graphs.Prices(*tables, price_weight=0.0, period_weight=2.0)
    for latency, energy in zip(*front[:2], strict=True):
        found = oj.graphs.solve(costs, method="cpsat", objective=timed, max_energy=energy)
        np.testing.assert_allclose(found.cost, latency, 1e-6)
        limits = math.inf, energy, math.inf
        least = period_oracle.least(graph, *tables, (0, 0, 2), limits)
        found = oj.graphs.solve(costs, method="cpsat", objective=streamed, max_energy=energy)
        np.testing.assert_allclose(found.cost, least, 1e-6)
    # What has no price is impossible, weighed or not.
    never = oj.graphs.Prices(np.full((3, 3), [math.inf, 1.0, math.inf]), tables[1], 1.0, 0.0)
    for method in ("cut", "search", "cpsat"):
        found = oj.graphs.solve(costs, method=method, objective=never)
        assert (found.place == 1).all() or found.cost == math.inf
    with pytest.raises(ValueError, match="all 0, nothing to minimise"):
        oj.graphs.Prices(*tables, price_weight=0.0)


def test_energy_is_that_of_the_schedule() -> None:
    """By the cut, which proves it, and within a makespan."""
    rng = np.random.default_rng(3)
    problem = cases.as_problem([cases.random_request(rng, exact=False) for _ in range(3)])
    found = oj.graphs.solve(problem, objective=oj.ENERGY)
    decision = oj.graphs.Decision(found.place, found.order)
    np.testing.assert_allclose(oj.graphs.energy(problem, decision), found.cost, 1e-5)
    assert found.optimal.all()
    makespan = np.asarray(oj.graphs.simulate(problem, *decision).makespan)
    for method in ("cut", "search", "cpsat"):
        within = oj.graphs.solve(
            problem, method=method, objective=oj.ENERGY, max_latency=1.001 * makespan
        )
        np.testing.assert_allclose(within.cost, found.cost, 1e-5)
    weighed = oj.graphs.solve(problem, method="cpsat", objective=oj.Objective(0.0, 2.0))
    np.testing.assert_allclose(weighed.cost, 2 * found.cost, 1e-6)


def test_watts_of_a_processor_replace_its_speed() -> None:
    link = oj.Link("phone", "edge", 1e6)
    phone = oj.Processor("phone", 1e9, watts=3.0)
    network = oj.Network([phone, oj.Processor("edge", 1e10)], [link])
    task = oj.graphs.TaskGraph.from_edges([2e9, 4e9], [(0, 1)], 1e6, input=[2e6, 0.0], output=0.0)
    costs = oj.graphs.network_costs(task, network)
    prices = oj.graphs.network_prices(costs, network)
    np.testing.assert_allclose(prices.execution, [[6.0, 0.0], [12.0, 0.0]])
    np.testing.assert_allclose(prices.per_byte, [1.258e-6, 1.181e-6])
    # Sending the input costs 2.5 J, computing the first task 6 J.
    found = oj.graphs.solve(costs, objective=prices)
    np.testing.assert_allclose(found.cost, 2 * 1.258)
    without = oj.Network([oj.Processor("phone", 1e9), network.places[1]], [link])
    np.testing.assert_allclose(oj.graphs.network_prices(costs, without).execution[:, 0], [2.0, 4.0])
    seconds = np.array([[2.0, 0.2], [4.0, 0.4]])
    data = np.array([2e6, 1e6, 0.0])
    measured = oj.MeasuredTask("two", ("a", "b"), network.place_names, seconds, data)
    table = oj.network_costs(measured, network, objective=oj.ENERGY)
    np.testing.assert_allclose(table.execution[:, 0], [6.0, 12.0])


def test_forbidden_places_go_with_every_method() -> None:
    rng = np.random.default_rng(4)
    problem = cases.as_problem(cases.random_request(rng, exact=False))
    pinned = {0: (oj.Place.DEVICE,), 3: (oj.Place.EDGE, oj.Place.DEVICE)}
    for method in ("auto", "greedy", "heft", "search", "cpsat", "cut"):
        place = oj.graphs.solve(problem, method=method, allowed=pinned).place
        assert place[0] == 0
        assert place[3] < 2
    network = oj.Network([oj.Processor(name, 1e9) for name in ("phone", "box", "far")], ())
    tasks = ["camera", "a", "b", "conv", "c"]
    named = {"camera": ["phone"], "conv*": ["box", "phone"]}
    by_name = oj.allowed_places(tasks, network.place_names, named)
    spelled = {0: ["device"], 3: ["edge", 0]}
    for objective, allowed in ((oj.ENERGY, by_name), (oj.PERIOD, spelled)):
        found = oj.graphs.solve(problem, objective=objective, allowed=allowed)
        assert found.place[0] == 0
        assert found.place[3] < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "heft", "objective": oj.ENERGY}, 'objective: method "heft" minimises the mak'),
        ({"method": "greedy", "max_latency": 1.0}, 'max_latency: method "greedy" minimises'),
        ({"max_energy": -1.0}, "max_energy = -1.0: a limit must not be negative"),
        ({"max_latency": [1.0, 2.0]}, r"max_latency: shape \(2,\) does not broadcast"),
        ({"objective": oj.graphs.Prices(np.ones((4, 3)), [1.0])}, "execution: must broadcast to"),
        (
            {"objective": oj.Objective(0, 1, oj.PowerModel(idle_watts=0.1))},
            "power.idle_watts = 0.1",
        ),
        ({"objective": oj.graphs.SERIAL_LATENCY, "max_latency": 1.0}, "SERIAL_LATENCY is for"),
        ({"allowed": np.zeros((5, 3), bool)}, r"allowed\[0\] = False: leaves the task no place"),
        ({"side_constraints": oj.SideConstraints(max_subtasks={0: 1})}, "max_subtasks: for chains"),
        (
            {"side_constraints": oj.SideConstraints(memory=[9] * 5, max_memory={0: 4, 1: 5, 2: 6})},
            r"memory\[0\] = 9: fits no place; place 2, which holds the most, 6, lacks 3 bytes",
        ),
        ({"objective": oj.PERIOD, "progress": True, "method": "cpsat"}, "progress: for the makesp"),
    ],
)
def test_what_cannot_be_done_is_refused(options: dict, message: str) -> None:
    problem = cases.as_problem(cases.random_request(np.random.default_rng(5)))
    with pytest.raises(ValueError, match=message):
        oj.graphs.solve(problem, **options)


def test_costs_without_prices_have_no_energy() -> None:
    costs = cases.as_costs(cases.random_graph(np.random.default_rng(6), cases.PAPER))
    with pytest.raises(ValueError, match="GraphCosts know no energy"):
        oj.graphs.solve(costs, objective=oj.ENERGY)
    with pytest.raises(ValueError, match="GraphCosts know no energy"):
        oj.graphs.pareto_front(costs)
    assert oj.graphs.solve(costs, method="cpsat", max_latency=0.0, max_period=0.0).optimal
