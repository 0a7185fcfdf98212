"""The trade-offs between makespan and energy, or any price, of a task graph."""

import math
import time
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8

from offload_jax.graphs._flow.priced import hull
from offload_jax.graphs._flow.row import find_row
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.goals import goals_of, limits_of
from offload_jax.graphs.objectives import Prices, energy_prices
from offload_jax.graphs.priced import rank_orders
from offload_jax.graphs.priced import solve as solve_priced
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.request import unpack_rows
from offload_jax.objectives import PowerModel
from offload_jax.side_constraints import RELATIVE_TOLERANCE
from offload_jax.summary import summarize
from offload_jax.validation import check_known


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


def pareto_front(
    problem: GraphProblem | GraphCosts,
    *,
    prices: Prices | None = None,
    power: PowerModel | None = None,
    method: str = "cpsat",
    time_limit: float | None = None,
) -> GraphFront:
    """The trade-offs between the makespan and the energy of the device, or any price.

    | method | what it gives | proves |
    |---|---|---|
    | "cut" | the corners of the lower hull of serial latency and energy, by at most twice as many \
cuts: milliseconds; for places in a row | every corner, in serial latency |
    | "cpsat" | the front of makespan and energy: from the least energy up, the least makespan of \
that energy, then the least energy below that makespan | every point that was reached in time |

    Where little runs side by side, as in most networks, serial latency is the makespan.

    Args:
      problem: one request.
      prices: what counts in place of the energy of a `GraphProblem`; without `latency_weight`.
      power: the device's power model; the default one if None.
      method: see above.
      time_limit: seconds in all; of "cpsat" what was found until then.

    Returns:
      The points, empty if no schedule is possible.

    Raises:
      ValueError: a batch, an invalid problem, prices with a weight, or costs without prices.
    """
    check_known("method", method, ("cut", "cpsat"), "method ")
    check_source(problem)
    costs = as_costs(problem, library=np)
    if costs.batch_shape:
        raise ValueError(f"problem: one request has one front, got a batch {costs.batch_shape}")
    if prices is None:
        if not isinstance(problem, GraphProblem):
            raise ValueError("prices: GraphCosts know no energy; say what a task and a byte cost")
        prices = energy_prices(problem, power)
    if prices.latency_weight:
        raise ValueError("prices: latency_weight must be 0, for latency is the other axis")
    return (_hull if method == "cut" else _walk)(costs, prices, time_limit)


def _front(points: list[tuple], num_tasks: int) -> GraphFront:
    """Points of latency, energy, place, order and whether they are proven, as arrays."""
    points = sorted(points, key=lambda point: point[0])
    return GraphFront(
        np.array([p[0] for p in points], float),
        np.array([p[1] for p in points], float),
        np.array([p[2] for p in points], np.int8).reshape(-1, num_tasks),
        np.array([p[3] for p in points], np.int32).reshape(-1, num_tasks),
        np.array([p[4] for p in points], bool),
    )


def _hull(costs: GraphCosts, prices: Prices, time_limit: float | None) -> GraphFront:
    del time_limit
    (request,) = unpack_rows(costs)
    (goal,) = goals_of(costs, costs, prices, _limits(None, None), None)
    corners = hull(request, find_row(costs.routes), goal.execution, goal.per_byte)
    (order,) = rank_orders(costs, [request])
    return _front([(c.seconds, c.price, c.place, order, True) for c in corners], costs.num_tasks)


def _limits(latency: float | None, price: float | None) -> dict[str, np.ndarray]:
    return limits_of((), max_latency=latency, max_energy=price, max_period=None)


def _walk(costs: GraphCosts, prices: Prices, time_limit: float | None) -> GraphFront:
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    (request,) = unpack_rows(costs)
    points: list[tuple] = []

    def left() -> float | None:
        return None if deadline == math.inf else max(1e-3, deadline - time.monotonic())

    latency = None
    while time.monotonic() < deadline:
        (goal,) = goals_of(costs, costs, prices, _limits(latency, None), None)
        least = solve_priced(costs, [goal], "cpsat", time_limit=left())
        if not np.isfinite(least.cost):
            break
        # At that price the least makespan, from the schedule that was found.
        goal = goal._replace(latency_weight=1.0, price_weight=0.0, max_price=float(least.cost))
        start = Decision(least.place.astype(np.int64), least.order.astype(np.int64))
        found = solve_priced(costs, [goal], "cpsat", start=[start], time_limit=left())
        if not np.isfinite(found.cost):
            break
        makespan, price = float(found.cost), goal.price(request, np.array(found.place, np.int64))
        proven = bool(least.optimal and found.optimal)
        points.append((makespan, price, found.place, found.order, proven))
        if makespan == 0:
            break
        latency = makespan * (1 - 2 * RELATIVE_TOLERANCE)
    return _front(points, costs.num_tasks)
