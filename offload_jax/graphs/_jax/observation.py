"""What a learned policy sees at every step of the simulator; see `task_features`."""

import functools
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs._jax.rows import in_order
from offload_jax.graphs._jax.simulator import Booking, Hardware, Outlook, State
from offload_jax.graphs._jax.task_features import Prepared, bounded


class Ordered(NamedTuple):
    """What of `Prepared` a step reads, by position.

    Attributes:
      position: int `[N]`.
      onward: `[N, K, B]`.
      seconds: `[N, K, B]` running times; 0 where they are `inf`.
      left: `[N, K, B]` running time of this task and all after it.
      to_fetch: `[N, K, B]` seconds of moving the inputs of all after it.
      to_return: `[N, K, B]` seconds of moving the outputs of all after it.
      live: `[N, K, B]`.
      empty: `[N, B]`.
    """

    position: Array
    onward: Array
    seconds: Array
    left: Array
    to_fetch: Array
    to_return: Array
    live: Array
    empty: Array


def ordered(prepared: Prepared, booking: Booking, order: Array, rows: int) -> Ordered:
    """What is known of tasks in the order `[rows, N]` in which they are booked."""

    def sorted_by_position(values: Array) -> Array:
        """`[N, *tail, R]` by task to `[N, *tail, rows]` by position."""
        return in_order(jnp.moveaxis(values, -1, 0), order, rows)

    seconds = jnp.where(jnp.isfinite(booking.seconds), booking.seconds, 0.0)
    return Ordered(
        jnp.arange(order.shape[1]),
        sorted_by_position(prepared.onward),
        seconds,
        _from_here_on(seconds),
        _after(sorted_by_position(prepared.there)),
        _after(sorted_by_position(prepared.back)),
        sorted_by_position(prepared.live),
        sorted_by_position(prepared.empty),
    )


def _from_here_on(values: Array) -> Array:
    return jnp.cumsum(values[::-1], axis=0)[::-1]


def _after(values: Array) -> Array:
    values = jnp.where(jnp.isfinite(values), values, 0.0)
    return _from_here_on(values) - values


class Seen(NamedTuple):
    """What the network gets for one task.

    Attributes:
      places: `[NUM_PLACE, K, B]`.
      step: `[NUM_STEP, B]`.
      allowed: bool `[K, B]`.
    """

    places: Array
    step: Array
    allowed: Array


def look(
    hardware: Hardware,
    prepared: Prepared,
    booking: Booking,
    lying: Array,
    state: State,
    outlook: Outlook,
    now: Ordered,
) -> Seen:
    """What is seen of the task that is to be placed.

    Args:
      hardware, prepared, booking: of B rows.
      lying: `[N, K, B]` bytes for the task of each position that lie at each place.
      state, outlook: of the machine.
      now: the row of `Ordered`.
    """
    places = range(hardware.num_places)
    column = booking.needs[:, now.position]
    reads = column >= 0
    # What else the readers of this task need, and how long it takes to get it to a place.
    beside = jnp.sum(jnp.where(reads[:, None], lying, 0.0), axis=0)
    finish, back = jnp.stack(outlook.finish), jnp.stack(outlook.back)
    ready, start = jnp.stack(outlook.ready), jnp.stack(outlook.start)
    first = jnp.min(jnp.where(now.live, finish, jnp.inf), axis=0)
    first = jnp.where(jnp.isfinite(first), first, 0.0)
    through = finish + now.onward
    least = jnp.min(jnp.where(now.live, through, jnp.inf), axis=0)
    least = jnp.where(jnp.isfinite(least), least, 0.0)
    free = functools.reduce(jnp.add, state.free, jnp.zeros(()))
    sent = jnp.sum(jnp.where(reads, column, 0.0), axis=0) * prepared.unit
    columns = []
    for k in places:
        servers = hardware.servers[k]
        idle = first if not state.busy[k] else functools.reduce(jnp.minimum, state.busy[k])
        work = 0.0 if servers is None else now.left[k] / servers
        into = [hardware.routes[j][k] for j in places if j != k and hardware.routes[j][k]]
        out = [hardware.routes[k][j] for j in places if j != k and hardware.routes[k][j]]
        fetching = sum(
            jnp.where(beside[j] > 0, beside[j] * prepared.rates[j, k], 0.0)
            for j in places
            if j != k
        )
        columns.append(
            [
                ready[k] - first,
                start[k] - first,
                finish[k] - first,
                back[k] - first,
                through[k] - least,
                now.onward[k],
                now.seconds[k],
                start[k] - ready[k],
                idle - first,
                work,
                idle + work - first,
                functools.reduce(jnp.add, outlook.free[k], jnp.zeros(())) - free,
                _latest(state.free, into) - first,
                _latest(state.free, out) - first,
                beside[k] * prepared.unit,
                fetching + 0.0 * first,
                lying[now.position, k] * prepared.unit,
                now.to_fetch[k],
                now.to_return[k],
                prepared.alone[k],
                idle + work + now.to_return[k] - least,
                sent * _far(prepared.rates, k) / jnp.maximum(prepared.unit, 1e-30),
            ]
        )
    seen = jnp.stack([jnp.stack([jnp.broadcast_to(v, first.shape) for v in c]) for c in columns], 1)
    step = [
        first,
        least,
        sent,
        jnp.max(through, axis=0, where=now.live, initial=0.0) - least,
        jnp.max(jnp.where(now.live & jnp.isfinite(finish), finish, 0.0), axis=0) - first,
    ]
    scale = lift(prepared.scale, 3)
    return Seen(bounded(seen / scale), bounded(jnp.stack(step) / scale[0]), now.live)


def _latest(free: tuple[Array, ...], routes: list) -> Array:
    """When the links of routes are free, the last of each, in the mean."""
    if not routes:
        return jnp.zeros(())
    times = [functools.reduce(jnp.maximum, [free[link] for link in route]) for route in routes]
    return sum(times) / len(times)


def _far(rates: Array, k: int) -> Array:
    """Mean seconds per byte from a place to the others, dead ways left out."""
    num = len(rates)
    others = jnp.stack([rates[k, j] for j in range(num) if j != k or num == 1])
    alive = jnp.isfinite(others)
    return jnp.sum(jnp.where(alive, others, 0.0), 0) / jnp.maximum(jnp.sum(alive, 0), 1)


def deliver(lying: Array, booking: Booking, position: Array, place: Array) -> Array:
    """`lying` once the task in a position has been placed."""
    column = jnp.maximum(booking.needs[:, position], 0.0)
    at = jnp.arange(lying.shape[1])[:, None] == place[None]
    return lying + jnp.where(at[None], column[:, None], 0.0)
