"""Greedy decisions against the oracle's, ties and dead links included."""

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import greedy
from tests import cases, oracle


@pytest.mark.parametrize(
    ("num_subtasks", "count_return"),
    [(1, False), (1, True), (2, True), (6, False), (6, True), (17, True), (32, False), (50, True)],
)
def test_greedy(num_subtasks: int, count_return: bool) -> None:
    listed = cases.chains(num_subtasks)
    policy = oj.policies.greedy_with_return if count_return else oj.policies.greedy
    decision = policy(cases.as_problem(listed))
    assert decision.dtype == np.int8
    expected = [oracle.greedy(chain, count_return) for chain in listed]
    np.testing.assert_array_equal(decision, expected)


@pytest.mark.parametrize("batch", [(0,), (3, 0)])
def test_greedy_about_nothing(batch: tuple[int, ...]) -> None:
    problem = oj.ChainProblem(np.ones((*batch, 17)), np.ones((*batch, 18)), 1.0, 1.0, 1.0, 1.0)
    assert oj.policies.greedy(problem).shape == (*batch, 17)


def test_greedy_of_one_place() -> None:
    costs = oj.ChainCosts(np.ones((5, 33, 1)), np.ones((5, 34, 1, 1)))
    np.testing.assert_array_equal(greedy.greedy(costs, oj.LATENCY), np.zeros((5, 33)))


def test_greedy_on_a_table() -> None:
    """Cheap at once, dear later: greedy falls for it, and only its return leg is looked at."""
    execution = [[5.0, 0.0], [9.0, 1.0]]
    transfer = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [8.5, 0.0]]]
    costs = oj.ChainCosts(execution, transfer)
    np.testing.assert_array_equal(greedy.greedy(costs, oj.LATENCY), [1, 1])
    transfer[2][1][0] = 9.5
    costs = oj.ChainCosts(execution, transfer)
    np.testing.assert_array_equal(greedy.greedy(costs, oj.LATENCY), [1, 1])
    with_return = greedy.greedy(costs, oj.LATENCY, count_return=True)
    np.testing.assert_array_equal(with_return, [1, 0])


def test_greedy_sits_in_jit_and_vmap() -> None:
    problem = cases.wide_problem(np.random.default_rng(0), 6, (5,))
    one_by_one = np.stack([oj.policies.greedy(problem[row]) for row in range(5)])
    np.testing.assert_array_equal(jax.jit(jax.vmap(oj.policies.greedy))(problem), one_by_one)
