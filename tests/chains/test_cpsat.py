"""What only CP-SAT does: float64 answers, proofs, time limits, batches over processes."""

import jax
import joblib
import numpy as np
import pytest

import offload_jax as oj
from offload_jax import cpsat as shared
from offload_jax.chains import cpsat
from tests import cases, oracle


def test_costs_are_scored_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e-12, 1e12):
        execution, transfer = scale * rng.random((4, 3)), scale * rng.random((5, 3, 3))
        answer = cpsat.solve_chain(cpsat.arcs(execution, transfer)[None])
        _, cost = oracle.table_optimum(execution, transfer)
        assert shared.statuses(answer) == "OPTIMAL"
        assert answer.cost == pytest.approx(cost, rel=1e-9)
        assert answer.cost == pytest.approx(
            oracle.table_cost(execution, transfer, answer.decision), rel=1e-14
        )


def test_costs_far_below_the_first_bound() -> None:
    """Staying costs 1e12 times the optimum, so the first scaling is too coarse for it."""
    rng = np.random.default_rng(1)
    execution, transfer = rng.random((5, 3)), rng.random((6, 3, 3))
    execution[:, 0] = 1e12
    answer = cpsat.solve_chain(cpsat.arcs(execution, transfer)[None])
    _, cost = oracle.table_optimum(execution, transfer)
    assert answer.optimal
    assert answer.cost == pytest.approx(cost, rel=1e-9)


def test_a_long_chain_is_proven() -> None:
    costs = cases.random_table(np.random.default_rng(2), 200, 3)
    solution = oj.solve(costs, method="cpsat")
    assert bool(solution.optimal)
    expected = oracle.shortest_path(costs.execution, costs.transfer)
    assert float(solution.cost) == pytest.approx(expected, rel=1e-6)


def test_a_batch_over_processes() -> None:
    problem = cases.wide_problem(np.random.default_rng(3), 2, (4, 5))
    with joblib.parallel_config(n_jobs=2):
        solution = cpsat.solve_batch(problem)
    assert bool(solution.optimal.all())
    np.testing.assert_allclose(solution.cost, oj.solve(problem).cost, rtol=1e-6)


def test_no_time_gives_no_proof() -> None:
    """A limit that leaves no time: what is returned is scored, not claimed to be optimal."""
    costs = cases.random_table(np.random.default_rng(4), 300, 4)
    solution = oj.solve(costs, method="cpsat", time_limit=1e-6)
    assert not bool(solution.optimal)
    table = costs.execution, costs.transfer
    cost = float(solution.cost)
    assert cost >= oracle.shortest_path(*table) * (1 - 1e-6)
    decision = np.asarray(solution.decision)
    assert cost in (np.inf, pytest.approx(oracle.table_cost(*table, decision), rel=1e-6))


def test_one_clock_for_every_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each solver gets what the ones before it left of the time limit."""
    given, clock = [], [100.0]

    class Solver(cpsat.cp_model.CpSolver):
        def solve(self, model: object, *arguments: object) -> object:
            given.append(self.parameters.max_time_in_seconds)
            self.parameters.max_time_in_seconds = 1e9
            clock[0] += 3.0
            return super().solve(model, *arguments)

    monkeypatch.setattr(cpsat.cp_model, "CpSolver", Solver)
    monkeypatch.setattr(cpsat.time, "monotonic", lambda: clock[0])
    rng = np.random.default_rng(1)
    execution, transfer = rng.random((5, 3)), rng.random((6, 3, 3))
    execution[:, 0] = 1e12
    cpsat.solve_chain(cpsat.arcs(execution, transfer)[None], time_limit=4.0)
    assert given == [4.0, 1.0]


def test_answers_are_float64_arrays() -> None:
    rng = np.random.default_rng(6)
    costs = oj.ChainCosts(rng.random((2, 4, 3)), rng.random((2, 5, 3, 3)))
    solution = oj.solve(costs, method="cpsat")
    assert solution.cost.dtype == np.float64
    for row in range(2):
        _, cost = oracle.table_optimum(costs.execution[row], costs.transfer[row])
        assert solution.cost[row] == pytest.approx(cost, rel=1e-14)


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_the_bar_is_shown_on_request(
    progress: bool | None,
    shown: bool,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None: only on a terminal, which a test has not."""
    bar = shared.tqdm
    monkeypatch.setattr(shared, "tqdm", lambda *a, **k: bar(*a, **(k | {"delay": 0.0})))
    oj.solve(cases.table_rows(1, 2).source, method="cpsat", progress=progress)
    assert ("cpsat" in capsys.readouterr().err) == shown


def test_a_budget_on_another_table() -> None:
    """Least cost within a limit on a second additive cost, against brute force."""
    rng = np.random.default_rng(5)
    tables = [(rng.random((4, 3)), rng.random((5, 3, 3))) for _ in range(2)]
    decisions = list(oracle.all_decisions(4))
    spent = np.array([oracle.table_cost(*tables[1], d) for d in decisions])
    arcs = [cpsat.arcs(*table) for table in tables]
    for limit in (*np.quantile(spent, [0.02, 0.3, 1.0]), spent.min() / 2):
        answer = cpsat.solve_chain(arcs[0][None], budgets=[cpsat.Budget(arcs[1], limit)])
        affordable = [d for d, s in zip(decisions, spent, strict=True) if s <= limit]
        _, cost = oracle.minimize(lambda d: oracle.table_cost(*tables[0], d), affordable)
        assert answer.optimal
        assert answer.cost == pytest.approx(cost, rel=1e-9)
        assert shared.statuses(answer) == ("OPTIMAL" if affordable else "INFEASIBLE")


def test_the_answer_does_not_vary() -> None:
    rows = cases.table_rows(4, 3).source
    first, second = (oj.solve(rows, method="cpsat") for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_joblib_says_where_it_runs() -> None:
    """A backend that gives results all at once, as Ray's does, is as good."""
    rows = cases.table_rows(1, 2).source
    with joblib.parallel_config(backend="multiprocessing"):
        with pytest.raises(ValueError, match="does not support return_as=generator"):
            joblib.Parallel(return_as="generator")
        there = oj.solve(rows, method="cpsat")
    jax.tree.map(np.testing.assert_array_equal, there, oj.solve(rows, method="cpsat"))
