"""Limits on latency and energy: every method finds what looking at everything finds."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import label_setting
from offload_jax.chains.costs import costs_terms
from tests import cases, oracle

DECISIONS = list(oracle.all_decisions(4))
METHODS = ("exhaustive", "label_setting", "cpsat")


def _sample(seed: int, num_subtasks: int = 4, num: int = 12) -> oj.ChainProblem:
    return cases.wide_problem(np.random.default_rng(seed), num_subtasks, (num,))


def _limits(values: np.ndarray, seed: int) -> np.ndarray:
    return values * np.random.default_rng(seed).uniform(0.8, 2.0, values.shape)


@pytest.mark.parametrize("method", METHODS)
def test_least_energy_in_time_and_least_latency_in_budget(method: str) -> None:
    problem = _sample(0)
    seconds = _limits(np.asarray(oj.solve(problem).cost, float), 0)
    joules = _limits(np.asarray(oj.solve(problem, objective=oj.ENERGY).cost, float), 1)
    in_time = oj.solve(problem, method=method, objective=oj.ENERGY, max_latency=seconds)
    in_budget = oj.solve(problem, method=method, max_energy=joules)
    infeasible = 0
    for i, chain in enumerate(map(cases.as_chain, problem)):
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
    assert 0 < infeasible < 24


@pytest.mark.parametrize("method", METHODS)
def test_weighted_objective_under_both_limits(method: str) -> None:
    power = oj.PowerModel(idle_watts=0.2)
    objective = oj.Objective(1.0, 3.0, power)
    problem = _sample(1)
    solution = oj.solve(
        problem, method=method, objective=objective, max_latency=20.0, max_energy=6.0
    )
    for i, chain in enumerate(map(cases.as_chain, problem)):
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
    problem = _sample(2)
    fastest = oj.solve(problem).cost
    solution = oj.solve(problem, method=method, max_latency=fastest)
    np.testing.assert_allclose(solution.cost, fastest, rtol=2e-6)


def test_limits_broadcast_with_the_batch() -> None:
    problem = _sample(3)
    limits = np.array([[1.0], [5.0], [25.0], [math.inf]])
    for method in ("exhaustive", "label_setting"):
        solution = oj.solve(problem, method=method, objective=oj.ENERGY, max_latency=limits)
        assert solution.cost.shape == (4, 12)
        # More time never costs more energy.
        assert (np.asarray(solution.cost)[1:] <= np.asarray(solution.cost)[:-1]).all()
        np.testing.assert_allclose(
            solution.cost[-1], oj.solve(problem, objective=oj.ENERGY).cost, rtol=1e-6
        )


def test_long_chains_agree_with_cpsat() -> None:
    problem = _sample(4, num_subtasks=40, num=3)
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
    problem = jax.tree.map(jnp.asarray, _sample(5))
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
        ({"max_energy": [[1.0], [math.nan]]}, r"max_energy\[1, 0\] = nan"),
        ({"max_latency": np.ones(3)}, r"max_latency: batch dimensions \(3,\) do not broadcast"),
        ({"max_latency": "soon"}, "max_latency: must be an array of numbers, got 'soon'"),
        (
            {"max_latency": 1.0, "method": "dp"},
            'max_latency: not for method "dp", only for "exhaustive", "label_setting"',
        ),
        ({"method": "label_setting"}, "needs max_latency or max_energy"),
    ],
)
def test_bad_limits_are_refused(options: dict, message: str) -> None:
    problem = _sample(0)
    with pytest.raises(ValueError, match=message):
        oj.solve(problem, **options)


def test_a_table_has_no_latency_but_a_second_table() -> None:
    problem, costs = _sample(0), oj.chain_costs(_sample(0))
    with pytest.raises(ValueError, match=r"give a ChainProblem, or limit=\(table, most\)"):
        oj.solve(costs, max_latency=1.0)
    with pytest.raises(ValueError, match="limit: for tables .* has max_latency and max_energy"):
        oj.solve(problem, limit=(costs, 1.0))
    with pytest.raises(ValueError, match="limit: must be a pair"):
        oj.solve(costs, limit=(costs, None))
    for limit, message in (
        ((costs.subtask(0), 1.0), "^limit.0.: execution .* other subtasks or places"),
        ((costs, -1.0), "^limit = -1.0: a limit must not be negative"),
        ((costs, "soon"), "^limit: must hold real numbers|^limit: must be an array"),
        ((costs, np.ones(5)), "^limit: batch dimensions"),
        ((costs[:5], 1.0), "^limit.0.: batch dimensions"),
    ):
        with pytest.raises(ValueError, match=message):
            oj.solve(costs, limit=limit)
    with pytest.raises(ValueError, match='not for method "dp", only for "exhaustive", "label'):
        oj.solve(costs, method="dp", limit=(costs, 1.0))


@pytest.mark.parametrize("method", ["auto", "exhaustive", "cpsat"])
def test_least_of_a_table_within_another(method: str) -> None:
    """Five places; the limits go from those that none meets to those that all do."""
    rng = np.random.default_rng(2)
    costs, other = (
        oj.ChainCosts(rng.integers(0, 9, (2, 3, 5)), rng.integers(0, 9, (2, 4, 5, 5)))
        for _ in range(2)
    )
    limits = np.array([[1.0], [14.0], [20.0], [math.inf]])
    solution = oj.solve(costs, method=method, limit=(other, limits))
    assert solution.cost.shape == (4, 2) and np.asarray(solution.optimal).all()
    infeasible = 0
    for row, limit in enumerate(limits[:, 0]):
        for i in range(2):
            scores = [
                oracle.table_cost(costs.execution[i], costs.transfer[i], d)
                for d in itertools.product(range(5), repeat=3)
                if oracle.table_cost(other.execution[i], other.transfer[i], d) <= limit
            ]
            infeasible += not scores
            assert float(solution.cost[row, i]) == min(scores, default=math.inf)
            if scores:
                found = np.asarray(solution.decision[row, i])
                assert float(oj.evaluate(other[i], found)) <= limit
                assert float(oj.evaluate(costs[i], found)) == min(scores)
    assert 0 < infeasible < 4


def test_a_limited_table_is_the_limited_problem_also_under_transformations() -> None:
    problem = _sample(6, num=3)
    seconds, joules = oj.chain_costs(problem), oj.chain_costs(problem, oj.ENERGY)
    limits = 1.3 * oj.solve(problem).cost
    expected = oj.solve(problem, objective=oj.ENERGY, max_latency=limits)

    def least(joules: oj.ChainCosts, seconds: oj.ChainCosts, most: jax.Array) -> oj.Solution:
        return oj.solve(joules, limit=(seconds, most))

    for function in (least, jax.jit(least), jax.vmap(least)):
        found = function(joules, seconds, limits)
        np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-5)


def _long_chain(rng: np.random.Generator, num_subtasks: int) -> tuple[oracle.Chain, oracle.Power]:
    """Whole seconds and whole joules, with many ties: cycles at 1 and 4 a second, 1 or 2 bytes."""
    cycles = 4.0 * rng.integers(0, 3, num_subtasks)
    data = 1.0 * rng.integers(0, 3, num_subtasks + 1)
    return oracle.Chain(cycles, data, 1.0, 4.0, 1.0, 0.5), oracle.Power(1.0, 2.0, 1.0, 0.0)


def _least_energy_by_seconds(chain: oracle.Chain, power: oracle.Power, limit: int) -> float:
    """The knapsack recursion over (place, seconds spent), for times that are whole seconds."""
    spent = np.full((3, limit + 1), math.inf)
    spent[0, 0] = 0.0
    for t in range(len(chain.cycles) + 1):
        after = np.full_like(spent, math.inf)
        for source, target in itertools.product(range(3), range(3)):
            seconds = oracle.transfer_seconds(chain, t, source, target)
            joules = oracle.transfer_joules(chain, t, source, target, power)
            if t < len(chain.cycles):
                seconds += oracle.execution_seconds(chain, t, target)
                joules += oracle.execution_joules(chain, t, target, power)
            elif target:
                continue
            assert seconds == int(seconds)
            if seconds <= limit:
                moved = spent[source, : limit + 1 - int(seconds)] + joules
                after[target, int(seconds) :] = np.minimum(after[target, int(seconds) :], moved)
        spent = after
    return float(spent[0].min())


def test_long_chains_within_limits_work_under_transformations() -> None:
    """20 subtasks are too many to enumerate: label setting answers, from the host."""
    rng = np.random.default_rng(8)
    chains, powers = zip(*(_long_chain(rng, 20) for _ in range(3)), strict=True)
    objective = oj.Objective(0.0, 1.0, oj.PowerModel(*powers[0]))
    problem = jax.tree.map(jnp.asarray, cases.as_problem(chains))

    def least(problem: oj.ChainProblem, limit: jax.Array) -> oj.Solution:
        return oj.solve(problem, objective=objective, max_latency=limit)

    slowest = [sum(chain.cycles) for chain in chains]
    limits = jnp.array([0.5 * slowest[0] // 1, 0.7 * slowest[1] // 1, 0.0])
    expected = [
        _least_energy_by_seconds(c, p, int(limit))
        for c, p, limit in zip(chains, powers, limits, strict=True)
    ]
    assert math.isfinite(expected[0]) and math.isfinite(expected[1]) and expected[2] == math.inf
    plain = least(problem, limits)
    assert isinstance(plain.cost, np.ndarray) and plain.cost.dtype == np.float64
    np.testing.assert_array_equal(plain.cost, expected)
    for function in (jax.jit(least), jax.vmap(least), jax.jit(jax.vmap(least))):
        traced = function(problem, limits)
        np.testing.assert_array_equal(traced.cost, expected)
        np.testing.assert_array_equal(traced.decision, plain.decision)
        assert traced.optimal.all()
    slope = jax.grad(lambda p: least(p, limits).cost[:2].sum())(problem)
    # All energy is proportional to cycles and data; where nothing fits there is no slope.
    joules = [
        np.sum(slope.cycles[i] * problem.cycles[i]) + np.sum(slope.data[i] * problem.data[i])
        for i in range(3)
    ]
    np.testing.assert_allclose(joules, [*expected[:2], 0.0], rtol=1e-6)


@pytest.mark.parametrize("energy_weight", [0.0, 1.0])
def test_ties_within_limits(energy_weight: float) -> None:
    """What each method promises about decisions of equal cost, on whole seconds and joules."""
    rng = np.random.default_rng(9)
    chains, powers = zip(*(_long_chain(rng, 4) for _ in range(12)), strict=True)
    problem = cases.as_problem(chains)
    power = powers[0]
    weights = (1.0 - energy_weight, energy_weight)
    objective = oj.Objective(*weights, oj.PowerModel(*power))
    name = "max_latency" if energy_weight else "max_energy"
    measure = oracle.latency if energy_weight else lambda c, d: oracle.energy(c, d, power)
    limits = np.array([np.median([measure(c, d) for d in DECISIONS]) for c in chains])
    found = {
        method: np.asarray(
            oj.solve(problem, method=method, objective=objective, **{name: limits}).decision
        )
        for method in ("exhaustive", "label_setting")
    }
    ties = 0
    for i, chain in enumerate(chains):
        fitting = [d for d in DECISIONS if measure(chain, d) <= limits[i]]
        costs = [oracle.weighted_cost(chain, d, *weights, power) for d in fitting]
        best = [d for d, cost in zip(fitting, costs, strict=True) if cost == min(costs)]
        ties += len(best) > 1
        assert tuple(found["exhaustive"][i]) == min(best)
        assert tuple(found["label_setting"][i]) == min(
            best, key=lambda d: (oracle.latency(chain, d), oracle.energy(chain, d, power), d)
        )
    assert ties >= 3


def test_methods_may_break_a_tie_differently() -> None:
    """4 s on the device at 4 J, as long on the edge at 3 J: order decides, or energy does."""
    problem = oj.ChainProblem([4.0], [1.0, 1.0], 1.0, 2.0, 1.0, 0.0)
    objective = oj.Objective(power=oj.PowerModel(1.0, 2.0, 1.0))
    options = {"objective": objective, "max_energy": 9.0}
    assert oj.solve(problem, method="exhaustive", **options).decision.tolist() == [0]
    assert oj.solve(problem, method="label_setting", **options).decision.tolist() == [1]
