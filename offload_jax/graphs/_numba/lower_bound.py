"""A lower bound on the makespan of every schedule, for one request: a compiled loop in float64.

The longest path of tasks and transfers without any contention, as in `_jax.lower_bound`.
"""

import math
import typing

import numpy as np

from offload_jax.graphs._numba.ranks import pair_costs
from offload_jax.graphs._numba.simulator import compiled, inner, new_state, plain, simulate


@plain
@typing.no_type_check
def _way(rate, delay, num_bytes, origin, target):
    """Seconds from place to place over free links."""
    if num_bytes > 0.0 and origin != target:
        return num_bytes * rate[origin, target] + delay[origin, target]
    return 0.0


@inner
@typing.no_type_check
def lower_bound(request):
    """Seconds, but for what rounding may add."""
    rate, delay = pair_costs(request)
    num_tasks, num_places = request.seconds.shape
    finish = np.zeros((num_tasks, num_places))
    longest = 0.0
    for v in range(num_tasks):
        home, least = request.home[v], math.inf
        for k in range(num_places):
            ready = request.release[v] + _way(rate, delay, request.input[v], home, k)
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                arrived = math.inf
                for j in range(num_places):
                    moved = _way(rate, delay, request.data[e], j, k)
                    arrived = min(arrived, finish[request.source[e], j] + moved)
                ready = max(ready, arrived)
            finish[v, k] = ready + request.seconds[v, k]
            least = min(least, finish[v, k] + _way(rate, delay, request.output[v], k, home))
        longest = max(longest, least)
    return longest


@compiled
@typing.no_type_check
def score(request, place, order):
    """The makespan of a decision, and a lower bound on that of every schedule."""
    return simulate(request, new_state(request), place, order), lower_bound(request)
