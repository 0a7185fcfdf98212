"""What a decision costs and what no schedule is below, for one request: compiled, in float64."""

import math
import typing

from offload_jax.graphs._numba.ranks import pair_costs
from offload_jax.graphs._numba.simulator import compiled, new_state, simulate
from offload_jax.graphs._numba.ways import paths


@compiled
@typing.no_type_check
def score(request, place, order):
    """The makespan of a decision and the lower bound of `_jax.lower_bound`, as it is summed up."""
    rate, delay = pair_costs(request)
    head, tail, _, _ = paths(request, rate, delay)
    num_tasks, num_places = request.seconds.shape
    longest = 0.0
    for v in range(num_tasks):
        least = math.inf
        for k in range(num_places):
            least = min(least, head[v, k] + tail[v, k])
        longest = max(longest, least)
    return simulate(request, new_state(request), place, order), longest
