"""What PEFT adds to list scheduling: the table of optimistic costs.

Arabnejad and Barbosa, "List scheduling algorithm for heterogeneous systems by an optimistic cost
table", 2014.
"""

import math

import numpy as np

from offload_jax.graphs._numba.ranks import is_live
from offload_jax.graphs._numba.simulator import inner


@inner
def optimistic_costs(request, rate, moving):
    """PEFT's OCT `[N, K]`: the least time from the end of a task at a place to the end of all."""
    num_tasks, num_places = request.seconds.shape
    table = np.zeros((num_tasks, num_places))
    for s in range(num_tasks - 1, -1, -1):
        for e in range(request.first_edge[s], request.first_edge[s + 1]):
            v = request.source[e]
            for k in range(num_places):
                best = math.inf
                for q in range(num_places):
                    if is_live(rate, request.user[s], q):
                        way = moving[e] if q != k else 0.0
                        best = min(best, table[s, q] + request.seconds[s, q] + way)
                table[v, k] = max(table[v, k], best)
    return table
