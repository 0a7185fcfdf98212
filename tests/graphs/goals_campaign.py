"""Prices, period, deadlines, memory and fronts of thousands of graphs, against brute force and
CP-SAT; minutes each.

Run by name: python -m pytest tests/graphs/goals_campaign.py
"""

import math

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.plot.front import lower_hull
from tests import period_oracle
from tests.graphs import cases
from tests.graphs.test_goals import check_hull, check_placement, check_schedule, random_prices


@pytest.mark.parametrize("num_tasks", [5, 6, 7, 8])
@pytest.mark.parametrize("send_once", [False, True])
def test_no_placement_is_cheaper_than_the_cut(num_tasks: int, send_once: bool) -> None:
    rng = np.random.default_rng([num_tasks, send_once])
    possible = 0
    for case in range(1_250):
        layout = cases.in_a_row(rng.permutation(3).tolist(), send_once=send_once)
        graph = cases.random_graph(rng, layout, num_tasks, exact=case % 3 > 0)
        prices = random_prices(rng, graph)
        least = period_oracle.least_price(graph, prices.execution, prices.per_byte)
        found = oj.graphs.solve(cases.as_costs(graph), method="cut", objective=prices)
        np.testing.assert_allclose(found.cost, least, 1e-9, err_msg=str(case))
        assert found.optimal
        possible += least < math.inf
    assert possible > 500


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize(("method", "num"), [("cpsat", 2_500), ("search", 75)])
def test_no_placement_costs_less(method: str, num: int, part: int) -> None:
    seeds = range(part * num, (part + 1) * num)
    assert sum(check_placement(seed, (method,)) for seed in seeds) > num // 5


@pytest.mark.parametrize("part", range(4))
def test_no_schedule_costs_less(part: int) -> None:
    """Of up to six tasks."""
    counts = [check_schedule(seed, 6) for seed in range(50 * part, 50 * (part + 1))]
    assert min(sum(each) for each in zip(*counts, strict=True)) > 10


@pytest.mark.parametrize("send_once", [False, True])
def test_hull_of_any_graph_is_that_of_all_placements(send_once: bool) -> None:
    rng = np.random.default_rng([1, send_once])
    assert sum(check_hull(rng, send_once, 1 + case % 5) for case in range(400)) > 500


def test_hull_of_a_chain_is_that_of_its_exact_front() -> None:
    """Every corner of the hull is on the front, and none is missing."""
    rng = np.random.default_rng(2)
    num_corners = 0
    for _ in range(100):
        num = 12
        data = rng.uniform(1e4, 5e6, num + 1)
        cycles, rates = rng.uniform(1e7, 2e9, num), rng.uniform(5e8, 5e9, 2)
        bandwidths = rng.uniform(2.5e5, 5e6, 2)
        chain = oj.pareto_front(oj.ChainProblem(cycles, data, *rates, *bandwidths))
        corners = lower_hull(np.stack(chain[:2], 1))
        ends = np.zeros((2, num))
        ends[0, 0], ends[1, -1] = data[0], data[-1]
        graph = oj.graphs.TaskGraph.from_edges(
            cycles,
            [(t, t + 1) for t in range(num - 1)],
            data[1:-1],
            input=ends[0],
            output=ends[1],
        )
        problem = graph.to_problem(*rates, *bandwidths)
        found = oj.graphs.pareto_front(problem, method="cut")
        np.testing.assert_allclose(np.stack(found[:2], 1), corners, 1e-6)
        num_corners += len(corners)
    assert num_corners > 200


def layered(num_tasks: int, num: int) -> list[oj.graphs.GraphProblem]:
    scenario = oj.graphs.scenarios.layered(num_tasks)
    batch = oj.graphs.scenarios.sample(jax.random.key(num_tasks), scenario, num)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], batch) for i in range(num)]


@pytest.mark.parametrize("num_tasks", [12, 20])
def test_cpsat_finds_no_less_energy_than_the_cut(num_tasks: int) -> None:
    for problem in layered(num_tasks, 500):
        cut, proof = (
            oj.graphs.solve(problem, method=method, objective=oj.ENERGY)
            for method in ("cut", "cpsat")
        )
        assert cut.optimal and proof.optimal
        np.testing.assert_allclose(cut.cost, proof.cost, 1e-6)


@pytest.mark.parametrize("num_tasks", [12, 20])
@pytest.mark.parametrize("goal", ["energy within a makespan", "weighted"])
def test_search_comes_close_to_cpsat(num_tasks: int, goal: str) -> None:
    """A tenth of a second of search against 2 s of CP-SAT that starts elsewhere."""
    ratios, proven = [], 0
    for problem in layered(num_tasks, 40):
        options = {"objective": oj.Objective(1.0, 0.5)}
        if goal != "weighted":
            fastest, dearest = _extremes(problem)
            options = {"objective": oj.ENERGY, "max_latency": 0.5 * (fastest + dearest)}
        known = oj.graphs.solve(problem, method="cpsat", time_limit=2.0, **options)
        found = oj.graphs.solve(problem, method="search", time_limit=0.1, **options)
        assert found.cost >= known.lower_bound * (1 - 1e-6)
        proven += bool(known.optimal)
        ratios.append(float(found.cost / known.cost))
    print(f"{num_tasks} tasks, {goal}: mean {np.mean(ratios):.4f}, largest {max(ratios):.4f},"
          f" {proven} of {len(ratios)} proven")  # fmt: skip
    assert np.mean(ratios) <= 1.03


def _extremes(problem: oj.graphs.GraphProblem) -> tuple[float, float]:
    """A short makespan, and that of the least energy."""
    cheapest = oj.graphs.solve(problem, objective=oj.ENERGY)
    order = oj.graphs.simulate(problem, cheapest.place, cheapest.order)
    return float(oj.graphs.solve(problem, method="heft").cost), float(order.makespan)
