"""Batch layout of the simulator.

Leading axes are flattened into rows, rows are cut into chunks that fit the cache, tasks are ordered
by booking position, and the batch axis goes last.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int

from offload_jax.batching import is_known, map_chunks
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._jax.simulator import Tasks
from offload_jax.graphs._jax.ways import Needs, is_wide, needs_of
from offload_jax.graphs.costs import GraphCosts
from offload_jax.validation import broadcast_shapes

# Bytes of the largest array of a chunk, `[N, D, rows]`: what is used in a step stays in cache.
_CHUNK_BYTES = 1 << 21
_LEAST_CHUNK_ROWS, _MOST_CHUNK_ROWS = 128, 512
# Chunks worked through at a time, each on a thread; more cost more to compile.
_AT_ONCE = 2


def over_rows(function: Callable[..., Any], costs: GraphCosts, *arrays: Array) -> Any:
    """Calls a function on chunks of the rows of a batch.

    Args:
      function: takes the number of rows, costs whose fields have one leading axis, of that length
        or of 1, and the arrays likewise; gives a pytree of arrays `[rows, ...]`.
      costs: any leading dimensions.
      *arrays: `[..., N]`, leading dimensions free.

    Returns:
      What the function gave, with the broadcast leading dimensions of all.
    """
    batch = broadcast_shapes(
        {"costs": costs.batch_shape}
        | {f"arrays[{i}]": np.shape(array)[:-1] for i, array in enumerate(arrays)}
    )
    size = math.prod(batch)

    def call(*chunk: Any) -> Any:
        lengths = (leaf.shape[0] for leaf in jax.tree.leaves(chunk))
        rows = next((length for length in lengths if length != 1), 1)
        return function(rows, *chunk)

    def all_rows(costs: GraphCosts, *arrays: Array, chunk_rows: int | None = None) -> Any:
        return map_chunks(call, costs, *arrays, own_axes=1, chunk_rows=chunk_rows, at_once=_AT_ONCE)

    if not is_known(size) or size < 2 * _LEAST_CHUNK_ROWS:
        return all_rows(costs, *arrays)
    num_tasks, width = costs.num_tasks, costs.predecessors.shape[-1]
    width = num_tasks if is_wide(width, num_tasks) else width
    most = _CHUNK_BYTES // (4 * num_tasks * width)
    most = min(max(most, _LEAST_CHUNK_ROWS), _MOST_CHUNK_ROWS)
    in_chunks = functools.partial(all_rows, chunk_rows=most)
    return jax.lax.platform_dependent(costs, *arrays, cpu=in_chunks, default=all_rows)


def in_order(values: Any, order: Int[Array, "rows N"], rows: int) -> Array:
    """`[1 or rows, N, *tail]` by task as `[N, *tail, rows]` by position."""
    if values.shape[0] == 1 and order.shape[0] == 1:
        values = values[:, order[0]]
        values = jnp.broadcast_to(values, (rows, *values.shape[1:]))
    elif values.shape[0] == 1:
        values = values[0][order]
    else:
        values = values[jnp.arange(rows)[:, None], jnp.broadcast_to(order, (rows, order.shape[1]))]
    return jnp.moveaxis(values, 0, -1)


def tasks_by_position(
    costs: GraphCosts, order: Int[Array, "rows N"], rows: int, needs: Needs | None = None
) -> Tasks:
    """The tasks of rows of costs in the given order, 1 or `rows` rows each."""
    num_tasks, platform = costs.num_tasks, platform_of(costs)
    dtype = jnp.result_type(costs.seconds, jnp.float32)
    order = jnp.broadcast_to(order, (rows, num_tasks))
    columns, number = jnp.arange(rows), jnp.arange(num_tasks, dtype=jnp.int32)
    lists, data = needs_of(costs) if needs is None else needs
    if lists is None:
        positions, most = None, number
        # With one index each, which XLA computes as it goes.
        pairs = order.T[:, None] * num_tasks + order.T[None]
        row = (columns if data.shape[-1] != 1 else 0 * columns)[None, None]
        data = data.astype(dtype).reshape(-1)[pairs * data.shape[-1] + row]
    else:
        position = jnp.zeros((num_tasks, rows), jnp.int32)
        position = position.at[order.T, columns].set(number[:, None], unique_indices=True)
        lists, data = (in_order(jnp.moveaxis(v, -1, 0), order, rows) for v in (lists, data))
        source = position.at[lists, columns].get(mode="fill", fill_value=num_tasks)
        column = jnp.where(data < 0, source.shape[1], _rank(source))
        at = number[:, None, None], column, columns
        positions = jnp.full(source.shape, num_tasks, jnp.int32).at[at].set(source, mode="drop")
        most = jnp.max(jnp.sum(data >= 0, axis=1), axis=-1)
        data = jnp.full(source.shape, -1, dtype).at[at].set(data.astype(dtype), mode="drop")

    def booked(values: Any) -> Array:
        return in_order(values.astype(dtype), order, rows)

    def links(values: Any) -> tuple[Array, ...]:
        return platform.by_link(values.astype(dtype).T)

    return Tasks(
        seconds=booked(costs.seconds),
        source=positions,
        data=data,
        most=most,
        input=booked(costs.input),
        output=booked(costs.output),
        release=booked(costs.release),
        user=in_order(costs.user, order, rows) if platform.num_users > 1 else None,
        seconds_per_byte=links(costs.seconds_per_byte),
        startup=links(costs.startup),
    )


def _rank(values: Array) -> Array:
    """How many of `[N, D, rows]` along D are smaller, one pass for each of D: fast on a CPU."""

    def count(d: Array, rank: Array) -> Array:
        return rank + (values[:, d][:, None] < values)

    return jax.lax.fori_loop(
        0, values.shape[1], count, jnp.zeros(values.shape, jnp.int32), unroll=8
    )


def by_task(values: Array, order: Int[Array, "rows N"]) -> Array:
    """`[N, *tail, rows]` by position back to `[rows, N, *tail]` by task."""
    values = jnp.moveaxis(values, -1, 0)
    rows = jnp.arange(values.shape[0])[:, None]
    order = jnp.broadcast_to(order, values.shape[:2])
    return jnp.zeros_like(values).at[rows, order].set(values, unique_indices=True)
