"""Policies for graphs: what each decides, that all can be carried out, and how they are called."""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np
import pytest

import offload_jax as oj
from tests import oracle
from tests.graphs import cases

policies = oj.graphs.policies
NAMES = ("local", "edge", "cloud", "random", "greedy", "heft", "cpop", "peft", "cut", "perturbed")
TRACED = ("local", "edge", "cloud", "random", "greedy", "perturbed")


@pytest.fixture(name="requests", scope="module")
def _requests() -> list[cases.Request]:
    """Task 2 is empty in every second request."""
    rng = np.random.default_rng(61)
    requests = [cases.random_request(rng, exact=False) for _ in range(cases.BATCH)]
    for i, request in enumerate(requests[::2]):
        edges = {pair: size for pair, size in request.edges.items() if 2 not in pair}
        lists = {"cycles": request.cycles, "input": request.input, "output": request.output}
        without = {name: [*v[:2], 0.0, *v[3:]] for name, v in lists.items()}
        requests[2 * i] = request._replace(edges=edges, **without)
    return requests


@pytest.mark.parametrize("name", NAMES)
def test_decisions_can_be_carried_out(name: str, requests: list[cases.Request]) -> None:
    problem = cases.as_problem(requests)
    decision = getattr(policies, name)(problem)
    assert isinstance(decision, oj.graphs.Decision)
    assert decision.place.dtype == np.int8
    assert decision.place.shape == decision.order.shape == (cases.BATCH, cases.NUM_TASKS)
    makespan = oj.graphs.simulate(problem, *decision).makespan
    for row, request in enumerate(requests):
        graph = oracle.three_places(*request)
        place, order = decision.place[row].tolist(), decision.order[row].tolist()
        timetable = oracle.simulate_graph(graph, place, order)
        assert float(makespan[row]) == pytest.approx(timetable.makespan, rel=1e-5)
        assert oracle.faults(graph, timetable) == []
        if graph.is_empty(2):
            assert place[2] == 0
            assert order[-1] == 2


@pytest.mark.parametrize(("name", "place"), [("local", 0), ("edge", 1), ("cloud", 2)])
def test_one_place_in_the_order_of_ranks(
    name: str, place: int, requests: list[cases.Request]
) -> None:
    decision = getattr(policies, name)(cases.as_problem(requests))
    for row, request in enumerate(requests):
        graph = oracle.three_places(*request)
        expected = [0 if graph.is_empty(v) else place for v in graph.tasks]
        assert decision.place[row].tolist() == expected
        assert decision.order[row].tolist() == oracle.decreasing(graph, oracle.upward_ranks(graph))


@pytest.mark.parametrize("name", ["greedy", "heft", "cpop", "peft"])
def test_rules_are_those_of_solve(name: str, requests: list[cases.Request]) -> None:
    problem = cases.as_problem(requests)
    decision, solution = getattr(policies, name)(problem), oj.graphs.solve(problem, method=name)
    np.testing.assert_array_equal(decision.place, solution.place)
    np.testing.assert_array_equal(decision.order, solution.order)


def test_random_places_and_orders() -> None:
    """Five tasks without edges: all places and all first tasks alike often."""
    number = 3000
    request = cases.Request([4.0] * 5, {}, [1] * 5, [1] * 5, 1, 4, 1, 1)
    problem = jax.tree.map(
        lambda leaf: np.broadcast_to(leaf, (number, *np.shape(leaf))), cases.as_problem(request)
    )
    decision = policies.random(problem)
    np.testing.assert_array_equal(decision.place, policies.random(problem).place)
    other = policies.random(problem, key=jax.random.key(1))
    assert (np.asarray(other.place) != decision.place).mean() > 0.5
    for place in range(3):
        assert np.mean(decision.place == place) == pytest.approx(1 / 3, abs=0.02)
    for task in range(5):
        for turn in (0, 4):
            share = np.mean(np.asarray(decision.order)[:, turn] == task)
            assert share == pytest.approx(1 / 5, abs=0.04)


def test_perturbed_is_the_best_of_noisy_copies(requests: list[cases.Request]) -> None:
    """The first copy is greedy's; more copies keep what fewer found; orders differ, too."""
    problem, key = cases.as_problem(requests), jax.random.key(3)
    greedy = policies.greedy(problem)
    one = policies.perturbed(problem, key, num=1)
    np.testing.assert_array_equal(one.place, greedy.place)
    np.testing.assert_array_equal(one.order, greedy.order)
    found = [
        np.asarray(oj.graphs.simulate(problem, *policies.perturbed(problem, key, num=n)).makespan)
        for n in (1, 8, 64)
    ]
    assert (found[1] <= found[0] * (1 + 1e-6)).all()
    assert (found[2] <= found[1] * (1 + 1e-6)).all()
    assert np.mean(found[0] / found[2]) > 1.05
    best = policies.perturbed(problem, key, num=64)
    assert (np.asarray(best.order) != greedy.order).any()
    assert (np.asarray(best.place) != greedy.place).any()


@pytest.mark.parametrize("name", TRACED)
def test_jit_and_vmap(name: str, requests: list[cases.Request]) -> None:
    problem = cases.as_problem(requests)
    policy = getattr(policies, name)
    if name == "perturbed":
        policy = functools.partial(policy, num=8)
    plain = policy(problem)
    jitted = jax.jit(policy)(problem)
    np.testing.assert_array_equal(jitted.place, plain.place)
    np.testing.assert_array_equal(jitted.order, plain.order)
    if name not in ("random", "perturbed"):  # whose noise depends on the row of a batch
        mapped = jax.jit(jax.vmap(policy))(problem)
        np.testing.assert_array_equal(mapped.place, plain.place)
        np.testing.assert_array_equal(mapped.order, plain.order)


@pytest.mark.parametrize("name", ["heft", "cpop", "peft"])
def test_host_rules_cannot_be_traced(name: str, requests: list[cases.Request]) -> None:
    with pytest.raises(ValueError, match="cannot be traced"):
        jax.jit(getattr(policies, name))(cases.as_problem(requests))


@pytest.mark.parametrize("name", NAMES)
def test_bad_requests_are_refused(name: str) -> None:
    bad = cases.as_problem(cases.Request([8, -1], {}, [1, 1], [1, 1], 1, 4, 1, 1))
    policy: Callable = getattr(policies, name)
    with pytest.raises(ValueError, match=r"^cycles\[1\] = -1.0"):
        policy(bad)


def test_rules_of_three_places_refuse_four() -> None:
    costs = cases.as_costs(oracle.table([[1, 2, 3, 4]] * 3, {(0, 1): 1.0}))
    assert policies.local(costs).place.tolist() == [0, 0, 0]
    for policy in (policies.edge, policies.cloud):
        with pytest.raises(ValueError, match=r"^problem: .* three places .* got 4 places"):
            policy(costs)


def test_what_a_place_forbids_runs_where_it_may_first() -> None:
    inf = math.inf
    graph = oracle.table([[1, inf, 3], [inf, inf, 3], [inf, 2, inf], [inf, 2, 3]], {})
    costs = cases.as_costs(graph)
    assert policies.local(costs).place.tolist() == [0, 2, 1, 1]
    assert policies.edge(costs).place.tolist() == [0, 2, 1, 1]
    assert policies.cloud(costs).place.tolist() == [2, 2, 1, 2]
    for seed in range(4):
        place = policies.random(costs, key=jax.random.key(seed)).place
        assert np.isfinite(np.asarray(costs.seconds)[range(4), place]).all()
