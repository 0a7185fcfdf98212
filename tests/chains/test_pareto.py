"""The front is the brute-force front, one by one, in bulk and for long chains."""

import dataclasses

import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle


def _sample(seed: int, num_subtasks: int, batch: tuple[int, ...] = ()) -> oj.ChainProblem:
    """A fast and thirsty device has the most to trade."""
    rng = np.random.default_rng(seed)
    return dataclasses.replace(
        cases.wide_problem(rng, num_subtasks, batch),
        device_speed=rng.uniform(1e9, 4e9, batch),
        device_edge_bandwidth=rng.uniform(1e6, 2e6, batch),
    )


def _assert_front(front: list[tuple], latency: np.ndarray, energy: np.ndarray) -> None:
    # Float64 sums in another order: points may differ, or coincide, in the last digits.
    expected = [front[0]]
    for point in front[1:]:
        if point[0] > expected[-1][0] * (1 + 1e-12):
            if point[1] < expected[-1][1] * (1 - 1e-12):
                expected.append(point)
        else:
            expected[-1] = point
    np.testing.assert_allclose(np.stack([latency, energy], -1), expected, rtol=1e-9)


def test_front_is_the_brute_force_front() -> None:
    problem = _sample(0, 5, (25,))
    power = oj.PowerModel(idle_watts=0.3)
    bulk = oj.pareto_fronts(problem, power)
    lengths = []
    for i in range(25):
        chain = cases.as_chain(problem[i])
        expected = oracle.pareto_front(chain, oracle.Power(idle=0.3))
        front = oj.pareto_front(problem[i], power)
        _assert_front(expected, front.latency, front.energy)
        valid = bulk.valid[i]
        _assert_front(expected, bulk.latency[i][valid], bulk.energy[i][valid])
        lengths.append(len(expected))
        for points in (front, oj.ParetoFront(*(np.asarray(v[i][valid]) for v in bulk[:3]))):
            for seconds, joules, decision in zip(*points, strict=True):
                assert oracle.latency(chain, decision) == pytest.approx(seconds, rel=1e-9)
                spent = oracle.energy(chain, decision, oracle.Power(idle=0.3))
                assert spent == pytest.approx(joules, rel=1e-9)
    assert max(lengths) >= 4
    assert bulk.latency.shape == (25, max(lengths))


def test_long_chain_ends_at_both_optima() -> None:
    problem = _sample(1, 50)
    front = oj.pareto_front(problem)
    assert front.decision.shape == (len(front.latency), 50)
    assert (np.diff(front.latency) > 0).all()
    assert (np.diff(front.energy) < 0).all()
    np.testing.assert_allclose(front.latency[0], oj.solve(problem).cost, rtol=1e-5)
    least = oj.solve(problem, objective=oj.ENERGY).cost
    np.testing.assert_allclose(front.energy[-1], least, rtol=1e-5)
    np.testing.assert_allclose(oj.latency(problem, front.decision), front.latency, rtol=1e-5)


def test_dead_links_leave_one_point() -> None:
    problem = oj.ChainProblem([1e9], [1.0, 1.0], 1e9, 1e9, 0.0, 0.0)
    front = oj.pareto_front(problem)
    assert front.decision.tolist() == [[0]]
    bulk = oj.pareto_fronts(problem)
    assert bulk.valid.tolist() == [True]
    np.testing.assert_allclose([front.energy[0], bulk.energy[0]], 1.0)


def test_bulk_keeps_batch_dimensions() -> None:
    problem = oj.ChainProblem(
        [2e9, 1e9], [1e6, 2e6, 1e5], 2e9, 5e9, np.full((3, 1), 1e6), [1e6] * 2
    )
    bulk = oj.pareto_fronts(problem)
    assert bulk.valid.shape[:2] == (3, 2)
    assert bulk.decision.shape == (*bulk.valid.shape, 2)


def test_tables_of_more_places() -> None:
    generator = np.random.default_rng(0)
    tables = [oj.ChainCosts(generator.random((3, 5)), generator.random((4, 5, 5))) for _ in "ab"]
    front = oj.pareto_front_of_costs(*tables)
    points = np.array(
        [
            [oracle.table_cost(t.execution, t.transfer, d) for t in tables]
            for d in oracle.all_decisions(3, 5)
        ]
    )
    beaten = (
        (points[:, None] >= points[None]).all(-1) & (points[:, None] > points[None]).any(-1)
    ).any(1)
    expected = points[~beaten]
    expected = expected[np.argsort(expected[:, 0])]
    np.testing.assert_allclose(np.stack([front.latency, front.energy], -1), expected)


def test_bad_arguments_are_refused() -> None:
    problem = _sample(0, 4, (2,))
    with pytest.raises(ValueError, match="use pareto_fronts"):
        oj.pareto_front(problem)
    with pytest.raises(ValueError, match="too many"):
        oj.pareto_fronts(_sample(0, 20, (2,)))
    with pytest.raises(ValueError, match="first: must be the costs of one chain"):
        oj.pareto_front_of_costs(oj.chain_costs(problem), oj.chain_costs(problem))
    with pytest.raises(ValueError, match=r"second: execution \(4, 3\) must have the shape"):
        oj.pareto_front_of_costs(oj.chain_costs(_sample(0, 5)), oj.chain_costs(_sample(0, 4)))
