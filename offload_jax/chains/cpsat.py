"""OR-Tools CP-SAT: a certificate, and what side constraints need that break the dynamic program.

A decision is a path through the layered graph of places. Every arc (t, j, k), "subtask t - 1 at
place j, subtask t at place k", is a Boolean; each node passes on what it receives, so the linear
relaxation of the chain alone is integral and proofs are quick. Costs become integers:

    coefficient = round(cost / unit),  unit = bound / 2^40,

where `bound` is at least the optimal cost and arcs dearer than it are left out. Rounding moves the
cost of a path by at most (A + 1) / 2 units, so a proven answer is within (A + 1) * bound * 2^-40 of
the optimum. Where the bound turns out far above the answer, the chain is solved again with the
answer as bound. Costs are scored again in float64 from the decision.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.constraints import NO_LIMITS, RELATIVE_TOLERANCE, Limits, SideConstraints
from offload_jax.chains.costs import ChainCosts, host_terms, stack_terms
from offload_jax.chains.problem import ChainProblem
from offload_jax.extras import needs
from offload_jax.objectives import LATENCY, Objective
from offload_jax.processes import run_all
from offload_jax.solution import Solution

with needs("cpsat"):
    import joblib
    from ortools.sat.python import cp_model

_RESOLUTION = 1 << 40
_RELATIVE_ERROR = 1e-9
# Chains below which starting processes costs more than it saves.
_MIN_PARALLEL = 16


class Budget(NamedTuple):
    """A limit on another additive cost of the same chain.

    Attributes:
      execution: float64 `[A, K]`.
      transfer: float64 `[A + 1, K, K]`.
      limit: the most that a decision may add up to; met up to `RELATIVE_TOLERANCE` of it.
    """

    execution: np.ndarray
    transfer: np.ndarray
    limit: float


class ChainAnswer(NamedTuple):
    """Decision `[A]` int8, its cost in float64, whether it is proven, and CP-SAT's status."""

    decision: np.ndarray
    cost: float
    optimal: bool
    status: str


def solve_batch(
    source: ChainProblem | ChainCosts,
    *,
    objective: Objective = LATENCY,
    limits: Limits = NO_LIMITS,
    side_constraints: SideConstraints | None = None,
    time_limit: float | None = None,
    progress: bool | None = None,
    num_processes: int | None = None,
) -> Solution:
    """Solves every chain of a batch, in parallel over processes, or over a cluster: see `run_all`.

    Args:
      source: problem or table with concrete arrays, any leading dimensions.
      objective: what to minimise; ignored for a table.
      limits: they broadcast with the batch.
      side_constraints: what every decision must keep to.
      time_limit: seconds for each chain; unlimited if None.
      progress: whether to show a bar; on a terminal only if None.
      num_processes: worker processes; if None what `joblib.parallel_config` says, else all cores.

    Returns:
      A `Solution` of NumPy arrays; `optimal` is True where CP-SAT proved the decision optimal or
      proved that none exists (cost `inf`, decision all 0), and False where the time limit came
      first. Among equal costs any decision may be returned.
    """
    limited = limits.by_quantity(source, objective.power)
    if side_constraints is not None:
        limited += [
            (table, LATENCY, np.asarray(limit)) for table, limit in side_constraints.budgets(source)
        ]
    batch = np.broadcast_shapes(source.batch_shape, limits.batch_shape)
    size = math.prod(batch)

    def tables(source: ChainProblem | ChainCosts, quantity: Objective) -> Iterator[Any]:
        table = stack_terms(host_terms(source, quantity, batch), (size,), library=np)
        return zip(table.execution, table.transfer, strict=True)

    budgets: list[list[Budget]] = [[] for _ in range(size)]
    for limited_source, quantity, limit in limited:
        values = np.broadcast_to(np.asarray(limit, np.float64), batch).reshape(-1)
        for row, (execution, transfer) in enumerate(tables(limited_source, quantity)):
            if math.isfinite(values[row]):
                budgets[row].append(Budget(execution, transfer, float(values[row])))
    jobs = (
        joblib.delayed(solve_chain)(*table, budgets=rows, time_limit=time_limit)
        for table, rows in zip(tables(source, objective), budgets, strict=True)
    )
    answers = run_all(
        jobs, size, min_parallel=_MIN_PARALLEL, num_processes=num_processes, progress=progress
    )
    return Solution(
        np.array([a.decision for a in answers], np.int8).reshape(*batch, source.num_subtasks),
        np.array([a.cost for a in answers], np.float64).reshape(batch),
        np.array([a.optimal for a in answers], bool).reshape(batch),
    )


