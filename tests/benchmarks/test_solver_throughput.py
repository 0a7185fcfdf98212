"""The benchmark's references compute what they claim; nothing is timed."""

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks import c_library, solver_throughput
from benchmarks.solver_throughput import Row
from tests import oracle

NUM = 45


@pytest.fixture(scope="module")
def problem() -> oj.ChainProblem:
    sampled = oj.scenarios.sample(jax.random.key(1), oj.scenarios.WIDE, NUM)
    return jax.tree.map(np.asarray, sampled)


@pytest.fixture(scope="module")
def optimum(problem: oj.ChainProblem) -> list[float]:
    chains = [
        oracle.Chain(*(tuple(x) if x.ndim else float(x) for x in jax.tree.leaves(problem[i])))
        for i in range(NUM)
    ]
    return [oracle.optimum(chain)[1] for chain in chains]


# Less than the sixteen that go side by side, as many, and a rest in two threads.
@pytest.mark.parametrize("num", [1, 16, 45])
def test_the_compiled_loop_finds_the_optimum(
    problem: oj.ChainProblem, optimum: list[float], num: int
) -> None:
    c_loop = solver_throughput.compiled_loop(problem[:num], threads=2)
    np.testing.assert_allclose(c_loop(), optimum[:num], rtol=1e-5)


def test_the_literal_enumeration_finds_the_optimum(
    problem: oj.ChainProblem, optimum: list[float]
) -> None:
    found = jax.jit(solver_throughput.literal_enumeration)(problem)
    np.testing.assert_allclose(found, optimum, rtol=1e-5)


def test_a_missing_compiler_is_named(
    problem: oj.ChainProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_library.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="C compiler"):
        solver_throughput.compiled_loop(problem, threads=1)


def test_rows_are_measured_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver_throughput, "COPIED", 1 << 10)
    loop, solver = (
        Row(solver_throughput.C_LOOP, lambda: np.ones(3), 3, 100),
        Row("dp", lambda: np.full(3, 1 + 1e-6), 3, 100),
    )
    text = solver_throughput.measure([loop, solver], repeats=2)
    assert "| dp " in text and "copy bandwidth" in text
    wrong = solver._replace(call=lambda: np.array([1.0, 1.0, 1.1]))
    with pytest.raises(RuntimeError, match="disagree by 0.1"):
        solver_throughput.measure([loop, wrong], repeats=2)


def test_the_rows_solve_what_they_say() -> None:
    found = solver_throughput.rows(num=NUM, num_enumerated=NUM)
    names = [row.name for row in found]
    assert len(set(names)) == len(names) == 7
    assert {row.reference for row in found} <= set(names)
    # 17 quantities of 4 bytes, a decision and a cost; the table has 18 + 63 entries.
    assert [row.touched for row in found] == [17 * 4 + 10] * 4 + [81 * 4 + 10] + [17 * 4 + 10] * 2
