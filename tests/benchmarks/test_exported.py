"""What is measured decides as what it was exported from; nothing is timed."""

from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks import exported
from tests.graphs.test_learned import POLICY
from tests.test_single import GOOD, requests, student


def test_chains_in_batches_and_one_by_one() -> None:
    policy = student()
    contender = exported.chains(policy)
    problem = requests(2, 50, 6, hostile=False)
    decision = contender.batch(problem)
    assert (decision == policy(problem)).mean() > 0.99
    for i in (0, 7):
        fields = [np.asarray(leaf[i], np.float64) for leaf in jax.tree.leaves(problem)]
        np.testing.assert_array_equal(contender.one(*fields), decision[i])
    arrays = [np.asarray(GOOD[name]) for name in ("cycles", "data")]
    with pytest.raises(ValueError, match="refuses a request: 4"):
        contender.one(*arrays, 0.0, 3e9, 1e6, 1e6)


def test_graphs() -> None:
    layered = oj.graphs.scenarios.layered(6)
    problem = oj.graphs.scenarios.sample(jax.random.key(1), layered, 32)
    problem = jax.tree.map(np.asarray, problem)
    found, expected = exported.graphs(POLICY)(problem), POLICY(problem)
    assert (found.place == expected.place).mean() > 0.98
    assert (found.order == expected.order).mean() > 0.98


def test_a_row_has_all_four_times(tmp_path: Path) -> None:
    (row,) = exported.chain_rows(tmp_path, num=64, rounds=1)
    assert row[0] == "chain of 6, exact"
    assert all(float(entry) > 0 for entry in row[1:]) and len(row) == 5
