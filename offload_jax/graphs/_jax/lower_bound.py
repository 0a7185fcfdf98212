"""A lower bound on the makespan of every schedule: the machine without any contention."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from offload_jax.graphs._jax.rows import over_rows
from offload_jax.graphs.costs import GraphCosts


@jax.jit
def lower_bound(costs: GraphCosts) -> Float[Array, "*batch"]:
    """The longest path of tasks and transfers, each task at the place that suits that path best.

    Processors and links that never are in use can only make it shorter, and so can choosing places
    anew for every path. What rounding may add is taken off.

    Args:
      costs: leading dimensions free.

    Returns:
      `[...]` seconds, at most the makespan of any schedule.
    """
    return over_rows(functools.partial(_bound, costs.routes), costs, batch=costs.batch_shape)


def _bound(routes: tuple, rows: int, costs: GraphCosts) -> Float[Array, " rows"]:
    num_tasks, num_places = costs.num_tasks, costs.num_places
    places = range(num_places)
    dtype = jnp.result_type(costs.seconds, jnp.float32)

    def way(values: Any, j: int, k: int) -> Array:
        if routes[j][k] is None:
            return jnp.full(values.shape[:1], jnp.inf)
        return sum((values[:, link] for link in routes[j][k]), jnp.zeros(values.shape[:1]))

    def moving(num_bytes: Any, j: int, k: int) -> Array:
        """Seconds from j to k for bytes `[R, ...]`."""
        tail = (slice(None),) + (None,) * (num_bytes.ndim - 1)
        rate, delay = way(costs.seconds_per_byte, j, k)[tail], way(costs.startup, j, k)[tail]
        return jnp.where(num_bytes > 0, num_bytes * rate + delay, 0.0)

    def from_home(num_bytes: Any, k: int, *, back: bool) -> Array:
        result = jnp.zeros(())
        for h in places:
            seconds = moving(num_bytes, *((k, h) if back else (h, k)))
            result = jnp.where(costs.home == h, seconds, result)
        return result

    data = jnp.where(costs.depends, costs.data, 0.0)
    begin = jnp.stack([costs.release + from_home(costs.input, k, back=False) for k in places], -1)
    begin = jnp.broadcast_to(begin, (rows, num_tasks, num_places)).astype(dtype)
    # [R, u, v, j, k]: from u at j to v at k.
    ways = jnp.stack([jnp.stack([moving(data, j, k) for k in places], -1) for j in places], -2)

    def step(v: Array, finish: Array) -> Array:
        arrived = jnp.min(finish[:, :, :, None] + ways[:, :, v], axis=2)
        needed = jnp.where(costs.depends[:, :, v, None], arrived, 0.0)
        ready = jnp.maximum(begin[:, v], jnp.max(needed, axis=1))
        return finish.at[:, v].set(ready + costs.seconds[:, v])

    finish = jax.lax.fori_loop(0, num_tasks, step, jnp.zeros_like(begin))
    back = jnp.stack([from_home(costs.output, k, back=True) for k in places], -1)
    longest = jnp.max(jnp.min(finish + back, axis=-1), axis=-1)
    return longest * (1 - 8 * num_tasks * jnp.finfo(dtype).eps)