def solve_chain(
    execution: np.ndarray,
    transfer: np.ndarray,
    *,
    budgets: Sequence[Budget] = (),
    time_limit: float | None = None,
) -> ChainAnswer:
    """Solves one chain under any number of additive budgets.

    Args:
      execution: float64 `[A, K]`, not negative; `inf` forbids a place.
      transfer: float64 `[A + 1, K, K]`, not negative.
      budgets: limits on other additive costs.
      time_limit: seconds for all of it, models and scalings included.

    Returns:
      The answer; cost `inf` and decision all 0 where there is none.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    arcs = _arcs(execution, transfer)
    spent = [_arcs(budget.execution, budget.transfer) for budget in budgets]
    allowed = np.isfinite(arcs)
    for budget, table in zip(budgets, spent, strict=True):
        allowed &= table <= budget.limit * (1 + RELATIVE_TOLERANCE)
    home = np.zeros(len(execution), np.int8)
    stay = _path_cost(arcs, home)
    home_allowed = math.isfinite(stay) and all(
        _path_cost(table, home) <= budget.limit * (1 + RELATIVE_TOLERANCE)
        for budget, table in zip(budgets, spent, strict=True)
    )
    dearest = float(np.where(allowed, arcs, 0.0).max(axis=(1, 2)).sum())
    bound = stay if home_allowed else dearest
    answer = ChainAnswer(home, stay if home_allowed else math.inf, False, "UNKNOWN")
    if home_allowed and stay == 0:
        return answer._replace(optimal=True, status="OPTIMAL")
    while True:
        found = _solve_scaled(arcs, allowed & (arcs <= bound), bound, budgets, spent, deadline)
        if found.status in ("INFEASIBLE", "UNKNOWN"):
            # Infeasible below a bound that a known decision meets cannot happen.
            return found if answer.cost == math.inf else answer
        error = (len(arcs)) * bound / _RESOLUTION
        if error <= _RELATIVE_ERROR * found.cost or found.cost >= bound / 2 or found.cost == 0:
            return found
        answer = found._replace(optimal=False)
        bound = found.cost


def _arcs(execution: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """`[A + 1, K, K]`: moving the data before subtask t and running it; the last row goes home."""
    arcs = transfer.copy()
    arcs[:-1] += execution[:, None, :]
    arcs[0, 1:, :] = math.inf  # the chain starts at place 0
    arcs[-1, :, 1:] = math.inf  # and ends there
    return arcs


def _path_cost(arcs: np.ndarray, decision: np.ndarray) -> float:
    path = np.concatenate([[0], decision, [0]]).astype(int)
    return float(arcs[np.arange(len(arcs)), path[:-1], path[1:]].sum())


def _solve_scaled(
    arcs: np.ndarray,
    allowed: np.ndarray,
    bound: float,
    budgets: Sequence[Budget],
    spent: Sequence[np.ndarray],
    deadline: float,
) -> ChainAnswer:
    num_places = arcs.shape[1]
    model = cp_model.CpModel()
    used = {
        (t, j, k): model.new_bool_var(f"{t}:{j}>{k}")
        for t, j, k in (tuple(map(int, arc)) for arc in np.argwhere(allowed))
    }
    places = range(num_places)
    for t in range(len(arcs)):
        layer = [used[t, j, k] for j in places for k in places if (t, j, k) in used]
        model.add_exactly_one(layer)
        if t == 0:
            continue
        for node in places:
            into = [used[t - 1, j, node] for j in places if (t - 1, j, node) in used]
            out = [used[t, node, k] for k in places if (t, node, k) in used]
            model.add(sum(into) == sum(out))
    unit = bound / _RESOLUTION if bound > 0 else 1.0
    model.minimize(_weighted(used, arcs, unit))
    for budget, table in zip(budgets, spent, strict=True):
        if budget.limit > 0:
            unit = budget.limit / _RESOLUTION
            allowance = round(_RESOLUTION * (1 + RELATIVE_TOLERANCE))
            model.add(_weighted(used, table, unit) <= allowance)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = 1
    # Its handler would stay installed after the solve and end the process at the next Ctrl-C.
    parameters.catch_sigint_signal = False
    parameters.random_seed = 0
    # The default absolute gap of 1e-4 and any relative gap accept wrong answers.
    parameters.absolute_gap_limit = 0.0
    parameters.relative_gap_limit = 0.0
    parameters.linearization_level = 2
    parameters.max_time_in_seconds = max(0.0, deadline - time.monotonic())
    status = solver.solve(model)
    decision = np.zeros(len(arcs) - 1, np.int8)
    if status == cp_model.INFEASIBLE:
        return ChainAnswer(decision, math.inf, True, "INFEASIBLE")
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return ChainAnswer(decision, math.inf, False, "UNKNOWN")
    for (t, _, k), arc in used.items():
        if t < len(decision) and solver.boolean_value(arc):
            decision[t] = k
    proven = status == cp_model.OPTIMAL
    cost = _path_cost(arcs, decision)
    return ChainAnswer(decision, cost, proven, "OPTIMAL" if proven else "FEASIBLE")


def _weighted(used: Mapping[tuple[int, int, int], Any], costs: np.ndarray, unit: float) -> Any:
    coefficients = [round(float(costs[arc]) / unit) for arc in used]
    return cp_model.LinearExpr.weighted_sum(list(used.values()), coefficients)
