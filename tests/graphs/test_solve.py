"""What `solve` promises of every method that simulates."""

import math
import sys

import jax
import jaxtyping
import numpy as np
import pytest

import offload_jax as oj
from offload_jax import workloads
from tests import oracle
from tests.graphs import cases

METHODS = ("greedy", "heft", "cpop", "peft", "search")


@pytest.mark.parametrize("method", ["auto", "cut", *METHODS])
def test_cost_is_the_makespan_of_the_decision(method: str) -> None:
    rng = np.random.default_rng(41)
    problem = cases.as_problem([cases.random_request(rng, exact=False) for _ in range(4)])
    solution = oj.graphs.solve(problem, method=method)
    makespan = oj.graphs.simulate(problem, solution.place, solution.order).makespan
    np.testing.assert_allclose(solution.cost, makespan, rtol=1e-6)
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


@pytest.mark.parametrize("method", ["cut", *METHODS])
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


@pytest.mark.parametrize("method", ["cut", "heft", "cpop", "peft", "search"])
def test_host_methods_cannot_be_traced(method: str) -> None:
    rng = np.random.default_rng(46)
    problem = cases.as_problem(cases.random_request(rng, exact=False))
    with pytest.raises(ValueError, match=f"{method}.*cannot be traced"):
        jax.jit(lambda p: oj.graphs.solve(p, method=method).cost)(problem)


@pytest.mark.parametrize("method", [*METHODS, "cpsat"])
def test_a_batch_of_no_requests(method: str) -> None:
    problem = cases.as_problem([cases.random_request(np.random.default_rng(47))])[:0]
    solution = oj.graphs.solve(problem, method=method)
    assert solution.place.shape == solution.order.shape == (0, cases.NUM_TASKS)
    assert solution.cost.shape == solution.lower_bound.shape == solution.optimal.shape == (0,)


