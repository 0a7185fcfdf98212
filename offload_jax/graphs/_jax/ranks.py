"""Upward ranks: how long it takes on average from the start of a task to the end of all."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.ways import Ways, ways_of
from offload_jax.graphs.costs import GraphCosts

# Up to here every task is compared with every other; a sort costs XLA's CPU more.
_MAX_COMPARED = 128


class Means(NamedTuple):
    """Costs averaged over places, one leading axis of rows.

    Only places that have a live route from and to the home of the task count, so that a dead link
    makes no mean infinite; transfers are averaged over pairs of different places.

    Attributes:
      seconds: `[R, N]` w, the mean running time of a task.
      moving: `[R, N, D]` c, the mean seconds of moving the data of each edge.
      returning: `[R, N]` the mean seconds of moving a task's output home.
      empty: bool `[R, N]` tasks without work, edges, bytes and release, which come last.
      live: K entries bool `[R, N]`, the places that have a live route from and to a task's home.
    """

    seconds: Array
    moving: Array
    returning: Array
    empty: Array
    live: tuple[Array, ...]


def mean_costs(costs: GraphCosts, platform: Platform, ways: Ways | None = None) -> Means:
    """The means of rows of costs, whose fields have one leading axis."""
    rate, delay = ways_of(platform, costs) if ways is None else ways
    reaches = rate < jnp.inf
    # One home for all tasks, or each place as the home of some.
    homes = range(platform.num_places) if platform.home is None else [platform.home]

    def by_home(table: Array) -> Array:
        """What the table `[H, R]` holds for the home of each task: `[R, N]`."""
        if len(table) == 1:
            return table[0][:, None]
        return jnp.take_along_axis(table.T, costs.home, axis=1)

    # live[h, k]: place k has a live route from and to home h.
    live = jnp.stack([reaches[h] & reaches[:, h] for h in homes])
    usable = tuple(by_home(live[:, k]) for k in range(platform.num_places))
    counts = jnp.stack(usable, -1) & (costs.seconds < jnp.inf)
    seconds = jnp.sum(jnp.where(counts, costs.seconds, 0.0), -1) / jnp.maximum(counts.sum(-1), 1)

    # Pairs of different places that are joined, and their means for tasks of homes g and h.
    joined = reaches & ~jnp.eye(platform.num_places, dtype=bool)[..., None]
    weight = live.astype(rate.dtype)

    def between(values: Array) -> Array:
        """Sums `[H, H, R]` over pairs that are live for the one home and for the other."""
        from_home = jnp.einsum("gjr,jkr->gkr", weight, jnp.where(joined, values, 0.0))
        return jnp.einsum("gkr,hkr->ghr", from_home, weight)

    def way_home(values: Array) -> Array:
        """Sums `[H, R]` over places that are live for a home."""
        to_home = jnp.stack([jnp.where(joined[:, h], values[:, h], 0.0) for h in homes])
        return jnp.sum(weight * to_home, axis=1)

    def select_pair(table: Array) -> Array:
        """`table[home[u], home[v]]` `[R, N, D]` of the edges."""
        if len(table) == 1:
            return table[0, 0][:, None, None]
        lists, homes, rows = costs.predecessors, costs.home, table.shape[-1]
        lists, homes = (
            jnp.broadcast_to(v, (max(lists.shape[0], homes.shape[0], rows), *v.shape[1:]))
            for v in (lists, homes)
        )
        row = jnp.arange(lists.shape[0])[:, None, None]
        table = jnp.broadcast_to(table, (*table.shape[:2], lists.shape[0]))
        return table[homes[row, lists], homes[:, :, None], row]

    one = jnp.ones_like(rate)
    pairs, places = (jnp.maximum(sums(one), 1.0) for sums in (between, way_home))
    moving, returning = (
        jnp.where(amount > 0, amount * of_rate + of_delay, 0.0)
        for amount, of_rate, of_delay in (
            (
                jnp.where(costs.predecessors < 0, 0.0, costs.data),
                select_pair(between(rate) / pairs),
                select_pair(between(delay) / pairs),
            ),
            (costs.output, by_home(way_home(rate) / places), by_home(way_home(delay) / places)),
        )
    )
    return Means(seconds, moving, returning, is_empty(costs), usable)


def is_empty(costs: GraphCosts) -> Any:
    """Tasks of rows of costs that change nothing: they only fill a batch up."""
    bytes_or_release = (costs.input > 0) | (costs.output > 0) | (costs.release > 0)
    lists, num_tasks = costs.predecessors, costs.num_tasks
    needed = jnp.where(lists < 0, num_tasks, lists)
    row = jnp.arange(lists.shape[0])[:, None, None]
    read = jnp.zeros((lists.shape[0], num_tasks), bool).at[row, needed].set(True, mode="drop")
    edges = read | (lists >= 0).any(-1)
    return ~(bytes_or_release | edges | (costs.seconds != 0).any(-1))


def upward_ranks(means: Means, predecessors: Any) -> Float[Array, "R N"]:
    """rank(v) = w(v) + max(c(v, home), max over successors s of c(v, s) + rank(s)).

    -1 for an empty task. In the precision of the costs; float64 on the host is
    `_numba.ranks.upward_ranks`.
    """
    num_tasks = means.seconds.shape[-1]
    lengths = [part.shape[0] for part in (*means[:4], predecessors)]
    rows = next((length for length in lengths if length != 1), 1)

    def batch_last(values: Any) -> Array:
        return jnp.moveaxis(jnp.broadcast_to(values, (rows, *values.shape[1:])), 0, -1)

    seconds, returning = batch_last(means.seconds), batch_last(means.returning)
    # Out of range, so that nothing is passed on there.
    needed = batch_last(jnp.where(predecessors < 0, num_tasks, predecessors))
    ways, columns = batch_last(means.moving), jnp.arange(rows)

    def step(back: Array, ranks: Array) -> Array:
        """Every task hands its rank on to those that it needs, the last one first."""
        task = num_tasks - 1 - back
        ranks = ranks.at[task].add(seconds[task])
        onwards = ways[task] + ranks[task][None]
        return ranks.at[needed[task], columns].max(onwards, mode="drop")

    ranks = jax.lax.fori_loop(0, num_tasks, step, returning.astype(seconds.dtype))
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
