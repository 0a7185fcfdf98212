"""What a learned policy sees of a task graph before anything is placed.

Times are shares of a scale of the request, the seconds that everything takes at the best single
place, so that the same network fits requests of any unit and size. All entries are finite and lie
in [-LIMIT, LIMIT]: dead links and forbidden places are at the end of that range. Nothing depends on
how tasks are numbered. The batch is the last axis, as in `machine`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs._jax.beliefs import Beliefs, beliefs
from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.ranks import mean_costs, upward_ranks
from offload_jax.graphs._jax.ways import Needs, batch_last, needs_of, paths_of, ways_of
from offload_jax.graphs.columns import LIMIT, NEVER, TASK
from offload_jax.graphs.costs import GraphCosts


class TaskFeatures(NamedTuple):
    """What is known of requests before anything is booked, tasks by number.

    Attributes:
      task: `[T, N, R]` what the network is told of each task, by `columns.TASK`.
      rank: `[N, R]` upward rank as a share of the scale; -1 for empty tasks.
      needs: what tasks get from each other.
      sent: `[N, R]` mean seconds of moving what others need of a task.
      tail: `[N, K, R]` least seconds from a task's end at a place until all that follows is home.
      empty: bool `[N, R]`.
      live: bool `[N, K, R]` places with a live route from and to the device.
      scale: `[R]` seconds.
      unit: `[R]` mean seconds per byte between two places.
      rates: `[V, K, K, R]` seconds per byte from place to place, `inf` where nothing leads; here
        and below V is U, or 1 where users share all.
      far: `[V, K, R]` mean seconds per byte from a place to the others, dead ways left out.
      input_seconds: `[N, K, R]` seconds of moving a task's input to a place.
      output_seconds: `[N, K, R]` seconds of moving its output home.
      single_place_seconds: `[V, K, R]` seconds of all that a user's tasks may have to wait for at
        one place: of its own tasks, and where users share what they need, of those of all.
      agreed: what `beliefs` gives.
      agreed_seconds: `[N, K, R]` running time where `agreed` has a task, 0 at other places.
    """

    task: Array
    rank: Array
    needs: Needs
    sent: Array
    tail: Array
    empty: Array
    live: Array
    scale: Array
    unit: Array
    rates: Array
    far: Array
    input_seconds: Array
    output_seconds: Array
    single_place_seconds: Array
    agreed: Beliefs
    agreed_seconds: Array


def bounded(value: Array) -> Array:
    return jnp.clip(jnp.nan_to_num(value, nan=LIMIT, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)


def task_features(platform: Platform, rows: int, costs: GraphCosts) -> TaskFeatures:
    """What is known of rows of costs: fields with one leading axis, of `rows` or of 1."""
    num_tasks, num_places = costs.num_tasks, costs.num_places
    places = range(num_places)
    ways, needs = ways_of(platform, costs), needs_of(costs)
    by_task = ways.by_task(costs)
    paths = paths_of(by_task, needs, rows, costs)
    head, tail, input_seconds, output_seconds = paths
    means = mean_costs(costs, platform, ways, needs)
    rank = batch_last(upward_ranks(means))
    seconds = batch_last(costs.seconds)
    needs, moved = jax.tree.map(
        lambda v: jnp.broadcast_to(v, (*v.shape[:-1], rows)), (needs, means.moving)
    )
    there, data = needs.data >= 0, jnp.maximum(needs.data, 0.0)

    live = means.live
    through = jnp.min(head + tail, axis=1)
    bound = jnp.max(through, axis=0)

    single_place_seconds = _at_one_place(
        platform, batch_last(costs.user), seconds, input_seconds + output_seconds
    )
    # Of the user who is worst off where all stand best.
    scale = jnp.max(jnp.min(single_place_seconds, axis=1), axis=0)
    scale = jnp.where(jnp.isfinite(scale), scale, bound)
    scale = jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1.0)
    scale = jnp.broadcast_to(scale, (rows,))

    wide = jnp.broadcast_to(seconds, (num_tasks, num_places, rows))
    agreed = beliefs(by_task, needs, wide, input_seconds, output_seconds, NEVER * scale)
    at = agreed.place[:, None] == jnp.arange(num_places)[None, :, None]
    agreed_seconds = jnp.where(at & jnp.isfinite(wide), wide, 0.0)
    agreed_highest = jnp.maximum(jnp.max(agreed.rank, axis=0), 1e-30)
    margin = jnp.min(jnp.where(at, jnp.inf, agreed.extra), axis=1)

    def share(value: Array) -> Array:
        return bounded(value / lift(scale, value.ndim))

    mean_seconds, returning = batch_last(means.seconds), batch_last(means.returning)
    total_bytes = jnp.sum(data, axis=(0, 1))
    unit = jnp.sum(moved, axis=(0, 1)) / jnp.where(total_bytes > 0, total_bytes, 1.0)
    empty = jnp.broadcast_to(batch_last(means.empty), (num_tasks, rows))
    count = jnp.maximum(jnp.sum(~empty, axis=0), 1)
    highest = jnp.max(rank, axis=0)
    highest = jnp.where(highest > 0, highest, 1.0)
    slack = bound[None] - through
    needed, rank_share = jnp.sum(there, axis=1), rank / highest[None]

    readers, ranks, handed_on, total = needs.sums(
        there.astype(data.dtype), rank_share[:, None], data, moved
    )
    most = needs.most(moved)
    usable = jnp.where(live, seconds, jnp.inf)
    task = {
        "rank": share(rank),
        "rank_share": bounded(rank_share),
        "mean_seconds": share(mean_seconds),
        "least_seconds": share(jnp.min(usable, axis=1)),
        "most_seconds": share(
            jnp.max(jnp.where(live & jnp.isfinite(seconds), seconds, 0.0), axis=1)
        ),
        "head": share(jnp.min(head, axis=1)),
        "tail": share(jnp.min(tail, axis=1)),
        "slack": share(slack),
        "moved_on": share(total + returning),
        "most_moved": share(most),
        "moved_in": share(jnp.sum(moved, axis=1)),
        "input": share(jnp.max(jnp.where(live, input_seconds, 0.0), axis=1)),
        "num_readers": jnp.minimum(readers / 4.0, LIMIT),
        "num_needed": jnp.minimum(needed / 4.0, LIMIT),
        "returning": share(returning),
        "reader_ranks": bounded(ranks / 4.0),
        "bound": lift(share(bound), 2),
        "highest_rank": lift(share(highest), 2),
        "total_seconds": lift(share(jnp.sum(mean_seconds, axis=0) / 4.0), 2),
        "total_moved": lift(share(jnp.sum(moved, axis=(0, 1)) / 4.0), 2),
        "agreed_rank": share(agreed.rank),
        "agreed_rank_share": bounded(agreed.rank / agreed_highest[None]),
        "margin": share(margin),
        "agreed_seconds": share(jnp.sum(agreed_seconds, axis=1)),
        "agreed_highest": lift(share(agreed_highest), 2),
        "num_tasks": lift(bounded(jnp.log2(count.astype(tail.dtype)) / 4.0), 2),
    }

    def full(values: list[Array], *axes: int) -> Array:
        return jnp.stack([jnp.broadcast_to(value, (*axes, rows)) for value in values])

    return TaskFeatures(
        full([task[name] for name in TASK], num_tasks),
        jnp.broadcast_to(rank / scale[None], (num_tasks, rows)),
        needs,
        handed_on * jnp.broadcast_to(unit, (1, rows)),
        tail,
        empty,
        jnp.broadcast_to(live, tail.shape),
        scale,
        jnp.broadcast_to(unit, (rows,)),
        ways.rate,
        jnp.stack([_far(ways.rate, k) for k in places], axis=1),
        input_seconds,
        output_seconds,
        jnp.broadcast_to(single_place_seconds, (*single_place_seconds.shape[:2], rows)),
        agreed,
        agreed_seconds,
    )


def _at_one_place(platform: Platform, user: Array, seconds: Array, moving: Array) -> Array:
    """`single_place_seconds` of work and transfers `[N, K, R]`; without limit all runs at once."""
    users = np.arange(platform.num_users)[:, None, None]

    def by_user(join: Callable, values: Array, own: bool) -> Array:
        mine = jnp.where(user[None] == users, values[None], 0.0) if own else values[None]
        return join(mine, axis=1)

    columns = []
    for k, servers in enumerate(platform.servers):
        join = jnp.max if servers is None else jnp.sum
        work = by_user(join, seconds[:, k], platform.own_places[k]) / (servers or 1)
        columns.append(by_user(jnp.sum, moving[:, k], platform.own_ways[k]) + work)
    return jnp.stack(jnp.broadcast_arrays(*columns), axis=1)


def _far(rates: Array, k: int) -> Array:
    """`[V, R]` mean seconds per byte from a place to the others, dead ways left out."""
    others = np.delete(np.arange(rates.shape[1]), k)
    found = rates[:, k, others]
    alive = jnp.isfinite(found)
    return jnp.sum(jnp.where(alive, found, 0.0), 1) / jnp.maximum(jnp.sum(alive, 1), 1)
