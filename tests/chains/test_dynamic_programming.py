"""What only the dynamic program does: chains of any length, many places, ties across blocks."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle


@pytest.mark.parametrize(
    ("num_subtasks", "num_places"),
    [(16, 3), (17, 3), (40, 3), (1000, 3), (33, 2), (11, 5), (2, 9)],
)
def test_long_chains_and_many_places(num_subtasks: int, num_places: int) -> None:
    """The last row allows nothing in the middle."""
    rng = np.random.default_rng(num_subtasks)
    rough = cases.random_table(rng, num_subtasks, num_places, (2,))
    exact = cases.integer_table(rng, num_subtasks, num_places, (2,))
    costs = jax.tree.map(lambda a, b: np.concatenate([a, b]), rough, exact)
    costs.transfer[3, num_subtasks // 2] = math.inf
    decision, cost, optimal = oj.solve(costs, method="dp")
    assert decision.shape == (4, num_subtasks)
    assert bool(jnp.all(optimal))
    decision = np.asarray(decision)
    for row in range(4):
        table = costs.execution[row], costs.transfer[row]
        expected = oracle.shortest_path(*table)
        assert float(cost[row]) == pytest.approx(expected, rel=1e-5)
        assert oracle.table_cost(*table, decision[row]) == pytest.approx(expected, rel=1e-5)
    assert float(cost[2]) == oracle.shortest_path(costs.execution[2], costs.transfer[2])
    assert cost[3] == math.inf
    assert not decision[3].any()


def smallest_optimal_decision(execution: np.ndarray, transfer: np.ndarray) -> list[int]:
    """Fixes one subtask after the other to the smallest place that keeps the optimum."""
    execution, decision = execution.copy(), []
    least = oracle.shortest_path(execution, transfer)
    for t in range(len(execution)):
        for place in range(execution.shape[1]):
            fixed = execution.copy()
            fixed[t, np.arange(execution.shape[1]) != place] = math.inf
            if oracle.shortest_path(fixed, transfer) == least:
                break
        execution = fixed
        decision.append(place)
    return decision


@pytest.mark.parametrize(("num_subtasks", "num_places"), [(17, 3), (40, 3), (11, 5)])
def test_ties_of_long_chains(num_subtasks: int, num_places: int) -> None:
    rng = np.random.default_rng(0)
    costs = cases.integer_table(rng, num_subtasks, num_places, (4,), high=1)
    solution = oj.solve(costs, method="dp")
    for row in range(4):
        expected = smallest_optimal_decision(costs.execution[row], costs.transfer[row])
        np.testing.assert_array_equal(solution.decision[row], expected)


def test_nothing_costs_anything() -> None:
    costs = oj.ChainCosts(np.zeros((100, 3)), np.zeros((101, 3, 3)))
    solution = oj.solve(costs, method="dp")
    assert not solution.decision.any()
    assert float(solution.cost) == 0.0


def test_long_problems() -> None:
    """Problems, not tables, through the scan over blocks; one link is dead."""
    problem = cases.wide_problem(np.random.default_rng(5), 40, (3,))
    problem.edge_cloud_bandwidth[1] = 0.0
    solution = oj.solve(problem)
    costs = jax.jit(oj.chain_costs)(problem)
    for row in range(3):
        expected = oracle.shortest_path(costs.execution[row], costs.transfer[row])
        assert float(solution.cost[row]) == pytest.approx(expected, rel=1e-5)
    seconds = jax.jit(oj.latency)(problem, solution.decision)
    np.testing.assert_allclose(seconds, solution.cost, rtol=1e-5)
    assert not (np.asarray(solution.decision[1]) == oj.Place.CLOUD).any()


def test_long_chains_in_double_precision() -> None:
    rng = np.random.default_rng(6)
    costs = oj.ChainCosts(rng.random((2, 40, 3)), rng.random((2, 41, 3, 3)))
    with jax.enable_x64(True):
        cost = oj.solve(costs).cost
        assert cost.dtype == jnp.float64
        for row in range(2):
            expected = oracle.shortest_path(costs.execution[row], costs.transfer[row])
            assert float(cost[row]) == pytest.approx(expected, rel=1e-13)


def test_long_chains_inside_vmap_and_grad() -> None:
    """The gradient counts how often each entry of the table is used."""
    costs = cases.integer_table(np.random.default_rng(7), 40, 3, (2,), high=9)

    def total(costs: oj.ChainCosts) -> jax.Array:
        return jnp.sum(jax.vmap(lambda row: oj.solve(row).cost)(costs))

    gradient = jax.jit(jax.grad(total))(costs)
    decision = oj.solve(costs).decision
    np.testing.assert_array_equal(gradient.execution, jax.nn.one_hot(decision, 3))
    np.testing.assert_array_equal(jnp.sum(gradient.transfer, axis=(-2, -1)), np.ones((2, 41)))


@pytest.mark.parametrize(("num", "shares"), [(4097, False), (5000, True)])
def test_large_batches_of_any_length(num: int, shares: bool) -> None:
    source = cases.wide_problem(np.random.default_rng(1), 3, (num,))
    if shares:
        source = dataclasses.replace(source, edge_speed=2e9, cycles=source.cycles[0])
    solution = jax.tree.map(np.asarray, oj.solve(source, method="dp"))
    rows = [0, num // 2, num - 1]
    apart = [oj.solve(source[row], method="dp") for row in rows]
    np.testing.assert_array_equal(solution.decision[rows], [s.decision for s in apart])
    np.testing.assert_allclose(solution.cost[rows], [s.cost for s in apart], rtol=1e-6)
    every = oj.solve(source, method="exhaustive").cost
    np.testing.assert_allclose(solution.cost, every, rtol=1e-5)


def tied_rows(num_subtasks: int, num_places: int, num: int) -> oj.ChainCosts:
    """Four tables with ties, the last one impossible in the middle, again and again."""
    rng = np.random.default_rng(num_subtasks)
    costs = cases.integer_table(rng, num_subtasks, num_places, (4,), high=1)
    costs.transfer[3, num_subtasks // 2] = math.inf
    return jax.tree.map(lambda field: np.resize(field, (num, *field.shape[1:])), costs)


@pytest.mark.parametrize(("num_subtasks", "num_places"), [(17, 3), (16, 4), (33, 2), (50, 3)])
def test_ties_of_large_batches(num_subtasks: int, num_places: int) -> None:
    """Decisions of one word and of several, the last of them full or of a single subtask."""
    costs = tied_rows(num_subtasks, num_places, num := 4_112)
    solution = jax.tree.map(np.asarray, oj.solve(costs))
    for row in range(4):
        table = costs.execution[row], costs.transfer[row]
        expected = smallest_optimal_decision(*table) if row < 3 else [0] * num_subtasks
        of_row = solution.decision[row::4]
        np.testing.assert_array_equal(of_row, np.broadcast_to(expected, of_row.shape))
        np.testing.assert_array_equal(solution.cost[row::4], oracle.shortest_path(*table))
    assert len(solution.cost) == num


@pytest.mark.parametrize(("num", "num_subtasks"), [(2049, 33), (5000, 65)])
def test_chunks_of_long_chains(num: int, num_subtasks: int) -> None:
    """More rows than a chunk has, and no multiple of it: the last chunk overlaps another."""
    problem = cases.wide_problem(np.random.default_rng(num), num_subtasks, (num,))
    solution = oj.solve(problem)
    seconds = jax.jit(oj.latency)(problem, solution.decision)
    np.testing.assert_allclose(seconds, solution.cost, rtol=1e-5)
    rows = np.array([0, 1023, 1024, 1151, 1152, 2047, 2048, num - 1])
    costs = jax.jit(oj.chain_costs)(problem[rows])
    for i, row in enumerate(rows):
        expected = oracle.shortest_path(costs.execution[i], costs.transfer[i])
        assert float(solution.cost[row]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_places", [2, 3, 5])
def test_all_lengths_in_one_shape(num_places: int) -> None:
    """Rows of 1 to 70 subtasks with ties, lengthened in front by what must run at place 0, free.

    `every_length.py` compiles each length and number of places by itself.
    """
    rng, longest = np.random.default_rng(num_places), 70
    costs = cases.integer_table(rng, longest, num_places, (longest,), high=1)
    for row in range(longest):
        padding = longest - 1 - row
        costs.execution[row, :padding, 0] = 0.0
        costs.execution[row, :padding, 1:] = math.inf
        costs.transfer[row, :padding] = 0.0
    solution = jax.tree.map(np.asarray, oj.solve(costs))
    for row in range(longest):
        padding = longest - 1 - row
        table = costs.execution[row, padding:], costs.transfer[row, padding:]
        assert solution.cost[row] == oracle.shortest_path(*table)
        decision = solution.decision[row]
        assert not decision[:padding].any()
        if row < 12:
            expected = smallest_optimal_decision(*table)
            np.testing.assert_array_equal(decision[padding:], expected)
        assert oracle.table_cost(*table, decision[padding:]) == solution.cost[row]


@pytest.mark.parametrize(("num_subtasks", "num"), [(3, 70), (20, 70), (20, 4_112)])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(oj.ChainProblem)])
def test_what_is_invalid_is_found_on_the_way(
    name: str, value: float, num_subtasks: int, num: int
) -> None:
    """In the first and in the last number of a row in the middle of a batch."""
    for index in (0, -1):
        problem = cases.wide_problem(np.random.default_rng(0), num_subtasks, (num,))
        rows = getattr(problem, name)[33:34]
        rows.reshape(-1)[index] = value
        with pytest.raises(ValueError) as expected:
            oj.validate(problem)
        with pytest.raises(ValueError) as error:
            oj.solve(problem)
        assert str(error.value) == str(expected.value)
