"""Requests and the quality of decisions about them."""

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks.delay import pool
from tests import oracle


def test_quality_is_that_of_the_library() -> None:
    requests = pool.Requests(300, seed=5)
    decision = np.asarray(oj.policies.greedy(requests.problem))
    expected = oj.metrics.normalized_latency(requests.problem, decision)._asdict()
    found = requests.quality(slice(None), decision)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-5)


def test_quality_of_some_requests_is_about_those() -> None:
    requests = pool.Requests(50, seed=1)
    which = np.array([3, 7, 20])
    local = np.zeros((3, 6), np.int8)
    ratio = pool.latency(requests.problem[which], local) / requests.optimum[which]
    assert requests.quality(which, local)["mean"] == pytest.approx(ratio.mean())
    assert requests.quality(slice(0, 50), oj.solve(requests.problem).decision)["p99"] == 1.0


def test_latency_is_the_models_even_on_dead_links() -> None:
    cycles, data = np.array([1e9, 0.0, 3e8]), np.array([2e6, 0.0, 1e6, 3e5])
    generator = np.random.default_rng(0)
    for bandwidths in ((1e6, 2e6), (0.0, 2e6), (1e6, 0.0), (0.0, 0.0)):
        scalars = (4e8, 2e9, *bandwidths)
        decisions = generator.integers(0, 3, (20, 3)).astype(np.int8)
        problem = jax.tree.map(
            lambda x: np.broadcast_to(x, (20, *x.shape)),
            oj.ChainProblem(cycles, data, *map(np.float64, scalars)),
        )
        chain = oracle.Chain(tuple(cycles), tuple(data), *scalars)
        expected = [oracle.latency(chain, tuple(map(int, decision))) for decision in decisions]
        np.testing.assert_allclose(pool.latency(problem, decisions), expected)


@pytest.mark.parametrize(
    ("size", "starts"), [(10, {0, 10, 20, 30}), (97, {0, 1, 2, 3}), (100, {0})]
)
def test_batches_rotate_where_there_are_enough_requests(size: int, starts: set[int]) -> None:
    slices = pool.Requests(100, seed=0).rotation(size)
    assert all(each.stop - each.start == size and each.stop <= 100 for each in slices)
    assert {each.start for each in slices} == starts


def test_requests_are_the_same_for_a_seed_and_of_the_length_asked_for() -> None:
    first, second = (pool.Requests(5, seed=2, num_subtasks=9) for _ in range(2))
    np.testing.assert_array_equal(first.problem.data, second.problem.data)
    assert first.problem.cycles.shape == (5, 9)
    cycles, _, device_speed, *_ = first.singles[3]
    np.testing.assert_array_equal(cycles, first.problem.cycles[3])
    assert isinstance(device_speed, float)
