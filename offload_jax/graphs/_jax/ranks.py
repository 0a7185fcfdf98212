"""Upward ranks: how long it takes on average from the start of a task to the end of all."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from offload_jax.graphs._jax.simulator import Platform
from offload_jax.graphs.costs import GraphCosts

# Up to here every task is compared with every other; a sort costs XLA's CPU more.
_MAX_COMPARED = 128


class Means(NamedTuple):
    """Costs averaged over places, one leading axis of rows.

    Only places that have a live route from and to the home of the task count, so that a dead link
    makes no mean infinite; transfers are averaged over pairs of different places.

    Attributes:
      seconds: `[R, N]` w, the mean running time of a task.
      moving: `[R, N, N]` c, the mean seconds of moving the data from u to v.
      returning: `[R, N]` the mean seconds of moving a task's output home.
      empty: bool `[R, N]` tasks without work, edges, bytes and release, which come last.
      live: K entries bool `[R, N]`, the places that have a live route from and to a task's home.
    """

    seconds: Array
    moving: Array
    returning: Array
    empty: Array
    live: tuple[Array, ...]


def mean_costs(costs: GraphCosts, platform: Platform) -> Means:
    """The means of rows of costs, whose fields have one leading axis."""
    places = range(platform.num_places)
    rates, delays = _pairs(costs, platform.routes)
    reaches = [[_isfinite(rates[j][k]) for k in places] for j in places]
    # live[h][k]: place k has a live route from and to home h.
    live = [[reaches[h][k] & reaches[k][h] for k in places] for h in places]
    homes = places if platform.home is None else [platform.home]

    def by_home(table: Sequence[Any]) -> Array:
        """What the table, by home, holds for the home of each task: `[R, N]`."""
        if platform.home is not None:
            return table[platform.home][:, None]
        result = table[0][:, None]
        for h in places[1:]:
            result = jnp.where(costs.home == h, table[h][:, None], result)
        return result

    seconds = jnp.zeros(())
    count = jnp.zeros(())
    usable = tuple(by_home([live[h][k] for h in places]) for k in places)
    for k in places:
        counts = usable[k] & _isfinite(costs.seconds[..., k])
        seconds = seconds + jnp.where(counts, costs.seconds[..., k], 0.0)
        count = count + counts
    seconds = seconds / jnp.maximum(count, 1.0)

    def average(pairs: list[tuple[Array, int, int]]) -> tuple[Array, Array]:
        """Mean rate and delay of weighted pairs of places."""
        total = sum(weight for weight, _, _ in pairs) + jnp.zeros(())
        total = jnp.maximum(total, 1.0)

        def mean(table: list[list[Array]]) -> Array:
            return sum(jnp.where(weight, table[j][k], 0.0) for weight, j, k in pairs) / total

        return mean(rates), mean(delays)

    different = [(j, k) for j in places for k in places if j != k]
    none = (jnp.zeros(1), jnp.zeros(1))
    between = [
        [
            average([(live[g][j] & live[h][k] & reaches[j][k], j, k) for j, k in different])
            if g in homes and h in homes and different
            else none
            for h in places
        ]
        for g in places
    ]
    way_home = [
        average([(live[h][j], j, h) for j in places if j != h])
        if h in homes and different
        else none
        for h in places
    ]
    if platform.home is not None:
        rate, delay = (part[:, None, None] for part in between[platform.home][platform.home])
    else:
        rate, delay = (
            _select_pair(costs.home, [[between[g][h][part] for h in places] for g in places])
            for part in range(2)
        )
    back_rate, back_delay = (by_home([way_home[h][part] for h in places]) for part in range(2))
    moving = jnp.where(costs.depends & (costs.data > 0), costs.data * rate + delay, 0.0)
    returning = jnp.where(costs.output > 0, costs.output * back_rate + back_delay, 0.0)
    return Means(seconds, moving, returning, is_empty(costs), usable)


def is_empty(costs: GraphCosts) -> Any:
    """Tasks that change nothing: they only fill a batch up."""
    bytes_or_release = (costs.input > 0) | (costs.output > 0) | (costs.release > 0)
    edges = costs.depends.any(-1) | costs.depends.any(-2)
    return ~(bytes_or_release | edges | (costs.seconds != 0).any(-1))


def _isfinite(value: Any) -> Array:
    return jnp.asarray(value) < jnp.inf


def _pairs(costs: GraphCosts, routes: Any) -> tuple[list[list[Array]], list[list[Array]]]:
    """Seconds per byte and start-up delay `[R]` of the way from place to place."""

    def total(values: Any, route: tuple[int, ...] | None) -> Array:
        if route is None:
            return jnp.full(values.shape[:1], jnp.inf)
        return sum((values[:, link] for link in route), jnp.zeros(values.shape[:1]))

    def pairs(values: Any) -> list[list[Array]]:
        return [[total(values, route) for route in row] for row in routes]

    return pairs(costs.seconds_per_byte), pairs(costs.startup)


def _select_pair(home: Any, table: list[list[Array]]) -> Array:
    """`table[home[u]][home[v]]` `[R, N, N]`."""
    result = jnp.zeros(())
    for g, row in enumerate(table):
        for h, value in enumerate(row):
            both = (home == g)[..., :, None] & (home == h)[..., None, :]
            result = jnp.where(both, value[:, None, None], result)
    return result


def upward_ranks(means: Means, depends: Any) -> Float[Array, "R N"]:
    """rank(v) = w(v) + max(c(v, home), max over successors s of c(v, s) + rank(s)).

    -1 for an empty task. In the precision of the costs; float64 on the host is
    `_numba.ranks.upward_ranks`.
    """
    num_tasks = means.seconds.shape[-1]
    lengths = [part.shape[0] for part in (*means[:4], depends)]
    rows = next((length for length in lengths if length != 1), 1)
    seconds, returning = (
        jnp.broadcast_to(part, (rows, num_tasks)).T for part in (means.seconds, means.returning)
    )
    ways = jnp.where(depends, means.moving, -jnp.inf)
    ways = jnp.moveaxis(jnp.broadcast_to(ways, (rows, num_tasks, num_tasks)), 0, -1)

    def step(back: Array, ranks: Array) -> Array:
        task = num_tasks - 1 - back
        onwards = jnp.max(ways[task] + ranks, axis=0)
        return ranks.at[task].set(seconds[task] + jnp.maximum(returning[task], onwards))

    ranks = jax.lax.fori_loop(0, num_tasks, step, jnp.zeros((num_tasks, rows), seconds.dtype))
    return jnp.where(means.empty, -1.0, ranks.T)


def by_decreasing(ranks: Float[Array, "R N"]) -> Int[Array, "R N"]:
    """The order of decreasing rank, equal ones by number: a dependency order."""
    num_tasks = ranks.shape[-1]
    if num_tasks > _MAX_COMPARED:
        return jnp.argsort(-ranks, axis=-1, stable=True).astype(jnp.int32)
    number = jnp.arange(num_tasks, dtype=jnp.int32)
    mine, other = ranks.T[:, None], ranks.T[None]
    earlier = (other > mine) | ((other == mine) & (number[None, :] < number[:, None])[..., None])
    position = jnp.sum(earlier, axis=1, dtype=jnp.int32)
    stands = position[None] == number[:, None, None]
    return jnp.sum(jnp.where(stands, number[None, :, None], 0), axis=1).T
