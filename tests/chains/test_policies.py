"""Policies that need no training: what they decide, in any batch, inside jit and vmap."""

import functools

import jax
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle

POLICIES = oj.policies.untrained() | {"optimal_by_enumeration": oj.policies.optimal_by_enumeration}


@pytest.mark.parametrize("name", POLICIES)
def test_one_signature(name: str) -> None:
    """One request, a batch of two axes, and none at all."""
    rng = np.random.default_rng(0)
    for batch in ((), (2, 3), (0,)):
        decision = POLICIES[name](cases.wide_problem(rng, 4, batch))
        assert decision.shape == (*batch, 4)
        assert decision.dtype == np.int8
        assert np.all((np.asarray(decision) >= 0) & (np.asarray(decision) <= 2))


@pytest.mark.parametrize("name", POLICIES)
def test_jit_decides_the_same(name: str) -> None:
    problem = cases.wide_problem(np.random.default_rng(1), 4, (3,))
    decision = POLICIES[name](problem)
    np.testing.assert_array_equal(jax.jit(POLICIES[name])(problem), decision)
    if name != "random":
        np.testing.assert_array_equal(jax.vmap(POLICIES[name])(problem), decision)


def test_names_of_the_tables() -> None:
    assert [*oj.policies.untrained()] == [
        "optimal",
        "greedy",
        "greedy_with_return",
        "local",
        "edge",
        "cloud",
        "random",
    ]


@pytest.mark.parametrize(
    "policy", [oj.policies.optimal, oj.policies.optimal_by_enumeration], ids=["dp", "exhaustive"]
)
def test_optimal(policy: oj.policies.Policy) -> None:
    rows = cases.problem_rows(3)
    decision = np.asarray(policy(rows.source))
    np.testing.assert_array_equal(decision[rows.exact], rows.decision[rows.exact])
    costs = [oracle.latency(c, d) for c, d in zip(cases.chains(3), decision, strict=True)]
    np.testing.assert_allclose(costs, rows.cost, rtol=1e-6)


@pytest.mark.parametrize(
    "policy", [oj.policies.optimal, oj.policies.optimal_by_enumeration], ids=["dp", "exhaustive"]
)
def test_optimal_for_energy(policy: oj.policies.Policy) -> None:
    rows = cases.problem_rows(2, 0.0, 1.0)
    decision = np.asarray(policy(rows.source, objective=oj.ENERGY))
    costs = [oracle.energy(c, d) for c, d in zip(cases.chains(2), decision, strict=True)]
    np.testing.assert_allclose(costs, rows.cost, rtol=1e-6)


def test_constants() -> None:
    problem = cases.wide_problem(np.random.default_rng(2), 4, (3,))
    for policy, place in (
        (oj.policies.local, oj.Place.DEVICE),
        (oj.policies.edge, oj.Place.EDGE),
        (oj.policies.cloud, oj.Place.CLOUD),
    ):
        np.testing.assert_array_equal(policy(problem), np.full((3, 4), place))


def test_greedy_by_another_objective() -> None:
    """On the device 1 s at 9 J, on the edge 3 s at 2 J: greedy takes what it is told to save."""
    problem = oj.ChainProblem([1.0], [1.0, 0.0], 1.0, 1.0, 0.5, 1.0)
    power = oj.PowerModel(9.0, transmit_watts=1.0)
    energy = oj.Objective(0.0, 1.0, power)
    assert oj.policies.greedy(problem).item() == oj.Place.DEVICE
    assert oj.policies.greedy(problem, energy).item() == oj.Place.EDGE
    assert oj.policies.greedy_with_return(problem, energy).item() == oj.Place.EDGE


def test_random_is_uniform_and_repeats_itself() -> None:
    problem = cases.wide_problem(np.random.default_rng(3), 6, (5000,))
    decision = np.asarray(oj.policies.random(problem))
    share = np.stack([np.mean(decision == place, axis=0) for place in oj.Place])
    assert np.abs(share - 1 / 3).max() < 5 * np.sqrt(2 / 9 / 5000)
    np.testing.assert_array_equal(oj.policies.random(problem), decision)
    other = oj.policies.random(problem, key=jax.random.key(1))
    assert np.mean(np.asarray(other) == decision) == pytest.approx(1 / 3, abs=0.02)
    seeded = functools.partial(oj.policies.random, key=jax.random.key(7))
    np.testing.assert_array_equal(oj.policies.untrained(7)["random"](problem), seeded(problem))


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(ValueError, match="/nowhere/kd_dil"):
        oj.policies.load("/nowhere/kd_dil")


@pytest.mark.parametrize("name", ["optimal", "optimal_by_enumeration", "greedy", "local", "random"])
def test_a_table_is_decided_as_its_problem(name: str) -> None:
    problem = cases.wide_problem(np.random.default_rng(5), 4, (3,))
    costs = oj.chain_costs(problem)
    np.testing.assert_array_equal(POLICIES[name](costs), POLICIES[name](problem))


def test_greedy_decides_about_tables_of_other_places() -> None:
    """As the oracle does that looks for the cheapest next step, five places."""
    rng = np.random.default_rng(6)
    costs = cases.random_table(rng, 7, 5)
    place, expected = 0, []
    for t in range(7):
        place = int(np.argmin(costs.transfer[t, place] + costs.execution[t]))
        expected.append(place)
    assert oj.policies.greedy(costs).tolist() == expected
    ratio = oj.metrics.normalized_latency(costs, expected).mean
    least = oracle.shortest_path(costs.execution, costs.transfer)
    cost = oracle.table_cost(costs.execution, costs.transfer, expected)
    assert float(ratio) == pytest.approx(cost / least, rel=1e-5)
