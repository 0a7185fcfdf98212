"""Chain costs of a task on any network of places.

Data travels the fastest route there is for its bytes, over as many hops as that takes; `network`
says what a hop takes. Staying, and 0 bytes, cost nothing.
"""

import math
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
from offload_jax.validation import ArrayLike, as_float_array, check_class, check_positive


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

    Energy is the device's, by `objective.power`: computing draws the `watts` of its processor, or
    kappa * speed^3 where they are not known, sending
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
      ValueError: the task has no times for a place, or times or energy need the speed of the
        device, which is `inf`.
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
        return lift(library.asarray(as_float_array("network", value)), rank)[..., None]

    def chain(values: Any) -> Any:
        return library.asarray(np.asarray(values, np.float64).reshape((1,) * rank + (-1,)))

    seconds, joules = _execution(task, network, objective, flops_per_cycle, of_chain, chain)
    power = objective.power
    num_places = len(network.places)
    data = chain(task.data)
    still = library.zeros(data.shape)

    def if_sent(possible: Any, amount: Any) -> Any:
        """`[..., A + 1]`: nothing to send takes nothing, even where nothing could be sent."""
        return library.where(data > 0, library.where(possible, amount, math.inf), still)

    never = if_sent(False, still)
    time = [[still if j == k else never for k in range(num_places)] for j in range(num_places)]
    spent = [list(row) for row in time]
    for j, k, bandwidth, round_trip_time in network.hops():
        watts = power.idle_watts
        if j == 0 or k == 0:
            watts = power.transmit_watts if j == 0 else power.receive_watts
        alive = of_chain(bandwidth) > 0
        moving = data / library.where(alive, of_chain(bandwidth), 1.0)
        alive = alive & (moving < math.inf)
        waiting = of_chain(round_trip_time) / 2
        time[j][k] = if_sent(alive, moving + waiting)
        spent[j][k] = if_sent(alive, moving * watts + waiting * power.idle_watts)
    _take_fastest_routes(time, spent, library)

    def cost(seconds: Any, joules: Any) -> Any:
        parts = (objective.latency_weight, seconds), (objective.energy_weight, joules)
        return sum(weight * value for weight, value in parts if not is_zero(weight))

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
    if measured is None:
        check_positive("flops_per_cycle", flops_per_cycle)
    device = network.places[0]
    if measured is None or not (is_zero(objective.energy_weight) or device.watts is not None):
        why = "a task without measured times" if measured is None else "energy"
        network.require_device_speed(why)
    seconds, joules = [], []
    for number, place in enumerate(network.places):
        speed = of_chain(place.speed)
        if measured is not None:
            run = chain(measured.seconds_at(place.name))
        else:
            run = chain(task.flops) / flops_per_cycle / speed
        watts: Any = objective.power.idle_watts
        if number == 0 and device.watts is not None:
            watts = device.watts
        elif number == 0 and not is_zero(objective.energy_weight):
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
