"""Pipelines of least period: each place runs one stage at most, of subtasks in a row."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from offload_jax.chains.costs import (
    ChainCosts,
    CostTerms,
    host_terms,
    host_terms_under_maximum,
    path_cost,
)
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import LATENCY, PERIOD
from offload_jax.side_constraints import RELATIVE_TOLERANCE
from offload_jax.solution import Solution
from offload_jax.validation import Array

_MOST_PLACES = 12


class _Budgets(NamedTuple):
    """What a stage may take: `spent` `[B, K, A]` of each subtask, `limits` `[B]` in all."""

    spent: np.ndarray
    limits: np.ndarray


def minimize(
    source: ChainProblem | ChainCosts, budgets: Sequence[tuple[ChainCosts, Array]]
) -> Solution:
    """The contiguous decision of least period of every chain, on the host in float64.

    Args:
      source: concrete problems or tables, any A.
      budgets: what all subtasks of a place, and so those of a stage, may add up to.

    Returns:
      NumPy arrays; cost `inf` and decision all 0 where no decision is possible.

    Raises:
      ValueError: there are too many places.
      ImportError: tables need numba.
    """
    if source.num_places > _MOST_PLACES:
        raise ValueError(
            f'method "contiguous": takes at most {_MOST_PLACES} places, whose sets it goes through,'
            f' got {source.num_places}; use "cpsat"'
        )
    batch = np.broadcast_shapes(
        source.batch_shape,
        *(np.shape(part) for _, part in budgets),
        *(t.batch_shape for t, _ in budgets),
    )
    size = math.prod(batch)
    terms = host_terms(source, LATENCY, batch)
    loads = host_terms_under_maximum(source, PERIOD, batch)
    spent = [np.stack(host_terms(table, LATENCY, batch).execution) for table, _ in budgets]
    limits = [np.broadcast_to(np.asarray(most, float), batch).ravel() for _, most in budgets]
    decision = np.zeros((size, source.num_subtasks), np.int8)
    cost = np.full(size, math.inf)
    one = _of_problem if isinstance(source, ChainProblem) else _of_table
    for row in range(size):
        each = _Budgets(
            np.array([s[..., row] for s in spent]).reshape(
                -1, source.num_places, source.num_subtasks
            ),
            np.array([most[row] for most in limits]) * (1 + RELATIVE_TOLERANCE),
        )
        found = one(terms.rows(row), [load.rows(row) for load in loads], each)
        if len(found):
            decision[row] = found
            cost[row] = max(path_cost(load.rows(row), found) for load in loads)
    return Solution(
        decision.reshape(*batch, source.num_subtasks), cost.reshape(batch), np.ones(batch, bool)
    )


def _of_table(terms: CostTerms, loads: list[CostTerms], budgets: _Budgets) -> np.ndarray:
    """By dynamic programming, as every pair of places has a link of its own."""
    from offload_jax.chains._numba.contiguous import pipeline

    del loads
    execution = np.ascontiguousarray(np.stack(terms.execution))
    return pipeline(execution, np.array(terms.transfer), *budgets)


def _of_problem(terms: CostTerms, loads: list[CostTerms], budgets: _Budgets) -> np.ndarray:
    """By looking at all orders of three places and all pairs of subtasks where a stage ends.

    Links carry what several stages send, so that the best pipeline is not made of best parts.
    """
    num, best, decision = terms.num_subtasks, math.inf, np.zeros(0, np.int8)
    for order, ends in _pipelines(num, terms.num_places):
        bounds = [np.zeros(1, int), *ends, np.full(1, num)]
        path = (0, *order, 0)
        total = np.zeros(np.broadcast_shapes(*(end.shape for end in bounds)))
        for load in loads:
            computed = sum(
                np.subtract(*_sums_at(load.execution[k], bounds[i + 1], bounds[i]))
                for i, k in enumerate(order)
            )
            moved = sum(
                load.transfer[j][k][bounds[i]] for i, (j, k) in enumerate(itertools.pairwise(path))
            )
            total = np.maximum(total, computed + moved)
        for spent, limit in zip(*budgets, strict=True):
            for i, k in enumerate(order):
                taken = np.subtract(*_sums_at(spent[k], bounds[i + 1], bounds[i]))
                total = np.where(taken <= limit + _ROUNDING * spent[k].sum(), total, math.inf)
        if total.min(initial=math.inf) < best:
            at = np.unravel_index(total.argmin(), total.shape)
            best = float(total[at])
            cuts = [int(np.broadcast_to(end, total.shape)[at]) for end in bounds]
            decision = np.repeat(np.array(order, np.int8), np.diff(cuts))
    return decision


_ROUNDING = 1e-12


def _pipelines(num: int, num_places: int) -> Iterator[tuple[tuple[int, ...], list[np.ndarray]]]:
    """Orders of one to three places, and arrays of where all stages but the last end."""
    cuts = np.arange(1, num)
    yield from (((k,), []) for k in range(num_places))
    yield from ((order, [cuts]) for order in itertools.permutations(range(num_places), 2))
    first, second = np.triu_indices(num - 1, 1)
    for order in itertools.permutations(range(num_places), 3):
        yield order, [cuts[first], cuts[second]]


def _sums_at(values: np.ndarray, *ends: np.ndarray) -> list[np.ndarray]:
    """Sums of what stands before each end."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return [sums[end] for end in ends]
