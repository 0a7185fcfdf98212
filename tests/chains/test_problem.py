"""Requests: conversion, batch axes, and what `validate` says about each kind of mistake."""

import dataclasses
import math
import pickle
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle

FIELDS = tuple(field.name for field in dataclasses.fields(oj.ChainProblem))
SPEEDS = ("device_speed", "edge_speed")
GOOD = {
    "cycles": np.full((2, 3), 5e8),
    "data": np.full((2, 4), 1e6),
    "device_speed": np.full(2, 5e8),
    "edge_speed": np.full(2, 2e9),
    "device_edge_bandwidth": np.full(2, 1e6),
    "edge_cloud_bandwidth": np.full(2, 2e6),
}


def changed(**fields: Any) -> oj.ChainProblem:
    return oj.ChainProblem(**(GOOD | fields))


def refuse(problem: oj.ChainProblem, message: str) -> None:
    """`validate` and everything that takes a request say the same."""
    with pytest.raises(ValueError, match=f"^{message}"):
        oj.validate(problem)
    with pytest.raises(ValueError, match=f"^{message}"):
        oj.solve(problem)
    with pytest.raises(ValueError, match=f"^{message}"):
        oj.solve(problem, method="exhaustive")


def test_a_good_problem() -> None:
    problem = changed()
    oj.validate(problem)
    assert problem.num_subtasks == 3
    assert problem.num_places == 3
    assert problem.batch_shape == (2,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, -1e-30])
@pytest.mark.parametrize("name", FIELDS)
def test_bad_values(name: str, value: float) -> None:
    """The first bad entry is named, in the second row; later ones are not."""
    values = GOOD[name].copy()
    values[1, ...] = value
    index = r"\[1, 0\]" if values.ndim == 2 else r"\[1\]"
    rule = "greater than 0" if name in SPEEDS else "not negative"
    refuse(changed(**{name: values}), f"{name}{index} = {re.escape(str(value))}: must be.*{rule}")
    refuse(
        changed(**{name: jnp.asarray(values, jnp.float32)}), f"{name}{index} = .*: must be.*{rule}"
    )


@pytest.mark.parametrize("name", FIELDS)
def test_zeros(name: str) -> None:
    """Speeds must be positive; no work, no data and dead links are requests like others."""
    problem = changed(**{name: np.zeros_like(GOOD[name])})
    if name in SPEEDS:
        refuse(problem, rf"{name}\[0\] = 0.0: must be finite and greater than 0")
    else:
        oj.validate(problem)
        assert bool(jnp.all(jnp.isfinite(oj.solve(problem).cost)))


def test_a_bad_scalar_has_no_index() -> None:
    problem = oj.ChainProblem([1.0], [1.0, 1.0], -2.0, 1.0, 1.0, 1.0)
    refuse(problem, "device_speed = -2.0: must be finite and greater than 0")


def test_the_first_field_is_named_when_many_are_bad() -> None:
    bad = changed(data=np.full((2, 4), -1.0), edge_speed=np.full(2, -1.0))
    refuse(bad, r"data\[0, 0\] = -1.0")


@pytest.mark.parametrize(("name", "value"), [("cycles", 1e39), ("data", 1e300)])
def test_doubles_that_overflow_float32(name: str, value: float) -> None:
    values = GOOD[name].copy()
    values[0, 2] = value
    problem = changed(**{name: values})
    refuse(problem, rf"{name}\[0, 2\] = {re.escape(str(value))} \(float32 rounds it to inf\)")
    with jax.enable_x64(True):
        oj.validate(problem)


def test_doubles_that_vanish_in_float32() -> None:
    problem = changed(device_speed=np.array([1.0, 1e-60]))
    refuse(problem, r"device_speed\[1\] = 1e-60 \(float32 rounds it to 0.0\): must be")
    with jax.enable_x64(True):
        oj.validate(problem)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cycles": 1.0}, "cycles: needs a last axis of A"),
        ({"data": 1.0}, r"data: needs a last axis of A \+ 1"),
        ({"cycles": np.zeros((2, 0)), "data": np.zeros((2, 1))}, "cycles: .*at least one subtask"),
        ({"data": np.ones((2, 3))}, r"data: last axis must be A \+ 1 = 4 for A = 3.*got 3"),
        ({"data": np.ones((2, 5))}, "data: last axis .* got 5"),
        ({"data": np.ones((3, 4))}, r"data: batch dimensions \(3,\) do not broadcast with \(2,\)"),
        ({"edge_speed": np.ones(5)}, r"edge_speed: batch dimensions \(5,\).*\(2,\)"),
        ({"device_edge_bandwidth": np.ones((3, 4))}, "device_edge_bandwidth: batch dimensions"),
        ({"device_speed": None}, "device_speed: must be an array of numbers, got None"),
        ({"cycles": "many"}, "cycles: must be an array of numbers, got 'many'"),
        ({"cycles": jnp.ones((2, 3), complex)}, "cycles: must hold real numbers"),
        ({"edge_speed": jnp.ones(2, bool)}, "edge_speed: must hold real numbers"),
        ({"data": jax.random.split(jax.random.key(0), (2, 4))}, "data: must hold real numbers"),
    ],
)
def test_bad_shapes_and_kinds(fields: dict[str, Any], message: str) -> None:
    problem = changed(**fields)
    refuse(problem, message)
    for function in (oj.chain_costs, oj.policies.local, oj.policies.random):
        with pytest.raises(ValueError, match=message):
            function(problem)


@pytest.mark.parametrize(
    "value",
    [["a", "b"], [[1.0, 2.0], [3.0]], [1j, 2.0], [None, 1.0], [True, False], [{}], [2**70]],
)
@pytest.mark.parametrize("name", ["cycles", "edge_speed"])
def test_what_cannot_be_converted_is_refused_at_once(name: str, value: list) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        changed(**{name: value})


