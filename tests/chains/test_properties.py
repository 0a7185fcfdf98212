"""Laws that every chain obeys, on chains that Hypothesis makes up.

Shapes are few, so that each property compiles once or twice; values are not.
"""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import offload_jax as oj
from tests import cases, oracle

NUM_SUBTASKS = 4
METHODS = cases.ORDERED_METHODS


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats with nothing below `low` but 0, if `low` is 0."""
    smallest = low or high * 1e-6
    floats = st.floats(float(np.float32(smallest)), float(np.float32(high)), width=32)
    return floats if low else st.just(0.0) | floats


@st.composite
def chains(draw: st.DrawFn) -> oracle.Chain:
    """Requests over six orders of magnitude, with zeros and dead links now and then."""
    cycles = draw(st.lists(numbers(0, 2e9), min_size=NUM_SUBTASKS, max_size=NUM_SUBTASKS))
    data = draw(st.lists(numbers(0, 1e7), min_size=NUM_SUBTASKS + 1, max_size=NUM_SUBTASKS + 1))
    speeds = draw(numbers(1e8, 1e9)), draw(numbers(5e8, 5e9))
    links = draw(numbers(0, 2e6)), draw(numbers(0, 3e6))
    return oracle.Chain(tuple(cycles), tuple(data), *speeds, *links)


decisions = st.lists(st.sampled_from(oj.Place), min_size=NUM_SUBTASKS, max_size=NUM_SUBTASKS)


@pytest.mark.parametrize("method", METHODS)
@given(chain=chains())
def test_solution_is_optimal(method: str, chain: oracle.Chain) -> None:
    solution = oj.solve(oj.ChainProblem(*chain), method=method)
    _, cost = oracle.optimum(chain)
    assert float(solution.cost) == pytest.approx(cost, rel=1e-5)
    decision = np.asarray(solution.decision)
    assert oracle.latency(chain, decision) == pytest.approx(cost, rel=1e-5)


@given(chain=chains(), decision=decisions)
def test_no_decision_beats_the_optimum(chain: oracle.Chain, decision: list[oj.Place]) -> None:
    problem = oj.ChainProblem(*chain)
    for objective in (oj.LATENCY, oj.Objective(1.0, 1.0)):
        solution = oj.solve(problem, objective=objective)
        costs = oj.chain_costs(problem, objective)
        least = float(solution.cost)
        assert float(oj.evaluate(costs, solution.decision)) == pytest.approx(least, rel=1e-5)
        assert float(oj.evaluate(costs, decision)) >= least * (1 - 1e-5)


@given(chain=chains(), decision=decisions)
def test_latency_and_energy_of_any_decision(chain: oracle.Chain, decision: list[oj.Place]) -> None:
    problem = oj.ChainProblem(*chain)
    seconds, joules = oracle.latency(chain, decision), oracle.energy(chain, decision)
    assert float(oj.latency(problem, decision)) == pytest.approx(seconds, rel=1e-5)
    assert float(oj.energy(problem, decision)) == pytest.approx(joules, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
@given(chain=chains(), exponent=st.integers(-10, 10))
def test_slower_time_scales_the_cost(method: str, chain: oracle.Chain, exponent: int) -> None:
    """Powers of two scale exactly, so even the decision among near-ties stays."""
    factor = 2.0**exponent
    slower = chain._replace(
        p1=chain.p1 * factor, p2=chain.p2 * factor, b1=chain.b1 * factor, b2=chain.b2 * factor
    )
    before = oj.solve(oj.ChainProblem(*chain), method=method)
    after = oj.solve(oj.ChainProblem(*slower), method=method)
    np.testing.assert_array_equal(before.decision, after.decision)
    assert float(after.cost) == pytest.approx(float(before.cost) / factor, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(chain=chains(), cut=st.integers(0, NUM_SUBTASKS))
def test_an_empty_subtask_changes_nothing(method: str, chain: oracle.Chain, cut: int) -> None:
    longer = chain._replace(
        cycles=(*chain.cycles[:cut], 0.0, *chain.cycles[cut:]),
        data=(*chain.data[: cut + 1], *chain.data[cut:]),
    )
    before = oj.solve(oj.ChainProblem(*chain), method=method)
    after = oj.solve(oj.ChainProblem(*longer), method=method)
    assert float(after.cost) == pytest.approx(float(before.cost), rel=1e-5)


@given(chain=chains())
def test_latency_is_the_same_backwards(chain: oracle.Chain) -> None:
    backwards = chain._replace(cycles=chain.cycles[::-1], data=chain.data[::-1])
    before, after = oj.solve(oj.ChainProblem(*chain)), oj.solve(oj.ChainProblem(*backwards))
    assert float(after.cost) == pytest.approx(float(before.cost), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
@given(rows=st.lists(chains(), min_size=3, max_size=3))
def test_a_batch_is_its_rows(method: str, rows: list[oracle.Chain]) -> None:
    problem = cases.as_problem(rows)
    together = oj.solve(problem, method=method)
    for index in range(3):
        alone = oj.solve(problem[index], method=method)
        assert float(alone.cost) == pytest.approx(float(together.cost[index]), rel=1e-6)


@given(chain=chains(), link=st.sampled_from(["b1", "b2"]))
def test_a_better_link_never_hurts(chain: oracle.Chain, link: str) -> None:
    better = chain._replace(**{link: 2 * getattr(chain, link) + 1e5})
    before, after = oj.solve(oj.ChainProblem(*chain)), oj.solve(oj.ChainProblem(*better))
    assert float(after.cost) <= float(before.cost) * (1 + 1e-5)
