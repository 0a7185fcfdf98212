"""Tables, latency, energy and objectives against the oracle, and what their checks refuse."""

import copy
import itertools
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle

CHAINS = cases.chains(3)
DECISIONS = np.array(list(oracle.all_decisions(3)), np.int8)
POWER = oracle.Power(kappa=3e-27, transmit=1.5, receive=0.7, idle=0.25)


def everything(function: Any, *arguments: Any) -> np.ndarray:
    """`[27, n]` values of an oracle's function of each decision and chain."""
    return np.array([[function(c, d, *arguments) for c in CHAINS] for d in DECISIONS.tolist()])


def test_latency() -> None:
    """27 decisions of each of 13 requests in one call, by broadcasting."""
    actual = oj.latency(cases.as_problem(CHAINS), DECISIONS[:, None])
    expected = everything(oracle.latency)
    assert np.isinf(expected).any()
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("num_subtasks", [33, 70])
def test_latency_of_long_chains(num_subtasks: int) -> None:
    """They are followed a part at a time."""
    listed = cases.chains(num_subtasks)
    rng = np.random.default_rng(num_subtasks)
    decision = rng.integers(0, 3, (len(listed), num_subtasks))
    problem = cases.as_problem(listed)
    expected = [oracle.latency(*row) for row in zip(listed, decision.tolist(), strict=True)]
    np.testing.assert_allclose(oj.latency(problem, decision), expected, rtol=1e-5)


def test_gradient_of_a_long_chain() -> None:
    """A cycle more costs what a cycle takes where it runs; nothing in the cloud."""
    problem = cases.wide_problem(np.random.default_rng(2), 70)
    decision = np.arange(70) % 3
    gradient = jax.grad(oj.latency)(jax.tree.map(jnp.asarray, problem), decision)
    seconds = np.array([1 / problem.device_speed, 1 / problem.edge_speed, 0.0])
    np.testing.assert_allclose(gradient.cycles, seconds[decision], rtol=1e-5)


@pytest.mark.parametrize("power", [None, POWER], ids=["default", "own"])
def test_energy(power: oracle.Power | None) -> None:
    model = None if power is None else oj.PowerModel(*power)
    actual = oj.energy(cases.as_problem(CHAINS), DECISIONS[:, None], model)
    expected = everything(oracle.energy, power or oracle.DEFAULT_POWER)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_tables_add_up_to_the_weighted_cost(weights: tuple[float, float]) -> None:
    objective = oj.Objective(*weights, oj.PowerModel(*POWER))
    costs = oj.chain_costs(cases.as_problem(CHAINS), objective)
    assert costs.execution.shape == (len(CHAINS), 3, 3)
    assert costs.transfer.shape == (len(CHAINS), 4, 3, 3)
    assert not np.isnan(costs.execution).any()
    assert not np.isnan(costs.transfer).any()
    expected = everything(oracle.weighted_cost, *weights, POWER)
    np.testing.assert_allclose(oj.evaluate(costs, DECISIONS[:, None]), expected, rtol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0)])
def test_every_entry_of_a_table(weights: tuple[float, float]) -> None:
    for chain in CHAINS:
        costs = oj.chain_costs(oj.ChainProblem(*chain), oj.Objective(*weights))
        for t, place in itertools.product(range(3), oracle.PLACES):
            execution = weights[0] * oracle.execution_seconds(chain, t, place) + weights[
                1
            ] * oracle.execution_joules(chain, t, place, oracle.DEFAULT_POWER)
            assert float(costs.execution[t, place]) == pytest.approx(execution, rel=1e-6)
        for t, source, target in itertools.product(range(4), *[oracle.PLACES] * 2):
            if weights[0]:
                transfer = oracle.transfer_seconds(chain, t, source, target)
            else:
                transfer = oracle.transfer_joules(chain, t, source, target, oracle.DEFAULT_POWER)
            assert float(costs.transfer[t, source, target]) == pytest.approx(transfer, rel=1e-6)


def test_a_worked_example() -> None:
    """4 and 8 cycles at 1 and 4 per second; 6, 2, 4 bytes at 2 and 1 per second."""
    problem = oj.ChainProblem([4, 8], [6, 2, 4], 1, 4, 2, 1)
    latencies = {(0, 0): 4 + 8, (0, 1): 4 + 1 + 2 + 2, (1, 1): 3 + 1 + 2 + 2}
    latencies |= {(2, 2): 3 + 6 + 4 + 2, (1, 2): 3 + 1 + 2 + 4 + 2, (2, 0): 3 + 6 + 2 + 1 + 8}
    for decision, seconds in latencies.items():
        assert float(oj.latency(problem, decision)) == seconds
    power = oj.PowerModel(0.5, transmit_watts=10, receive_watts=100, idle_watts=1000)
    joules = {(0, 0): 0.5 * 12, (0, 1): 0.5 * 4 + 10 * 1 + 1000 * 2 + 100 * 2}
    joules |= {(1, 0): 10 * 3 + 1000 * 1 + 100 * 1 + 0.5 * 8, (2, 2): 30 + 6000 + 4000 + 200}
    for decision, spent in joules.items():
        assert float(oj.energy(problem, decision, power)) == spent


