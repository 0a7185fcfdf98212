"""One task graph at a time: learned decisions, and what is refused, rules included."""

import dataclasses
import math

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs._numba import decide as loops
from tests import oracle
from tests.cases import NO_NUMBERS
from tests.graphs import cases
from tests.graphs.test_learned import random_policy

# No messages, one round and more; widths that are all different.
POLICIES = {
    "flat": GraphPolicyConfig(hidden=7, second=3, order_hidden=5),
    "one round": GraphPolicyConfig(hidden=5, second=4, order_hidden=3, rounds=1, message=2),
    "deep": GraphPolicyConfig(hidden=6, second=3, order_hidden=5, rounds=3, message=4),
}
STATIC = {
    "flat": {"edge_servers": 4},
    "one round": {},
    "deep": {"edge_servers": 2, "send_once": True},
}
NUM = 300


def fields_of(request: cases.Request) -> tuple:
    """The arguments of one call; what is not on an edge must not be read, so it is NaN there."""
    depends, data = cases.as_matrices(oracle.three_places(*request))
    rates = request.p1, request.p2, request.b1, request.b2
    release = request.release or 0.0
    return (
        request.cycles, data, depends, request.input, request.output, *rates,
        request.edge_servers, release, request.send_once,
    )  # fmt: skip


def hostile(num: int, num_tasks: int = cases.NUM_TASKS, **static) -> list[cases.Request]:
    """Rough and exact ones in turns: ties, dead links, releases, empty tasks, no edges."""
    rng = np.random.default_rng(num_tasks)
    found = []
    for i in range(num):
        request = cases.random_request(rng, num_tasks, exact=i % 2 == 0, **static)
        if i % 5 == 0:
            unit = np.float32(1.0 if i % 2 == 0 else 0.5)
            request = request._replace(release=(unit * rng.integers(0, 3, num_tasks)).tolist())
        if i % 7 == 0:
            request = request._replace(edges={})
        if i % 11 == 0:
            nothing = [0.0] * num_tasks
            request = request._replace(cycles=nothing, edges={}, release=None)
            request = request._replace(input=[1.0, *nothing[1:]], output=nothing)
        found.append(request)
    return found


@pytest.mark.parametrize("name", POLICIES)
def test_decides_as_the_policy_in_jax(name: str) -> None:
    policy = random_policy(POLICIES[name])
    decide = oj.single.learned(policy)
    requests = hostile(NUM, **STATIC[name])
    together = policy(cases.as_problem(requests))
    same = 0
    for row, request in enumerate(requests):
        place, order = decide(*fields_of(request))
        assert place.dtype == np.int8 and order.dtype == np.int32
        graph = oracle.three_places(*request)
        timetable = oracle.simulate_graph(graph, place.tolist(), order.tolist())
        assert oracle.faults(graph, timetable) == []
        empty = [v for v in graph.tasks if graph.is_empty(v)]
        assert order.tolist()[len(order) - len(empty) :] == empty
        assert not any(place[v] for v in empty)
        same += (place == together.place[row]).all() and (order == together.order[row]).all()
    # Not all: what is nearly equal may round either way.
    assert same >= 0.98 * NUM
    assert len(np.unique(together.place)) == 3


@pytest.mark.parametrize("static", STATIC.values(), ids=STATIC)
def test_the_cut_is_that_of_solve(static: dict) -> None:
    decide, requests = oj.single.graph(method="cut"), hostile(60, **static)
    together = oj.graphs.policies.cut(cases.as_problem(requests))
    for row, request in enumerate(requests):
        place, order = decide(*fields_of(request))
        assert place.dtype == np.int8 and order.dtype == np.int32
        np.testing.assert_array_equal(place, together.place[row])
        np.testing.assert_array_equal(order, together.order[row])


@pytest.mark.parametrize("num_tasks", [1, 40])
def test_any_number_of_tasks(num_tasks: int) -> None:
    policy = oj.graphs.policies.student()
    decide = oj.single.learned(policy)
    requests = hostile(12, num_tasks)
    together = policy(cases.as_problem(requests))
    same = 0
    for row, request in enumerate(requests):
        place, order = decide(*fields_of(request))
        assert sorted(order) == list(range(num_tasks))
        same += (place == together.place[row]).all() and (order == together.order[row]).all()
    assert same >= 11


