"""Plain calls: by compiled loops, or in few shapes, since every graph has its own size.

A program of JAX takes seconds to compile, so concrete requests go to loops that numba has compiled
for all sizes; on a CPU they are faster, too. Without numba, and for what there is no loop, a small
is filled up: tasks to the next of 8, 12, 16, 24, 32, … with empty ones, which by law change
nothing, rows and predecessor lists to the next power of two. Inside `jit` shapes are the caller's.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.batching import broadcast_batch
from offload_jax.extras import is_installed
from offload_jax.graphs.costs import AXES, GraphCosts
from offload_jax.graphs.predecessors import next_size
from offload_jax.validation import broadcast_shapes, is_for_host

# Above, a batch pays for a program of its own, and for every task that is added.
_MOST_ROWS = 64
_LEAST_TASKS, _LEAST_WIDTH = 8, 4


def power_of_two(number: int) -> int:
    """The next power of two."""
    return 1 << (number - 1).bit_length()


def by_loops(*trees: Any) -> bool:
    """Whether a call about costs, decisions and the like goes to the loops of `_numba`."""
    return is_for_host(*trees) and is_installed("numba")


def in_few_shapes(function: Callable[..., Any], costs: GraphCosts, *decision: Any) -> Any:
    """Calls a function of costs, and of a decision about them if one is given.

    Args:
      function: gives a pytree of arrays `[...]`, `[..., N]` or `[..., U]`.
      costs: leading dimensions free.
      *decision: places and order int `[..., N]`, or nothing.
    """
    shapes = {f"decision[{i}]": np.shape(part)[:-1] for i, part in enumerate(decision)}
    batch = broadcast_shapes({"problem": costs.batch_shape, **shapes})
    rows, num_tasks = math.prod(batch), costs.num_tasks
    if not is_for_host(costs, decision) or not 0 < rows <= _MOST_ROWS:
        return function(costs, *map(jnp.asarray, decision))
    costs = broadcast_batch(costs)
    width = costs.predecessors.shape[-1]
    to_rows, to_tasks = power_of_two(rows), max(_LEAST_TASKS, next_size(num_tasks))
    if to_tasks == costs.num_users:
        # What is told by task is known from what is told by user.
        to_tasks = next_size(to_tasks + 1)
    more = {"N": to_tasks - num_tasks, "D": max(_LEAST_WIDTH, power_of_two(width)) - width}

    def fill(value: Any, axes: tuple[str, ...], empty: int = 0) -> np.ndarray:
        value = np.asarray(value)
        tail = value.shape[value.ndim - len(axes) :]
        flat = np.broadcast_to(value, (*batch, *tail)).reshape(rows, *tail)
        wider = [(0, more.get(axis, 0)) for axis in axes]
        filled = np.pad(flat, [(0, 0), *wider], constant_values=empty)
        return np.pad(filled, [(0, to_rows - rows), *[(0, 0)] * len(axes)], mode="edge")

    fields: dict[str, Any] = {
        name: fill(getattr(costs, name), axes, -1 if name == "predecessors" else 0)
        for name, axes in AXES.items()
    }
    filled = [fill(part, ("N",)) for part in decision]
    for order in filled[1:]:
        order[:, num_tasks:] = np.arange(num_tasks, to_tasks)
    found = function(dataclasses.replace(costs, **fields), *filled)

    def cut(leaf: jax.Array) -> jax.Array:
        # In NumPy: slicing in JAX is a program for each shape.
        host = np.asarray(leaf)[:rows]
        host = host[:, :num_tasks] if host.shape[1:] == (to_tasks,) else host
        return jnp.asarray(host.reshape((*batch, *host.shape[1:])))

    return jax.tree.map(cut, found)