@pytest.mark.parametrize("method", ["search", "cpsat"])
@pytest.mark.parametrize("limit", [0, -1.0, math.inf, math.nan, "1", np.ones(2)])
def test_a_time_limit_is_a_finite_number(
    method: str, limit: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    problem = cases.as_problem(cases.random_request(np.random.default_rng(48)))
    with pytest.raises(ValueError, match=r"^time_limit = .* must be finite and greater than 0"):
        oj.graphs.solve(problem, method=method, time_limit=limit)


def test_what_is_no_request_of_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    problem = cases.as_problem(cases.random_request(np.random.default_rng(49)))
    with pytest.raises(ValueError, match="^objective: must be an Objective or SerialLatency"):
        oj.graphs.solve(problem, objective="energy")
    with pytest.raises(ValueError, match="^method: unknown method 'HEFT', known are auto, cpsat"):
        oj.graphs.solve(problem, method="HEFT")
    with pytest.raises(
        ValueError, match='^time_limit: method "heft" takes none, only auto, cpsat, sea'
    ):
        oj.graphs.solve(problem, method="heft", time_limit=1.0)
    with pytest.raises(ValueError, match="^problem: must be a GraphProblem or GraphCosts, got str"):
        oj.graphs.solve("problem")


@pytest.mark.parametrize("method", ["greedy", "heft", "cut"])
@pytest.mark.parametrize("option", ["time_limit", "start", "seed", "on_solution", "progress"])
def test_an_option_is_refused_by_name(method: str, option: str) -> None:
    problem = cases.as_problem(cases.random_request(np.random.default_rng(50)))
    value = {"time_limit": 1.0, "seed": 1, "progress": True, "on_solution": print}.get(
        option, oj.graphs.policies.local(problem)
    )
    takers = "cpsat do" if option == "progress" else "auto, cpsat, search do"
    with pytest.raises(ValueError, match=f'^{option}: method "{method}" takes none, only {takers}'):
        oj.graphs.solve(problem, method=method, **{option: value})


def test_what_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    problem = cases.as_problem(cases.random_request(np.random.default_rng(51)))
    local = oj.graphs.policies.local(problem)
    with pytest.raises(ValueError, match="^start: must be a Decision, Schedule or GraphSolution"):
        oj.graphs.solve(problem, start=[local, 3])
    two = oj.graphs.Decision(*(np.stack([part, part]) for part in local))
    with pytest.raises(ValueError, match=r"^start: must fit the shape \(5,\), got \(2, 5\)"):
        oj.graphs.solve(problem, start=two)
    with pytest.raises(ValueError, match=r"^order: task \d stands before task \d"):
        oj.graphs.solve(problem, start=local._replace(order=np.array([4, 3, 2, 1, 0])))
    for seed in (-1, 0.5, 2**32):
        with pytest.raises(ValueError, match="^seed = .*: must be a whole number from 0 to"):
            oj.graphs.solve(problem, seed=seed)
    with pytest.raises(ValueError, match=r"^on_solution: needs one request, got a batch \(2,\)"):
        oj.graphs.solve(cases.as_problem([cases.random_request(np.random.default_rng(i))
                        for i in range(2)]), on_solution=print)  # fmt: skip


@pytest.mark.parametrize("method", ["auto", "search", "cpsat"])
def test_every_better_solution_is_told(method: str) -> None:
    rng = np.random.default_rng(52)
    request = cases.random_request(rng, 12, exact=False)
    problem, told = cases.as_problem(request), []

    def tell(*solution: object) -> bool:
        told.append(solution)
        return len(told) == limit

    limit = 0
    start = oj.graphs.policies.local(problem)
    last = oj.graphs.solve(problem, method=method, start=start, on_solution=tell)
    costs = [cost for cost, _, _ in told]
    assert costs == sorted(set(costs), reverse=True)
    assert costs[-1] == pytest.approx(float(last.cost), rel=1e-6)
    for cost, bound, decision in told:
        assert bound <= float(last.cost) * (1 + 1e-6)
        if method != "cpsat":
            run = oracle.simulate_graph(oracle.three_places(*request), *map(list, decision))
            assert run.makespan == pytest.approx(cost, rel=1e-6)
    limit, told = 1, []
    first = oj.graphs.solve(problem, method=method, start=start, on_solution=tell)
    assert len(told) == 1
    assert float(first.cost) == pytest.approx(told[0][0], rel=1e-6)


@pytest.mark.parametrize("method", ["search", "cpsat"])
def test_a_start_is_kept_if_nothing_is_better(method: str) -> None:
    rng = np.random.default_rng(53)
    problem = cases.as_problem([cases.random_request(rng, 20, exact=False) for _ in range(2)])
    good = oj.graphs.solve(problem, method="search", seed=1)
    for start in (good, [oj.graphs.policies.local(problem), good]):
        found = oj.graphs.solve(problem, method=method, start=start, time_limit=1e-4)
        assert (np.asarray(found.cost) <= np.asarray(good.cost) * (1 + 1e-6)).all()


@pytest.mark.parametrize("layout", ["paper", "four places", "two servers, sent once"])
@pytest.mark.parametrize("numba", [True, False])
def test_auto_is_never_worse_than_a_rule(
    layout: str, numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the base install, too, where it is the best of a few decisions."""
    rng = np.random.default_rng(54)
    graphs = [cases.random_graph(rng, cases.LAYOUTS[layout]) for _ in range(cases.BATCH)]
    costs = cases.as_costs([cases.padded(graph) for graph in graphs])
    greedy = oj.graphs.solve(costs, method="greedy")
    known = [greedy.cost]
    for place in range(costs.num_places):
        everywhere = np.full(greedy.place.shape, place)
        known.append(oj.graphs.simulate(costs, everywhere, greedy.order).makespan)
    if layout != "four places":
        known.append(oj.graphs.solve(costs, method="cut").cost)
    start = oj.graphs.policies.random(costs)
    known.append(oj.graphs.simulate(costs, *start).makespan)
    if not numba:
        for name in ("solve", "_jax.few_shapes"):
            module = sys.modules[f"offload_jax.graphs.{name}"]
            monkeypatch.setattr(module, "is_installed", lambda package: False)
    found = oj.graphs.solve(costs, start=start)
    assert (np.asarray(found.cost) <= np.array(known)).all()
    makespan = oj.graphs.simulate(costs, found.place, found.order).makespan
    np.testing.assert_array_equal(found.cost, makespan)


@pytest.mark.parametrize("name", ["mobilenet_v2", "alexnet"])
def test_auto_splits_a_real_network_where_that_pays(name: str) -> None:
    """Never worse than a single place, the cut or greedy, on four links."""
    graph = workloads.profile_graph(getattr(workloads, name), max_tasks=20)
    bandwidths = np.array([2.5e5, 1e6, 2e6, 1e7])
    problem = graph.to_problem(1e9, 1e10, bandwidths, bandwidths / 2)
    policies, cost = oj.graphs.policies, np.asarray(oj.graphs.solve(problem).cost)
    single = [policies.local(problem), policies.edge(problem), policies.cloud(problem)]
    for decision in (*single, policies.cut(problem), policies.greedy(problem)):
        known = np.asarray(oj.graphs.simulate(problem, *decision).makespan)
        assert (cost <= known * (1 + 1e-6)).all()


def test_loads_are_weighed_where_there_is_time() -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(2), oj.graphs.scenarios.layered(12), 2)
    longest = np.asarray(oj.graphs.solve(problem, method="heft").lower_bound)
    optimum = np.asarray(oj.graphs.solve(problem, method="cpsat").cost)
    found = oj.graphs.solve(problem, method="search", time_limit=0.11)
    assert (np.asarray(found.lower_bound) > 1.001 * longest).any()
    assert (np.asarray(found.lower_bound) >= longest * (1 - 1e-6)).all()
    assert (np.asarray(found.lower_bound) <= optimum).all()


def test_many_places_compile_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """One made for 32 places took minutes; the loops on the host are the same for all."""
    network = oj.Network(
        [oj.Processor(f"n{k}", (1 + k) * 1e8) for k in range(32)],
        [oj.Link("n0", f"n{k}", 1e6) for k in range(1, 32)],
    )
    chain = [(u, u + 1) for u in range(3)]
    graph = oj.graphs.TaskGraph.from_edges([6.4e9] * 4, chain, 1e5, input=2e6)
    costs = oj.graphs.network_costs(graph, network)
    for module in ("simulate", "lower_bound", "rules"):
        monkeypatch.setattr(sys.modules[f"offload_jax.graphs._jax.{module}"], "in_few_shapes", None)
    for method in ("heft", "cpop", "peft", "search", "greedy"):
        solution = oj.graphs.solve(costs, method=method)
        # The input goes to the fastest processor, which does it all: 2 s and 4 times 2 s.
        assert float(solution.cost) == pytest.approx(10, rel=1e-6)
        assert solution.place.tolist() == [31] * 4
        assert float(solution.lower_bound) == pytest.approx(10, rel=1e-5)


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS.keys())
def test_both_engines_have_one_bound(layout: cases.Layout) -> None:
    rng = np.random.default_rng(42)
    graphs = [cases.random_graph(rng, layout, 3) for _ in range(cases.BATCH)]
    costs = cases.as_costs([cases.padded(graph) for graph in graphs])
    bound = jax.jit(oj.graphs.lower_bound)(costs)
    np.testing.assert_allclose(oj.graphs.lower_bound(costs), bound, rtol=1e-5)
