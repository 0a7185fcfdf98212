"""Inserting keeps the optimum; merging gives the best of all merges."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import offload_jax as oj
from tests import cases, oracle

resize_with_segments = jax.jit(oj.resize_with_segments, static_argnames="num_subtasks")


def _sample(num_subtasks: int, num: int, seed: int = 0) -> oj.ChainProblem:
    return cases.wide_problem(np.random.default_rng(seed), num_subtasks, (num,))


@settings(max_examples=10)
@given(st.sampled_from([1, 4]), st.sampled_from([0, 2]), st.integers(0, 1000))
def test_inserting_keeps_the_optimum(num_subtasks: int, extra: int, seed: int) -> None:
    problem = _sample(num_subtasks, 3, seed)
    resized = resize_with_segments(problem, num_subtasks + extra)
    assert resized.problem.num_subtasks == num_subtasks + extra
    before, after = oj.solve(problem), oj.solve(resized.problem)
    np.testing.assert_allclose(after.cost, before.cost, rtol=1e-5)
    expanded = resized.expand(after.decision)
    np.testing.assert_allclose(oj.latency(problem, expanded), before.cost, rtol=1e-5)


@settings(max_examples=10)
@given(st.sampled_from([3, 8]), st.sampled_from([1, 5]), st.integers(0, 1000))
def test_merging_never_helps_and_keeps_totals(num_subtasks: int, fewer: int, seed: int) -> None:
    problem = _sample(num_subtasks, 3, seed)
    num = max(1, num_subtasks - fewer)
    resized = resize_with_segments(problem, num)
    merged = resized.problem
    oj.validate(merged)
    np.testing.assert_allclose(merged.cycles.sum(-1), problem.cycles.sum(-1), rtol=1e-5)
    np.testing.assert_array_equal(
        np.asarray(merged.data)[:, [0, -1]], np.float32(problem.data)[:, [0, -1]]
    )
    steps = np.diff(np.asarray(resized.segment), axis=-1)
    assert ((steps == 0) | (steps == 1)).all()
    assert (np.asarray(resized.segment)[:, [0, -1]] == [0, num - 1]).all()
    best = oj.solve(merged)
    assert (np.asarray(best.cost) >= np.asarray(oj.solve(problem).cost) * (1 - 1e-5)).all()
    expanded = oj.latency(problem, resized.expand(best.decision))
    np.testing.assert_allclose(expanded, best.cost, rtol=1e-5)


@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("objective", [oj.LATENCY, oj.Objective(1.0, 2.0)], ids=["s", "s+J"])
def test_merging_is_the_best_of_all_merges(num: int, objective: oj.Objective) -> None:
    problem = _sample(6, 12, seed=5)
    found = oj.solve(oj.resize(problem, num, objective=objective), objective=objective).cost
    for i in range(12):
        chain = oracle.Chain(*(np.asarray(leaf, float)[i] for leaf in jax.tree.leaves(problem)))
        costs = []
        for inner in itertools.combinations(range(1, 6), num - 1):
            cuts = (0, *inner, 6)
            merged = chain._replace(
                cycles=tuple(sum(chain.cycles[a:b]) for a, b in itertools.pairwise(cuts)),
                data=tuple(chain.data[c] for c in cuts),
            )
            weights = (objective.latency_weight, objective.energy_weight)
            costs.append(oracle.optimum(merged, *weights)[1])
        np.testing.assert_allclose(found[i], min(costs), rtol=1e-5)


def test_merging_broadcast_problems_gives_each_its_own_merge() -> None:
    problem = oj.ChainProblem(
        cycles=np.array([1e9, 2e9, 1e8, 5e8]),
        data=np.array([1e6, 1e4, 1e6, 1e3, 1e5]),
        device_speed=5e8,
        edge_speed=5e9,
        device_edge_bandwidth=np.array([[1e5], [1e7]]),
        edge_cloud_bandwidth=np.array([1e4, 1e6, 1e8]),
    )
    merged = jax.jit(lambda p: oj.resize(p, 2))(problem)
    assert merged.cycles.shape == (2, 3, 2)
    assert merged.batch_shape == (2, 3)
    single = oj.resize(problem[1, 2], 2)
    np.testing.assert_allclose(single.cycles, merged.cycles[1, 2])


def test_spare_cuts_are_those_of_least_data() -> None:
    # Everything stays on the device, so no cut is needed.
    problem = oj.ChainProblem([1e6] * 4, [1e6, 7e6, 1e6, 3e6, 1e6], 1e9, 1e9, 0.0, 0.0)
    resized = oj.resize_with_segments(problem, 3)
    assert resized.segment.tolist() == [0, 0, 1, 2]
    np.testing.assert_allclose(resized.problem.data, [1e6, 1e6, 3e6, 1e6])


def test_same_length_is_the_same_problem() -> None:
    problem = _sample(3, 2)
    assert oj.resize(problem, 3) is problem


@pytest.mark.parametrize("num", [0, -2])
def test_bad_length_is_refused(num: int) -> None:
    with pytest.raises(ValueError, match="num_subtasks = .*: must be an integer of at least 1"):
        oj.resize(_sample(3, 2), num)
