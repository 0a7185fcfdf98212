"""The trade-offs of a task graph between makespan and energy, any price, or the period."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8

from offload_jax.graphs._flow.priced import hull
from offload_jax.graphs._flow.row import find_row
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decision, GraphSolution
from offload_jax.graphs.goals import Goal, goals_of, limits_of, only_allowed
from offload_jax.graphs.objectives import Prices, energy_prices
from offload_jax.graphs.period import period_of
from offload_jax.graphs.priced import rank_orders
from offload_jax.graphs.priced import solve as solve_priced
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.request import unpack_rows
from offload_jax.objectives import PERIOD, Period, PowerModel
from offload_jax.side_constraints import (
    PLACE_NAMES,
    RELATIVE_TOLERANCE,
    Allowed,
    SideConstraints,
)
from offload_jax.summary import summarize
from offload_jax.validation import check_class, check_known

# Between the least makespan and that of the least of the other, "search" looks at so many limits.
_LIMITS = 12


class GraphFront(NamedTuple):
    """Trade-offs between latency and energy, by increasing latency.

    Attributes:
      latency: `[n]` seconds, the makespan; of the hull the serial latency.
      energy: `[n]` joules of the device, or what the prices count, decreasing.
      place: int8 `[n, N]` the place of each task.
      order: int32 `[n, N]` the order of the tasks.
      optimal: `[n]` whether nothing is proven to have less of one and no more of the other.
    """

    latency: Float64[np.ndarray, " n"]
    energy: Float64[np.ndarray, " n"]
    place: Int8[np.ndarray, "n N"]
    order: Int[np.ndarray, "n N"]
    optimal: Bool[np.ndarray, " n"]

    def __repr__(self) -> str:
        return summarize(self)


class GraphPeriodFront(NamedTuple):
    """Trade-offs between latency and period, by increasing latency.

    Attributes:
      latency: `[n]` seconds, the makespan of one request alone.
      period: `[n]` seconds between the results of a stream of requests, decreasing.
      place, order, optimal: as of a `GraphFront`.
    """

    latency: Float64[np.ndarray, " n"]
    period: Float64[np.ndarray, " n"]
    place: Int8[np.ndarray, "n N"]
    order: Int[np.ndarray, "n N"]
    optimal: Bool[np.ndarray, " n"]

    def __repr__(self) -> str:
        return summarize(self)


def pareto_front(
    problem: GraphProblem | GraphCosts,
    *,
    prices: Prices | None = None,
    power: PowerModel | None = None,
    method: str = "cpsat",
    side_constraints: SideConstraints | None = None,
    allowed: Allowed | None = None,
    time_limit: float | None = None,
) -> GraphFront:
    """The trade-offs between the makespan and the energy of the device, or any price.

    | method | what it gives | proves |
    |---|---|---|
    | "cut" | the corners of the lower hull of serial latency and energy, by at most twice as many \
cuts: milliseconds; for places in a row, without memory | every corner, in serial latency |
    | "search" | the least energy within each of 12 makespans between the least and that of the \
least energy, of what annealing finds | nothing |
    | "cpsat" | the front of makespan and energy: from the least energy up, the least makespan of \
