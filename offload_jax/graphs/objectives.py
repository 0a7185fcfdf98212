"""What can be minimised for graphs besides what `offload_jax.objectives` has."""

import dataclasses
from typing import Any

import numpy as np

from offload_jax.graphs.costs import GraphCosts, copies, graph_costs, values_of_users
from offload_jax.graphs.network_costs import of_users
from offload_jax.graphs.problem import GraphProblem, validate
from offload_jax.network import Network, Place
from offload_jax.objectives import PowerModel
from offload_jax.validation import (
    COST,
    FINITE,
    ArrayLike,
    as_float64,
    check_class,
    is_traced,
    require,
)


@dataclasses.dataclass(frozen=True)
class SerialLatency:
    """Seconds of all tasks and transfers, one after the other, releases left out.

    No schedule of the same places takes longer, apart from releases, in whatever order: each start
    waits for an end.
    """


SERIAL_LATENCY = SerialLatency()


@dataclasses.dataclass(frozen=True, eq=False)
class UserLatency:
    """How long users wait: from the earliest release of their tasks until all is done and home.

    The makespan says of several users only when the last one is served; these say how each fares.

    Attributes:
      weights: `[U]` of the mean over users, not negative and not all 0; equal ones if None.
      largest: the largest latency of all users in place of a mean, without weights.
    """

    weights: ArrayLike | None = None
    largest: bool = False

    def __post_init__(self) -> None:
        check_class("largest", self.largest, bool, np.bool_)
        if self.weights is None:
            return
        if self.largest:
            raise ValueError("weights: for the mean, the largest latency has none")
        weights = as_float64("weights", self.weights)
        if weights.ndim != 1 or not weights.any():
            raise ValueError(f"weights: must be one for each user, not all 0, got {self.weights}")
        require("weights", weights, FINITE.holds(weights), FINITE.wording)
        object.__setattr__(self, "weights", weights)

    def shares(self, num_users: int) -> np.ndarray:
        """`[U]` what a second of each user's latency counts; of the largest, 1."""
        if self.weights is None:
            return np.full(num_users, 1.0 if self.largest else 1.0 / num_users)
        weights = np.asarray(self.weights, np.float64)
        if len(weights) != num_users:
            raise ValueError(f"weights: must be those of {num_users} users, got {len(weights)}")
        return weights / weights.sum()


