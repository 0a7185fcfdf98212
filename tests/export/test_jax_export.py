"""Programs of `jax.export` whose batch is a symbol: written once, run at any size."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from jax import export

import offload_jax as oj
from tests.graphs.test_learned import POLICY
from tests.test_single import WEIGHTED, requests, student


def written_and_read(function: Callable[..., Any], leaves: list[Any]) -> Callable[..., Any]:
    """A function of arrays, serialised for batches of any size, and back."""
    (batch,) = export.symbolic_shape("batch")
    shapes = [jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    return export.deserialize(export.export(jax.jit(function))(*shapes).serialize()).call


POLICIES = {
    "short chains": (oj.solve, 6),
    "long chains": (lambda problem: oj.solve(problem, objective=WEIGHTED), 20),
    "enumeration": (lambda problem: oj.solve(problem, method="exhaustive", max_latency=10.0), 3),
    "a student": (student(), 6),
}


@pytest.mark.parametrize("name", POLICIES)
def test_chains(name: str) -> None:
    policy, num_subtasks = POLICIES[name]
    run = None
    for size in (1, 5000):
        problem = requests(size, size, num_subtasks, hostile=True)
        leaves = jax.tree.leaves(problem)
        run = run or written_and_read(
            lambda *fields: jax.tree.leaves(policy(oj.ChainProblem(*fields))), leaves
        )
        found, expected = run(*leaves), jax.tree.leaves(policy(problem))
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_metrics() -> None:
    problem = requests(5, 5, 3, hostile=False)
    leaves = jax.tree.leaves(problem)

    def measured(*fields: Any) -> list[Any]:
        problem = oj.ChainProblem(*fields)
        decision = oj.policies.greedy(problem)
        ratios = oj.metrics.normalized_latency(problem, decision)
        return [*ratios, *oj.metrics.accuracy(decision, oj.solve(problem).decision)]

    found = written_and_read(measured, leaves)(*leaves)
    for ours, theirs in zip(found, measured(*leaves), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_tables() -> None:
    rng = np.random.default_rng(0)
    leaves = [rng.random((7, 3, 4)), rng.random((7, 4, 4, 4))]
    leaves = [leaf.astype(np.float32) for leaf in leaves]
    run = written_and_read(lambda *fields: tuple(oj.solve(oj.ChainCosts(*fields))), leaves)
    for ours, theirs in zip(run(*leaves), oj.solve(oj.ChainCosts(*leaves)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_task_graphs() -> None:
    layered = oj.graphs.scenarios.layered(6)
    problem = oj.graphs.scenarios.sample(jax.random.key(1), layered, 32)
    leaves, structure = jax.tree.flatten(problem)
    run = written_and_read(
        lambda *fields: tuple(POLICY(jax.tree.unflatten(structure, fields))), leaves
    )
    for ours, theirs in zip(run(*leaves), POLICY(problem), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fields_that_do_not_fit_are_still_named() -> None:
    (a, b) = export.symbolic_shape("a, b")
    shapes = [(a, 6), (b, 7), (a,), (a,), (a,), (a,)]
    with pytest.raises(ValueError, match="data"):
        export.export(jax.jit(lambda *fields: oj.solve(oj.ChainProblem(*fields)).cost))(
            *[jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
        )
