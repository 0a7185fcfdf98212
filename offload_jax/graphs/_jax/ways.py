"""Ways from place to place, and the longest paths over them: a graph without any contention.

Arrays have the batch of R rows (or 1, where all rows share a value) as their last axis.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs.costs import GraphCosts


class Ways(NamedTuple):
    """`[K, K, R]` from place to place: seconds per byte, `inf` without a route, and delay."""

    rate: Array
    delay: Array

    def seconds(self, num_bytes: Array, j: int, k: int) -> Array:
        """Of moving bytes `[..., R]` from place j to place k; 0 bytes take none."""
        rate, delay = (lift(part[j, k], num_bytes.ndim) for part in self)
        return jnp.where(num_bytes > 0, num_bytes * rate + delay, 0.0)


def batch_last(value: Any) -> Array:
    """`[R, ...]` as `[..., R]`."""
    return jnp.moveaxis(jnp.asarray(value), 0, -1)


def ways_of(platform: Platform, costs: GraphCosts) -> Ways:
    """The ways of rows of costs."""
    rates, delays = batch_last(costs.seconds_per_byte), batch_last(costs.startup)

    def total(values: Array, route: tuple[int, ...] | None, missing: float) -> Array:
        if route is None:
            return jnp.full(values.shape[1:], missing, values.dtype)
        return sum((values[link] for link in route), jnp.zeros(values.shape[1:], values.dtype))

    def table(values: Array, missing: float) -> Array:
        return jnp.stack(
            [jnp.stack([total(values, route, missing) for route in row]) for row in platform.routes]
        )

    return Ways(table(rates, jnp.inf), table(delays, 0.0))


def by_writer(lists: Array, num_bytes: Array, num_tasks: int) -> Array:
    """What a task gets from each of all `[N, R]`, -1 from those that it does not need.

    Args:
      lists: int `[D, R]` the tasks that it needs; N where there is none.
      num_bytes: `[D, R]` from them.
      num_tasks: N.
    """
    none = jnp.full((num_tasks, lists.shape[1]), -1, num_bytes.dtype)
    return none.at[lists, jnp.arange(lists.shape[1])].set(num_bytes, mode="drop")


class Paths(NamedTuple):
    """Least seconds of tasks and transfers alone, each task where that suits the path best.

    Attributes:
      head: `[N, K, R]` until the task is done at a place.
      tail: `[N, K, R]` from its end at a place until all that follows is home.
      input_seconds: `[N, K, R]` of moving its input to a place.
      output_seconds: `[N, K, R]` of moving its output home.
    """

    head: Array
    tail: Array
    input_seconds: Array
    output_seconds: Array


def paths_of(ways: Ways, rows: int, costs: GraphCosts) -> Paths:
    """The paths of rows of costs."""
    num_tasks, num_places = costs.num_tasks, costs.num_places
    places = range(num_places)
    seconds = batch_last(costs.seconds)
    lists, data = batch_last(costs.predecessors), batch_last(costs.data)
    lists = jnp.where(lists < 0, num_tasks, lists)
    lists, data = (jnp.broadcast_to(v, (*v.shape[:2], rows)) for v in (lists, data))
    taken, given = batch_last(costs.input), batch_last(costs.output)
    inputs = jnp.stack([ways.seconds(taken, 0, k) for k in places], axis=1)
    outputs = jnp.stack([ways.seconds(given, k, 0) for k in places], axis=1)
    begin = batch_last(costs.release)[:, None] + inputs

    def least(times: list[Array]) -> Array:
        return functools.reduce(jnp.minimum, times)

    def backwards(i: Array, tail: Array) -> Array:
        """A task tells those that it needs how long it takes from their end on."""
        v = num_tasks - 1 - i
        after, num_bytes = seconds[v] + tail[v], by_writer(lists[v], data[v], num_tasks)
        onwards = [
            least([ways.seconds(num_bytes, k, q) + after[None, q] for q in places]) for k in places
        ]
        needed = (num_bytes >= 0)[:, None]
        return jnp.maximum(tail, jnp.where(needed, jnp.stack(onwards, axis=1), 0.0))

    def forwards(v: Array, head: Array) -> Array:
        num_bytes = by_writer(lists[v], data[v], num_tasks)
        arrivals = [
            least([head[:, q] + ways.seconds(num_bytes, q, k) for q in places]) for k in places
        ]
        longest = [jnp.max(jnp.where(num_bytes < 0, 0.0, each), axis=0) for each in arrivals]
        return head.at[v].set(jnp.maximum(begin[v], jnp.stack(longest)) + seconds[v])

    shape = (num_tasks, num_places, rows)
    dtype = jnp.result_type(seconds, jnp.float32)
    inputs, outputs = (jnp.broadcast_to(v, shape).astype(dtype) for v in (inputs, outputs))
    tail = jax.lax.fori_loop(0, num_tasks, backwards, outputs)
    head = jax.lax.fori_loop(0, num_tasks, forwards, jnp.zeros(shape, dtype))
    return Paths(head, tail, inputs, outputs)