MEAN_LATENCY = UserLatency()
MAX_LATENCY = UserLatency(largest=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Prices:
    """Costs that add up over tasks and transfers: joules, money, bytes over a metered link.

    Attributes:
      execution: `[..., N, K]` of each task at each place; `inf` forbids the place.
      per_byte: `[..., R]` of a byte over each link, in the entries of `GraphCosts`, which for one
        user are the links; `inf` forbids the link.
      latency_weight: what a second of the makespan costs on top.
      price_weight: of the prices themselves; 0 leaves them to `max_energy`.
      period_weight: what a second of the period costs on top.
    """

    execution: Any
    per_byte: Any
    latency_weight: float = 0.0
    price_weight: float = 1.0
    period_weight: float = 0.0

    def __post_init__(self) -> None:
        for name, axes in (("execution", 2), ("per_byte", 1)):
            values = as_float64(name, getattr(self, name))
            if values.ndim < axes:
                raise ValueError(f"{name}: needs {axes} axes at least, got shape {values.shape}")
            require(name, values, COST.holds(values), COST.wording)
            object.__setattr__(self, name, values)
        for name in ("latency_weight", "price_weight", "period_weight"):
            weight = as_float64(name, getattr(self, name))
            require(name, weight, FINITE.holds(weight), FINITE.wording)
        if not any(self.weights):
            raise ValueError(
                "latency_weight, price_weight, period_weight: all 0, nothing to minimise"
            )

    @property
    def weights(self) -> tuple[float, float, float]:
        """Of a second of the makespan, the prices, and a second of the period."""
        return float(self.latency_weight), float(self.price_weight), float(self.period_weight)


def energy_prices(problem: GraphProblem, power: PowerModel | None = None) -> Prices:
    """The joules of the device as prices, the objective `oj.ENERGY` of a `GraphProblem`.

    Args:
      problem: concrete, leading dimensions free.
      power: the device's power model; the default one if None.

    Returns:
      `execution` `[..., N, 3]` joules and `per_byte` `[..., R]` joules per byte; of several users
      those of all devices.

    Raises:
      ValueError: the problem is invalid, or the device draws power while it idles: that depends on
        the schedule and does not add up.
    """
    check_class("problem", problem, GraphProblem)
    check_class("power", power, PowerModel, type(None))
    if is_traced(problem, power):
        raise ValueError("problem: prices are made on the host and cannot be traced")
    validate(problem)
    power = _without_idling(power)
    cycles, speed = (np.asarray(v, np.float64) for v in (problem.cycles, problem.device_speed))
    speed = values_of_users(speed, problem.user) if problem.num_users > 1 else speed[..., None]
    joules = power.switched_capacitance * speed**2 * cycles
    execution = np.zeros((*joules.shape, len(Place)))
    execution[..., Place.DEVICE] = joules
    costs = graph_costs(problem, library=np)
    return Prices(execution, _radio(costs, [power.transmit_watts, power.receive_watts, 0.0, 0.0]))


def network_prices(costs: GraphCosts, network: Network, power: PowerModel | None = None) -> Prices:
    """The joules of the device as prices, for a task graph on a network.

    Computing draws the `watts` of the first place's processor, so that measured times need no
    speed, or `switched_capacitance` * speed³ where they are not known; sending draws
    `transmit_watts`, receiving `receive_watts`.

    Args:
      costs: of `network_costs` for the same network; concrete.
      network: places and links.
      power: the device's power model; the default one if None.

    Returns:
      `execution` `[..., N, K]` joules and `per_byte` `[..., R]` joules per byte.

    Raises:
      ValueError: costs and network do not fit, the device has neither watts nor a finite speed, or
        it draws power while it idles.
    """
    check_class("costs", costs, GraphCosts)
    check_class("network", network, Network)
    power = _without_idling(power)
    hops = list(network.hops())
    if costs.num_places != len(network.places) or len(costs.serial) != len(hops):
        raise ValueError("network: must be the one that the costs were made of")
    device = network.places[0]
    if device.watts is None:
        network.require_device_speed("energy without watts")
    speed = of_users("speed of the device", device.speed, costs.num_users, own=True)
    speed = values_of_users(speed, costs.user)
    watts = device.watts if device.watts is not None else power.switched_capacitance * speed**3
    seconds = np.asarray(costs.seconds, np.float64)
    joules = np.where(seconds[..., 0] < np.inf, seconds[..., 0], 0.0) * watts
    execution = np.zeros((*joules.shape, costs.num_places))
    execution[..., 0] = joules
    radio = [
        power.transmit_watts if h.source == 0 else power.receive_watts if h.target == 0 else 0.0
        for h in hops
    ]
    return Prices(execution, _radio(costs, radio))


def _radio(costs: GraphCosts, watts: list[Any]) -> np.ndarray:
    """`[..., R]` joules per byte where devices draw watts `[L]` while they use links."""
    entries = copies(costs.own_links, costs.num_users)
    rate = np.asarray(costs.seconds_per_byte, np.float64)
    # What draws nothing costs nothing, links that are down included.
    paid = np.repeat(np.array(watts, np.float64), entries)
    return np.multiply(rate, paid, out=np.zeros(rate.shape), where=paid > 0)


def _without_idling(power: PowerModel | None) -> PowerModel:
    power = power or PowerModel()
    if np.any(np.asarray(power.idle_watts) != 0):
        raise ValueError(
            f"power.idle_watts = {power.idle_watts}: must be 0, for idle seconds depend on the"
            " schedule and do not add up over tasks; oj.graphs.energy counts them"
        )
    return power
