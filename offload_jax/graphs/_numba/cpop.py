"""What CPOP adds to list scheduling: priorities through a task, and the critical path.

Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for
heterogeneous computing", 2002.
"""

import math

import numpy as np

from offload_jax.graphs._numba.ranks import SAME, is_live
from offload_jax.graphs._numba.simulator import inner


@inner
def downward_ranks(request, seconds, moving):
    """rank_d(v) = max over predecessors of rank_d + w + c `[N]`."""
    ranks = np.zeros(seconds.size)
    for v in range(seconds.size):
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            ranks[v] = max(ranks[v], ranks[u] + seconds[u] + moving[e])
    return ranks


@inner
def critical_path(request, rate, seconds, moving, up, priority):
    """CPOP: which tasks are on the critical path, and the live place that runs them fastest."""
    num_tasks, num_places = request.seconds.shape
    longest = priority.max()
    tolerance = SAME * longest
    critical = np.zeros(num_tasks, np.bool_)
    task = -1
    for v in range(num_tasks):
        is_entry = request.first_edge[v] == request.first_edge[v + 1]
        if is_entry and longest - priority[v] <= tolerance:
            task = v
            break
    while task >= 0:
        critical[task] = True
        following = -1
        for v in range(task + 1, num_tasks):
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                on_path = longest - priority[v] <= tolerance
                tight = up[task] - (seconds[task] + moving[e] + up[v]) <= tolerance
                if request.source[e] == task and on_path and tight and following < 0:
                    following = v
        task = following
    fastest, least = 0, math.inf
    for k in range(num_places):
        total = 0.0
        for v in range(num_tasks):
            if critical[v]:
                live = is_live(rate, request.user[v], k)
                total += request.seconds[v, k] if live else math.inf
        if total < least:
            fastest, least = k, total
    return critical, fastest
