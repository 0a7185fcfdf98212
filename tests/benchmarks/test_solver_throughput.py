"""The benchmark's references compute what they claim; nothing is timed."""

from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks import solver_throughput


@pytest.mark.parametrize("num", [1, 16, 45])
def test_compiled_loop_and_literal_enumeration_find_the_optimum(tmp_path: Path, num: int) -> None:
    problem = oj.scenarios.sample(jax.random.key(num), oj.scenarios.WIDE, num)
    expected = np.asarray(oj.solve(problem, method="exhaustive").cost)
    c_loop = solver_throughput.compiled_loop(problem, threads=2, folder=tmp_path)
    np.testing.assert_allclose(c_loop(), expected, rtol=1e-5)
    literal = solver_throughput.literal_enumeration(problem)
    np.testing.assert_allclose(literal, expected, rtol=1e-5)


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver_throughput.shutil, "which", lambda name: None)
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 1)
    with pytest.raises(RuntimeError, match="C compiler"):
        solver_throughput.compiled_loop(problem, threads=1, folder=tmp_path)
