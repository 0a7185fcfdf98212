"""Minimum cuts against all placements of 10 000 tiny graphs, and against 100 000 orders.

Run by name: python -m pytest tests/graphs/cut_campaign.py
"""

import jax
import numpy as np
import pytest

import offload_jax as oj
from tests.graphs import cases
from tests.graphs.test_cut import ORDERS, check_optimal


@pytest.mark.parametrize("send_once", [False, True])
def test_no_placement_costs_less(send_once: bool) -> None:
    """With dead links, forbidden places, transfers of 0 bytes, and start-up delays."""
    rng = np.random.default_rng(int(send_once))
    for case in range(5_000):
        layout = cases.in_a_row(ORDERS[case % len(ORDERS)], send_once=send_once)
        graph = cases.random_graph(rng, layout, int(rng.integers(1, 6)), exact=case % 3 > 0)
        check_optimal(graph)


@pytest.mark.parametrize("exact", [False, True])
def test_no_order_takes_longer_than_everything_one_after_the_other(exact: bool) -> None:
    rng = np.random.default_rng([2, exact])
    graphs = [cases.random_graph(rng, cases.PAPER, exact=exact) for _ in range(1_000)]
    graphs = [graph._replace(release=(0.0,) * cases.NUM_TASKS) for graph in graphs]
    costs = cases.as_costs(graphs)
    found = oj.graphs.solve(costs, method="cut", objective=oj.graphs.SERIAL_LATENCY)
    limit = np.asarray(found.cost) * (1 if exact else 1 + 1e-6)
    below = 0
    for _ in range(50):
        order = np.array([cases.random_order(rng, graph) for graph in graphs])
        makespan = np.asarray(oj.graphs.simulate(costs, found.place, order).makespan)
        assert (makespan <= limit).all()
        below += int((makespan < limit / (1 + 1e-6)).sum())
    # Tasks do run side by side.
    assert below > 0


@pytest.mark.parametrize("num_tasks", [12, 20])
def test_no_decision_is_faster_than_the_bound(num_tasks: int) -> None:
    """Of the rule and of 256 noisy ones, for layered graphs."""
    scenario = oj.graphs.scenarios.layered(num_tasks)
    problem = oj.graphs.scenarios.sample(jax.random.key(num_tasks), scenario, 200)
    bound = np.asarray(oj.graphs.solve(problem, method="cut").lower_bound)
    decision = oj.graphs.policies.perturbed(problem, num=256)
    makespan = np.asarray(oj.graphs.simulate(problem, *decision).makespan)
    assert (bound <= makespan).all()
    assert (bound / makespan).mean() > 0.7
