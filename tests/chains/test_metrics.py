"""Aggregates against NumPy, worked cases, and decisions scored from end to end."""

import math

import jax
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle


def test_aggregates() -> None:
    rng = np.random.default_rng(0)
    optimal = cases.as_float32(rng.uniform(1, 2, (25, 4)))
    cost = cases.as_float32(optimal * rng.uniform(1, 3, (25, 4)))
    ratio = (cost / optimal).ravel()
    result = oj.metrics.aggregate(cost, optimal)
    expected = {
        "ratio_of_means": cost.mean() / optimal.mean(),
        "mean": ratio.mean(),
        "median": np.quantile(ratio, 0.5, method="higher"),
        "geometric_mean": math.exp(np.log(ratio).mean()),
        "p99": np.quantile(ratio, 0.99, method="higher"),
    }
    assert set(result._fields) == expected.keys()
    for name, value in expected.items():
        assert float(getattr(result, name)) == pytest.approx(value, rel=1e-5)


def test_aggregates_of_four_requests() -> None:
    result = oj.metrics.aggregate([1.0, 4.0, 2.0, 9.0], [1.0, 2.0, 2.0, 3.0])
    assert float(result.ratio_of_means) == 2.0  # 16 / 8
    assert float(result.mean) == 1.75  # ratios 1, 2, 1, 3
    assert float(result.geometric_mean) == pytest.approx(6**0.25)
    assert float(result.median) == 2.0
    assert float(result.p99) == 3.0


def test_nothing_to_do_counts_as_optimal() -> None:
    result = oj.metrics.aggregate([0.0, 3.0], [0.0, 3.0])
    assert [float(value) for value in result] == [1.0] * 5
    assert [float(value) for value in oj.metrics.aggregate([0.0], [0.0])] == [1.0] * 5
    assert float(oj.metrics.aggregate([1.0, 3.0], [0.0, 3.0]).mean) == math.inf


def test_an_impossible_decision_makes_the_means_infinite() -> None:
    result = oj.metrics.aggregate([math.inf, 2.0, 2.0], [1.0, 2.0, 2.0])
    assert float(result.ratio_of_means) == float(result.mean) == math.inf
    assert float(result.geometric_mean) == float(result.p99) == math.inf
    assert float(result.median) == 1.0


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0)], ids=["latency", "energy"])
def test_decisions_from_end_to_end(weights: tuple[float, float]) -> None:
    """Against the oracle's cost and optimum of every request."""
    problem = cases.wide_problem(np.random.default_rng(1), 3, (8,))
    chains = [cases.as_chain(problem[row]) for row in range(8)]
    decision = np.random.default_rng(2).integers(0, 3, (8, 3))
    cost = [oracle.weighted_cost(c, d, *weights) for c, d in zip(chains, decision, strict=True)]
    optimal = [oracle.optimum(chain, *weights)[1] for chain in chains]
    result = oj.metrics.normalized_latency(problem, decision, objective=oj.Objective(*weights))
    ratio = np.divide(cost, optimal)
    assert float(result.ratio_of_means) == pytest.approx(np.mean(cost) / np.mean(optimal), 1e-5)
    assert float(result.mean) == pytest.approx(ratio.mean(), rel=1e-5)
    assert float(result.p99) == pytest.approx(ratio.max(), rel=1e-5)


def test_the_optimum_is_one() -> None:
    problem = cases.as_problem(cases.chains(3))
    for decision in (oj.policies.optimal(problem), oj.policies.optimal_by_enumeration(problem)):
        for value in oj.metrics.normalized_latency(problem, decision):
            assert float(value) == pytest.approx(1.0, rel=1e-6)


def test_many_decisions_of_one_request() -> None:
    """All 27 against the same optimum."""
    problem = cases.wide_problem(np.random.default_rng(4), 3)
    decisions = np.array(list(oracle.all_decisions(3)))
    chain = cases.as_chain(problem)
    costs = [oracle.latency(chain, decision) for decision in decisions.tolist()]
    result = oj.metrics.normalized_latency(problem, decisions)
    assert float(result.mean) == pytest.approx(np.mean(costs) / min(costs), rel=1e-5)


def test_percentiles_differentiate() -> None:
    """As the request that they are taken from; a cost over an optimum of 2 counts half."""
    cost, optimal = np.array([4.0, 2.0, 3.0, 8.0]), np.full(4, 2.0)
    for name, expected in (("median", [0.5, 0, 0, 0]), ("p99", [0, 0, 0, 0.5])):
        gradient = jax.grad(
            lambda cost, name=name: getattr(oj.metrics.aggregate(cost, optimal), name)
        )
        np.testing.assert_allclose(gradient(cost), expected)


def test_metrics_inside_jit() -> None:
    problem = cases.wide_problem(np.random.default_rng(3), 3, (8,))
    decision = oj.policies.edge(problem)
    outside = oj.metrics.normalized_latency(problem, decision)
    inside = jax.jit(oj.metrics.normalized_latency)(problem, decision)
    np.testing.assert_allclose(inside, outside, rtol=1e-6)


def test_accuracy() -> None:
    label = np.array([[[0, 1, 2], [2, 2, 2]], [[1, 1, 1], [0, 0, 0]]])
    decision = np.array([[[0, 1, 2], [2, 2, 0]], [[1, 0, 1], [0, 1, 1]]])
    result = oj.metrics.accuracy(decision, label)
    np.testing.assert_array_equal(result.per_subtask, [1.0, 0.5, 0.5])
    assert float(result.mean) == pytest.approx(8 / 12)
    assert float(result.whole_decision) == 0.25


def test_accuracy_needs_shapes_that_fit() -> None:
    with pytest.raises(ValueError, match=r"^label: shape \(3,\) is not \(2, 3\)"):
        oj.metrics.accuracy([[0, 1, 2], [0, 1, 2]], [0, 1, 2])
