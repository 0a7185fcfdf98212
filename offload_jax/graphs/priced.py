"""Methods of `solve` for every goal but the plain makespan: one row of a batch after the other."""

import itertools
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from offload_jax.extras import is_installed
from offload_jax.graphs._flow.bound import least_completion, least_period
from offload_jax.graphs._flow.priced import cheapest, hull
from offload_jax.graphs._flow.relaxation import relaxed_period
from offload_jax.graphs._flow.row import Row, find_row, row_or_none
from offload_jax.graphs._jax import rules
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, GraphSolution, Schedule
from offload_jax.graphs.goals import Goal
from offload_jax.graphs.request import Request, unpack_rows
from offload_jax.graphs.timetable import timetable
from offload_jax.side_constraints import RELATIVE_TOLERANCE

# Steps of annealing without a time limit, and between looks at the clock with one.
_STEPS, _SLICE = 20_000, 2_000
_HOTTEST, _COLDEST = 0.2, 1e-4
_HEAT = 0.6


class Found(NamedTuple):
    """A decision int `[N]` each, what it costs and what is known of the optimum."""

    place: np.ndarray
    order: np.ndarray
    cost: float
    lower_bound: float
    optimal: bool
    schedule: Schedule | None = None


class Task(NamedTuple):
    """One row of a batch.

    Attributes:
      request: the row.
      goal: what to minimise.
      costs: the whole batch, for what is the same for all rows.
      order: `[N]` by upward rank.
      starts: decisions to begin with.
      time_limit: seconds.
      seed: of random numbers.
      num_simulations: of search without a time limit; some for every task if None.
    """

    request: Request
    goal: Goal
    costs: GraphCosts
    order: np.ndarray
    starts: list[tuple[np.ndarray, np.ndarray]]
    time_limit: float | None
    seed: int
    num_simulations: int | None = None

    @property
    def row(self) -> Row | None:
        """The row of places, if they are in one."""
        return row_or_none(self.costs.routes)

    def found(self, place: np.ndarray, order: np.ndarray) -> Found:
        """A decision with its cost, of which nothing is proven."""
        completion = np.zeros(self.request.num_users)
        if self.goal.needs_schedule:
            completion = _completion(self.request, place, order)
        return Found(place, order, self.goal.cost(self.request, place, completion), 0.0, False)


def solve(
    costs: GraphCosts,
    goals: Sequence[Goal],
    method: str,
    *,
    start: Sequence[Decision] = (),
    time_limit: float | None = None,
    seed: int = 0,
    num_simulations: int | None = None,
) -> GraphSolution:
    """Solves each row for its goal.

    Args:
      costs: concrete, float64.
      goals: of the rows.
      method: "auto", "cut", "search" or "cpsat"; "greedy" of latencies of users.
      start: int64 `[..., N]`, decisions to begin with.
      time_limit: seconds for each row.
      seed: of random numbers.
      num_simulations: see `Task`.

    Returns:
      NumPy arrays. Where nothing keeps the limits the cost is `inf`, and `optimal` True if that is
      proven.

    Raises:
      ValueError: the method cannot do it.
    """
    run = _METHODS[method]
    requests = list(unpack_rows(costs))
    orders = rank_orders(costs, requests)
    given = [part.reshape(-1, costs.num_tasks) for decision in start for part in decision]
    found = []
    for i, (request, goal) in enumerate(zip(requests, goals, strict=True)):
        starts: Any = [(p[i], o[i]) for p, o in zip(given[::2], given[1::2], strict=True)]
        task = Task(request, goal, costs, orders[i], starts, time_limit, seed, num_simulations)
        found.append(run(task))
    batch, shape = costs.batch_shape, (*costs.batch_shape, costs.num_tasks)
    return GraphSolution(
        np.array([one.place for one in found], np.int8).reshape(shape),
        np.array([one.order for one in found], np.int32).reshape(shape),
        np.array([one.cost for one in found]).reshape(batch),
        np.array([min(one.lower_bound, one.cost) for one in found]).reshape(batch),
        np.array([one.optimal for one in found], bool).reshape(batch),
        _stacked([one.schedule for one in found], batch),
    )


