"""OR-Tools CP-SAT for task graphs: the least makespan over places and all orders, with a proof.

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
and each start-up delay longer, in all `Answer.cost` - `Answer.lower_bound` <= 2^-39 of the bound
for each operation when proven, and nothing where all times are multiples of a unit. Where the bound
was far above the answer, the request is solved again with the answer as bound.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.extras import needs
from offload_jax.graphs._cpsat.model import IntegerModel
from offload_jax.graphs._cpsat.operations import (
    DenseRequest,
    Key,
    Operation,
    dense_requests,
    in_units,
    longest,
    operations,
    rounding,
    run,
    schedule_of,
)
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, GraphSolution, Schedule, Transfers
from offload_jax.processes import run_all

with needs("cpsat"):
    import joblib

_RELATIVE_ERROR = 1e-9
# Requests below which starting processes costs more than it saves.
_MIN_PARALLEL = 8


class Answer(NamedTuple):
    """What CP-SAT says of one request.

    Attributes:
      schedule: float64, with transfers; all at place 0 at `inf` where there is none.
      cost: its makespan.
      lower_bound: no schedule is faster.
      optimal: whether the cost is proven, up to the rounding of times to units.
      status: "OPTIMAL", "FEASIBLE", "INFEASIBLE" (proven: nothing finite) or "UNKNOWN".
    """

    schedule: Schedule
    cost: float
    lower_bound: float
    optimal: bool
    status: str


def solve_batch(
    costs: GraphCosts,
    hints: Sequence[Schedule | Decision | None] | None = None,
    *,
    time_limit: float | None = None,
    num_workers: int = 1,
    num_processes: int | None = None,
    progress: bool | None = None,
) -> GraphSolution:
    """Solves a batch of requests, over processes if there are many, or over a cluster: `run_all`.

    Args:
      costs: concrete and valid; leading dimensions free.
      hints: a decision for each row of the flattened batch, or None; places and order are read.
      time_limit: seconds for each request, all it takes together.
      num_workers: threads of CP-SAT for each request.
      num_processes: if None what `joblib.parallel_config` says, else all cores.
      progress: False is no progress bar, True is one, None is one on a terminal.

    Returns:
      NumPy arrays with the batch shape, float64 costs, and the schedules. The cost is never above
      that of the hint, which is what the decision simulates to in float64, nor below `lower_bound`.
    """
    rows = dense_requests(costs)
    known: Sequence[Any] = [None] * len(rows) if hints is None else hints
    if len(known) != len(rows):
        raise ValueError(f"hints: needs one for each of {len(rows)} requests, got {len(known)}")
    jobs = (
        joblib.delayed(_solve)(request, hint, time_limit, num_workers)
        for request, hint in zip(rows, known, strict=True)
    )
    found = run_all(
        jobs,
        len(rows),
        min_parallel=_MIN_PARALLEL,
        num_processes=num_processes,
        num_threads=num_workers,
        progress=progress,
    )
    return _stack(found, costs)


def _stack(answers: list[Answer], costs: GraphCosts) -> GraphSolution:
    batch = costs.batch_shape

    def stack(values: list[Any]) -> np.ndarray:
        array = np.array(values)
        return array.reshape(batch + array.shape[1:])

    if not answers:
        raise ValueError("costs: CP-SAT needs at least one request, got an empty batch")
    schedules = [answer.schedule for answer in answers]
    listed = [schedule.transfers for schedule in schedules]
    moved = [stack([getattr(t, name) for t in listed]) for name in Transfers._fields]
    fields = {name: stack([getattr(s, name) for s in schedules]) for name in Schedule._fields[:-1]}
    schedule = Schedule(**fields, transfers=Transfers(*moved))
    return GraphSolution(
        place=schedule.place,
        order=schedule.order,
        cost=schedule.makespan,
        lower_bound=stack([answer.lower_bound for answer in answers]),
        optimal=stack([answer.optimal for answer in answers]),
        schedule=schedule,
    )


def statuses(solution: GraphSolution) -> np.ndarray:
    """CP-SAT's word for every row: "OPTIMAL", "FEASIBLE", "INFEASIBLE" or "UNKNOWN"."""
    possible, proven = np.isfinite(np.asarray(solution.cost)), np.asarray(solution.optimal)
    words = np.array([["UNKNOWN", "INFEASIBLE"], ["FEASIBLE", "OPTIMAL"]])
    return words[possible.astype(int), proven.astype(int)]


