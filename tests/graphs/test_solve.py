"""What `solve` promises of every method that simulates."""

import jax
import numpy as np
import pytest

import offload_jax as oj
from tests import oracle
from tests.graphs import cases

METHODS = ("greedy", "heft", "cpop", "peft", "search")


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_cost_is_the_makespan_of_the_decision(method: str) -> None:
    rng = np.random.default_rng(41)
    problem = cases.as_problem([cases.random_request(rng, exact=False) for _ in range(4)])
    solution = oj.graphs.solve(problem, method=method)
    makespan = oj.graphs.simulate(problem, solution.place, solution.order).makespan
    np.testing.assert_array_equal(solution.cost, makespan)
    assert solution.place.dtype == np.int8
    assert solution.cost.shape == solution.lower_bound.shape == solution.optimal.shape == (4,)
    assert (np.asarray(solution.lower_bound) <= solution.cost).all()


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_bounds_and_proofs_hold(layout: cases.Layout) -> None:
    """No schedule of a tiny graph is below the bound; what is called optimal is."""
    rng = np.random.default_rng(42)
    graphs = [cases.random_graph(rng, layout, 3) for _ in range(cases.BATCH)]
    costs = cases.as_costs([cases.padded(graph) for graph in graphs])
    optima = np.array([oracle.joint_optimum(graph) for graph in graphs])
    for method in METHODS:
        solution = oj.graphs.solve(costs, method=method)
        assert (np.asarray(solution.lower_bound) <= optima).all(), method
        assert (optima <= np.asarray(solution.cost)).all(), method
        assert (np.asarray(solution.cost) == optima)[np.asarray(solution.optimal)].all(), method


def test_the_bound_is_worth_something() -> None:
    """At least every task's shortest time, and so more than nothing for a request with work."""
    rng = np.random.default_rng(43)
    requests = [cases.random_request(rng, 20, exact=False) for _ in range(16)]
    solution = oj.graphs.solve(cases.as_problem(requests), method="greedy")
    assert (np.asarray(solution.lower_bound) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_leading_dimensions_broadcast(method: str) -> None:
    rng = np.random.default_rng(44)
    problem = cases.as_problem(cases.random_request(rng, exact=False))
    bandwidths = np.array([[2.5e5], [4e6]], np.float32)
    many = jax.tree.map(np.asarray, problem)
    many = oj.graphs.GraphProblem(
        **{
            name: getattr(many, name)
            for name in ("cycles", "data", "depends", "input", "output", "device_speed")
        },
        edge_speed=np.array([5e8, 1e9, 5e9], np.float32),
        device_edge_bandwidth=bandwidths,
        edge_cloud_bandwidth=many.edge_cloud_bandwidth,
    )
    solution = oj.graphs.solve(many, method=method)
    assert solution.cost.shape == solution.lower_bound.shape == (2, 3)
    assert solution.place.shape == solution.order.shape == (2, 3, cases.NUM_TASKS)


def test_greedy_inside_jit_and_vmap() -> None:
    rng = np.random.default_rng(45)
    problem = cases.as_problem([cases.random_request(rng, exact=False) for _ in range(6)])
    plain = oj.graphs.solve(problem, method="greedy")
    for traced in (jax.jit, lambda function: jax.jit(jax.vmap(function))):
        solution = traced(lambda p: oj.graphs.solve(p, method="greedy"))(problem)
        np.testing.assert_array_equal(solution.place, plain.place)
        np.testing.assert_array_equal(solution.order, plain.order)
        np.testing.assert_allclose(solution.cost, plain.cost, rtol=1e-6)


@pytest.mark.parametrize("method", ["heft", "cpop", "peft", "search"])
def test_host_methods_cannot_be_traced(method: str) -> None:
    rng = np.random.default_rng(46)
    problem = cases.as_problem(cases.random_request(rng, exact=False))
    with pytest.raises(ValueError, match=f"{method}.*cannot be traced"):
        jax.jit(lambda p: oj.graphs.solve(p, method=method).cost)(problem)
