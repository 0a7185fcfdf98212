"""Plain calls in a few shapes, since every graph has its own size and a program takes seconds.

A small batch of concrete requests is filled up: tasks to the next of 8, 12, 16, 24, 32, … with
empty ones, which by law change nothing, rows and predecessor lists to the next power of two. Inside
`jit` shapes are the caller's.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.batching import broadcast_batch
from offload_jax.graphs.costs import AXES, GraphCosts, as_costs
from offload_jax.graphs.predecessors import next_size
from offload_jax.graphs.problem import GraphProblem
from offload_jax.validation import broadcast_shapes, is_spread, is_traced

# Above, a batch pays for a program of its own, and for every task that is added.
_MOST_ROWS = 64
_LEAST_TASKS, _LEAST_WIDTH = 8, 4


def _power(number: int) -> int:
    """The next power of two."""
    return 1 << (number - 1).bit_length()


def in_few_shapes(
    function: Callable[..., Any], source: GraphProblem | GraphCosts, *decision: Any
) -> Any:
    """Calls a function of costs, and of a decision about them if one is given.

    Args:
      function: gives a pytree of arrays `[...]` or `[..., N]`.
      source: leading dimensions free.
      *decision: places and order int `[..., N]`, or nothing.
    """
    shapes = {f"decision[{i}]": np.shape(part)[:-1] for i, part in enumerate(decision)}
    batch = broadcast_shapes({"problem": source.batch_shape, **shapes})
    if is_traced(source, decision) or is_spread(source, decision):
        return function(as_costs(source), *map(jnp.asarray, decision))
    rows, num_tasks = math.prod(batch), source.num_tasks
    if not 0 < rows <= _MOST_ROWS:
        return function(as_costs(source), *map(jnp.asarray, decision))
    costs = broadcast_batch(as_costs(source, library=np))
    width = costs.predecessors.shape[-1]
    to_rows, to_tasks = _power(rows), max(_LEAST_TASKS, next_size(num_tasks))
    more = {"N": to_tasks - num_tasks, "D": max(_LEAST_WIDTH, _power(width)) - width}

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
    # Empty tasks live wherever the others do, so that one home stays one.
    fields["home"][:, num_tasks:] = fields["home"][:, :1]
    filled = [fill(part, ("N",)) for part in decision]
    for order in filled[1:]:
        order[:, num_tasks:] = np.arange(num_tasks, to_tasks)
    found = function(dataclasses.replace(costs, **fields), *filled)

    def cut(leaf: jax.Array) -> jax.Array:
        # In NumPy: slicing in JAX is a program for each shape.
        host = np.asarray(leaf)[:rows]
        host = host[:, :num_tasks] if host.ndim > 1 else host
        return jnp.asarray(host.reshape((*batch, *host.shape[1:])))

    return jax.tree.map(cut, found)