@pytest.mark.parametrize("amounts", cases.NO_NUMBERS)
def test_what_numpy_would_make_numbers_of_is_refused(amounts: Any) -> None:
    with pytest.raises(ValueError, match="^cycles"):
        changed(cycles=amounts)


def test_what_is_longer_than_float64_is_narrowed_and_masks_without_effect_are_taken() -> None:
    problem = changed(edge_speed=np.longdouble(3e9), device_speed=np.ma.array(2e9))
    oj.validate(problem)
    assert problem.edge_speed.dtype == np.float64 and problem.edge_speed == 3e9
    assert type(problem.device_speed) is np.ndarray
    with pytest.raises(ValueError, match="^edge_speed = inf: must be finite"):
        oj.validate(changed(edge_speed=np.longdouble("1e4000")))


def test_shapes_are_checked_while_tracing() -> None:
    problem = changed(data=np.ones((2, 3)))
    for function in (oj.solve, oj.chain_costs, oj.policies.greedy):
        with pytest.raises(ValueError, match="^data: last axis"):
            jax.jit(function)(problem)


def test_integers_are_not_wrapped_at_32_bits() -> None:
    chain = oracle.Chain((5_000_000_000, 7_000_000_000), (2**33, 1, 2**34), 10**9, 10**10, 2**31, 1)
    arrays = [np.asarray(field) for field in chain]
    assert arrays[0].dtype == np.int64
    _, cost = oracle.optimum(chain)
    for problem in (oj.ChainProblem(*chain), oj.ChainProblem(*arrays)):
        oj.validate(problem)
        assert float(oj.solve(problem).cost) == pytest.approx(cost, rel=1e-6)
    unsigned = oj.ChainProblem(*(np.asarray(field, np.uint64) for field in chain))
    assert float(oj.solve(unsigned).cost) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.float16, jnp.bfloat16])
def test_narrow_jax_arrays(dtype: Any) -> None:
    """Integers and half precision are legal; so is a mixture."""
    problem = oj.ChainProblem(
        jnp.array([4, 8], dtype), jnp.array([2, 2, 2], dtype), jnp.array(1, dtype), 4.0, 2.0, 0.5
    )
    solution = oj.solve(problem)
    np.testing.assert_array_equal(solution.decision, [1, 1])
    assert float(solution.cost) == 5.0


def test_selecting_from_a_batch() -> None:
    rng = np.random.default_rng(0)
    problem = dataclasses.replace(
        cases.wide_problem(rng, 3, (4,)), device_speed=1e9, edge_speed=jnp.full(4, 2e9)
    )
    assert problem[1].batch_shape == ()
    assert problem[1:3].batch_shape == (2,)
    assert problem[np.array([True, False, True, True])].batch_shape == (3,)
    np.testing.assert_array_equal(problem[2].cycles, problem.cycles[2])
    assert float(problem[2].device_speed) == 1e9


@pytest.mark.parametrize("library", [np, jnp], ids=["numpy", "jax"])
def test_a_batch_is_a_sequence(library: Any) -> None:
    problem = jax.tree.map(library.asarray, cases.wide_problem(np.random.default_rng(0), 3, (4, 2)))
    rows = list(problem)
    assert len(problem) == len(rows) == 4
    for number, row in enumerate(rows):
        assert row.batch_shape == (2,)
        np.testing.assert_array_equal(row.cycles, problem.cycles[number])
        np.testing.assert_array_equal(problem[number - 4].data, row.data)
    np.testing.assert_array_equal(problem[..., 1].data, problem.data[:, 1])
    np.testing.assert_array_equal(problem[3, 1].edge_speed, problem.edge_speed[3, 1])
    costs = oj.chain_costs(problem)
    np.testing.assert_array_equal(list(costs)[2].transfer, costs.transfer[2])
    for index in (4, -5, (0, 2), (0, 0, 0), np.array([0, 4]), np.ones(3, bool)):
        with pytest.raises(IndexError):
            problem[index]
        with pytest.raises(IndexError):
            costs[index]


def test_one_problem_is_no_sequence() -> None:
    problem = oj.ChainProblem([1.0], [1.0, 1.0], 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(TypeError, match="ChainProblem has no length"):
        len(problem)
    with pytest.raises(TypeError, match="ChainProblem has no length"):
        iter(problem)
    with pytest.raises(IndexError):
        problem[0]


def test_rows_may_be_chosen_inside_jit() -> None:
    problem = jax.tree.map(jnp.asarray, cases.wide_problem(np.random.default_rng(0), 3, (4,)))
    row = jax.jit(lambda p, i: p[i])(problem, 2)
    np.testing.assert_array_equal(row.cycles, problem.cycles[2])


def test_one_subtask_of_a_chain() -> None:
    cut = changed().subtask(1)
    assert cut.num_subtasks == 1
    np.testing.assert_array_equal(cut.cycles, GOOD["cycles"][:, 1:2])
    np.testing.assert_array_equal(cut.data, GOOD["data"][:, 1:3])


def test_problems_are_pytrees_that_survive_a_pickle() -> None:
    problem = changed()
    leaves, structure = jax.tree.flatten(problem)
    assert len(leaves) == len(FIELDS)
    again = pickle.loads(pickle.dumps(jax.tree.unflatten(structure, leaves)))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(again, name), GOOD[name])


def test_arrays_are_not_copied() -> None:
    problem = changed()
    for name in FIELDS:
        assert getattr(problem, name) is GOOD[name]


def test_places_are_the_values_of_a_decision() -> None:
    assert [*oj.Place] == [0, 1, 2]
    assert [place.name for place in oj.Place] == ["DEVICE", "EDGE", "CLOUD"]
