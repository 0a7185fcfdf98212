"""Upward ranks: how long it takes on average from the start of a task to the end of all."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.users import rows_of
from offload_jax.graphs._jax.ways import Needs, Ways, batch_last, needs_of, ways_of
from offload_jax.graphs.costs import GraphCosts

# Up to here every task is compared with every other; a sort costs XLA's CPU more.
_MAX_COMPARED = 128


class Means(NamedTuple):
    """Costs averaged over places, one leading axis of rows.

    Only places that have a live route from and to the device count, so that a dead link
    makes no mean infinite; transfers are averaged over pairs of different places.

    Attributes:
      seconds: `[R, N]` w, the mean running time of a task.
      needs: what tasks get from each other.
      moving: c, the mean seconds of moving what is in `needs.data`, of its shape; 0 where none is.
      returning: `[R, N]` the mean seconds of moving a task's output to the device.
      empty: bool `[R, N]` tasks without work, edges, bytes and release, which come last.
      live: bool `[N, K, R]`, or `[1, K, R]` for all tasks, the places that have a live route from
        and to the device.
    """

    seconds: Array
    needs: Needs
    moving: Array
    returning: Array
    empty: Array
    live: Array


def mean_costs(
    costs: GraphCosts, platform: Platform, ways: Ways | None = None, needs: Needs | None = None
) -> Means:
    """The means of rows of costs, whose fields have one leading axis."""
    rate, delay = ways_of(platform, costs) if ways is None else ways
    needs = needs_of(costs) if needs is None else needs
    user, reaches = batch_last(costs.user), rate < jnp.inf
    live = reaches[:, 0] & reaches[:, :, 0]
    usable = rows_of(live, user)
    counts = jnp.moveaxis(usable, -1, 0) & (costs.seconds < jnp.inf)
    seconds = jnp.sum(jnp.where(counts, costs.seconds, 0.0), -1) / jnp.maximum(counts.sum(-1), 1)
    # Pairs of different live places that are joined; those whose second one is the device.
    other = ~jnp.eye(platform.num_places, dtype=bool)[None, ..., None]
    pairs = reaches & live[:, :, None] & live[:, None] & other

    def mean(values: Array, counts: Array) -> Array:
        """Of the tasks `[N, R]`, or of all `[1, R]`, from `[V, ..., R]`."""
        axes = tuple(range(1, counts.ndim - 1))
        total = jnp.sum(jnp.where(counts, values, 0.0), axes)
        return rows_of(total / jnp.maximum(counts.sum(axes), 1), user)

    def moved(num_bytes: Array, of_rate: Array, of_delay: Array) -> Array:
        return jnp.where(num_bytes > 0, num_bytes * of_rate + of_delay, 0.0)

    home = pairs[:, :, 0]
    back = mean(rate[:, :, 0], home), mean(delay[:, :, 0], home)
    returning = moved(batch_last(costs.output), *back)
    of_rate, of_delay = mean(rate, pairs), mean(delay, pairs)
    moving = moved(needs.data, of_rate[:, None], of_delay[:, None])
    return Means(seconds, needs, moving, returning.T, is_empty(costs, needs), usable)


def is_empty(costs: GraphCosts, needs: Needs) -> Any:
    """Tasks `[R, N]` of rows of costs that change nothing: they only fill a batch up."""
    bytes_or_release = (costs.input > 0) | (costs.output > 0) | (costs.release > 0)
    there = needs.data >= 0
    (readers,) = needs.sums(there.astype(needs.data.dtype))
    edges = (readers > 0) | there.any(1)
    return jnp.asarray(~(bytes_or_release | edges.T | (costs.seconds != 0).any(-1)))


def upward_ranks(means: Means) -> Float[Array, "R N"]:
    """rank(v) = w(v) + max(c(v, home), max over successors s of c(v, s) + rank(s)).

    -1 for an empty task. In the precision of the costs; float64 on the host is
    `_numba.ranks.upward_ranks`.
    """
    (lists, data), moving = means.needs, means.moving
    num_tasks = means.seconds.shape[-1]
    parts = means.seconds.T, means.returning.T, means.empty.T, data, moving
    rows = max(part.shape[-1] for part in parts)
    seconds, returning, moving = (
        jnp.broadcast_to(part, (*part.shape[:-1], rows)) for part in (*parts[:2], moving)
    )

    def step(back: Array, ranks: Array) -> Array:
        """Every task hands its rank on to those that it needs, the last one first."""
        task = num_tasks - 1 - back
        ranks = ranks.at[task].add(seconds[task])
        onwards = moving[task] + ranks[task][None]
        if lists is None:
            return jnp.maximum(ranks, jnp.where(data[task] < 0, 0.0, onwards))
        return ranks.at[lists[task], jnp.arange(rows)].max(onwards, mode="drop")

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
