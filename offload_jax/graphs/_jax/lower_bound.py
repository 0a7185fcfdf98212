"""A lower bound on the makespan of every schedule: the machine without any contention."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from offload_jax.graphs._jax.few_shapes import by_loops, in_few_shapes
from offload_jax.graphs._jax.platform import Platform, platform_of
from offload_jax.graphs._jax.rows import over_rows
from offload_jax.graphs._jax.ways import needs_of, paths_of, ways_of
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.problem import GraphProblem


def lower_bound(problem: GraphProblem | GraphCosts) -> Float[Array, "*batch"]:
    """The longest path of tasks and transfers, each task at the place that suits that path best.

    Processors and links that never are in use can only make it shorter, and so can choosing places
    anew for every path. What rounding may add is taken off.

    Args:
      problem: problem or costs, leading dimensions free.

    Returns:
      `[...]` seconds, at most the makespan of any schedule.
    """
    check_source(problem)
    costs = as_costs(problem)
    if by_loops(costs):
        from offload_jax.graphs._numba import rows

        return rows.lower_bound(costs)
    return in_few_shapes(lambda costs: _lower_bound(costs, platform=platform_of(costs)), costs)


@functools.partial(jax.jit, static_argnames="platform")
def _lower_bound(costs: GraphCosts, *, platform: Platform) -> Array:
    return over_rows(functools.partial(bound_of_rows, platform), costs)


def bound_of_rows(platform: Platform, rows: int, costs: GraphCosts) -> Float[Array, " rows"]:
    """`lower_bound` of costs whose fields have one leading axis, of `rows` or of 1."""
    ways = ways_of(platform, costs).by_task(costs)
    paths = paths_of(ways, needs_of(costs), rows, costs)
    longest = jnp.max(jnp.min(paths.head + paths.tail, axis=1), axis=0)
    return longest * (1 - 8 * costs.num_tasks * jnp.finfo(longest.dtype).eps)
