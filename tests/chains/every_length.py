"""The dynamic program compiled for every length: minutes, so it is run by name.

python -m pytest tests/chains/every_length.py
"""

import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle
from tests.chains.test_dynamic_programming import smallest_optimal_decision, tied_rows


@pytest.mark.parametrize("num_subtasks", [*range(1, 71), 1000])
@pytest.mark.parametrize("num_places", range(2, 9))
def test_every_length_and_number_of_places(num_subtasks: int, num_places: int) -> None:
    rng = np.random.default_rng(100 * num_subtasks + num_places)
    costs = cases.integer_table(rng, num_subtasks, num_places, (3,), high=1)
    costs.execution[1][rng.random(costs.execution[1].shape) < 0.2] = np.inf
    costs.transfer[1][rng.random(costs.transfer[1].shape) < 0.2] = np.inf
    solution = oj.solve(costs)
    for row in range(3):
        table, decision = (costs.execution[row], costs.transfer[row]), solution.decision[row]
        least = oracle.shortest_path(*table)
        assert float(solution.cost[row]) == least
        if least == np.inf:
            assert not np.asarray(decision).any()
            continue
        assert oracle.table_cost(*table, np.asarray(decision)) == least
        if num_subtasks <= 20:
            np.testing.assert_array_equal(decision, smallest_optimal_decision(*table))


@pytest.mark.parametrize("num_subtasks", range(1, 71))
@pytest.mark.parametrize("num_places", [2, 3])
def test_every_length_of_large_batches(num_subtasks: int, num_places: int) -> None:
    """They are compiled another way than small ones."""
    costs = tied_rows(num_subtasks, num_places, num=4_112)
    solution, small = (oj.solve(source) for source in (costs, costs[:4]))
    for field in ("decision", "cost"):
        found, expected = (np.asarray(getattr(each, field)) for each in (solution, small))
        np.testing.assert_array_equal(found, np.resize(expected, found.shape))
