"""What a placement or schedule costs under any objective but the plain makespan, and its limits."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.objectives import Prices, UserLatency, energy_prices
from offload_jax.graphs.period import bytes_over_links, period_of, sums_at_places
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.request import Request
from offload_jax.graphs.users import arrivals
from offload_jax.objectives import LATENCY, Objective, Period, PowerModel
from offload_jax.side_constraints import (
    RELATIVE_TOLERANCE,
    Allowed,
    SideConstraints,
    as_allowed,
)
from offload_jax.validation import ArrayLike, as_float64, is_traced, require


class Goal(NamedTuple):
    """Objective and limits of one request.

    It costs `latency_weight` * latency + `price_weight` * price + `period_weight` * period, where
    the price adds up. The latency is a mean over users, or the largest, of when each is served, the
    last of their tasks done and home, less a moment of each; the makespan is the largest less 0.

    Attributes:
      latency_weight, price_weight, period_weight: not negative.
      execution: `[N, K]` price of each task at each place.
      per_byte: `[R]` price of a byte over each link.
      max_latency: of the makespan; `inf` is no limit.
      max_price, max_period: likewise.
      memory: `[N]` bytes that each task needs where it runs.
      max_memory: `[K]` bytes of each place, `inf` where it has no limit.
      share: `[U]` of the users in the mean; of the largest, 1.
      since: `[U]` seconds from which their latency counts.
      largest: whether the largest latency counts, and not the mean.
    """

    latency_weight: float
    price_weight: float
    period_weight: float
    execution: np.ndarray
    per_byte: np.ndarray
    max_latency: float
    max_price: float
    max_period: float
    memory: np.ndarray
    max_memory: np.ndarray
    share: np.ndarray
    since: np.ndarray
    largest: bool

    @property
    def by_user(self) -> bool:
        """Whether it matters when each user is served, and not only the last one."""
        return not self.largest or bool(self.since.any())

    def latency(self, completion: np.ndarray) -> float:
        """What counts of when users `[U]` are served."""
        seconds = completion - self.since
        return float(seconds.max() if self.largest else self.share @ seconds)

    @property
    def needs_schedule(self) -> bool:
        """Whether it matters when things happen, and not only where."""
        return self.latency_weight > 0 or self.max_latency < math.inf

    @property
    def is_additive(self) -> bool:
        """Whether only a price counts, without limits: a cut then is exact."""
        limits = self.max_latency, self.max_price, self.max_period, *self.max_memory
        return not self.latency_weight and not self.period_weight and bool(min(limits) == math.inf)

    def price(self, request: Request, place: np.ndarray) -> float:
        """The price of places int `[N]`; `inf` where they are impossible."""
        sizes, lost = bytes_over_links(request, place)
        moved = sizes > 0
        executed = self.execution[np.arange(len(place)), place].sum()
        return math.inf if lost else float(executed + sizes[moved] @ self.per_byte[moved])

    def cost(self, request: Request, place: np.ndarray, completion: np.ndarray) -> float:
        """What a decision costs that serves users `[U]` then; `inf` where it breaks a limit."""
        price, period = self.price(request, place), period_of(request, place)
        held = sums_at_places(request, place, self.memory).max(0)
        spent = np.array([completion.max(), price, period, *held])
        limits = np.array([self.max_latency, self.max_price, self.max_period, *self.max_memory])
        if (spent > limits * (1 + RELATIVE_TOLERANCE)).any() or not np.isfinite(spent[1:3]).all():
            return math.inf
        total = self.price_weight * price + self.period_weight * period
        # Times that do not matter are not computed.
        return (
            total + self.latency_weight * self.latency(completion) if self.latency_weight else total
        )


def limits_of(shape: tuple[int, ...], **limits: ArrayLike | None) -> dict[str, np.ndarray]:
    """Limits of the batch; `inf` where there is none.

    Raises:
      ValueError: one is negative, NaN, no number, or does not broadcast with the batch.
    """
    found = {}
    for name, value in limits.items():
        array = np.full(shape, math.inf) if value is None else as_float64(name, value)
        require(name, array, array >= 0, "a limit must not be negative or NaN")
        try:
            found[name] = np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(
                f"{name}: shape {array.shape} does not broadcast to the batch {shape}"
            ) from None
    return found


def goals_of(
    problem: GraphProblem | GraphCosts,
    costs: GraphCosts,
    objective: Objective | Period | Prices | UserLatency,
    limits: dict[str, np.ndarray],
    constraints: SideConstraints | None,
) -> list[Goal]:
    """The goal of each row of a batch.

    Args:
      problem: what was asked about.
      costs: its costs, float64 on the host.
      objective: what to minimise.
      limits: `max_latency`, `max_energy` and `max_period`, of the batch.
      constraints: memory.

    Raises:
      ValueError: energy was asked of costs, which do not know it, or shapes do not fit.
    """
    num_tasks, num_places = costs.num_tasks, costs.num_places
    num_links = np.shape(costs.seconds_per_byte)[-1]
    weights = (0.0, 1.0, 0.0)
    if isinstance(objective, Period):
        weights = (0.0, 0.0, 1.0)
    elif isinstance(objective, Objective):
        weights = float(objective.latency_weight), float(objective.energy_weight), 0.0
    elif isinstance(objective, UserLatency):
        weights = 1.0, 0.0, 0.0
    else:
        weights = objective.weights
    limited = bool((limits["max_energy"] < math.inf).any())
    prices = _prices(problem, objective, weights[1] > 0 or limited, costs)
    batch = costs.batch_shape
    execution = _rows("execution", prices.execution, batch, (num_tasks, num_places))
    per_byte = _rows("per_byte", prices.per_byte, batch, (num_links,))
    # What cannot be done cannot be had for any price.
    seconds = _rows("seconds", costs.seconds, batch, (num_tasks, num_places))
    rate = _rows("seconds_per_byte", costs.seconds_per_byte, batch, (num_links,))
    execution = np.where(seconds < math.inf, execution, math.inf)
    per_byte = np.where(rate < math.inf, per_byte, math.inf)
    memory, held = np.zeros(num_tasks), np.full(num_places, math.inf)
    if constraints is not None:
        given = ("max_subtasks", "max_cycles", "forbidden")
        wrong = [name for name in given if getattr(constraints, name)]
        if wrong:
            raise ValueError(f"{wrong[0]}: for chains; task graphs take memory, and allowed places")
        constraints.check(num_tasks, num_places)
        memory = memory if constraints.memory is None else constraints.memory
        for place, most in constraints.max_memory.items():
            held[int(place)] = most
    names = "max_latency", "max_energy", "max_period"
    flat = np.stack([limits[name].reshape(-1) for name in names], -1).tolist()
    served = objective if isinstance(objective, UserLatency) else UserLatency(largest=True)
    share, since = served.shares(costs.num_users), np.zeros((len(flat), costs.num_users))
    if served is objective:
        since = np.broadcast_to(arrivals(costs), (*batch, costs.num_users)).reshape(since.shape)
    return [
        Goal(
            *weights,
            execution[i],
            per_byte[i],
            latency,
            price,
            period,
            memory,
            held,
            share,
            since[i],
            served.largest,
        )
        for i, (latency, price, period) in enumerate(flat)
    ]


def _prices(problem: Any, objective: Any, needed: bool, costs: GraphCosts) -> Prices:
    if isinstance(objective, Prices):
        return objective
    if not needed:
        shape = costs.num_tasks, costs.num_places
        return Prices(np.zeros(shape), np.zeros(np.shape(costs.seconds_per_byte)[-1]))
    if not isinstance(problem, GraphProblem):
        raise ValueError(
            "objective: GraphCosts know no energy; give a GraphProblem, or oj.graphs.Prices with"
            " joules"
        )
    power = objective.power if isinstance(objective, Objective | Period) else PowerModel()
    return energy_prices(problem, power)


def _rows(name: str, value: Any, batch: tuple[int, ...], tail: tuple[int, ...]) -> np.ndarray:
    """`[R, *tail]`."""
    value = np.asarray(value, np.float64)
    try:
        wide = np.broadcast_to(value, (*batch, *tail))
    except ValueError:
        raise ValueError(
            f"{name}: must broadcast to the shape {(*batch, *tail)}, got {value.shape}"
        ) from None
    return wide.reshape(-1, *tail)


def only_allowed(
    costs: GraphCosts, allowed: Allowed | None, place_names: Sequence[str]
) -> GraphCosts:
    """Costs whose seconds are `inf` where a place is not allowed; see `as_allowed`."""
    places = as_allowed(allowed, costs.num_tasks, costs.num_places, costs.batch_shape, place_names)
    if places is None:
        return costs
    library = jnp if is_traced(places, costs) else np
    return dataclasses.replace(costs, seconds=library.where(places, costs.seconds, math.inf))


def is_makespan(objective: Any) -> bool:
    """Whether the objective is seconds alone, which methods of their own minimise."""
    if not isinstance(objective, Objective):
        return False
    return objective is LATENCY or bool(objective == LATENCY)