def test_the_best_of_many_is_no_worse_than_of_fewer() -> None:
    policy = random_policy(POLICIES["one round"])
    makers = [oj.single.learned(policy, best_of=number, seed=3) for number in (0, 4, 16)]
    rules = [oj.single.graph(), oj.single.graph(method="cut"), oj.single.learned(policy)]
    improved = 0
    for request in hostile(60):
        graph = oracle.three_places(*request)

        def makespan(decision: oj.graphs.Decision, graph: oracle.Graph = graph) -> float:
            return oracle.simulate_graph(graph, *(part.tolist() for part in decision)).makespan

        fields = fields_of(request)
        none, few, many = (makespan(decide(*fields)) for decide in makers)
        order = rules[0](*fields).order
        single = (oj.graphs.Decision(np.full(len(order), place), order) for place in range(3))
        expected = min(map(makespan, (*single, *(rule(*fields) for rule in rules))))
        assert none == pytest.approx(expected, rel=1e-9)
        assert many <= few * (1 + 1e-9) <= none * (1 + 2e-9)
        improved += many < 0.99 * few
        assert makespan(makers[-1](*fields)) == many
    assert improved


GOOD = {
    "cycles": np.ones(3),
    "data": np.ones((3, 3)),
    "depends": np.triu(np.ones((3, 3), bool), 1),
    "input": np.ones(3),
    "output": np.ones(3),
    "device_speed": 1.0,
    "edge_speed": 2.0,
    "device_edge_bandwidth": 1.0,
    "edge_cloud_bandwidth": 1.0,
}


def deciders() -> dict:
    return {
        "rule": oj.single.graph(),
        "cut": oj.single.graph(method="cut"),
        "learned": oj.single.learned(random_policy(POLICIES["one round"])),
        "searched": oj.single.learned(random_policy(POLICIES["flat"]), best_of=2, simulations=9),
    }


@pytest.mark.parametrize("name", ["rule", "cut", "learned", "searched"])
def test_bad_requests_raise_what_validate_raises(name: str) -> None:
    decide = deciders()[name]
    decide(**GOOD)
    for field, value in [
        ("cycles", [1.0, -1.0, 1.0]),
        ("cycles", "three"),
        ("cycles", []),
        ("data", np.full((3, 3), math.nan)),
        ("data", np.ones((3, 2))),
        ("depends", np.ones((3, 3), bool)),
        ("depends", np.triu(np.full((3, 3), 0.5), 1)),
        ("input", [1.0, math.inf, 1.0]),
        ("output", [1.0, 1.0]),
        ("device_speed", 0.0),
        ("edge_speed", math.inf),
        ("device_edge_bandwidth", -1.0),
        ("edge_cloud_bandwidth", math.nan),
        ("edge_servers", 0),
        ("release", [0.0, -1.0, 0.0]),
        *(("cycles", amounts[:3]) for amounts in NO_NUMBERS),
        *(("edge_speed", amounts[0]) for amounts in NO_NUMBERS),
        ("depends", np.ma.array(GOOD["depends"], mask=GOOD["depends"])),
        ("depends", jax.numpy.asarray(GOOD["depends"], float)),
    ]:
        bad = {**GOOD, field: value}
        with pytest.raises(ValueError) as expected:
            oj.graphs.validate(oj.graphs.GraphProblem(**bad))
        with pytest.raises(ValueError) as error:
            decide(**bad)
        assert str(error.value) == str(expected.value)
    with pytest.raises(ValueError, match="no batch dimensions"):
        decide(**{**GOOD, "cycles": np.ones((2, 3))})
    with pytest.raises(ValueError, match="^cycles: takes the fields of a GraphProblem"):
        decide(oj.graphs.GraphProblem(**GOOD))


def test_any_layout_of_arguments() -> None:
    """Lists, whole numbers, arrays of JAX, and views that are read-only or not contiguous."""
    makers = deciders()
    compiled = len(loops.decide.signatures), len(loops.most_probable.signatures)
    for decide in makers.values():
        expected = decide(**GOOD)
        problem = oj.graphs.GraphProblem(**GOOD)
        listed = {name: np.asarray(value).tolist() for name, value in GOOD.items()}
        fields = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
        turned = {**GOOD, "data": np.asfortranarray(GOOD["data"]), "cycles": np.ones(6)[::2]}
        jaxed = {name: jax.numpy.asarray(value) for name, value in GOOD.items()}
        once = {**GOOD, "depends": GOOD["depends"].astype(int), "release": [0.0]}
        for arguments in (listed, fields, turned, jaxed, once):
            jax.tree.map(np.testing.assert_array_equal, decide(**arguments), expected)
    # Making them compiled all there is.
    assert (len(loops.decide.signatures), len(loops.most_probable.signatures)) == compiled


def test_what_is_no_number_of_samples() -> None:
    policy = random_policy(POLICIES["flat"])
    with pytest.raises(ValueError, match="best_of = -1: must not be negative"):
        oj.single.learned(policy, best_of=-1)
    with pytest.raises(ValueError, match="seed = -2: must not be negative"):
        oj.single.learned(policy, best_of=1, seed=-2)
    with pytest.raises(ValueError, match="simulations = -3: must not be negative"):
        oj.single.learned(policy, simulations=-3)
