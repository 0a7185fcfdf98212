"""Exported C does nothing undefined: each array in an allocation of its own, under the sanitizers.

python -m pytest tests/export/sanitizers.py
"""

import math
from pathlib import Path

import numpy as np
import pytest

import offload_jax as oj
from tests import cases as chain_cases
from tests.export import compiled
from tests.export import test_c_chains as on_chains
from tests.export import test_c_graphs as on_graphs
from tests.graphs import cases
from tests.test_single import requests, student


@pytest.mark.parametrize("name", ["exact", "physical", "raw"])
def test_chains(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.c"
    policy = oj.policies.optimal if name == "exact" else student(**on_chains.STUDENTS[name])
    oj.export.c(policy, path)
    checked = compiled.program(path, on_chains.DRIVER)
    num = compiled.NUM_REQUESTS
    rows = on_chains.rows_of(requests(7, num, 6, hostile=True))
    # What is refused, and the largest and least numbers that are not.
    rows[0, 3], rows[1, 8], rows[2, -1] = math.nan, math.inf, -1.0
    limits = np.finfo(np.float64 if name == "exact" else np.float32)
    rows[3:6], rows[6:9] = limits.max, limits.tiny
    rows[9, :13], rows[9, 13:] = limits.max, limits.tiny
    output = compiled.run(checked, np.array([num, 6, 0], np.uint64), rows)
    error = np.frombuffer(output, np.int32, num, offset=6 * num)
    assert error[:3].tolist() == [2, 3, 7] and not error[3:].any()
    assert compiled.run(checked, np.array([1, 0, 0], np.uint64), np.ones(5))[:4] == bytes(
        [1, 0, 0, 0]
    )
    if name == "exact":
        tables = chain_cases.integer_table(np.random.default_rng(0), 4, 5, (50,))
        sizes = np.array([50, 4, 5], np.uint64)
        compiled.run(checked, sizes, tables.execution, tables.transfer)


@pytest.mark.parametrize("name", ["student", "deep"])
def test_graphs(tmp_path: Path, name: str) -> None:
    make, static = on_graphs.POLICIES[name]
    path = tmp_path / f"{name}.c"
    oj.export.c(make(), path)
    checked = compiled.program(
        path, on_graphs.DRIVER, f"-D{name.upper()}_MAX_TASKS={on_graphs.NUM_TASKS}"
    )
    num = on_graphs.NUM // 4
    problem = cases.as_problem(on_graphs.requests(num, **static))
    rows, depends = on_graphs.inputs_of(problem)
    # What is refused, and the largest and least numbers that are not.
    limits = np.finfo(np.float32)
    rows[0, 0], rows[1, -1] = math.nan, math.inf
    rows[2], rows[3], rows[4, :-4] = limits.max, limits.tiny, 0.0
    rows[5, :-4], rows[5, -4:] = limits.max, limits.tiny
    sizes = [num, on_graphs.NUM_TASKS, problem.edge_servers, int(problem.send_once)]
    output = compiled.run(checked, np.array(sizes, np.uint64), rows, depends)
    error = np.frombuffer(output, np.int32, num, offset=5 * num * on_graphs.NUM_TASKS)
    assert error[:2].tolist() == [2, 10] and not error[2:].any()
    order = np.frombuffer(
        output, np.int32, num * on_graphs.NUM_TASKS, offset=num * on_graphs.NUM_TASKS
    )
    assert (np.sort(order.reshape(num, -1)[2:]) == np.arange(on_graphs.NUM_TASKS)).all()
