"""Requests and costs: conversion, batch axes, and what is said about each kind of mistake."""

import dataclasses
import functools
import math
import pickle
import re
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs.costs import validate_costs
from tests import oracle
from tests.graphs import cases
from tests.typecheck import unchecked

NUM_BATCH, N = 2, 3
DEPENDS = np.zeros((NUM_BATCH, N, N), bool)
DEPENDS[:, 0, 1] = DEPENDS[:, 1, 2] = True
GOOD = {
    "cycles": np.full((NUM_BATCH, N), 5e8),
    "data": np.full((NUM_BATCH, N, N), 1e6),
    "depends": DEPENDS,
    "input": np.full((NUM_BATCH, N), 1e6),
    "output": np.full((NUM_BATCH, N), 1e5),
    "device_speed": np.full(NUM_BATCH, 5e8),
    "edge_speed": np.full(NUM_BATCH, 2e9),
    "device_edge_bandwidth": np.full(NUM_BATCH, 1e6),
    "edge_cloud_bandwidth": np.full(NUM_BATCH, 3e6),
    "release": np.zeros((NUM_BATCH, N)),
    "user": np.zeros((NUM_BATCH, N), int),
}
SPEEDS = ("device_speed", "edge_speed")
NUMBERS = tuple(name for name in GOOD if name not in ("depends", "user"))
PLACE, ORDER = np.zeros(N, int), np.arange(N)
COSTS = cases.as_costs(
    oracle.three_places([4, 4, 4], {(0, 1): 2}, [1, 0, 0], [0, 1, 0], 1, 2, 1, 1)
)


def changed(**fields: Any) -> oj.graphs.GraphProblem:
    return oj.graphs.GraphProblem(**(GOOD | fields))


def refuse(source: Any, message: str) -> None:
    """`validate` and what takes a request say the same."""
    calls = [functools.partial(oj.graphs.simulate, place=PLACE, order=ORDER), oj.graphs.solve]
    calls += [functools.partial(oj.graphs.solve, method=m) for m in ("greedy", "heft", "search")]
    if isinstance(source, oj.graphs.GraphProblem):
        calls.append(oj.graphs.validate)
    for call in calls:
        with pytest.raises(ValueError, match=f"^{message}"):
            call(source)


def test_a_good_problem() -> None:
    problem = changed()
    oj.graphs.validate(problem)
    assert problem.num_tasks == N
    assert problem.num_places == 3
    assert problem.batch_shape == (NUM_BATCH,)
    assert len(problem) == NUM_BATCH


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("name", NUMBERS)
def test_bad_values(name: str, value: float) -> None:
    """The first bad entry is named, in the second row; later ones are not."""
    values = GOOD[name].copy()
    values[1, ...] = value
    index = {1: "[1]", 2: "[1, 0]", 3: "[1, 0, 1]"}[values.ndim]
    rule = "greater than 0" if name in SPEEDS else "not negative"
    where = re.escape(f"{name}{index} = {value}")
    for given in (values, jnp.asarray(values, jnp.float32)):
        problem = changed(**{name: given})
        with pytest.raises(ValueError, match=f"^{where}: must be.*{rule}"):
            oj.graphs.validate(problem)
    refuse(problem, f"{where}: must be")


def test_bytes_are_not_read_where_no_edge_is() -> None:
    data = np.where(DEPENDS, GOOD["data"], math.nan)
    data[:, 2, 0] = -1.0
    oj.graphs.validate(changed(data=data))
    makespans = [
        oj.graphs.simulate(changed(data=d), [1, 0, 1], ORDER).makespan for d in (data, GOOD["data"])
    ]
    np.testing.assert_array_equal(*makespans)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_a_result_that_is_sent_once_has_one_size(kind: Any) -> None:
    """What would be sent of 5 and 1 bytes depends on who reads first, here in the second row."""
    depends = DEPENDS.copy()
    depends[:, 0, 2] = True
    data = np.zeros((NUM_BATCH, N, N), np.float32)
    data[:, 0] = [9, 5, 5]
    even = {"data": kind(data.copy()), "depends": kind(depends), "send_once": True}
    data[1, 0, 1] = 1
    uneven = even | {"data": kind(data)}
    oj.graphs.validate(changed(**even))
    oj.graphs.validate(changed(**uneven | {"send_once": False}))
    message = r"data\[1, 0, 2\] = 5.0: with send_once all edges out of a task carry the same bytes"
    refuse(changed(**uneven), message)
    refuse(oj.graphs.graph_costs(changed(**uneven)), message.replace("0, 2", "2, 0"))