def test_energy_knows_directions() -> None:
    up = oj.energy(oj.ChainProblem([0.0], [4.0, 0.0], 1, 1, 2, 1), [oj.Place.EDGE])
    down = oj.energy(oj.ChainProblem([0.0], [0.0, 4.0], 1, 1, 2, 1), [oj.Place.EDGE])
    assert float(up) == pytest.approx(2 * 1.258)
    assert float(down) == pytest.approx(2 * 1.181)


def test_free_transmission_does_not_bring_a_dead_link_to_life() -> None:
    power = oj.PowerModel(transmit_watts=0.0, receive_watts=0.0)
    problem = oj.ChainProblem([1.0], [1.0, 1.0], 1.0, 1.0, 0.0, 1.0)
    assert float(oj.energy(problem, [oj.Place.EDGE], power)) == math.inf
    assert float(oj.solve(problem, objective=oj.Objective(0.0, 1.0, power)).cost) < 1e-20


def test_evaluate_broadcasts_and_takes_any_number_of_places() -> None:
    rng = np.random.default_rng(0)
    costs = cases.integer_table(rng, 4, 5, (3, 1), high=9)
    decision = rng.integers(0, 5, (2, 4))
    actual = oj.evaluate(costs, decision)
    assert actual.shape == (3, 2)
    for i, j in itertools.product(range(3), range(2)):
        table = costs.execution[i, 0], costs.transfer[i, 0]
        assert float(actual[i, j]) == oracle.table_cost(*table, decision[j])


def test_costs_inside_jit_vmap_and_grad() -> None:
    problem = jax.tree.map(jnp.asarray, cases.as_problem(CHAINS))
    decision = jnp.asarray(DECISIONS[5])
    expected = oj.latency(problem, decision)
    mapped = jax.jit(jax.vmap(oj.latency, in_axes=(0, None)))(problem, decision)
    np.testing.assert_allclose(mapped, expected, rtol=1e-6)
    evaluate = jax.jit(jax.grad(lambda p: jnp.sum(oj.evaluate(oj.chain_costs(p), decision))))
    gradient = evaluate(problem)
    for leaf in jax.tree.leaves(gradient):
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ([0, 3, 0], r"decision\[1\] = 3: places are 0..2"),
        ([[0, 0, 0], [0, 0, -1]], r"decision\[1, 2\] = -1: places are 0..2"),
        ([0, 1], r"decision: last axis must be A = 3, got shape \(2,\)"),
        (1, "decision: last axis must be A = 3"),
        ([0.0, 1.0, 2.0], "decision: must hold integers, got dtype float64"),
        ([True, False, True], "decision: must hold integers, got dtype bool"),
        (["edge"] * 3, "decision: must hold integers"),
    ],
)
def test_bad_decisions(decision: Any, message: str) -> None:
    problem = oj.ChainProblem(*CHAINS[0])
    for function, source in (
        (oj.latency, problem),
        (oj.energy, problem),
        (oj.evaluate, oj.chain_costs(problem)),
        (oj.metrics.normalized_latency, problem),
    ):
        with pytest.raises(ValueError, match=message):
            function(source, decision)