def solve_graph(
    costs: GraphCosts,
    hint: Schedule | Decision | None = None,
    *,
    time_limit: float | None = None,
    num_workers: int = 1,
) -> Answer:
    """Solves one request; see `solve_batch`."""
    if costs.batch_shape:
        raise ValueError(f"costs: must be of one request, got the batch shape {costs.batch_shape}")
    return _solve(dense_requests(costs)[0], hint, time_limit, num_workers)


def _solve(
    request: DenseRequest,
    hint: Schedule | Decision | None,
    time_limit: float | None,
    num_workers: int,
) -> Answer:
    deadline = None if time_limit is None else time.monotonic() + time_limit
    num_tasks, num_places = request.seconds.shape
    decisions = [([k] * num_tasks, list(range(num_tasks))) for k in range(num_places)]
    if hint is not None:
        decisions.insert(0, ([int(k) for k in hint.place], [int(v) for v in hint.order]))
    plans = [(place, operations(request, place, order)) for place, order in decisions]
    place, known = min(plans, key=lambda plan: run(request, plan[1]).makespan)
    lower = 0.0
    while True:
        schedule = schedule_of(request, place, known)
        bound = float(schedule.makespan)
        if bound == 0:
            return Answer(schedule, bound, 0.0, True, "OPTIMAL")
        scaled, unit = in_units(request, bound)
        order = [int(v) for v in schedule.order]
        whole = {step.key: step for step in operations(scaled, place, order)}
        times = None if bound == math.inf else run(scaled, [whole[step.key] for step in known])
        horizon = longest(scaled) if times is None else times.makespan
        model = IntegerModel(scaled, int(horizon))
        if times is not None:
            model.add_hint(place, times)
        found = model.solve(None if deadline is None else deadline - time.monotonic(), num_workers)
        lower = max(lower, found.lower_bound * unit)
        if found.place is not None:
            better = _in_sequence(request, scaled, found.place, found.start)
            cost = run(request, better).makespan
            if cost < bound:
                place, known = found.place, better
                schedule = schedule_of(request, place, known)
        cost = float(schedule.makespan)
        if found.status == "INFEASIBLE" and cost == math.inf:
            return Answer(schedule, cost, cost, True, "INFEASIBLE")
        if cost == math.inf:
            return Answer(schedule, cost, lower, False, "UNKNOWN")
        order = [int(v) for v in schedule.order]
        error = rounding(request, scaled, unit, place, order)
        if found.status != "OPTIMAL" or error <= _RELATIVE_ERROR * cost or cost >= bound / 2:
            proven = found.status == "OPTIMAL" and cost - lower <= error + 1e-12 * cost
            status = "OPTIMAL" if proven else "FEASIBLE"
            return Answer(schedule, cost, min(lower, cost), proven, status)


def _in_sequence(
    request: DenseRequest, scaled: DenseRequest, place: list[int], start: Mapping[Key, int]
) -> list[Operation]:
    """Operations by the start that the solver gave, ties so that each follows what it needs."""
    order = sorted(range(len(place)), key=lambda v: (start["task", v, 0, 0], v))
    seconds = {step.key: step.seconds for step in operations(scaled, place, order)}
    # Sorting is stable, and operations come out with dependencies kept.
    return sorted(
        operations(request, place, order),
        key=lambda step: (start[step.key], start[step.key] + seconds[step.key]),
    )
