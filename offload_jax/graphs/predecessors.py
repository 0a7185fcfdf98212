"""Predecessor lists: for each task the tasks that it needs, so that memory grows with edges."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from offload_jax.validation import Array, as_float_array, broadcast_shapes, is_spread, is_traced


def next_size(number: int) -> int:
    """The next of the powers of two and of three times these: 1, 2, 3, 4, 6, 8, 12, …"""
    power = 1 << (number - 1).bit_length()
    return power * 3 // 4 if number <= power * 3 // 4 else power


def predecessor_lists(depends: Any, data: Any) -> tuple[Array, Array]:
    """The fields `predecessors` and `data` of `GraphCosts` from square arrays.

    Args:
      depends: bool `[..., N, N]` True at [u, v] where v needs u; only where u < v.
      data: `[..., N, N]` bytes from u to v, read only where `depends`.

    Returns:
      int32 `[..., N, D]` the tasks that each task needs, ascending, and -1 where there is none; and
      `[..., N, D]` the bytes from each of them. D is the largest number of tasks that one needs,
      rounded up to 1, 2, 3, 4, 6, 8, 12, …; N - 1 while `depends` is traced, or lies on several
      devices.
    """
    data = as_float_array("data", data)
    num_tasks = depends.shape[-1]
    if is_traced(depends) or is_spread(depends):
        width = max(1, num_tasks - 1)
        needed = jnp.swapaxes(depends, -1, -2)[..., :width]
        number = np.arange(width, dtype=np.int32)
        return jnp.where(needed, number, -1), jnp.swapaxes(data, -1, -2)[..., :width]
    depends = np.asarray(depends, bool)
    rows = depends.reshape(-1, num_tasks, num_tasks)
    row, reader, source = np.nonzero(rows.swapaxes(1, 2))
    lists, _ = _lists(row * num_tasks + reader, source, len(rows) * num_tasks)
    lists = lists.reshape(*depends.shape[:-1], lists.shape[-1])
    library: Any = np if isinstance(data, np.ndarray) else jnp
    batch = broadcast_shapes({"depends": depends.shape[:-2], "data": data.shape[:-2]})
    by_reader, at = (
        library.broadcast_to(values, (*batch, *values.shape[-2:]))
        for values in (library.swapaxes(data, -1, -2), np.maximum(lists, 0))
    )
    return lists, library.take_along_axis(by_reader, at, -1)


def edge_lists(edges: np.ndarray, data: np.ndarray, num_tasks: int) -> tuple[Array, Array]:
    """The same from M edges.

    Args:
      edges: int `[M, 2]` pairs u, v, where v needs u.
      data: `[M]` bytes.
      num_tasks: N.
    """
    by_reader = np.lexsort((edges[:, 0], edges[:, 1]))
    source, reader = edges[by_reader].T
    predecessors, slot = _lists(reader, source, num_tasks)
    found = np.zeros(predecessors.shape)
    found[reader, slot] = data[by_reader]
    return predecessors, found


def _lists(reader: np.ndarray, source: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """int32 `[number, D]` sources by reader, and the column `[M]` of each edge.

    Args:
      reader, source: int `[M]` of the edges, by reader.
      number: of lists.
    """
    count = np.bincount(reader, minlength=number)
    slot = np.arange(len(reader)) - (np.cumsum(count) - count)[reader]
    lists = np.full((number, next_size(max(1, int(count.max(initial=0))))), -1, np.int32)
    lists[reader, slot] = source
    return lists, slot
