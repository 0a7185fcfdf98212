"""One task graph at a time, from its fields to its decision in one compiled call, in float64."""

import math
import typing

import numpy as np

from offload_jax.graphs.compiled import compiled, inner
from offload_jax.graphs.list_scheduling import CPOP, HEFT, PEFT, greedy, plan
from offload_jax.graphs.packing import Request

GREEDY = 3
METHODS = {"greedy": GREEDY, "heft": HEFT, "cpop": CPOP, "peft": PEFT}


@inner
@typing.no_type_check
def is_valid(cycles, data, depends, input, output, rates, release):
    """The rules of `validate` but for those on what is static; NaN fails every comparison."""
    num_tasks = cycles.size
    if num_tasks == 0 or data.shape != (num_tasks, num_tasks) or data.shape != depends.shape:
        return False
    if not (input.size == num_tasks and output.size == num_tasks and release.size == num_tasks):
        return False
    valid = rates[0] > 0 and rates[1] > 0
    for rate in rates:
        valid &= 0 <= rate < math.inf
    for u in range(num_tasks):
        valid &= 0 <= cycles[u] < math.inf and 0 <= release[u] < math.inf
        valid &= 0 <= input[u] < math.inf and 0 <= output[u] < math.inf
        for v in range(num_tasks):
            if depends[u, v]:
                valid &= u < v and 0 <= data[u, v] < math.inf
    return valid


@inner
@typing.no_type_check
def read(cycles, data, depends, input, output, rates, edge_servers, release, send_once):
    """A `Request` from the fields of a `GraphProblem`; see `costs.graph_costs`."""
    num_tasks = cycles.size
    seconds = np.zeros((num_tasks, 3))
    first_edge = np.zeros(num_tasks + 1, np.int64)
    num_edges = 0
    for v in range(num_tasks):
        seconds[v, 0], seconds[v, 1] = cycles[v] / rates[0], cycles[v] / rates[1]
        for u in range(v):
            num_edges += depends[u, v]
        first_edge[v + 1] = num_edges
    source, size = np.empty(num_edges, np.int64), np.empty(num_edges)
    edge = 0
    for v in range(num_tasks):
        for u in range(v):
            if depends[u, v]:
                source[edge], size[edge] = u, data[u, v]
                edge += 1
    per_byte = np.empty(4)
    for link in range(4):
        bandwidth = rates[2 + link // 2]
        per_byte[link] = 1.0 / bandwidth if bandwidth > 0 else math.inf
    return Request(
        seconds,
        first_edge,
        source,
        size,
        input,
        output,
        release,
        np.zeros(num_tasks, np.int64),
        per_byte,
        np.zeros(4),
        # Links 0 to 3: device to edge and back, edge to cloud and back.
        np.array([0, 0, 1, 3, 4, 4, 5, 7, 8, 8]),
        np.array([0, 0, 2, 1, 2, 3, 1, 3]),
        np.array([0, 1, 1 + edge_servers, 1 + edge_servers]),
        np.ones(4, np.bool_),
        send_once,
    )


@compiled
@typing.no_type_check
def decide(method, cycles, data, depends, input, output, rates, edge_servers, release, send_once):
    """int8 places and int32 order `[N]` of a rule; empty where the request is invalid."""
    if not is_valid(cycles, data, depends, input, output, rates, release):
        return np.empty(0, np.int8), np.empty(0, np.int32)
    request = read(cycles, data, depends, input, output, rates, edge_servers, release, send_once)
    if method == GREEDY:
        place, order = greedy(request)
    else:
        place, order, _ = plan(request, method)
    return place.astype(np.int8), order.astype(np.int32)