@pytest.mark.parametrize("edge", [(1, 0), (2, 0), (1, 1)])
def test_cycles(edge: tuple[int, int]) -> None:
    """An edge backwards or to itself, in the second row only."""
    depends = DEPENDS.copy()
    depends[1][edge] = True
    u, v = edge
    refuse(changed(depends=depends), rf"depends\[1, {u}, {v}\] is True: task {v} .*task {u}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cycles": 1.0}, r"cycles: needs the axes \[..., N\]"),
        ({"data": np.ones(N)}, r"data: needs the axes \[..., N, N\]"),
        ({"data": np.ones((N, N + 1))}, "data: axes .* do not fit"),
        ({"depends": np.zeros((4, 4), bool)}, "depends: axes .* do not fit"),
        ({"input": np.ones(4)}, "input: axes .* do not fit"),
        ({"release": np.ones(4)}, "release: axes .* do not fit"),
        ({"edge_speed": np.ones(5)}, r"edge_speed: batch dimensions \(5,\).*\(2,\)"),
        ({"device_speed": None}, "device_speed: must be an array of numbers, got None"),
        ({"cycles": jnp.ones((2, N), complex)}, "cycles: must hold real numbers"),
        ({"depends": jnp.ones((N, N))}, "depends: must hold booleans"),
        ({"edge_servers": 0}, "edge_servers = 0: must be an integer of at least 1"),
        (
            {
                name: GOOD[name][:, :0, :0] if GOOD[name].ndim == 3 else GOOD[name][:, :0]
                for name in ("cycles", "data", "depends", "input", "output", "release")
            },
            "cycles: .*at least one task",
        ),
    ],
)
def test_bad_shapes_and_kinds(fields: dict[str, Any], message: str) -> None:
    refuse(changed(**fields), message)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cycles", ["a", "b", "c"]), ("edge_speed", [1j]), ("depends", [[0.5]]), ("depends", [[2]])],
)
def test_what_cannot_be_converted_is_refused_at_once(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        changed(**{name: value})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"send_once": "no"}, "send_once: must be a bool"),
        ({"routes": 3}, "routes: must be rows of routes"),
        (
            {"routes": (((), ("a",), (0, 2)), *oracle.PAPER_ROUTES[1:])},
            r"routes\[0\]\[1\]: unknown",
        ),
        ({"routes": [0, 1, 2]}, "routes: must be rows of routes"),
        ({"servers": 3}, "servers: must be an Iterable, got int"),
        ({"servers": (1, 2.5, 1)}, r"servers\[1\] = 2.5: must be an integer"),
        ({"serial": None}, "serial: must be an Iterable, got NoneType"),
        ({"user": [[0], [0, 0]]}, "user: cannot be converted"),
        ({"predecessors": [[0], [0, 0]]}, "predecessors: cannot be converted"),
    ],
)
def test_costs_of_another_kind(fields: dict[str, Any], message: str) -> None:
    given = {field.name: getattr(COSTS, field.name) for field in dataclasses.fields(COSTS)}
    with pytest.raises(ValueError, match=message):
        validate_costs(unchecked(oj.graphs.GraphCosts)(**given | fields))


