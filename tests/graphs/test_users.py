"""Graphs of several users: devices and radios of their own, edge and cloud for all."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs import policies
from tests import graph_heuristics_oracle as heuristics
from tests import oracle
from tests.graphs import cases

RULES = {
    "greedy": heuristics.greedy_graph,
    "heft": lambda graph: heuristics.heft(graph)[0],
    "cpop": lambda graph: heuristics.cpop(graph)[0],
    "peft": lambda graph: heuristics.peft(graph)[0],
}
LAYOUTS = ("paper", "two servers, sent once", "four places", "four places, sent once")


def drawn(layout: str, shared: bool, num: int, **options: Any) -> list[oracle.Graph]:
    rng = np.random.default_rng(len(layout) + 100 * shared)
    return [
        cases.several_users(rng, cases.LAYOUTS[layout], 3, shared=shared, **options)
        for _ in range(num)
    ]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_schedules_are_those_of_the_oracle(layout: str, shared: bool, num: int = 40) -> None:
    rng = np.random.default_rng(1)
    graphs = drawn(layout, shared, num)
    decisions = [cases.random_decision(rng, graph) for graph in graphs]
    place, order = (np.array(part) for part in zip(*decisions, strict=True))
    found = oj.graphs.simulate(cases.as_costs(graphs), place, order)
    for row, graph in enumerate(graphs):
        expected = oracle.simulate_graph(graph, *decisions[row])
        assert not oracle.faults(graph, expected) or expected.makespan == math.inf
        np.testing.assert_allclose(found.makespan[row], expected.makespan, rtol=1e-6)
        np.testing.assert_allclose(found.start[row], expected.start, rtol=1e-6)
        for user in range(graph.users):
            mine = [v for v in graph.tasks if graph.user[v] == user]
            alone = oracle.simulate_graph(_only(graph, mine), *_part(decisions[row], mine))
            # Others can only be in the way.
            assert found.completion[row, user] >= alone.makespan * (1 - 1e-6)
    np.testing.assert_array_equal(found.completion.max(-1), found.makespan)


def _only(graph: oracle.Graph, tasks: list[int]) -> oracle.Graph:
    """The graph of these tasks alone, on the same machine."""
    number = {v: i for i, v in enumerate(tasks)}
    fields = ("seconds", "input", "output", "release", "user")
    return graph._replace(
        edges={(number[u], number[v]): d for (u, v), d in graph.edges.items() if u in number},
        **{name: tuple(getattr(graph, name)[v] for v in tasks) for name in fields},
    )


def _part(decision: tuple, tasks: list[int]) -> tuple[list[int], list[int]]:
    place, order = decision
    return [place[v] for v in tasks], [tasks.index(v) for v in order if v in tasks]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_rules_are_those_of_the_oracle(rule: str, shared: bool) -> None:
    for layout in LAYOUTS[:3]:
        graphs = drawn(layout, shared, 12, exact=False, alive=True)
        found = getattr(policies, rule)(cases.as_costs(graphs))
        for row, graph in enumerate(graphs):
            place, order = RULES[rule](graph)
            np.testing.assert_array_equal(found.place[row], place)
            np.testing.assert_array_equal(found.order[row], order)


def requests(num: int, seed: int = 0) -> list[oj.graphs.GraphProblem]:
    """One edge, a device for each."""
    rng = np.random.default_rng(seed)
    drawn = [cases.random_request(rng, 3, exact=False) for _ in range(num)]
    shared = {"p2": drawn[0].p2, "b2": drawn[0].b2}
    return [cases.as_problem(one._replace(**shared)) for one in drawn]


def test_users_on_their_own_devices_do_not_meet() -> None:
    users = requests(4)
    problem = oj.graphs.merge(users)
    everyone = policies.local(problem)
    schedule = oj.graphs.simulate(problem, *everyone)
    for i, request in enumerate(users):
        alone = oj.graphs.simulate(request, *policies.local(request)).makespan
        np.testing.assert_allclose(schedule.completion[i], alone, rtol=1e-6)


def test_decisions_come_back_as_they_were_taken() -> None:
    users = requests(3)
    problem = oj.graphs.merge(users)
    each = [policies.greedy(request) for request in users]
    place = np.concatenate([one.place for one in each])
    order = np.concatenate([3 * i + np.asarray(one.order) for i, one in enumerate(each)])
    mixed = np.stack(np.split(order, 3), 1).ravel()
    for turns in (order, mixed):
        for one, back in zip(
            each, oj.graphs.split(problem, oj.graphs.Decision(place, turns)), strict=True
        ):
            np.testing.assert_array_equal(back.place, one.place)
            np.testing.assert_array_equal(back.order, one.order)


def test_one_user_is_the_request_itself() -> None:
    (request,) = requests(1)
    for same in (oj.graphs.merge([request]), oj.graphs.merge(request)):
        for name in request.own_axes:
            np.testing.assert_array_equal(getattr(same, name), getattr(request, name))
        assert same.num_users == 1


def test_a_batch_is_merged_along_its_first_axis_and_later_ones_stay() -> None:
    users = requests(2)
    wide = [dataclasses.replace(one, device_edge_bandwidth=np.full(5, 1e6)) for one in users]
    problem = oj.graphs.merge(wide, release=[0.0, 3.0])
    assert problem.batch_shape == (5,)
    assert problem.device_edge_bandwidth.shape == (5, 2)
    np.testing.assert_array_equal(problem.release, [0, 0, 0, 3, 3, 3])
    makespan = oj.graphs.simulate(problem, *policies.greedy(problem)).makespan
    assert makespan.shape == (5,)


def test_chains_are_users_too() -> None:
    chains = oj.ChainProblem(
        cycles=[[1e9, 2e9], [3e9, 1e9]],
        data=[[4e6, 1e6, 2e5], [1e6, 2e6, 1e5]],
        device_speed=[1e9, 5e8],
        edge_speed=4e9,
        device_edge_bandwidth=[1e6, 2e6],
        edge_cloud_bandwidth=1e6,
    )
    problem = oj.graphs.merge(chains)
    schedule = oj.graphs.simulate(problem, [1, 1, 0, 0], range(4))
    # Up 4 s, 0.25 s and 0.5 s at the edge, 0.2 s down; 6 s and 2 s at home.
    np.testing.assert_allclose(schedule.completion, [4.95, 8.0], rtol=1e-6)


def test_a_shared_radio_is_one_link() -> None:
    users = [
        oj.graphs.GraphProblem([0.0], [[0.0]], [[False]], [1e6], [0.0], 1e9, 1e9, 1e6, 1e6)
        for _ in range(3)
    ]
    for shared, last in ((True, 3.0), (False, 1.0)):
        problem = oj.graphs.merge(users, shared_radio=shared)
        schedule = oj.graphs.simulate(problem, [1, 1, 1], [0, 1, 2])
        assert float(schedule.makespan) == pytest.approx(last)


BAD = {
    "no requests": (lambda: oj.graphs.merge([]), "requests: there must be at least one"),
    "several already": (
        lambda: oj.graphs.merge([oj.graphs.merge(requests(2)), *requests(1)]),
        r"requests\[0\]: has 2 users already",
    ),
    "two edges": (
        lambda: oj.graphs.merge([*requests(1), *requests(1, seed=1)]),
        r"requests\[1\]: edge_speed = .* differs from .* of requests\[0\]",
    ),
    "two radios": (
        lambda: oj.graphs.merge(requests(2), shared_radio=True),
        r"requests\[1\]: device_edge_bandwidth = .* differs",
    ),
    "one release": (
        lambda: oj.graphs.merge(requests(2), release=3.0),
        "release: needs one time for each of 2 requests",
    ),
    "unknown user": (
        lambda: policies.local(
            dataclasses.replace(oj.graphs.merge(requests(2)), user=[0, 0, 0, 2, 1, 1])
        ),
        r"user\[3\] = 2: users are 0..1",
    ),
    "edges across": (
        lambda: policies.local(
            dataclasses.replace(
                oj.graphs.merge(requests(2)),
                depends=np.eye(6, k=1, dtype=bool),
                data=np.ones((6, 6)),
            )
        ),
        r"depends\[2, 3\] = True: edges must join tasks of one user",
    ),
    "speeds of others": (
        lambda: policies.local(
            dataclasses.replace(oj.graphs.merge(requests(2)), device_speed=np.ones(3))
        ),
        r"device_speed: axes \[..., U\] with U = 2 do not fit shape \(3,\)",
    ),
    "decision of another": (
        lambda: oj.graphs.split(
            oj.graphs.merge(requests(2)), oj.graphs.Decision(np.zeros(3), np.arange(3))
        ),
        "decision: must have 6 tasks as the problem, got 3",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user": [0, 1, 0, 1, 0, 1]}, r"predecessors.* edges must join tasks of one user"),
        ({"own_links": (True,)}, "own_links: needs 4 booleans"),
        ({"own_places": (True,)}, "own_places: needs 3 booleans"),
        ({"num_users": 0}, "num_users = 0: must be"),
        ({"num_users": 3}, r"seconds_per_byte: axes \[..., R\] with R = 8 do not fit"),
    ],
)
def test_costs_of_users_are_checked(fields: dict[str, Any], message: str) -> None:
    rng = np.random.default_rng(2)
    graph = cases.several_users(rng, cases.PAPER, 2, exact=False, alive=True)
    graph = graph._replace(
        user=(0, 0, 0, 1, 1, 1), edges={(0, 1): 1.0, (1, 2): 1.0, (3, 4): 1.0, (4, 5): 1.0}
    )
    costs = cases.as_costs(graph)
    with pytest.raises(ValueError, match=message):
        oj.graphs.validate_costs(dataclasses.replace(costs, **fields))
