"""What a learned policy sees of a task graph, before it starts and at every step of the machine.

Times are shares of a scale of the request, the seconds that everything takes at the best single
place, so that the same network fits requests of any unit and size. All entries are finite and lie
in [-LIMIT, LIMIT]: dead links and forbidden places are at the end of that range. Nothing depends on
how tasks are numbered. The batch is the last axis, as in `machine`.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs.booking import in_order
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.machine import Booking, Hardware, Outlook, State
from offload_jax.graphs.ranks import mean_costs, upward_ranks

LIMIT = 3.0
# What there is of each kind; `look`, `prepare` and the networks agree on them.
NUM_PLACE, NUM_STEP, NUM_TASK = 22, 5, 21
# Rows of `Seen.places` and of `Prepared.task` that learning starts from.
BESIDE_LEAST, RANK_SHARE = 4, 1


class Prepared(NamedTuple):
    """What is known of requests before anything is booked, tasks by number.

    Attributes:
      task: `[NUM_TASK, N, R]` what the network is told of each task.
      rank: `[N, R]` upward rank as a share of the scale; -1 for empty tasks.
      depends: bool `[N, N, R]` or `[N, N, 1]`, True at [u, v] where v needs u.
      onward: `[N, K, R]` least seconds from a task's end at a place until all that follows is home.
      empty: bool `[N, R]`.
      live: bool `[N, K, R]` places with a live route from and to the task's home.
      scale: `[R]` seconds.
      unit: `[R]` mean seconds per byte between two places.
      rates: `[K, K, R]` seconds per byte from place to place, `inf` where nothing leads.
      there: `[N, K, R]` seconds of moving a task's input to a place.
      back: `[N, K, R]` seconds of moving its output home.
      alone: `[K, R]` seconds of everything at one place.
    """

    task: Array
    rank: Array
    depends: Array
    onward: Array
    empty: Array
    live: Array
    scale: Array
    unit: Array
    rates: Array
    there: Array
    back: Array
    alone: Array


def _bounded(value: Array) -> Array:
    return jnp.clip(jnp.nan_to_num(value, nan=LIMIT, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)


def _last(value: Any) -> Array:
    return jnp.moveaxis(jnp.asarray(value), 0, -1)


def _if_any(amount: Array, rate: Array, delay: Array) -> Array:
    """Seconds of moving bytes `[..., R]`."""
    rate, delay = lift(rate, amount.ndim), lift(delay, amount.ndim)
    return jnp.where(amount > 0, amount * rate + delay, 0.0)


def prepare(hardware: Hardware, rows: int, costs: GraphCosts) -> Prepared:
    """What is known of rows of costs: fields with one leading axis, of `rows` or of 1."""
    num_tasks, num_places = costs.num_tasks, costs.num_places
    places = range(num_places)
    means = mean_costs(costs, hardware)
    rank = _last(upward_ranks(means, costs.depends))
    seconds = _last(costs.seconds)
    depends = _last(costs.depends)
    num_bytes = jnp.where(depends, _last(costs.data), 0.0)
    inputs, outputs = _last(costs.input), _last(costs.output)
    home = _last(costs.home)
    per_byte, startup = _last(costs.seconds_per_byte), _last(costs.startup)

    def way(values: Array, j: int, k: int) -> Array:
        route = hardware.routes[j][k]
        if route is None:
            return jnp.full(values.shape[1:], jnp.inf)
        return sum((values[link] for link in route), jnp.zeros(values.shape[1:]))

    rates = [[way(per_byte, j, k) for k in places] for j in places]
    delays = [[way(startup, j, k) for k in places] for j in places]

    def moving(amount: Array, j: int, k: int) -> Array:
        return _if_any(amount, rates[j][k], delays[j][k])

    def with_home(amount: Array, k: int, back: bool) -> Array:
        result = jnp.zeros(())
        for h in places:
            one = moving(amount, *((k, h) if back else (h, k)))
            result = jnp.where(home == h, one, result)
        return result

    there = jnp.stack([with_home(inputs, k, False) for k in places], 1)
    back = jnp.stack([with_home(outputs, k, True) for k in places], 1)
    live = jnp.stack([_last(usable) for usable in means.live], 1)
    begin = _last(costs.release)[:, None] + there
    # [j, k] -> [N, N, R] from u at j to v at k.
    ways = [[moving(num_bytes, j, k) for k in places] for j in places]
    shape = (num_tasks, num_places, rows)

    def backwards(i: Array, onward: Array) -> Array:
        v = num_tasks - 1 - i
        after = seconds + onward
        columns = []
        for k in places:
            first = functools.reduce(jnp.minimum, [ways[k][q][v] + after[:, q] for q in places])
            columns.append(jnp.max(jnp.where(depends[v], first, 0.0), axis=0))
        return onward.at[v].set(jnp.maximum(back[v], jnp.stack(columns)))

    def forwards(v: Array, finish: Array) -> Array:
        columns = []
        for k in places:
            first = functools.reduce(jnp.minimum, [finish[:, q] + ways[q][k][:, v] for q in places])
            columns.append(jnp.max(jnp.where(depends[:, v], first, 0.0), axis=0))
        return finish.at[v].set(jnp.maximum(begin[v], jnp.stack(columns)) + seconds[v])

    zero = jnp.zeros(shape, jnp.result_type(seconds, jnp.float32))
    onward = jax.lax.fori_loop(0, num_tasks, backwards, zero)
    ahead = jax.lax.fori_loop(0, num_tasks, forwards, zero)
    through = jnp.min(ahead + onward, axis=1)
    bound = jnp.max(through, axis=0)

    # Everything at one place; places without limit run all at once.
    alone = []
    for k in places:
        work = seconds[:, k]
        servers = hardware.servers[k]
        work = jnp.max(work, 0) if servers is None else jnp.sum(work, 0) / servers
        alone.append(jnp.sum(there[:, k], 0) + work + jnp.sum(back[:, k], 0))
    scale = functools.reduce(jnp.minimum, alone)
    scale = jnp.where(jnp.isfinite(scale), scale, bound)
    scale = jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1.0)
    scale = jnp.broadcast_to(scale, (rows,))

    def share(value: Array) -> Array:
        return _bounded(value / lift(scale, value.ndim))

    mean_seconds, returning = _last(means.seconds), _last(means.returning)
    moved = _last(means.moving)
    total_bytes = jnp.sum(num_bytes, axis=(0, 1))
    unit = jnp.sum(moved, axis=(0, 1)) / jnp.where(total_bytes > 0, total_bytes, 1.0)
    empty = jnp.broadcast_to(_last(means.empty), (num_tasks, rows))
    count = jnp.maximum(jnp.sum(~empty, axis=0), 1)
    highest = jnp.max(rank, axis=0)
    highest = jnp.where(highest > 0, highest, 1.0)
    slack = bound[None] - through
    readers, needed = jnp.sum(depends, axis=1), jnp.sum(depends, axis=0)
    usable = jnp.where(live, seconds, jnp.inf)
    task = [
        share(rank),
        _bounded(rank / highest[None]),
        share(mean_seconds),
        share(jnp.min(usable, axis=1)),
        share(jnp.max(jnp.where(live & jnp.isfinite(seconds), seconds, 0.0), axis=1)),
        share(jnp.min(ahead, axis=1)),
        share(jnp.min(onward, axis=1)),
        share(slack),
        share(jnp.sum(moved, axis=1) + returning),
        share(jnp.max(moved, axis=1)),
        share(jnp.sum(moved, axis=0)),
        share(jnp.max(jnp.where(live, there, 0.0), axis=1)),
        jnp.minimum(readers / 4.0, LIMIT),
        jnp.minimum(needed / 4.0, LIMIT),
        share(returning),
        _bounded(jnp.sum(jnp.where(depends, rank[None] / highest[None, None], 0.0), axis=1) / 4.0),
    ]
    summary = [
        share(bound),
        share(highest),
        share(jnp.sum(mean_seconds, axis=0) / 4.0),
        share(jnp.sum(moved, axis=(0, 1)) / 4.0),
        _bounded(jnp.log2(count.astype(zero.dtype)) / 4.0),
    ]

    def full(values: list[Array], *axes: int) -> Array:
        return jnp.stack([jnp.broadcast_to(value, (*axes, rows)) for value in values])

    return Prepared(
        full(task + [lift(value, 2) for value in summary], num_tasks),
        jnp.broadcast_to(rank / scale[None], (num_tasks, rows)),
        depends,
        onward,
        empty,
        jnp.broadcast_to(live, shape),
        scale,
        jnp.broadcast_to(unit, (rows,)),
        jnp.stack([full(row) for row in rates]),
        jnp.broadcast_to(there, shape),
        jnp.broadcast_to(back, shape),
        full(alone),
    )


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
    return Seen(_bounded(seen / scale), _bounded(jnp.stack(step) / scale[0]), now.live)


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