def _stacked(schedules: list[Schedule | None], batch: tuple[int, ...]) -> Schedule | None:
    """The schedules of all rows, if each has one of its own."""
    if not schedules or any(one is None for one in schedules):
        return None
    return jax.tree.map(lambda *v: np.stack(v).reshape(batch + np.shape(v[0])), *schedules)


def rank_orders(costs: GraphCosts, requests: list[Request]) -> np.ndarray:
    """int `[R, N]` orders of the rows by upward rank."""
    if is_installed("numba"):
        from offload_jax.graphs._numba.rules import rank_order

        return np.array([rank_order(request) for request in requests], np.int64)
    return np.asarray(rules.rank_order(costs), np.int64).reshape(-1, costs.num_tasks)


def _completion(request: Request, place: np.ndarray, order: np.ndarray) -> np.ndarray:
    """`[U]` seconds until each user is served."""
    if is_installed("numba"):
        from offload_jax.graphs._numba.goals import completion_of

        return completion_of(request, place, order)
    return timetable(request, place, order).completion


def user_orders(task: Task) -> list[np.ndarray]:
    """Orders that serve one user after the other, the tasks of each by upward rank.

    Users come by their arrival or whenever they arrive, the shortest first, or the longest where
    the largest latency counts: by their longest path on an empty machine, and by all that their
    tasks take, in the mean over places.
    """
    request, goal = task.request, task.goal
    weight = np.maximum(goal.share, 1e-12)
    finite = np.isfinite(request.seconds)
    mean = np.where(finite, request.seconds, 0.0).sum(1) / np.maximum(finite.sum(1), 1)
    work = np.bincount(request.user, mean, request.num_users)
    sizes, found = (least_completion(request, task.costs) - goal.since, work), []
    for size in sizes:
        for arrival in (goal.since, np.zeros_like(goal.since)):
            key = -size if goal.largest else size / weight
            turn = np.argsort(np.lexsort((key, arrival)))
            found.append(task.order[np.argsort(turn[request.user[task.order]], kind="stable")])
    return found


def _greedy(task: Task) -> Found:
    """The best of placing each task where it is done first, in all orders of users and by rank."""
    best = min((task.found(*one) for one in _greedy_starts(task)), key=lambda one: one.cost)
    return _bounded(task, best.place, best.order)


def _greedy_starts(task: Task) -> list[tuple[np.ndarray, np.ndarray]]:
    from offload_jax.graphs._numba.goals import greedy_along

    orders = [task.order, *user_orders(task)]
    return [(greedy_along(task.request, order), order) for order in orders]


def _cut(task: Task) -> Found:
    """The cheapest placement, exact if only its price counts; else the best corner of the hull."""
    request, goal = task.request, task.goal
    row = find_row(task.costs.routes)
    if goal.is_additive:
        weight = goal.price_weight
        cut = cheapest(request, row, weight * goal.execution, weight * goal.per_byte)
        place = cut.place.astype(np.int64)
        if cut.cost == math.inf:
            return Found(np.zeros_like(place), task.order, math.inf, math.inf, True)
        return Found(place, task.order, cut.cost, cut.lower_bound, True)
    best = min((task.found(*one) for one in _starts(task)), key=lambda one: one.cost)
    return _bounded(task, best.place, best.order)


def _starts(task: Task) -> list[tuple[np.ndarray, np.ndarray]]:
    """What is given, every single place, and the corners of the hull, by rank and by users."""
    num_tasks, num_places = task.goal.execution.shape
    places = [np.full(num_tasks, k) for k in range(num_places)]
    if task.row:
        corners = hull(task.request, task.row, task.goal.execution, task.goal.per_byte)
        places += [corner.place.astype(np.int64) for corner in corners]
    orders = [task.order, *(user_orders(task) if task.goal.by_user else ())]
    return [*task.starts, *itertools.product(places, orders)]


