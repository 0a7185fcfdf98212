"""Prices, energy, period, limits and memory of task graphs, against all placements and orders."""

import math

import numpy as np

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
            np.testing.assert_allclose(found.cost, least, 1e-6, err_msg=f"{seed} {method}")
            assert found.lower_bound <= found.cost
            if method != "search":
                assert found.optimal, (seed, method)
            if least < math.inf:
                assert keeps(place)
    return limited


def test_no_placement_costs_less() -> None:
    assert sum(check_placement(seed, ("cut", "search", "cpsat")) for seed in range(24)) > 3


def check_schedule(seed: int) -> tuple[int, int]:
    """CP-SAT for prices within a makespan and the like; how many were possible, how many not."""
    rng = np.random.default_rng(seed)
    layout = LAYOUTS[seed % len(LAYOUTS)]
    num_tasks = int(rng.integers(2, 5 if len(layout.servers) == 3 else 4))
    graph = cases.random_graph(rng, layout, num_tasks, exact=seed % 3 > 0)
    prices = random_prices(rng, graph)
    costs, tables = cases.as_costs(graph), (prices.execution, prices.per_byte)
    free = np.zeros_like(prices.execution), np.zeros(len(graph.serial))
    fastest = period_oracle.least(graph, *tables, (1, 0, 0))
    cheapest = period_oracle.least(graph, *tables, (0, 1, 0))
    if fastest == math.inf or cheapest == math.inf:
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
    assert (np.sum([check_schedule(seed) for seed in range(12)], 0) > 3).all()
