"""Limits on latency and energy: every method finds what looking at everything finds."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import label_setting
from offload_jax.chains.costs import costs_terms
from tests import oracle

SMALL = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=4)
METHODS = ("exhaustive", "label_setting", "cpsat")


def _chains(problem: oj.ChainProblem) -> list[oracle.Chain]:
    return [
        oracle.Chain(*(np.asarray(leaf)[i] for leaf in jax.tree.leaves(problem)))
        for i in range(problem.batch_shape[0])
    ]


def _limits(values: np.ndarray, seed: int) -> np.ndarray:
    return values * np.random.default_rng(seed).uniform(0.8, 2.0, values.shape)


@pytest.mark.parametrize("method", METHODS)
def test_least_energy_in_time_and_least_latency_in_budget(method: str) -> None:
    problem = oj.scenarios.sample(jax.random.key(0), SMALL, 15)
    seconds = _limits(np.asarray(oj.solve(problem).cost, float), 0)
    joules = _limits(np.asarray(oj.solve(problem, objective=oj.ENERGY).cost, float), 1)
    in_time = oj.solve(problem, method=method, objective=oj.ENERGY, max_latency=seconds)
    in_budget = oj.solve(problem, method=method, max_energy=joules)
    infeasible = 0
    for i, chain in enumerate(_chains(problem)):
        for solution, best in (
            (in_time, oracle.least_energy_within_latency(chain, seconds[i])),
            (in_budget, oracle.least_latency_within_energy(chain, joules[i])),
        ):
            assert bool(solution.optimal[i])
            if best is None:
                infeasible += 1
                assert math.isinf(solution.cost[i])
                assert not np.asarray(solution.decision[i]).any()
            else:
                np.testing.assert_allclose(solution.cost[i], best[1], rtol=1e-5)
    assert 0 < infeasible < 30


@pytest.mark.parametrize("method", METHODS)
def test_weighted_objective_under_both_limits(method: str) -> None:
    power = oj.PowerModel(idle_watts=0.2)
    objective = oj.Objective(1.0, 3.0, power)
    problem = oj.scenarios.sample(jax.random.key(1), SMALL, 12)
    solution = oj.solve(
        problem, method=method, objective=objective, max_latency=20.0, max_energy=6.0
    )
    for i, chain in enumerate(_chains(problem)):
        watts = oracle.Power(idle=0.2)
        allowed = [
            oracle.weighted_cost(chain, d, 1.0, 3.0, watts)
            for d in oracle.all_decisions(4)
            if oracle.latency(chain, d) <= 20 and oracle.energy(chain, d, watts) <= 6
        ]
        np.testing.assert_allclose(solution.cost[i], min(allowed, default=math.inf), rtol=1e-5)


def test_enumeration_takes_the_lexicographically_smallest_of_equals() -> None:
    problem = oj.ChainProblem([0.0, 0.0], [0.0, 0.0, 0.0], 1e8, 1e9, 1e6, 1e6)
    assert oj.solve(problem, max_latency=1.0).decision.tolist() == [0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_the_limit_itself_is_allowed(method: str) -> None:
    problem = oj.scenarios.sample(jax.random.key(2), oj.scenarios.WIDE, 12)
    fastest = oj.solve(problem).cost
    solution = oj.solve(problem, method=method, max_latency=fastest)
    np.testing.assert_allclose(solution.cost, fastest, rtol=2e-6)


def test_limits_broadcast_with_the_batch() -> None:
    problem = oj.scenarios.sample(jax.random.key(3), SMALL, 3)
    limits = np.array([[1.0], [5.0], [25.0], [math.inf]])
    for method in ("exhaustive", "label_setting"):
        solution = oj.solve(problem, method=method, objective=oj.ENERGY, max_latency=limits)
        assert solution.cost.shape == (4, 3)
        # More time never costs more energy.
        assert (np.asarray(solution.cost)[1:] <= np.asarray(solution.cost)[:-1]).all()
        np.testing.assert_allclose(
            solution.cost[-1], oj.solve(problem, objective=oj.ENERGY).cost, rtol=1e-6
        )


def test_long_chains_agree_with_cpsat() -> None:
    scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=30)
    problem = oj.scenarios.sample(jax.random.key(4), scenario, 3)
    limit = 1.05 * oj.solve(problem).cost
    options = {"objective": oj.ENERGY, "max_latency": limit}
    np.testing.assert_allclose(
        oj.solve(problem, **options).cost,
        oj.solve(problem, method="cpsat", **options).cost,
        rtol=1e-5,
    )


def test_dead_links_and_idle_power_zero() -> None:
    problem = oj.ChainProblem([1e9, 1e9], [1e6, 1e6, 1e6], 1e9, 1e10, 1e6, 0.0)
    for method in METHODS:
        solution = oj.solve(problem, method=method, objective=oj.ENERGY, max_latency=10.0)
        np.testing.assert_allclose(solution.cost, 2.0, rtol=1e-5)


def test_works_under_jit_vmap_and_grad() -> None:
    problem = oj.scenarios.sample(jax.random.key(5), oj.scenarios.WIDE, 8)
    limits = 1.2 * oj.solve(problem).cost

    def least(chain: oj.ChainProblem, limit: jax.Array) -> jax.Array:
        return oj.solve(chain, objective=oj.ENERGY, max_latency=limit).cost

    expected = least(problem, limits)
    np.testing.assert_allclose(jax.jit(least)(problem, limits), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(least)(problem, limits), expected, rtol=1e-6)
    slope = jax.grad(lambda chain: least(chain, jnp.float32(math.inf)))(problem[0])
    np.testing.assert_allclose(
        np.sum(slope.cycles * problem[0].cycles) + np.sum(slope.data * problem[0].data),
        least(problem[0], jnp.float32(math.inf)),
        rtol=1e-4,
    )


def test_label_setting_is_the_front_of_any_two_tables() -> None:
    generator = np.random.default_rng(0)
    tables = [
        oj.ChainCosts(generator.integers(0, 5, (4, 4)), generator.integers(0, 5, (5, 4, 4)))
        for _ in range(2)
    ]
    points = {
        tuple(oracle.table_cost(table.execution, table.transfer, d) for table in tables)
        for d in itertools.product(range(4), repeat=4)
    }
    front = sorted(
        p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)
    )
    found = label_setting.front(*(costs_terms(table, library=np) for table in tables))
    assert list(zip(found.first, found.second, strict=True)) == front
    for first, second, decision in zip(*found, strict=True):
        scores = [oracle.table_cost(t.execution, t.transfer, decision) for t in tables]
        assert scores == [first, second]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_latency": -1.0}, "max_latency = -1.0: a limit must not be negative or NaN"),
        ({"max_energy": [1.0, math.nan]}, r"max_energy\[1\] = nan"),
        ({"max_latency": np.ones(3)}, r"max_latency: shape \(3,\) does not broadcast"),
        ({"max_latency": "soon"}, "max_latency: must hold real numbers"),
        ({"max_latency": 1.0, "method": "dp"}, "does not take max_latency"),
        ({"method": "label_setting"}, "needs max_latency or max_energy"),
    ],
)
def test_bad_limits_are_refused(options: dict, message: str) -> None:
    problem = oj.scenarios.sample(jax.random.key(0), SMALL, 2)
    with pytest.raises(ValueError, match=message):
        oj.solve(problem, **options)


def test_a_table_has_no_latency() -> None:
    problem = oj.scenarios.sample(jax.random.key(0), SMALL, 2)
    with pytest.raises(ValueError, match="give a ChainProblem"):
        oj.solve(oj.chain_costs(problem), max_latency=1.0)


def test_label_setting_cannot_be_traced() -> None:
    problem = oj.scenarios.sample(jax.random.key(0), SMALL, 2)
    with pytest.raises(ValueError, match="cannot be traced"):
        jax.jit(lambda p: oj.solve(p, method="label_setting", max_latency=1.0).cost)(problem)
