"""The longest paths of a request without any contention, compiled by numba, in float64."""

import math

import numpy as np

from offload_jax.graphs._numba.simulator import inner, plain


@plain
def moving_seconds(num_bytes, rate, delay):
    return num_bytes * rate + delay if num_bytes > 0.0 else 0.0


@inner
def paths(request, rate, delay):
    """Least seconds of tasks and transfers alone, each task where that suits the path best.

    Args:
      rate, delay: `[U, K, K]` of `pair_costs`.

    Returns:
      `[N, K]` until a task is done at a place, and from its end there until all that follows is
      home; `[N]` the least sum of both; `[N, K]` of moving its input there and its output home.
    """
    num_tasks, num_places = request.seconds.shape
    shape = num_tasks, num_places
    input_seconds, output_seconds = np.empty(shape), np.empty(shape)
    for v in range(num_tasks):
        i = request.user[v]
        for k in range(num_places):
            input_seconds[v, k] = moving_seconds(request.input[v], rate[i, 0, k], delay[i, 0, k])
            output_seconds[v, k] = moving_seconds(request.output[v], rate[i, k, 0], delay[i, k, 0])
    head, tail, through = np.empty(shape), output_seconds.copy(), np.full(num_tasks, math.inf)
    for v in range(num_tasks - 1, -1, -1):
        i = request.user[v]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            for k in range(num_places):
                first = math.inf
                for q in range(num_places):
                    way = moving_seconds(request.data[e], rate[i, k, q], delay[i, k, q])
                    first = min(first, way + request.seconds[v, q] + tail[v, q])
                tail[u, k] = max(tail[u, k], first)
    for v in range(num_tasks):
        i = request.user[v]
        for k in range(num_places):
            begin = request.release[v] + input_seconds[v, k]
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                first = math.inf
                for q in range(num_places):
                    way = moving_seconds(request.data[e], rate[i, q, k], delay[i, q, k])
                    first = min(first, way + head[request.source[e], q])
                begin = max(begin, first)
            head[v, k] = begin + request.seconds[v, k]
            through[v] = min(through[v], head[v, k] + tail[v, k])
    return head, tail, through, input_seconds, output_seconds