def _bounded(task: Task, place: np.ndarray, order: np.ndarray) -> Found:
    """A decision with a bound: weighted bounds on what counts, each by itself.

    Where it keeps no limits, those bounds may prove that none does.
    """
    request, goal, bound, price, period = task.request, task.goal, 0.0, 0.0, 0.0
    if task.row and (goal.price_weight or goal.max_price < math.inf):
        price = cheapest(request, task.row, goal.execution, goal.per_byte).lower_bound
        bound += goal.price_weight * price if goal.price_weight else 0.0
    within = min(goal.max_period, goal.max_latency)
    if goal.period_weight or (goal.latency_weight and goal.largest) or within < math.inf:
        period = relaxed_period(request, goal.memory, goal.max_memory)
        if task.row:
            period = max(period, least_period(request, task.costs))
        bound += goal.period_weight * period if goal.period_weight else 0.0
    if goal.latency_weight:
        latency = goal.latency(least_completion(request, task.costs))
        # No makespan is below the period of its own places either.
        latency = max(latency, period - goal.since.max()) if goal.largest else latency
        bound += goal.latency_weight * latency
    found, slack = task.found(place, order), 1 + RELATIVE_TOLERANCE
    too_much = price > goal.max_price * slack or period > within * slack
    if found.cost == math.inf and (too_much or period == math.inf):
        return found._replace(lower_bound=math.inf, optimal=True)
    return found._replace(lower_bound=bound)


def _search(task: Task) -> Found:
    """Annealing from the best starts, in compiled loops."""
    from offload_jax.graphs._numba import annealing, goals

    began, goal = time.perf_counter(), task.goal
    numbers = (
        np.array([goal.latency_weight, goal.price_weight, goal.period_weight]),
        np.ascontiguousarray(goal.execution),
        np.ascontiguousarray(goal.per_byte),
        np.array([goal.max_latency, goal.max_price, goal.max_period]),
        np.asarray(goal.memory, float),
        np.asarray(goal.max_memory, float),
        np.ascontiguousarray(goal.share),
        np.ascontiguousarray(goal.since),
        bool(goal.largest),
    )
    timed = goal.needs_schedule
    annealing.seed(task.seed)
    several = goal.latency_weight > 0 and task.request.num_users > 1
    starts = _starts(task) + (_greedy_starts(task) if goal.by_user or several else [])
    starts = [(place.astype(np.int64), order.astype(np.int64)) for place, order in starts]
    rated = [goals.score(task.request, numbers, timed, *one)[::-1] for one in starts]
    first = min(range(len(starts)), key=rated.__getitem__)
    best, (excess, cost) = starts[first], rated[first]
    limit, spent, hottest = task.time_limit, 0, _HOTTEST
    if not goal.largest:
        # One task moves the latency of one user, a share of the mean.
        hottest = min(hottest, _HEAT / len(task.order))
    steps = min(_STEPS, _SLICE * len(task.order))
    if task.num_simulations is not None:
        steps = task.num_simulations
    while spent < steps if limit is None else time.perf_counter() - began < limit:
        # Each walk begins at the best of all, cooler and stricter from walk to walk.
        strict = 2.0 ** (spent // _SLICE % 8)
        heat = hottest / strict, _COLDEST
        begin = best[0].copy(), best[1].copy()
        num = _SLICE if limit else min(_SLICE, steps - spent)
        place, order, reached, broken = goals.anneal(
            task.request, numbers, timed, *begin, num, *heat, strict
        )
        if (broken, reached) < (excess, cost):
            best, excess, cost = (place, order), broken, reached
        spent += _SLICE
    return _bounded(task, *best)


def _cpsat(task: Task) -> Found:
    """By CP-SAT, from the best start; at most a tenth of the time goes to the search for one."""
    from offload_jax.graphs._cpsat import goals
    from offload_jax.graphs._cpsat.operations import timed_request

    limit = task.time_limit
    first = _auto(task._replace(time_limit=limit and limit / 10))
    if first.optimal and first.cost == math.inf:
        return first
    timed = timed_request(task.request, task.costs)
    answer = goals.solve(
        task.request,
        timed,
        task.goal,
        first.cost,
        (first.place, first.order),
        limit and 0.9 * limit,
    )
    lower = max(first.lower_bound, answer.lower_bound)
    if answer.place is None:
        return first._replace(lower_bound=lower, optimal=answer.proven)
    order = task.order if answer.schedule is None else np.asarray(answer.schedule.order)
    return Found(answer.place, order, answer.cost, lower, answer.proven, answer.schedule)


def _auto(task: Task) -> Found:
    if task.goal.is_additive and task.row:
        return _cut(task)
    if is_installed("numba"):
        return _search(task)
    return _cut(task)


_METHODS: dict[str, Any] = {
    "auto": _auto,
    "cut": _cut,
    "greedy": _greedy,
    "search": _search,
    "cpsat": _cpsat,
}
