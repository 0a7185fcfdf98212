"""OR-Tools CP-SAT: a certificate, and what side constraints need that break the dynamic program.

A decision is a path through the layered graph of places. Every arc (t, j, k), "subtask t - 1 at
place j, subtask t at place k", is a Boolean; each node passes on what it receives, so the linear
relaxation of the chain alone is integral and proofs are quick. Costs become integers:

    coefficient = round(cost / unit),  unit = bound / 2^40,

where `bound` is at least the optimal cost and arcs dearer than it are left out. Rounding moves the
cost of a path by at most (A + 1) / 2 units, so a proven answer is within (A + 1) * bound * 2^-40 of
the optimum. Where the bound turns out far above the answer, the chain is solved again with the
answer as bound. Costs are scored again in float64 from the decision.

The period is the largest of several such costs, the loads of processors and links: the least number
that none of them exceeds.
"""

import functools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.constraints import NO_LIMITS, RELATIVE_TOLERANCE, Limits
from offload_jax.chains.costs import ChainCosts, host_terms_under_maximum, stack_terms
from offload_jax.chains.problem import ChainProblem
from offload_jax.cpsat import RELATIVE_ERROR, run_all, run_model
from offload_jax.extras import needs
from offload_jax.objectives import LATENCY, Objective, Period
from offload_jax.solution import Solution

with needs("cpsat"):
    from ortools.sat.python import cp_model

_RESOLUTION = 1 << 40
# Chains below which starting processes costs more than it saves.
_MIN_PARALLEL = 16


class Budget(NamedTuple):
    """A limit on another additive cost of the same chain.

    Attributes:
      arcs: float64 `[A + 1, K, K]`, see `arcs`.
      limit: the most that a decision may add up to; met up to `RELATIVE_TOLERANCE` of it.
    """

    arcs: np.ndarray
    limit: float


def solve_batch(
    source: ChainProblem | ChainCosts,
    *,
    objective: Objective | Period = LATENCY,
    limits: Limits = NO_LIMITS,
    contiguous: bool = False,
    time_limit: float | None = None,
    progress: bool | None = None,
) -> Solution:
    """Solves every chain of a batch, in parallel over processes, or over a cluster: see `run_all`.

    Args:
      source: problem or table with concrete arrays, any leading dimensions.
      objective: what to minimise; ignored for a table, unless it is the period.
      limits: they broadcast with the batch.
      contiguous: whether each place runs one stage at most.
      time_limit: seconds for each chain; unlimited if None.
      progress: whether to show a bar; on a terminal only if None.

    Returns:
      A `Solution` of NumPy arrays; `optimal` is True where CP-SAT proved the decision optimal or
      proved that none exists (cost `inf`, decision all 0), and False where the time limit came
      first. Among equal costs any decision may be returned.
    """
    batch = np.broadcast_shapes(source.batch_shape, limits.batch_shape)
    size = math.prod(batch)

    def rows(source: ChainProblem | ChainCosts, quantity: Objective | Period) -> list[Any]:
        """For each chain the arcs `[R, A + 1, K, K]` of costs of which the largest counts."""
        terms = host_terms_under_maximum(source, quantity, batch)
        tables = [stack_terms(each, (size,), library=np) for each in terms]
        return [
            np.stack([arcs(table.execution[row], table.transfer[row]) for table in tables])
            for row in range(size)
        ]

    budgets: list[list[Budget]] = [[] for _ in range(size)]
    for limited_source, quantity, limit in limits.by_quantity(source, objective.power):
        values = np.broadcast_to(np.asarray(limit, np.float64), batch).reshape(-1).tolist()
        for row, tables in enumerate(rows(limited_source, quantity)):
            if math.isfinite(values[row]):
                budgets[row] += [Budget(table, values[row]) for table in tables]
    calls = (
        functools.partial(
            solve_chain, costs, budgets=each, contiguous=contiguous, time_limit=time_limit
        )
        for costs, each in zip(rows(source, objective), budgets, strict=True)
    )
    answers = run_all(calls, size, min_parallel=_MIN_PARALLEL, progress=progress)
    return Solution(
        np.array([a.decision for a in answers], np.int8).reshape(*batch, source.num_subtasks),
        np.array([a.cost for a in answers], np.float64).reshape(batch),
        np.array([a.optimal for a in answers], bool).reshape(batch),
    )


