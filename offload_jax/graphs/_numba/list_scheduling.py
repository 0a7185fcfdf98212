"""HEFT, CPOP and PEFT for one request: compiled loops in float64.

HEFT (Topcuoglu, Hariri and Wu 2002), CPOP (the same paper) and PEFT (Arabnejad and Barbosa 2014)
plan in a model of their own: a task may be put into an idle gap of a processor, links carry any
number of transfers at once, inputs count and the way home does not. Their decision is their places,
with the tasks in the order of their planned start.
"""

import math

import numpy as np

from offload_jax.graphs._numba.cpop import critical_path, downward_ranks
from offload_jax.graphs._numba.peft import optimistic_costs
from offload_jax.graphs._numba.ranks import (
    by_decreasing,
    empty_last,
    is_live,
    mean_costs,
    pair_costs,
    ready_order,
    sort_by,
    upward_ranks,
)
from offload_jax.graphs._numba.simulator import compiled, inner, plain, servers_of

HEFT, CPOP, PEFT = 0, 1, 2


@plain
def _first_gap(starts, ends, count, ready, duration):
    """The earliest start, not before `ready`, of a gap that is long enough, and its number."""
    before = 0.0
    for i in range(count):
        begin = max(ready, before)
        if begin + duration <= starts[i]:
            return begin, i
        before = max(before, ends[i])
    return max(ready, before), count


@inner
def _plan(request, rate, delay, sequence, bonus, fixed):
    """List scheduling with insertion.

    Args:
      sequence: int `[N]` the order in which tasks are planned.
      bonus: `[N, K]` added to the finish times that are compared.
      fixed: int `[N]` the place that a task must take, -1 if any.

    Returns:
      Place and planned start and finish of each task.
    """
    num_tasks, num_places = request.seconds.shape
    num_servers = request.first_server[num_places]
    starts = np.empty((num_servers, num_tasks))
    ends = np.empty((num_servers, num_tasks))
    counts = np.zeros(num_servers, np.int64)
    place = np.zeros(num_tasks, np.int64)
    start, finish = np.zeros(num_tasks), np.zeros(num_tasks)
    for task in sequence:
        best, chosen, server, slot = math.inf, -1, -1, 0
        for k in range(num_places):
            only = fixed[task]
            if only != k and (only >= 0 or not is_live(rate, request.user[task], k)):
                continue
            ready, user = request.release[task], request.user[task]
            if request.input[task] > 0.0 and k > 0:
                ready += request.input[task] * rate[user, 0, k] + delay[user, 0, k]
            for e in range(request.first_edge[task], request.first_edge[task + 1]):
                u = request.source[e]
                arrived = finish[u]
                if request.data[e] > 0.0 and place[u] != k:
                    arrived += request.data[e] * rate[user, place[u], k] + delay[user, place[u], k]
                ready = max(ready, arrived)
            duration = request.seconds[task, k]
            begin, on, gap = ready, -1, 0
            first, last = servers_of(request, k, user)
            if duration > 0.0 and last > first:
                begin = math.inf
                for s in range(first, last):
                    at, number = _first_gap(starts[s], ends[s], counts[s], ready, duration)
                    if at < begin or on < 0:
                        begin, on, gap = at, s, number
            total = begin + duration + bonus[task, k]
            if chosen < 0 or total < best:
                best, chosen, server, slot = total, k, on, gap
                start[task], finish[task] = begin, begin + duration
        place[task] = chosen
        if server >= 0:
            for i in range(counts[server], slot, -1):
                starts[server, i], ends[server, i] = starts[server, i - 1], ends[server, i - 1]
            starts[server, slot], ends[server, slot] = start[task], finish[task]
            counts[server] += 1
    return place, start, finish


@compiled
def plan(request, method):
    """Places and order int `[N]` of HEFT, CPOP or PEFT, and the planned finish of each task."""
    num_tasks, num_places = request.seconds.shape
    rate, delay = pair_costs(request)
    seconds, moving, returning = mean_costs(request, rate, delay)
    bonus = np.zeros((num_tasks, num_places))
    fixed = np.full(num_tasks, -1)
    if method == PEFT:
        bonus = optimistic_costs(request, rate, moving)
        priority = np.zeros(num_tasks)
        for v in range(num_tasks):
            count = 0
            for k in range(num_places):
                if is_live(rate, request.user[v], k):
                    priority[v] += bonus[v, k]
                    count += 1
            priority[v] /= max(count, 1)
        sequence = ready_order(request, priority)
    else:
        up = upward_ranks(request, seconds, moving, returning)
        if method == CPOP:
            through = downward_ranks(request, seconds, moving)
            for v in range(num_tasks):
                through[v] += up[v]
            critical, fastest = critical_path(request, rate, seconds, moving, up, through)
            for v in range(num_tasks):
                if critical[v]:
                    fixed[v] = fastest
            sequence = ready_order(request, through)
        else:
            sequence = by_decreasing(up)
    place, start, finish = _plan(request, rate, delay, sequence, bonus, fixed)
    # Equal starts stay in the order of planning, in which no task stands before what it needs.
    sort_by(sequence, start)
    empty_last(request, place, sequence)
    return place, sequence, finish
