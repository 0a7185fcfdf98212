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

    Only places that have a live route from and to the device count, so that a dead link
    makes no mean infinite; transfers are averaged over pairs of different places.

    Attributes:
      seconds: `[R, N]` w, the mean running time of a task.
      moving: `[R, N, D]` c, the mean seconds of moving the data of each edge.
      returning: `[R, N]` the mean seconds of moving a task's output to the device.
      empty: bool `[R, N]` tasks without work, edges, bytes and release, which come last.
      live: K entries bool `[R, N]`, the places that have a live route from and to the device.
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
    live = reaches[0] & reaches[:, 0]
    usable = tuple(each[:, None] for each in live)
    counts = jnp.stack(usable, -1) & (costs.seconds < jnp.inf)
    seconds = jnp.sum(jnp.where(counts, costs.seconds, 0.0), -1) / jnp.maximum(counts.sum(-1), 1)
    # Pairs of different live places that are joined; those whose second one is the device.
    pairs = reaches & live[:, None] & live[None] & ~jnp.eye(len(live), dtype=bool)[..., None]

    def mean(values: Array, counts: Array) -> Array:
        axes = tuple(range(counts.ndim - 1))
        return jnp.sum(jnp.where(counts, values, 0.0), axes) / jnp.maximum(counts.sum(axes), 1)

    def moved(num_bytes: Any, *way: Array) -> Array:
        """Mean seconds of bytes `[R, ...]` by mean rate and delay `[R]`."""
        of_rate, of_delay = (each.reshape(-1, *[1] * (num_bytes.ndim - 1)) for each in way)
        return jnp.where(num_bytes > 0, num_bytes * of_rate + of_delay, 0.0)

    sent = jnp.where(costs.predecessors < 0, 0.0, costs.data)
    moving = moved(sent, mean(rate, pairs), mean(delay, pairs))
    home = pairs[:, 0]
    returning = moved(costs.output, mean(rate[:, 0], home), mean(delay[:, 0], home))
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