@pytest.mark.parametrize(
    ("place", "order", "message"),
    [
        ([0, 3, 0], ORDER, r"place\[1\] = 3: places are 0..2"),
        ([0, -1, 0], ORDER, r"place\[1\] = -1: places are 0..2"),
        (PLACE, [0, 1, 3], r"order\[2\] = 3: tasks are 0..2"),
        (PLACE, [0, 1, 1], "order: task 2 is missing"),
        (PLACE, [1, 0, 2], r"order(\[0\])?: task 1 stands before task 0, which it needs"),
        (PLACE, [[0, 1, 2], [0, 2, 1]], r"order\[1\]: task 2 stands before task 1"),
        (PLACE, [0, 1], "order: last axis must be N = 3"),
        (np.zeros(4, int), ORDER, "place: last axis must be N = 3"),
        (np.zeros(N), ORDER, "place: must hold integers"),
        (PLACE, np.arange(3.0), "order: must hold integers"),
    ],
)
def test_decisions_that_cannot_be_carried_out(place: Any, order: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        oj.graphs.simulate(changed(), np.asarray(place), np.asarray(order))


def test_what_is_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    decision = oj.graphs.Decision(np.asarray(PLACE, np.int8), np.asarray(ORDER))
    for place, kind in ((decision, "Decision"), (changed(), "GraphProblem"), ("edge", "str")):
        with pytest.raises(ValueError, match=f"^place: must hold integers, got {kind}"):
            oj.graphs.simulate(changed(), place, ORDER)
    with pytest.raises(ValueError, match="^order: must hold integers, got dtype bool"):
        oj.graphs.simulate(changed(), PLACE, [True, False, True])
    with pytest.raises(ValueError, match="^problem: must be a GraphProblem or .*, got list"):
        oj.graphs.simulate(ORDER.tolist(), PLACE, changed())


def test_decisions_of_another_batch() -> None:
    with pytest.raises(ValueError, match="^(place|order)"):
        oj.graphs.simulate(changed(), np.zeros((5, N), int), ORDER)


def test_unknown_methods() -> None:
    with pytest.raises(ValueError, match='^method.*"?nearest"?'):
        oj.graphs.solve(changed(), method="nearest")


def entry(name: str, index: tuple[int, ...], value: float) -> oj.graphs.GraphCosts:
    values = np.array(getattr(COSTS, name))
    values[index] = value
    return dataclasses.replace(COSTS, **{name: values})


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (entry("seconds", (1, 2), -1), r"seconds\[1, 2\] = -1.0: must not be negative or NaN"),
        (entry("seconds", (1, 2), math.nan), r"seconds\[1, 2\] = nan"),
        (entry("seconds_per_byte", (3,), -1), r"seconds_per_byte\[3\] = -1.0"),
        (entry("startup", (2,), math.inf), r"startup\[2\] = inf: must be finite"),
        (entry("release", (0,), math.inf), r"release\[0\] = inf: must be finite"),
        (entry("data", (1, 0), -2), r"data\[1, 0\] = -2.0: must be finite"),
        *(
            (
                entry("predecessors", index, task),
                rf"predecessors\[{index[0]}, 0\] = {task}: must be",
            )
            for index, task in (((0, 0), 0), ((1, 0), 1), ((1, 0), 2), ((2, 0), -2), ((2, 0), 5))
        ),
        (
            dataclasses.replace(
                COSTS,
                predecessors=[[-1, -1], [0, -1], [1, 0]],
                data=np.ones((N, 2)),
            ),
            r"predecessors\[2, 1\] = 0: must be tasks of lower number",
        ),
        (dataclasses.replace(COSTS, data=np.ones((N, 2))), "data: axes .* with D = 1 do not fit"),
        (dataclasses.replace(COSTS, predecessors=[[-1]] * 2), "predecessors: axes .* N = 3"),
        (
            dataclasses.replace(COSTS, predecessors=jnp.full((N, 1), -1.0)),
            "predecessors: must hold integers, got dtype float32",
        ),
        (entry("user", (2,), 3), r"user\[2\] = 3: users are 0..0"),
        (dataclasses.replace(COSTS, servers=(1, 1)), "servers: needs 3 entries, got 2"),
        (
            dataclasses.replace(COSTS, servers=(1, 0, None)),
            r"servers\[1\] = 0: must be an integer of",
        ),
        (
            dataclasses.replace(COSTS, routes=(((), (7,), (0, 2)), *COSTS.routes[1:])),
            r"routes\[0\]\[1\]: unknown link 7",
        ),
        (
            dataclasses.replace(COSTS, routes=(((0,), (0,), (0, 2)), *COSTS.routes[1:])),
            r"routes\[0\]\[0\] = \(0,\): staying",
        ),
        (dataclasses.replace(COSTS, routes=COSTS.routes[:2]), "routes: needs 3 rows"),
        (dataclasses.replace(COSTS, serial=(True,) * 3), "own_links: needs 3 booleans"),
    ],
)
def test_bad_costs(costs: oj.graphs.GraphCosts, message: str) -> None:
    refuse(costs, message)