def solve_chain(
    costs: np.ndarray,
    *,
    budgets: Sequence[Budget] = (),
    contiguous: bool = False,
    time_limit: float | None = None,
) -> Solution:
    """Solves one chain under any number of additive budgets.

    Args:
      costs: float64 `[R, A + 1, K, K]` arcs, not negative; `inf` forbids. A decision costs the
        largest of its R sums.
      budgets: limits on other additive costs.
      contiguous: whether each place runs one stage at most.
      time_limit: seconds for all of it, models and scalings included.

    Returns:
      The answer; cost `inf` and decision all 0 where there is none.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    allowed = np.isfinite(costs).all(0)
    for budget in budgets:
        allowed &= budget.arcs <= budget.limit * (1 + RELATIVE_TOLERANCE)
    home = np.zeros(costs.shape[1] - 1, np.int8)
    stay = _cost(costs, home)
    home_allowed = math.isfinite(stay) and all(
        _cost(budget.arcs[None], home) <= budget.limit * (1 + RELATIVE_TOLERANCE)
        for budget in budgets
    )
    dearest = float(np.where(allowed, costs, 0.0).max(axis=(2, 3)).sum(1).max())
    bound = stay if home_allowed else dearest
    answer = _solution(home, stay if home_allowed else math.inf, home_allowed and stay == 0)
    if answer.optimal:
        return answer
    while True:
        cheap = allowed & (costs <= bound).all(0)
        found = _solve_scaled(costs, cheap, bound, budgets, contiguous, deadline)
        if found.cost == math.inf:
            # Infeasible below a bound that a known decision meets cannot happen.
            return found if answer.cost == math.inf else answer
        error = costs.shape[1] * bound / _RESOLUTION
        if error <= RELATIVE_ERROR * found.cost or found.cost >= bound / 2 or found.cost == 0:
            return found
        answer = found._replace(optimal=np.asarray(False))
        bound = float(found.cost)


def _solution(decision: np.ndarray, cost: float, optimal: bool) -> Solution:
    return Solution(decision, np.asarray(cost), np.asarray(optimal))


def arcs(execution: Any, transfer: Any) -> np.ndarray:
    """`[A + 1, K, K]`: moving the data before subtask t and running it; the last row goes home."""
    table = transfer.copy()
    table[:-1] += execution[:, None, :]
    table[0, 1:, :] = math.inf  # the chain starts at place 0
    table[-1, :, 1:] = math.inf  # and ends there
    return np.asarray(table)


def _cost(costs: np.ndarray, decision: np.ndarray) -> float:
    """The largest sum of the arcs `[R, A + 1, K, K]` that a decision takes."""
    path = np.concatenate([[0], decision, [0]]).astype(int)
    return float(costs[:, np.arange(costs.shape[1]), path[:-1], path[1:]].sum(1).max())


def _solve_scaled(
    costs: np.ndarray,
    allowed: np.ndarray,
    bound: float,
    budgets: Sequence[Budget],
    contiguous: bool,
    deadline: float,
) -> Solution:
    _, num_stages, num_places, _ = costs.shape
    model = cp_model.CpModel()
    used = {
        (t, j, k): model.new_bool_var(f"{t}:{j}>{k}")
        for t, j, k in (tuple(map(int, arc)) for arc in np.argwhere(allowed))
    }
    places = range(num_places)
    for t in range(num_stages):
        layer = [used[t, j, k] for j in places for k in places if (t, j, k) in used]
        model.add_exactly_one(layer)
        if t == 0:
            continue
        for node in places:
            into = [used[t - 1, j, node] for j in places if (t - 1, j, node) in used]
            out = [used[t, node, k] for k in places if (t, node, k) in used]
            model.add(sum(into) == sum(out))
    if contiguous:
        for node in places:
            begun = [
                arc
                for (t, j, k), arc in used.items()
                if k == node and t < num_stages - 1 and (j != node or t == 0)
            ]
            model.add_at_most_one(begun)
    unit = bound / _RESOLUTION if bound > 0 else 1.0
    sums = [_weighted(used, each, unit) for each in costs]
    if len(sums) == 1:
        model.minimize(sums[0])
    else:
        largest = model.new_int_var(0, 2 * _RESOLUTION, "largest")
        for each in sums:
            model.add(each <= largest)
        model.minimize(largest)
    for budget in budgets:
        if budget.limit > 0:
            unit = budget.limit / _RESOLUTION
            allowance = round(_RESOLUTION * (1 + RELATIVE_TOLERANCE))
            model.add(_weighted(used, budget.arcs, unit) <= allowance)
    solver, status = run_model(
        model,
        deadline=deadline,
        linearization_level=2,
        # Presolve of OR-Tools 9.15 proves wrong optima of a largest sum (seen on random tables).
        cp_model_presolve=len(sums) == 1,
    )
    decision = np.zeros(num_stages - 1, np.int8)
    if status not in ("OPTIMAL", "FEASIBLE"):
        return _solution(decision, math.inf, status == "INFEASIBLE")
    for (t, _, k), arc in used.items():
        if t < len(decision) and solver.boolean_value(arc):
            decision[t] = k
    return _solution(decision, _cost(costs, decision), status == "OPTIMAL")


def _weighted(used: Mapping[tuple[int, int, int], Any], costs: np.ndarray, unit: float) -> Any:
    coefficients = [round(float(costs[arc]) / unit) for arc in used]
    return cp_model.LinearExpr.weighted_sum(list(used.values()), coefficients)