GOOD_EXECUTION, GOOD_TRANSFER = np.ones((2, 3, 4)), np.ones((2, 4, 4, 4))


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize(
    ("execution", "transfer", "message"),
    [
        (np.ones(3), GOOD_TRANSFER, r"execution: needs shape \[..., A, K\]"),
        (np.ones((0, 4)), np.ones((1, 4, 4)), r"execution: needs shape .* got \(0, 4\)"),
        (np.ones((3, 0)), np.ones((4, 0, 0)), r"execution: needs shape .* got \(3, 0\)"),
        (GOOD_EXECUTION, np.ones((2, 3, 4, 4)), r"transfer: needs shape .* 4, 4, 4\].*got"),
        (GOOD_EXECUTION, np.ones((2, 4, 4)), "transfer: needs shape"),
        (GOOD_EXECUTION, np.ones((2, 4, 4, 3)), "transfer: needs shape"),
        (GOOD_EXECUTION, np.ones((5, 4, 4, 4)), r"transfer: batch dimensions \(5,\).*\(2,\)"),
        (None, GOOD_TRANSFER, "execution: must be an array of numbers, got None"),
        (["dear", "cheap"], GOOD_TRANSFER, "execution: must hold real numbers"),
        ([[1.0, 2.0], [3.0]], GOOD_TRANSFER, "execution: cannot be converted"),
        (GOOD_EXECUTION, GOOD_TRANSFER * 1j, "transfer: must hold real numbers"),
        (GOOD_EXECUTION, jnp.ones((2, 4, 4, 4), complex), "transfer: must hold real numbers"),
    ],
)
def test_bad_tables(execution: Any, transfer: Any, message: str, method: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        oj.solve(oj.ChainCosts(execution, transfer), method=method)


@pytest.mark.parametrize("value", [math.nan, -1.0, -math.inf])
def test_bad_values_in_tables(value: float) -> None:
    execution, transfer = GOOD_EXECUTION.copy(), GOOD_TRANSFER.copy()
    transfer[1, 2, 3, :2] = value
    with pytest.raises(ValueError, match=rf"^transfer\[1, 2, 3, 0\] = {value}: must not be neg"):
        oj.solve(oj.ChainCosts(execution, transfer))
    execution[0, 1, 2:] = value
    with pytest.raises(ValueError, match=rf"^execution\[0, 1, 2\] = {value}: must not be neg"):
        oj.solve(oj.ChainCosts(execution, transfer))


@pytest.mark.parametrize("method", cases.METHODS)
def test_costs_that_overflow_float32_are_refused(method: str) -> None:
    """They would come back as impossible, and the answer as proven."""
    execution, transfer = GOOD_EXECUTION.copy(), GOOD_TRANSFER.copy()
    execution[0, 1, 2], transfer[0] = 1e39, math.inf
    message = r"^execution\[0, 1, 2\] = 1e\+39 \(float32 rounds it to inf\): must not be"
    with pytest.raises(ValueError, match=message):
        oj.solve(oj.ChainCosts(execution, transfer), method=method)
    transfer[1, 3, 0, 1] = 1e300
    with pytest.raises(ValueError, match=r"^transfer\[1, 3, 0, 1\] = 1e\+300 \(float32"):
        oj.solve(oj.ChainCosts(GOOD_EXECUTION, transfer), method=method)
    with jax.enable_x64(True):
        assert bool(oj.solve(oj.ChainCosts(execution, transfer), method=method).optimal.all())


def test_integer_tables_are_not_wrapped_at_32_bits() -> None:
    costs = oj.ChainCosts(np.full((2, 2), 2**40), np.full((3, 2, 2), 2**41))
    assert float(oj.solve(costs).cost) == 2 * 2.0**40 + 3 * 2.0**41


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, np.float32(-1.0), -1])
@pytest.mark.parametrize("name", ["latency_weight", "energy_weight"])
def test_bad_weights(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} = {re.escape(str(value))}: must be finite"):
        oj.Objective(**{name: value})


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
@pytest.mark.parametrize(
    "name", ["switched_capacitance", "transmit_watts", "receive_watts", "idle_watts"]
)
def test_bad_power_models(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^power.{name} = {value}: must be finite"):
        oj.PowerModel(**{name: value})


def test_an_objective_must_weigh_something() -> None:
    with pytest.raises(ValueError, match="both 0"):
        oj.Objective(0.0, 0.0)


def test_a_table_already_is_an_objective() -> None:
    costs = oj.chain_costs(oj.ChainProblem(*CHAINS[0]))
    for same in (oj.Objective(), oj.Objective(jnp.float32(1.0)), copy.deepcopy(oj.LATENCY)):
        assert float(oj.solve(costs, objective=same).cost) == float(oj.solve(costs).cost)
    for other in (oj.ENERGY, oj.Objective(2.0), oj.Objective(power=oj.PowerModel(1.0))):
        with pytest.raises(ValueError, match="^objective: a table"):
            oj.solve(costs, objective=other)


def test_options_of_solve() -> None:
    problem = oj.ChainProblem(*CHAINS[0])
    with pytest.raises(ValueError, match="unknown method 'simplex', known are auto, dp, exhaus"):
        oj.solve(problem, method="simplex")
    with pytest.raises(ValueError, match='time_limit: not for method "dp", only for "cpsat"'):
        oj.solve(problem, time_limit=1.0)
    for limit in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"time_limit = {limit}: must be greater than 0"):
            oj.solve(problem, method="cpsat", time_limit=limit)


def test_solve_takes_problems_and_tables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    for source in (None, [1.0], "problem", CHAINS[0]):
        with pytest.raises(ValueError, match="^problem: must be a ChainProblem or ChainCosts"):
            oj.solve(source)
