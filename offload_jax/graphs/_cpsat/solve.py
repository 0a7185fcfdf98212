"""OR-Tools CP-SAT for task graphs: the least makespan over places and all orders, with a proof.

How a request walks through: `graphs.solve` finds a decision to start from and calls `solve_batch`,
which makes seconds of the costs (`operations.timed_requests`) and gives each row to `_solve`. There
the decision becomes a plan (`operations.operations`, once for each decision), the plan's makespan
the unit (`in_units`), the whole numbers a model (`model.IntegerModel`), and the model's places and
sequence a plan again, carried out in exact seconds (`run`) and returned as a schedule.

A task at a place and a hop of a transfer are optional intervals; those of one serial processor or
link do not overlap, a place of m servers is a cumulative resource. Heads and tails (seconds before
and after a task without contention) bound starts and take places away that cannot belong to a
schedule as good as the one already known.

Times become whole units, rounded down:

    duration = floor(seconds / unit),  unit = the power of two at bound / 2^40,

times the greatest common divisor of all durations. `bound` is the makespan of a known schedule.
Rounding down turns every schedule into one of the integer model that is no longer, so CP-SAT's
bound times the unit is a lower bound as it stands. The sequences of the solver on all resources are
carried out again with the float64 durations; that schedule is at most one unit for each operation
and each start-up delay longer, in all `cost` - `lower_bound` <= 2^-39 of the bound
for each operation when proven, and nothing where all times are multiples of a unit. Where the bound
was far above the answer, the request is solved again with the answer as bound.
"""

import functools
import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from offload_jax.cpsat import RELATIVE_ERROR, run_all
from offload_jax.graphs._cpsat.model import IntegerModel, IntegerSolution
from offload_jax.graphs._cpsat.operations import (
    Key,
    Operation,
    Plan,
    TimedRequest,
    in_units,
    longest,
    operations,
    rounding,
    run,
    schedule_of,
    timed_requests,
)
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, GraphSolution, OnSolution

# Requests below which starting processes costs more than it saves.
_MIN_PARALLEL = 8


def solve_batch(
    costs: GraphCosts,
    start: Decision | None = None,
    *,
    time_limit: float | None = None,
    progress: bool | None = None,
    on_solution: OnSolution | None = None,
) -> GraphSolution:
    """Solves a batch of requests, over processes if there are many, or over a cluster: `run_all`.

    Args:
      costs: concrete and valid; leading dimensions free.
      start: a decision about each request, with the shape of the batch or flat; None is to start
        from the best single place, which is looked at in any case.
      time_limit: seconds for each request, models and scalings included; what is being done when
        they are over, such as carrying a plan out, is still done.
      progress: False is no progress bar, True is one, None is one on a terminal.
      on_solution: of one request; see `graphs.solve`.

    Returns:
      NumPy arrays with the batch shape, float64 costs, and the schedules. The cost is never above
      that of `start`, which is what the decision simulates to in float64, nor below `lower_bound`.
      `optimal` holds up to the rounding of times to units; where it is True and the cost `inf`, it
      is proven that nothing finite exists, and the schedule is all at place 0.
    """
    rows = timed_requests(costs)
    known: Any = [None] * len(rows)
    if start is not None:
        flat = (np.reshape(part, (-1, costs.num_tasks)).tolist() for part in start)
        known = zip(*flat, strict=True)
    calls = (
        functools.partial(_solve, *row, time_limit, on_solution)
        for row in zip(rows, known, strict=True)
    )
    solutions = run_all(calls, len(rows), min_parallel=_MIN_PARALLEL, progress=progress)
    batch = costs.batch_shape
    if not rows:
        tasks, none = np.zeros((*batch, costs.num_tasks), np.int8), np.zeros(batch)
        return GraphSolution(tasks, tasks.astype(np.int32), none, none, none == 0)
    return jax.tree.map(lambda *v: np.stack(v).reshape(batch + np.shape(v[0])), *solutions)


def _solve(
    request: TimedRequest,
    start: tuple[list[int], list[int]] | None,
    time_limit: float | None,
    on_solution: OnSolution | None = None,
) -> GraphSolution:
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    num_tasks, num_places = request.seconds.shape
    starts = [([k] * num_tasks, list(range(num_tasks))) for k in range(num_places)]
    if start is not None:
        starts.insert(0, start)
    plans = (_plan(request, place, operations(request, place, order)) for place, order in starts)
    best = min(plans, key=_makespan)
    lower, stopped = 0.0, False

    def tell(plan: Plan) -> bool:
        """Calls `on_solution`; whether to stop."""
        schedule, cost = schedule_of(request, plan), _makespan(plan)
        decision = Decision(schedule.place, schedule.order)
        return bool(on_solution and on_solution(cost, min(lower, cost), decision))

    def better(scaled: TimedRequest, unit: float, found: IntegerSolution) -> bool:
        """Keeps what CP-SAT has found if it is better; whether to stop."""
        nonlocal best, lower, stopped
        lower = max(lower, found.lower_bound * unit)
        if found.place is not None:
            sequence = in_sequence(request, scaled, found.place, found.start)
            plan = _plan(request, found.place, sequence)
            if _makespan(plan) < _makespan(best):
                best = plan
                stopped = tell(best)
        return stopped

    if tell(best):
        return _solution(request, best, lower, False)
    while True:
        bound = best.times.makespan
        if bound == 0:
            return _solution(request, best, 0.0, True)
        scaled, unit = in_units(request, bound)
        times = None if bound == math.inf else run(scaled, best.sequence)
        horizon = longest(scaled) if times is None else times.makespan
        model = IntegerModel(scaled, int(horizon), deadline)
        if times is not None:
            model.add_hint(best.place, times)
        keep = functools.partial(better, scaled, unit)
        found = model.solve(keep if on_solution else None)
        keep(found)
        cost = best.times.makespan
        if cost == math.inf:
            impossible = found.status == "INFEASIBLE"
            return _solution(request, best, cost if impossible else lower, impossible)
        error = rounding(request, scaled, unit, best.sequence)
        if (
            stopped
            or found.status != "OPTIMAL"
            or error <= RELATIVE_ERROR * cost
            or cost >= bound / 2
        ):
            proven = found.status == "OPTIMAL" and cost - lower <= error + 1e-12 * cost
            return _solution(request, best, min(lower, cost), proven)


def _plan(request: TimedRequest, place: list[int], sequence: list[Operation]) -> Plan:
    return Plan(place, sequence, run(request, sequence))


def _makespan(plan: Plan) -> float:
    return plan.times.makespan


def in_sequence(
    request: TimedRequest, scaled: TimedRequest, place: list[int], start: Mapping[Key, int]
) -> list[Operation]:
    """Operations by the start that the solver gave, ties so that each follows what it needs."""
    order = sorted(range(len(place)), key=lambda v: (start["task", v, 0, 0], v))
    # Sorting is stable, and operations come out with dependencies kept.
    return sorted(
        operations(request, place, order),
        key=lambda step: (start[step.key], start[step.key] + step.seconds(scaled)),
    )


def _solution(
    request: TimedRequest, plan: Plan, lower_bound: float, optimal: bool
) -> GraphSolution:
    schedule = schedule_of(request, plan)
    return GraphSolution(
        place=schedule.place,
        order=schedule.order,
        cost=schedule.makespan,
        lower_bound=np.asarray(lower_bound),
        optimal=np.asarray(optimal),
        schedule=schedule,
    )
