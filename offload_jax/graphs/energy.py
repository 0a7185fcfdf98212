"""Energy of the device over a schedule of a task graph."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from offload_jax.batching import lift
from offload_jax.graphs._jax.simulate import simulate
from offload_jax.graphs.costs import values_of_users
from offload_jax.graphs.decision import Decision, GraphSolution, Schedule, decision_of
from offload_jax.graphs.problem import GraphProblem, validate
from offload_jax.network import Place
from offload_jax.objectives import PowerModel


def energy(
    problem: GraphProblem,
    schedule: Schedule | GraphSolution | Decision,
    power: PowerModel | None = None,
) -> Float[Array, "*batch"]:
    """Joules that the device spends, of several users all devices together.

    Its CPU costs `switched_capacitance` * speed² a cycle, its radio `transmit_watts` and
    `receive_watts` while it sends and receives, and `idle_watts` count for all of the makespan in
    which neither works. A chain written as a graph has the energy that it had.

    Args:
      problem: leading dimensions free.
      schedule: of the problem, or a solution or decision about it; what has no transfers is
        simulated from place and order.
      power: the device's power model; the default one if None.

    Returns:
      `[...]` joules, `inf` where the makespan is.

    Raises:
      ValueError: the problem is invalid or no `GraphProblem`, or the schedule is none.
    """
    if not isinstance(problem, GraphProblem):
        kind = type(problem).__name__
        raise ValueError(
            f"problem: energy needs the cycles and the device of a GraphProblem, got {kind}"
        )
    validate(problem)
    if isinstance(schedule, GraphSolution) and schedule.schedule is not None:
        schedule = schedule.schedule
    if not isinstance(schedule, Schedule) or schedule.transfers is None:
        schedule = simulate(problem, *decision_of("schedule", schedule), transfers=True)
    return _energy(problem, schedule, PowerModel() if power is None else power)


@jax.jit
def _energy(problem: GraphProblem, schedule: Schedule, power: PowerModel) -> Array:
    place = jnp.asarray(schedule.place)
    local = place == Place.DEVICE
    speed, users = jnp.asarray(problem.device_speed), problem.num_users
    user = jnp.zeros(place.shape, jnp.int32)
    if users > 1:
        speed = values_of_users(speed, jnp.asarray(problem.user), jnp)
        user = jnp.broadcast_to(jnp.asarray(problem.user), place.shape)
    else:
        speed = speed[..., None]
    speed = lift(speed, place.ndim)
    cycles = lift(jnp.asarray(problem.cycles), place.ndim)
    joules = jnp.where(local, power.switched_capacitance * speed**2 * cycles, 0.0)
    working: list[tuple[Any, ...]] = [
        (jnp.where(local, schedule.start, jnp.nan), schedule.finish, user)
    ]
    total = jnp.sum(joules, axis=-1)
    for watts, hops in zip(
        (power.transmit_watts, power.receive_watts), _radio(place, schedule.transfers), strict=True
    ):
        for start, finish in hops:
            total = total + watts * jnp.nansum(finish - start, axis=-1)
            times = start.shape[-1] // user.shape[-1]
            working.append((start, finish, jnp.repeat(user, times, axis=-1)))
    idle = users * schedule.makespan - _union(working)
    total = total + power.idle_watts * idle
    return jnp.where(jnp.isfinite(schedule.makespan), total, jnp.inf)


def _radio(place: Array, hops: Any) -> tuple[list[tuple], list[tuple]]:
    """Start and finish `[..., M]` of what the device sends, and of what it receives."""
    device = place == Place.DEVICE
    last = (place == Place.CLOUD).astype(jnp.int32)
    batch = place.shape[:-1]

    def last_hop(values: Any, which: Array) -> Array:
        return jnp.where(which == 0, values[..., 0], values[..., 1])

    def flat(start: Array, finish: Array, counts: Array) -> tuple[Array, Array]:
        return tuple(  # type: ignore[return-value]
            jnp.where(counts, value, jnp.nan).reshape(*batch, -1) for value in (start, finish)
        )

    from_device, to_device = device[..., :, None], device[..., None, :]
    away = ~(from_device & to_device)
    sending = [
        flat(hops.input_start[..., 0], hops.input_finish[..., 0], ~device),
        flat(hops.data_start[..., 0], hops.data_finish[..., 0], from_device & away),
    ]
    origin = last[..., :, None]
    receiving = [
        flat(
            last_hop(hops.data_start, origin),
            last_hop(hops.data_finish, origin),
            to_device & away,
        ),
        flat(last_hop(hops.output_start, last), last_hop(hops.output_finish, last), ~device),
    ]
    return sending, receiving


def _union(intervals: list[tuple[Any, ...]]) -> Array:
    """Lengths of the unions of each user's intervals, summed up; those with a NaN are none."""
    start, finish, user = (jnp.concatenate(part, axis=-1) for part in zip(*intervals, strict=True))
    none = jnp.isnan(start) | jnp.isnan(finish)
    start, finish = jnp.where(none, 0.0, start), jnp.where(none, 0.0, finish)
    order = jnp.lexsort((start, user), axis=-1)
    start, finish, user = (jnp.take_along_axis(part, order, -1) for part in (start, finish, user))

    def later(first: Any, second: Any) -> Any:
        """The last finish of the same user."""
        same = first[0] == second[0]
        return second[0], jnp.where(same, jnp.maximum(first[1], second[1]), second[1])

    _, reached = jax.lax.associative_scan(later, (user, finish), axis=finish.ndim - 1)
    same = user[..., 1:] == user[..., :-1]
    before = jnp.where(same, reached[..., :-1], 0.0)
    before = jnp.concatenate([jnp.zeros_like(reached[..., :1]), before], axis=-1)
    return jnp.sum(jnp.maximum(finish - jnp.maximum(start, before), 0.0), axis=-1)
