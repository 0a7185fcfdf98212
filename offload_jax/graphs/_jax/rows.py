"""Requests as the machine takes them: rows in chunks, batch last, tasks in booking order."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from offload_jax.batching import is_known
from offload_jax.graphs._jax.simulator import Tasks
from offload_jax.graphs.costs import AXES, GraphCosts

# Bytes of the largest array of a chunk, `[N, N, rows]`: what is used in a step stays in cache.
_CHUNK_BYTES = 1 << 21
_LEAST_CHUNK_ROWS, _MOST_CHUNK_ROWS = 128, 256
# Chunks worked through at a time, each on a thread; more cost more to compile.
_AT_ONCE = 2


def flat_rows(value: Any, batch: tuple[int, ...], num_axes: int) -> Array:
    """`[..., *tail]` as `[R, *tail]` for the R rows of a batch, or `[1, *tail]` if all are one."""
    value = jnp.asarray(value)
    lead, tail = value.shape[: value.ndim - num_axes], value.shape[value.ndim - num_axes :]
    if math.prod(lead) == 1:
        return value.reshape(1, *tail)
    padded = value.reshape((1,) * (len(batch) - len(lead)) + value.shape)
    return jnp.broadcast_to(padded, (*batch, *tail)).reshape(math.prod(batch), *tail)


def over_rows(
    function: Callable[..., Any],
    costs: GraphCosts,
    *arrays: Any,
    batch: tuple[int, ...],
) -> Any:
    """Calls a function on chunks of the rows of a batch.

    Args:
      function: takes the number of rows, costs whose fields have one leading axis, of that length
        or of 1, and the arrays likewise; gives a pytree of arrays `[rows, ...]`.
      costs: any leading dimensions.
      *arrays: `[..., N]`, leading dimensions free, or None.
      batch: the broadcast batch shape of all.

    Returns:
      What the function gave, with the leading axes `batch`.
    """
    size = math.prod(batch)
    fields = {
        name: flat_rows(getattr(costs, name), batch, len(axes)) for name, axes in AXES.items()
    }
    inputs = (fields, [None if a is None else flat_rows(a, batch, 1) for a in arrays])

    def call(rows: int, inputs: tuple) -> Any:
        fields, arrays = inputs
        return function(rows, dataclasses.replace(costs, **fields), *arrays)

    if not is_known(size) or size < 2 * _LEAST_CHUNK_ROWS:
        result = call(size, inputs)
    else:
        result = jax.lax.platform_dependent(
            inputs,
            cpu=lambda inputs: _in_chunks(call, inputs, size, _chunk_rows(size, costs.num_tasks)),
            default=lambda inputs: call(size, inputs),
        )
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), result)


def _chunk_rows(size: int, num_tasks: int) -> int:
    most = max(1, min(_MOST_CHUNK_ROWS, _CHUNK_BYTES // (4 * num_tasks**2)))
    steps = -(-size // (most * _AT_ONCE))
    return -(-size // (steps * _AT_ONCE))


def _in_chunks(call: Callable[[int, Any], Any], inputs: Any, size: int, chunk: int) -> Any:
    steps = -(-size // (chunk * _AT_ONCE))
    leaves, structure = jax.tree.flatten(inputs)
    own = [len(leaf) > 1 for leaf in leaves]

    def cut(leaf: Array) -> Array:
        # The last chunk repeats the last row; what it gives is dropped.
        padding = [(0, steps * _AT_ONCE * chunk - size)] + [(0, 0)] * (leaf.ndim - 1)
        padded = jnp.pad(leaf, padding, mode="edge")
        return padded.reshape(steps, _AT_ONCE, chunk, *leaf.shape[1:])

    def one(chunks: list[Array]) -> Any:
        cut_leaves = iter(chunks)
        parts = [next(cut_leaves) if mine else leaf for leaf, mine in zip(leaves, own, strict=True)]
        return call(chunk, jax.tree.unflatten(structure, parts))

    def some(chunks: list[Array]) -> Any:
        found = [one([leaf[i] for leaf in chunks]) for i in range(_AT_ONCE)]
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)

    result = jax.lax.map(
        some, [cut(leaf) for leaf, is_own in zip(leaves, own, strict=True) if is_own]
    )
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:size], result)


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


def tasks_by_position(costs: GraphCosts, order: Int[Array, "rows N"], rows: int) -> Tasks:
    """The tasks of rows of costs in the given order, 1 or `rows` rows each."""
    num_tasks = costs.num_tasks
    dtype = jnp.result_type(costs.seconds, jnp.float32)
    table = jnp.where(costs.depends, costs.data, -1.0).astype(dtype).reshape(-1, num_tasks**2)
    order = jnp.broadcast_to(order, (rows, num_tasks))
    by_position = order.T
    pairs = by_position[None, :, :] * num_tasks + by_position[:, None, :]
    needs = table[0][pairs] if table.shape[0] == 1 else table[jnp.arange(rows), pairs]

    def booked(values: Any) -> Array:
        return in_order(values.astype(dtype), order, rows)

    def links(values: Any) -> Array:
        return values.astype(dtype).T

    return Tasks(
        seconds=booked(costs.seconds),
        needs=needs,
        input=booked(costs.input),
        output=booked(costs.output),
        release=booked(costs.release),
        home=in_order(costs.home, order, rows),
        seconds_per_byte=links(costs.seconds_per_byte),
        startup=links(costs.startup),
    )


def by_task(values: Array, order: Int[Array, "rows N"]) -> Array:
    """`[N, *tail, rows]` by position back to `[rows, N, *tail]` by task."""
    values = jnp.moveaxis(values, -1, 0)
    rows = jnp.arange(values.shape[0])[:, None]
    order = jnp.broadcast_to(order, values.shape[:2])
    return jnp.zeros_like(values).at[rows, order].set(values, unique_indices=True)
