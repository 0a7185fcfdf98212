"""Chain costs of a task on any network of places.

Data travels the fastest route there is, over as many hops as that takes. One hop takes

    data / bandwidth + round_trip_time / 2

seconds; half a round trip also where there are no bytes, since control has to get there too. So
going to a place and coming back costs a whole round trip. Staying costs nothing.
"""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.batching import lift
from offload_jax.chains.costs import ChainCosts
from offload_jax.measured import MeasuredTask
from offload_jax.network import Network
from offload_jax.objectives import LATENCY, Objective, is_zero
from offload_jax.validation import ArrayLike, check_class, is_traced, require


@runtime_checkable
class ProfiledTask(Protocol):
    """What is needed of a profile such as `workloads.TaskProfile`."""

    @property
    def flops(self) -> np.ndarray:
        """`[A]` floating-point operations of each subtask."""

    @property
    def data(self) -> np.ndarray:
        """`[A + 1]` bytes between subtasks."""


def network_costs(
    task: ProfiledTask | MeasuredTask,
    network: Network,
    *,
    objective: Objective = LATENCY,
    flops_per_cycle: float = 2.0,
) -> ChainCosts:
    """Writes a task on a network as a table of additive costs.

    Energy is the device's, by `objective.power`: computing draws kappa * speed^3 watts, sending
    `transmit_watts` while data leaves the device, receiving `receive_watts`, everything else
    `idle_watts`. Data takes the fastest route whatever the objective, so that tables of latency
    and energy describe the same decisions.

    Args:
      task: a profile, which runs `flops / flops_per_cycle / speed` seconds at a place, or a table
        of measured times, which has to name every place of the network.
      network: places and links; speeds and bandwidths may be arrays `[...]` that broadcast.
      objective: what the costs count.
      flops_per_cycle: floating-point operations in a cycle; not used for measured times.

    Returns:
      `execution` `[..., A, K]` and `transfer` `[..., A + 1, K, K]`; `inf` where the links that
      are up lead nowhere, or a measured time says so.

    Raises:
      ValueError: the task has no times for a place, or energy needs a device speed that is `inf`.
    """
    check_class("task", task, ProfiledTask, MeasuredTask)
    check_class("network", network, Network)
    check_class("objective", objective, Objective)
    values = [place.speed for place in network.places]
    values += [v for hop in network.hops() for v in (hop.bandwidth, hop.round_trip_time)]
    library: Any = jnp if any(isinstance(v, jax.Array) for v in values) else np
    rank = max(np.ndim(value) for value in values)

    def of_chain(value: ArrayLike) -> Any:
        """`[...]` to `[..., 1]` of full rank."""
        return lift(library.asarray(value), rank)[..., None]

    def chain(values: Any) -> Any:
        return library.asarray(np.asarray(values, np.float64).reshape((1,) * rank + (-1,)))

    seconds, joules = _execution(task, network, objective, flops_per_cycle, of_chain, chain)
    power = objective.power
    num_places = len(network.places)
    data = chain(task.data)
    never = library.full(data.shape, math.inf)
    still = library.zeros(data.shape)
    time = [[still if j == k else never for k in range(num_places)] for j in range(num_places)]
    spent = [list(row) for row in time]
    for j, k, bandwidth, round_trip_time in network.hops():
        watts = power.idle_watts
        if j == 0 or k == 0:
            watts = power.transmit_watts if j == 0 else power.receive_watts
        moving = _moving(data, of_chain(bandwidth), library)
        waiting = of_chain(round_trip_time) / 2
        time[j][k] = moving + waiting
        alive = moving < math.inf
        used = library.where(alive, moving, 0.0) * watts + waiting * power.idle_watts
        spent[j][k] = library.where(alive, used, math.inf)
    _take_fastest_routes(time, spent, library)

    def cost(seconds: Any, joules: Any) -> Any:
        total = 0.0
        for weight, value in (
            (objective.latency_weight, seconds),
            (objective.energy_weight, joules),
        ):
            if not is_zero(weight):
                total = total + weight * value
        return total

    return ChainCosts(
        _stack([cost(s, j) for s, j in zip(seconds, joules, strict=True)], library),
        _stack(
            [
                _stack([cost(s, j) for s, j in zip(*rows, strict=True)], library)
                for rows in zip(time, spent, strict=True)
            ],
            library,
            axis=-2,
        ),
    )


def _moving(data: Any, bandwidth: Any, library: Any) -> Any:
    """data / bandwidth `[..., A + 1]`: nothing takes no time, a dead link for ever."""
    alive = bandwidth > 0
    seconds = data / library.where(alive, bandwidth, 1.0)
    return library.where(data > 0, library.where(alive, seconds, math.inf), 0.0)


def _take_fastest_routes(time: list[list[Any]], spent: list[list[Any]], library: Any) -> None:
    """Floyd and Warshall's all-pairs shortest paths, in place, with what the path spends."""
    places = range(len(time))
    for middle in places:
        for j in places:
            for k in places:
                if j == k or middle in (j, k):
                    continue
                detour = time[j][middle] + time[middle][k]
                better = detour < time[j][k]
                time[j][k] = library.where(better, detour, time[j][k])
                both = spent[j][middle] + spent[middle][k]
                spent[j][k] = library.where(better, both, spent[j][k])


def _execution(
    task: Any,
    network: Network,
    objective: Objective,
    flops_per_cycle: float,
    of_chain: Callable[[ArrayLike], Any],
    chain: Callable[[Any], Any],
) -> tuple[list[Any], list[Any]]:
    """Seconds and joules `[..., A]` of the subtasks, by place."""
    measured = task if isinstance(task, MeasuredTask) else None
    if measured is None and not (
        isinstance(flops_per_cycle, numbers.Real) and 0 < flops_per_cycle < math.inf
    ):
        raise ValueError(f"flops_per_cycle = {flops_per_cycle}: must be finite and above 0")
    seconds, joules = [], []
    for number, place in enumerate(network.places):
        speed = of_chain(place.speed)
        if measured is not None:
            run = chain(measured.seconds_at(place.name))
        else:
            run = chain(task.flops) / flops_per_cycle / speed
        watts: Any = objective.power.idle_watts
        if number == 0 and not is_zero(objective.energy_weight):
            if not is_traced(place.speed):
                require(
                    f"speed of {place.name!r}",
                    place.speed,
                    np.isfinite(place.speed),
                    "energy needs the finite speed of the device",
                )
            watts = objective.power.switched_capacitance * speed * speed * speed
        library: Any = jnp if isinstance(run, jax.Array) else np
        possible = run < math.inf
        seconds.append(run)
        used = library.where(possible, run, 0.0) * watts
        joules.append(library.where(possible, used, math.inf))
    return seconds, joules


def _stack(values: Sequence[Any], library: Any, *, axis: int = -1) -> Any:
    shape = np.broadcast_shapes(*(v.shape for v in values))
    return library.stack([library.broadcast_to(v, shape) for v in values], axis=axis)
