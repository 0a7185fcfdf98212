"""What a learned policy sees of a task graph before anything is placed.

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
from offload_jax.graphs._jax.ranks import mean_costs, upward_ranks
from offload_jax.graphs._jax.simulator import Platform
from offload_jax.graphs.columns import LIMIT, TASK
from offload_jax.graphs.costs import GraphCosts


class TaskFeatures(NamedTuple):
    """What is known of requests before anything is booked, tasks by number.

    Attributes:
      task: `[T, N, R]` what the network is told of each task, by `columns.TASK`.
      rank: `[N, R]` upward rank as a share of the scale; -1 for empty tasks.
      depends: bool `[N, N, R]` or `[N, N, 1]`, True at [u, v] where v needs u.
      tail: `[N, K, R]` least seconds from a task's end at a place until all that follows is home.
      empty: bool `[N, R]`.
      live: bool `[N, K, R]` places with a live route from and to the task's home.
      scale: `[R]` seconds.
      unit: `[R]` mean seconds per byte between two places.
      rates: `[K, K, R]` seconds per byte from place to place, `inf` where nothing leads.
      input_seconds: `[N, K, R]` seconds of moving a task's input to a place.
      output_seconds: `[N, K, R]` seconds of moving its output home.
      single_place_seconds: `[K, R]` seconds of everything at one place.
    """

    task: Array
    rank: Array
    depends: Array
    tail: Array
    empty: Array
    live: Array
    scale: Array
    unit: Array
    rates: Array
    input_seconds: Array
    output_seconds: Array
    single_place_seconds: Array


def bounded(value: Array) -> Array:
    return jnp.clip(jnp.nan_to_num(value, nan=LIMIT, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)


def _last(value: Any) -> Array:
    return jnp.moveaxis(jnp.asarray(value), 0, -1)


def _if_any(amount: Array, rate: Array, delay: Array) -> Array:
    """Seconds of moving bytes `[..., R]`."""
    rate, delay = lift(rate, amount.ndim), lift(delay, amount.ndim)
    return jnp.where(amount > 0, amount * rate + delay, 0.0)


def task_features(platform: Platform, rows: int, costs: GraphCosts) -> TaskFeatures:
    """What is known of rows of costs: fields with one leading axis, of `rows` or of 1."""
    num_tasks, num_places = costs.num_tasks, costs.num_places
    places = range(num_places)
    means = mean_costs(costs, platform)
    rank = _last(upward_ranks(means, costs.depends))
    seconds = _last(costs.seconds)
    depends = _last(costs.depends)
    num_bytes = jnp.where(depends, _last(costs.data), 0.0)
    inputs, outputs = _last(costs.input), _last(costs.output)
    home = _last(costs.home)
    per_byte, startup = _last(costs.seconds_per_byte), _last(costs.startup)

    def way(values: Array, j: int, k: int) -> Array:
        route = platform.routes[j][k]
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

    input_seconds = jnp.stack([with_home(inputs, k, False) for k in places], 1)
    output_seconds = jnp.stack([with_home(outputs, k, True) for k in places], 1)
    live = jnp.stack([_last(usable) for usable in means.live], 1)
    begin = _last(costs.release)[:, None] + input_seconds
    # [j, k] -> [N, N, R] from u at j to v at k.
    ways = [[moving(num_bytes, j, k) for k in places] for j in places]
    shape = (num_tasks, num_places, rows)

    def backwards(i: Array, tail: Array) -> Array:
        v = num_tasks - 1 - i
        after = seconds + tail
        columns = []
        for k in places:
            first = functools.reduce(jnp.minimum, [ways[k][q][v] + after[:, q] for q in places])
            columns.append(jnp.max(jnp.where(depends[v], first, 0.0), axis=0))
        return tail.at[v].set(jnp.maximum(output_seconds[v], jnp.stack(columns)))

    def forwards(v: Array, finish: Array) -> Array:
        columns = []
        for k in places:
            first = functools.reduce(jnp.minimum, [finish[:, q] + ways[q][k][:, v] for q in places])
            columns.append(jnp.max(jnp.where(depends[:, v], first, 0.0), axis=0))
        return finish.at[v].set(jnp.maximum(begin[v], jnp.stack(columns)) + seconds[v])

    zero = jnp.zeros(shape, jnp.result_type(seconds, jnp.float32))
    tail = jax.lax.fori_loop(0, num_tasks, backwards, zero)
    head = jax.lax.fori_loop(0, num_tasks, forwards, zero)
    through = jnp.min(head + tail, axis=1)
    bound = jnp.max(through, axis=0)

    # Everything at one place; places without limit run all at once.
    single_place_seconds = []
    for k in places:
        work = seconds[:, k]
        servers = platform.servers[k]
        work = jnp.max(work, 0) if servers is None else jnp.sum(work, 0) / servers
        single_place_seconds.append(
            jnp.sum(input_seconds[:, k], 0) + work + jnp.sum(output_seconds[:, k], 0)
        )
    scale = functools.reduce(jnp.minimum, single_place_seconds)
    scale = jnp.where(jnp.isfinite(scale), scale, bound)
    scale = jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1.0)
    scale = jnp.broadcast_to(scale, (rows,))

    def share(value: Array) -> Array:
        return bounded(value / lift(scale, value.ndim))

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
    task = {
        "rank": share(rank),
        "rank_share": bounded(rank / highest[None]),
        "mean_seconds": share(mean_seconds),
        "least_seconds": share(jnp.min(usable, axis=1)),
        "most_seconds": share(
            jnp.max(jnp.where(live & jnp.isfinite(seconds), seconds, 0.0), axis=1)
        ),
        "head": share(jnp.min(head, axis=1)),
        "tail": share(jnp.min(tail, axis=1)),
        "slack": share(slack),
        "moved_on": share(jnp.sum(moved, axis=1) + returning),
        "most_moved": share(jnp.max(moved, axis=1)),
        "moved_in": share(jnp.sum(moved, axis=0)),
        "input": share(jnp.max(jnp.where(live, input_seconds, 0.0), axis=1)),
        "num_readers": jnp.minimum(readers / 4.0, LIMIT),
        "num_needed": jnp.minimum(needed / 4.0, LIMIT),
        "returning": share(returning),
        "reader_ranks": bounded(
            jnp.sum(jnp.where(depends, rank[None] / highest[None, None], 0.0), axis=1) / 4.0
        ),
        "bound": lift(share(bound), 2),
        "highest_rank": lift(share(highest), 2),
        "total_seconds": lift(share(jnp.sum(mean_seconds, axis=0) / 4.0), 2),
        "total_moved": lift(share(jnp.sum(moved, axis=(0, 1)) / 4.0), 2),
        "num_tasks": lift(bounded(jnp.log2(count.astype(zero.dtype)) / 4.0), 2),
    }

    def full(values: list[Array], *axes: int) -> Array:
        return jnp.stack([jnp.broadcast_to(value, (*axes, rows)) for value in values])

    return TaskFeatures(
        full([task[name] for name in TASK], num_tasks),
        jnp.broadcast_to(rank / scale[None], (num_tasks, rows)),
        depends,
        tail,
        empty,
        jnp.broadcast_to(live, shape),
        scale,
        jnp.broadcast_to(unit, (rows,)),
        jnp.stack([full(row) for row in rates]),
        jnp.broadcast_to(input_seconds, shape),
        jnp.broadcast_to(output_seconds, shape),
        full(single_place_seconds),
    )