that energy, then the least energy below that makespan | every point that was reached in time |

    Where little runs side by side, as in most networks, serial latency is the makespan.

    Args:
      problem: one request.
      prices: what counts in place of the energy of a `GraphProblem`; without weights.
      power: the device's power model; the default one if None.
      method: see above.
      side_constraints: memory of places, as for `solve`.
      allowed: where tasks may run, as for `solve`.
      time_limit: seconds in all; of "cpsat" what was found until then.

    Returns:
      The points, empty if no schedule is possible.

    Raises:
      ValueError: a batch, an invalid problem, prices with a weight, costs without prices, or memory
        for "cut".
    """
    check_known("method", method, ("cut", "search", "cpsat"), "method ")
    costs = _one_request(problem, allowed)
    if prices is None:
        if not isinstance(problem, GraphProblem):
            raise ValueError("prices: GraphCosts know no energy; say what a task and a byte cost")
        prices = energy_prices(problem, power)
    check_class("prices", prices, Prices)
    if prices.weights != (0.0, 1.0, 0.0):
        raise ValueError("prices: must have no weights, for latency is the other axis")
    if method != "cut":
        return GraphFront(*_trade(costs, prices, method, side_constraints, time_limit))
    if side_constraints is not None:
        raise ValueError('side_constraints: method "cut" takes none, only search, cpsat do')
    (request,) = unpack_rows(costs)
    goal = _goal(costs, prices, None)
    corners = hull(request, find_row(costs.routes), goal.execution, goal.per_byte)
    (order,) = rank_orders(costs, [request])
    points = [_Point(c.seconds, c.price, c.place, order, True) for c in corners]
    return GraphFront(*_arrays(points, costs.num_tasks))


def period_front(
    problem: GraphProblem | GraphCosts,
    *,
    method: str = "cpsat",
    side_constraints: SideConstraints | None = None,
    allowed: Allowed | None = None,
    time_limit: float | None = None,
) -> GraphPeriodFront:
    """The trade-offs between the makespan of one request and the period of a stream of them.

    "cpsat" goes up from the least period, "search" through 12 limits on the makespan, both as for
    `pareto_front`.

    Args:
      problem: one request.
      method: "search" or "cpsat".
      side_constraints, allowed, time_limit: as for `pareto_front`.

    Returns:
      The points, empty if no schedule is possible.

    Raises:
      ValueError: a batch, an invalid problem, or an unknown method.
    """
    check_known("method", method, ("search", "cpsat"), "method ")
    costs = _one_request(problem, allowed)
    return GraphPeriodFront(*_trade(costs, PERIOD, method, side_constraints, time_limit))


def _one_request(problem: Any, allowed: Allowed | None) -> GraphCosts:
    check_source(problem)
    costs = as_costs(problem, library=np)
    if costs.batch_shape:
        raise ValueError(f"problem: one request has one front, got a batch {costs.batch_shape}")
    return only_allowed(costs, allowed, PLACE_NAMES if isinstance(problem, GraphProblem) else ())


def _goal(costs: GraphCosts, other: Prices | Period, constraints: SideConstraints | None) -> Goal:
    free = limits_of((), max_latency=None, max_energy=None, max_period=None)
    (goal,) = goals_of(costs, costs, other, free, constraints)
    return goal


class _Point(NamedTuple):
    latency: float
    other: float
    place: np.ndarray
    order: np.ndarray
    optimal: bool


def _arrays(points: Iterable[_Point], num_tasks: int) -> tuple[np.ndarray, ...]:
    """What no other point beats, by increasing latency."""
    kept: list[_Point] = []
    for point in sorted(points, key=lambda p: p[:2]):
        if not kept or point.other < kept[-1].other:
            kept.append(point)
    return (
        np.array([p.latency for p in kept], float),
        np.array([p.other for p in kept], float),
        np.array([p.place for p in kept], np.int8).reshape(-1, num_tasks),
        np.array([p.order for p in kept], np.int32).reshape(-1, num_tasks),
        np.array([p.optimal for p in kept], bool),
    )


def _trade(
    costs: GraphCosts,
    other: Prices | Period,
    method: str,
    constraints: SideConstraints | None,
    time_limit: float | None,
) -> tuple[np.ndarray, ...]:
    """The front of makespan and something else."""
    trade = _Trade(costs, _goal(costs, other, constraints), method, time_limit)
    return _arrays(trade.walk() if method == "cpsat" else trade.sweep(), costs.num_tasks)


class _Trade:
    """One request whose makespan is traded for what `goal` minimises, a price or the period."""

    def __init__(
        self, costs: GraphCosts, goal: Goal, method: str, time_limit: float | None
    ) -> None:
        self.costs, self.goal, self.method = costs, goal, method
        (self.request,) = unpack_rows(costs)
        self.deadline = math.inf if time_limit is None else time.monotonic() + time_limit

    def walk(self) -> Iterator[_Point]:
        """Points by decreasing makespan, each the next one below that of the one before."""
        latency = math.inf
        while latency > 0 and time.monotonic() < self.deadline:
            found = self.point(latency)
            if found is None:
                break
            yield found
            latency = found.latency * (1 - 2 * RELATIVE_TOLERANCE)

    def sweep(self) -> Iterator[_Point]:
        """Points within evenly spaced makespans."""
        solves = 2 * _LIMITS + 3
        fastest = self.solve(self.timed(math.inf), None, 1 / solves)
        last = self.point(math.inf, 1 / (solves - 1)) if np.isfinite(fastest.cost) else None
        if last is None:
            return
        yield last
        known, most = fastest, np.linspace(float(fastest.cost), last.latency, _LIMITS + 1)[:-1]
        for number, limit in enumerate(most):
            found = self.point(float(limit), 1 / (2 * (_LIMITS - number)), known)
            if found is not None:
                yield found

    def point(
        self, latency: float, share: float = 1.0, known: GraphSolution | None = None
    ) -> _Point | None:
        """The least of the other within a makespan, and the least makespan with that."""
        least = self.solve(self.goal._replace(max_latency=latency), known, share)
        if not np.isfinite(least.cost):
            return None
        found = self.solve(self.timed(float(least.cost)), least, share)
        if not np.isfinite(found.cost):
            return None
        place = np.asarray(found.place, np.int64)
        spent = self.goal.price if self.goal.price_weight else period_of
        proven = bool(least.optimal and found.optimal)
        return _Point(
            float(found.cost), spent(self.request, place), place, np.asarray(found.order), proven
        )

    def timed(self, most: float) -> Goal:
        """The makespan alone, within the most of the other."""
        goal = self.goal._replace(latency_weight=1.0, price_weight=0.0, period_weight=0.0)
        if self.goal.price_weight:
            return goal._replace(max_price=most)
        return goal._replace(max_period=most)

    def solve(self, goal: Goal, known: GraphSolution | None, share: float) -> GraphSolution:
        """In a share of the time that is left, from a solution."""
        left = self.deadline - time.monotonic()
        start = []
        if known is not None:
            start = [Decision(known.place.astype(np.int64), known.order.astype(np.int64))]
        return solve_priced(
            self.costs,
            [goal],
            self.method,
            start=start,
            time_limit=None if left == math.inf else max(1e-3, share * left),
        )