def test_shapes_are_checked_while_tracing_and_so_is_what_is_known() -> None:
    simulate = jax.jit(lambda problem: oj.graphs.simulate(problem, PLACE, ORDER))
    with pytest.raises(ValueError, match="^input: axes"):
        simulate(changed(input=np.ones(4)))
    bad = changed(cycles=np.full((NUM_BATCH, N), -1.0))

    def makespan(bandwidth: jax.Array) -> jax.Array:
        known = dataclasses.replace(bad, device_edge_bandwidth=bandwidth)
        return oj.graphs.simulate(known, PLACE, ORDER).makespan

    with pytest.raises(ValueError, match=r"^cycles\[0, 0\] = -1.0"):
        jax.jit(makespan)(np.ones(NUM_BATCH))


def test_half_of_a_request_may_be_traced() -> None:
    def makespan(bandwidth: jax.Array) -> jax.Array:
        known = dataclasses.replace(changed(), device_edge_bandwidth=bandwidth)
        return oj.graphs.simulate(known, [1, 1, 0], ORDER).makespan

    bandwidth = np.array([1e6, 2e6], np.float32)
    np.testing.assert_allclose(jax.jit(makespan)(bandwidth), makespan(bandwidth), rtol=1e-6)


def test_integers_are_not_wrapped_at_32_bits() -> None:
    problem = oj.graphs.GraphProblem(
        [5_000_000_000], [[0]], [[0]], [2**33], [2**32], 10**9, 10**10, 2**31, 1
    )
    makespan = oj.graphs.simulate(problem, [1], [0]).makespan
    assert float(makespan) == pytest.approx(4 + 0.5 + 2)


def test_selecting_from_a_batch() -> None:
    problem = dataclasses.replace(
        changed(edge_speed=1e9), cycles=np.arange(N) + 1e9, depends=DEPENDS[0]
    )
    assert problem[1].batch_shape == ()
    assert problem[:1].batch_shape == (1,)
    assert problem[np.array([False, True])].batch_shape == (1,)
    np.testing.assert_array_equal(problem[1].cycles, np.arange(N) + 1e9)
    np.testing.assert_array_equal(problem[1].depends, DEPENDS[0])
    with pytest.raises(IndexError):
        problem[2]
    with pytest.raises(TypeError):
        len(problem[1])


def test_problems_are_pytrees_that_survive_a_pickle() -> None:
    problem = changed(edge_servers=2, send_once=True)
    leaves, structure = jax.tree.flatten(problem)
    assert len(leaves) == len(GOOD)
    again = pickle.loads(pickle.dumps(jax.tree.unflatten(structure, leaves)))
    assert again.edge_servers == 2
    assert again.send_once
    for name, values in GOOD.items():
        np.testing.assert_array_equal(getattr(again, name), values)


def test_release_may_be_one_number() -> None:
    """5 s for all three tasks of 1 s, one after the other."""
    makespan = oj.graphs.simulate(changed(release=5.0), PLACE, ORDER).makespan
    np.testing.assert_array_equal(makespan, [8, 8])
    oj.graphs.validate(oj.graphs.GraphProblem([1], [[0]], [[0]], [0], [0], 1, 1, 1, 1, release=2))


def test_rows_are_selected_as_those_of_chains_are() -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(4), 3)
    assert len(problem) == len(list(problem)) == 3
    np.testing.assert_array_equal(problem[-1].cycles, problem.cycles[2])
    assert problem[1].depends.shape == (4, 4)
    # A second index would be one of tasks, not of the batch.
    for index in (3, -4, (0, 1)):
        with pytest.raises(IndexError):
            problem[index]
    with pytest.raises(TypeError, match="a single GraphProblem has no length"):
        len(problem[0])
    costs = oj.graphs.graph_costs(problem)
    assert costs[1:].batch_shape == (2,)
