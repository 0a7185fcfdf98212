"""Every exact method against brute force: sizes, ties, dead links, scales, precisions, batches."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle

# Every length occurs once more, for problems, below.
SIZES = [(1, 2), (4, 2), (1, 3), (2, 3), (4, 3), (7, 3), (1, 4), (3, 4), (5, 4)]


def check_rows(rows: cases.Rows, solution: oj.Solution, method: str, rtol: float) -> None:
    """Cost, feasibility of the decision, proof, dtype, and the order among ties."""
    num, num_subtasks = rows.decision.shape
    assert solution.decision.shape == (num, num_subtasks)
    assert solution.decision.dtype == jnp.int8
    assert solution.cost.shape == solution.optimal.shape == (num,)
    assert bool(jnp.all(solution.optimal))
    np.testing.assert_allclose(solution.cost, rows.cost, rtol=rtol)
    np.testing.assert_array_equal(np.asarray(solution.cost)[rows.exact], rows.cost[rows.exact])
    if method in cases.ORDERED_METHODS:
        np.testing.assert_array_equal(
            np.asarray(solution.decision)[rows.exact], rows.decision[rows.exact]
        )


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize(("num_subtasks", "num_places"), SIZES)
def test_tables_of_every_size(num_subtasks: int, num_places: int, method: str) -> None:
    rows = cases.table_rows(num_subtasks, num_places)
    solution = oj.solve(rows.source, method=method)
    check_rows(rows, solution, method, rtol=1e-6)
    for execution, transfer, decision, cost in zip(
        rows.source.execution,
        rows.source.transfer,
        np.asarray(solution.decision),
        rows.cost,
        strict=True,
    ):
        assert oracle.table_cost(execution, transfer, decision) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize("num_subtasks", range(1, 8))
def test_problems_of_every_length(num_subtasks: int, method: str) -> None:
    rows = cases.problem_rows(num_subtasks)
    solution = oj.solve(rows.source, method=method)
    check_rows(rows, solution, method, rtol=1e-6)
    assert np.all(np.isfinite(solution.cost))
    for chain, decision, cost in zip(
        cases.chains(num_subtasks), np.asarray(solution.decision), rows.cost, strict=True
    ):
        assert oracle.latency(chain, decision) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize(
    "weights", [(0.0, 1.0), (1.0, 0.5), (2.0, 0.0)], ids=["energy", "both", "twice-latency"]
)
def test_objectives(weights: tuple[float, float], method: str) -> None:
    power = oracle.Power(kappa=2e-27, transmit=1.1, receive=0.9, idle=0.3)
    rows = cases.problem_rows(3, *weights, power)
    objective = oj.Objective(*weights, oj.PowerModel(*power))
    check_rows(rows, oj.solve(rows.source, method=method, objective=objective), method, rtol=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
def test_energy_by_the_default_power_model(method: str) -> None:
    rows = cases.problem_rows(2, 0.0, 1.0)
    solution = oj.solve(rows.source, method=method, objective=oj.ENERGY)
    check_rows(rows, solution, method, rtol=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
def test_double_precision(method: str) -> None:
    tables, problems = cases.table_rows(4, 3), cases.problem_rows(5)
    with jax.enable_x64(True):
        for rows in (tables, problems):
            solution = oj.solve(rows.source, method=method)
            assert solution.cost.dtype == jnp.float64
            check_rows(rows, solution, method, rtol=1e-14)


@pytest.mark.parametrize("method", cases.METHODS)
def test_one_problem_needs_no_batch_axis(method: str) -> None:
    rows = cases.problem_rows(4)
    solution = oj.solve(rows.source[6], method=method)
    assert solution.decision.shape == (4,)
    assert solution.cost.shape == solution.optimal.shape == ()
    assert float(solution.cost) == rows.cost[6]
    table = oj.chain_costs(rows.source[6])
    assert float(oj.solve(table, method=method).cost) == rows.cost[6]


def test_auto_is_the_dynamic_program() -> None:
    rows = cases.table_rows(4, 3)
    automatic, dp = oj.solve(rows.source), oj.solve(rows.source, method="dp")
    jax.tree.map(np.testing.assert_array_equal, automatic, dp)


@pytest.mark.parametrize("method", cases.METHODS)
def test_one_task_under_many_bandwidths(method: str) -> None:
    rng = np.random.default_rng(1)
    task, network = cases.wide_problem(rng, 4), cases.wide_problem(rng, 4, (5,))
    problem = oj.ChainProblem(
        task.cycles,
        task.data,
        task.device_speed,
        task.edge_speed,
        network.device_edge_bandwidth,
        network.edge_cloud_bandwidth,
    )
    solution = oj.solve(problem, method=method)
    assert solution.cost.shape == (5,)
    for row in range(5):
        _, cost = oracle.optimum(cases.as_chain(problem[row]))
        assert float(solution.cost[row]) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
def test_batch_axes_broadcast(method: str) -> None:
    rng = np.random.default_rng(2)
    tasks, networks = cases.wide_problem(rng, 3, (4, 1)), cases.wide_problem(rng, 3, (3,))
    problem = oj.ChainProblem(
        tasks.cycles,
        tasks.data,
        tasks.device_speed,
        np.float64(2e9),
        networks.device_edge_bandwidth,
        networks.edge_cloud_bandwidth,
    )
    solution = oj.solve(problem, method=method)
    assert solution.decision.shape == (4, 3, 3)
    assert solution.cost.shape == solution.optimal.shape == (4, 3)
    for row in np.ndindex(4, 3):
        _, cost = oracle.optimum(cases.as_chain(problem[row]))
        assert float(solution.cost[row]) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
def test_tables_broadcast(method: str) -> None:
    rng = np.random.default_rng(3)
    execution = cases.random_table(rng, 3, 3, (2, 1)).execution
    transfer = cases.random_table(rng, 3, 3, (4,)).transfer
    solution = oj.solve(oj.ChainCosts(execution, transfer), method=method)
    assert solution.decision.shape == (2, 4, 3)
    for i, j in np.ndindex(2, 4):
        _, cost = oracle.table_optimum(execution[i, 0], transfer[j])
        assert float(solution.cost[i, j]) == pytest.approx(cost, rel=1e-6)


@pytest.mark.parametrize("method", cases.METHODS)
@pytest.mark.parametrize("batch", [(0,), (2, 0, 3)])
def test_empty_batch(batch: tuple[int, ...], method: str) -> None:
    rng = np.random.default_rng(0)
    for source in (cases.wide_problem(rng, 3, batch), cases.random_table(rng, 3, 4, batch)):
        solution = oj.solve(source, method=method)
        assert solution.decision.shape == (*batch, 3)
        assert solution.decision.dtype == jnp.int8
        assert solution.cost.shape == solution.optimal.shape == batch


def test_long_empty_batch() -> None:
    source = cases.wide_problem(np.random.default_rng(0), 40, (0,))
    assert oj.solve(source).decision.shape == (0, 40)


@pytest.mark.parametrize("method", cases.METHODS)
def test_lists_and_numbers_will_do(method: str) -> None:
    problem = oj.ChainProblem([4, 8], [2, 2, 2], 1, 4, 2, 0.5)
    solution = oj.solve(problem, method=method)
    np.testing.assert_array_equal(solution.decision, [1, 1])
    assert float(solution.cost) == 5.0  # 1 s up, 1 s and 2 s at the edge, 1 s down


def test_the_table_of_what_methods_take_is_true() -> None:
    """Where a cell is empty the method refuses, elsewhere it answers for problems or for tables."""
    problem = cases.wide_problem(np.random.default_rng(8), 3)
    table = oj.chain_costs(problem)
    rules = oj.SideConstraints(max_subtasks={1: 2})
    given: dict[str, dict[str, Any]] = {
        "oj.LATENCY": {"objective": oj.LATENCY},
        "oj.ENERGY": {"objective": oj.ENERGY},
        "Objective": {"objective": oj.Objective(1.0, 1.0)},
        "oj.PERIOD": {"objective": oj.PERIOD},
        "max_latency": {"max_latency": 1e9},
        "max_energy": {"max_energy": 1e9},
        "limit": {"limit": (table, 1e9)},
        "max_period": {"max_period": 1e9},
        "side_constraints": {"side_constraints": rules},
        "allowed": {"allowed": {0: ["device"]}},
        "contiguous=True": {"contiguous": True},
        "time_limit": {"time_limit": 10.0},
        "progress": {"time_limit": 10.0, "progress": False},
    }
    assert oj.solve.__doc__
    text = oj.solve.__doc__.partition("What else they take:")[2].partition("Lexicographic")[0]
    head, _, *rows = [
        line.strip().strip("|").split("|") for line in text.split("\n") if "|" in line
    ]
    named = set()
    for row in rows:
        for name in re.findall("`(.+?)`", row[0]):
            named.add(name)
            for column, cell in zip(head[1:], row[1:], strict=True):
                method = column.strip().strip('"')
                assert _takes(problem, table, method, given[name]) == bool(cell.strip()), (
                    method,
                    name,
                )
    assert named == set(given)


def _takes(
    problem: oj.ChainProblem, table: oj.ChainCosts, method: str, options: dict[str, Any]
) -> bool:
    needed: dict[str, Any] = {}
    if method == "contiguous":
        needed = {"objective": oj.PERIOD, "contiguous": True}
    if method == "label_setting":
        needed = {"max_latency": 1e9}
    if "contiguous" in options:
        needed |= {"objective": oj.PERIOD}
    for source in (problem, table):
        if method == "label_setting" and source is table:
            needed = {"limit": (table, 1e9)}
            options = {"allowed": [[True] * 3] * 3} if "allowed" in options else options
        try:
            oj.solve(source, method=method, **(needed | options))
        except ValueError:
            continue
        return True
    return False
