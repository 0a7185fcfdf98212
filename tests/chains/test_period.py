"""The period of a stream of chains: exact solvers agree with looking at every decision."""

import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle, period_oracle


@pytest.mark.parametrize("num_subtasks", [1, 3])
def test_period_is_the_largest_load(num_subtasks: int) -> None:
    chains = cases.chains(num_subtasks)
    decisions = np.array([*oracle.all_decisions(num_subtasks)])
    found = oj.period(cases.as_problem(chains), decisions[:, None])
    expected = [[period_oracle.chain_period(chain, d) for chain in chains] for d in decisions]
    np.testing.assert_allclose(found, expected, 1e-5)


def test_every_place_and_pair_of_a_table_is_a_resource() -> None:
    rows = cases.table_rows(2, 3)
    decisions = np.array([*oracle.all_decisions(2, 3)])
    found = oj.period(rows.source, decisions[:, None])
    tables = [*zip(rows.source.execution, rows.source.transfer, strict=True)]
    expected = [[period_oracle.table_period(*table, d) for table in tables] for d in decisions]
    np.testing.assert_allclose(found, expected, 1e-5)
