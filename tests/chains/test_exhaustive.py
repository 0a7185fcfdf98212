"""What only enumeration does: order of decisions, limits on size, memory that stays small."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import exhaustive
from offload_jax.chains.costs import costs_terms
from tests import cases, oracle


@pytest.mark.parametrize(("num_subtasks", "num_places"), [(1, 3), (4, 3), (3, 4)])
def test_scores_of_all_decisions(num_subtasks: int, num_places: int) -> None:
    costs = cases.integer_table(np.random.default_rng(0), num_subtasks, num_places, high=9)
    scores = exhaustive.score_all(costs_terms(costs))
    assert scores.shape == (num_places,) * num_subtasks
    decisions = list(oracle.all_decisions(num_subtasks, num_places))
    expected = [oracle.table_cost(costs.execution, costs.transfer, d) for d in decisions]
    np.testing.assert_array_equal(scores.reshape(-1), expected)
    numbers = jnp.arange(len(decisions))
    np.testing.assert_array_equal(exhaustive.unravel(numbers, num_subtasks, num_places), decisions)


def test_a_batch_of_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 7 chains, the last one not full, give what the dynamic program gives."""
    problem = cases.wide_problem(np.random.default_rng(1), 3, (5, 6))
    monkeypatch.setattr(exhaustive, "CHUNK_SCORES", 7 * 27)
    decision, cost = jax.jit(lambda p: exhaustive.minimize(p, oj.LATENCY))(problem)
    expected = oj.solve(problem, method="dp")
    assert decision.shape == (5, 6, 3)
    np.testing.assert_allclose(cost, expected.cost, rtol=1e-6)
    np.testing.assert_array_equal(decision, expected.decision)


@pytest.mark.parametrize(("num_subtasks", "num_places"), [(14, 3), (21, 2), (8, 7), (1000, 3)])
def test_too_many_decisions(num_subtasks: int, num_places: int) -> None:
    costs = cases.random_table(np.random.default_rng(0), num_subtasks, num_places)
    message = re.escape(f"{num_places}^{num_subtasks}") + '.*"dp".*"cpsat"'
    with pytest.raises(ValueError, match=message):
        oj.solve(costs, method="exhaustive")
    with pytest.raises(ValueError, match=message):
        jax.jit(lambda c: oj.solve(c, method="exhaustive"))(jax.tree.map(jnp.asarray, costs))


def test_memory_does_not_grow_with_the_batch() -> None:
    """A million requests: 729 scores each would be 2.9 GB at once. Compiled, not run."""
    num = 1_000_000
    shapes = [(num, 6), (num, 7), (num,), (num,), (num,), (num,)]
    problem = oj.ChainProblem(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    for method in ("exhaustive", "dp"):
        compiled = jax.jit(lambda p, m=method: oj.solve(p, method=m)).lower(problem).compile()
        memory = compiled.memory_analysis()
        total = memory.temp_size_in_bytes + memory.output_size_in_bytes
        assert total < 2**28
