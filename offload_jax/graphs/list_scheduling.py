"""HEFT, CPOP and PEFT, and greedy for one request: compiled loops in float64.

HEFT (Topcuoglu, Hariri and Wu 2002), CPOP (the same paper) and PEFT (Arabnejad and Barbosa 2014)
plan in a model of their own: a task may be put into an idle gap of a processor, links carry any
number of transfers at once, inputs count and the way home does not. Their decision is their places,
with the tasks in the order of their planned start.

Ranks within 1e-9 of the largest one of each other are equal; ties go to the lower number.
"""

import math
import typing

import numpy as np

from offload_jax.graphs.compiled import (
    book,
    compiled,
    copy_queues,
    inner,
    new_bench,
    plain,
    readers,
    reset,
)

_SAME = 1e-9
HEFT, CPOP, PEFT = 0, 1, 2


@inner
@typing.no_type_check
def pair_costs(request):
    """Seconds per byte and start-up delay `[K, K]` from place to place; `inf` without a route."""
    num_places = request.seconds.shape[1]
    rate = np.zeros((num_places, num_places))
    delay = np.zeros((num_places, num_places))
    for j in range(num_places):
        for k in range(num_places):
            pair = j * num_places + k
            if j != k and request.first_hop[pair] == request.first_hop[pair + 1]:
                rate[j, k] = math.inf
            for h in range(request.first_hop[pair], request.first_hop[pair + 1]):
                rate[j, k] += request.seconds_per_byte[request.hops[h]]
                delay[j, k] += request.startup[request.hops[h]]
    return rate, delay


@plain
@typing.no_type_check
def is_live(rate, home, place):
    return rate[home, place] < math.inf and rate[place, home] < math.inf


@inner
@typing.no_type_check
def _mean_pair(rate, delay, home_from, home_to):
    """Mean seconds per byte and delay over pairs of different live places that are joined."""
    total_rate, total_delay, count = 0.0, 0.0, 0
    for j in range(rate.shape[0]):
        for k in range(rate.shape[0]):
            if j == k or not (is_live(rate, home_from, j) and is_live(rate, home_to, k)):
                continue
            if rate[j, k] < math.inf:
                total_rate += rate[j, k]
                total_delay += delay[j, k]
                count += 1
    return (total_rate / count, total_delay / count) if count else (0.0, 0.0)


@inner
@typing.no_type_check
def _mean_way_home(rate, delay, home):
    total_rate, total_delay, count = 0.0, 0.0, 0
    for j in range(rate.shape[0]):
        if j != home and is_live(rate, home, j):
            total_rate += rate[j, home]
            total_delay += delay[j, home]
            count += 1
    return (total_rate / count, total_delay / count) if count else (0.0, 0.0)


@inner
@typing.no_type_check
def mean_costs(request, rate, delay):
    """w `[N]`, c `[M]` by edge, and the mean way home `[N]` of outputs."""
    num_tasks, num_places = request.seconds.shape
    seconds, returning = np.zeros(num_tasks), np.zeros(num_tasks)
    moving = np.zeros(request.source.size)
    pair_rate = np.empty((num_places, num_places))
    pair_delay = np.empty((num_places, num_places))
    home_rate, home_delay = np.empty(num_places), np.empty(num_places)
    for g in range(num_places):
        home_rate[g], home_delay[g] = _mean_way_home(rate, delay, g)
        for h in range(num_places):
            pair_rate[g, h], pair_delay[g, h] = _mean_pair(rate, delay, g, h)
    for v in range(num_tasks):
        home = request.home[v]
        count = 0
        for k in range(num_places):
            if is_live(rate, home, k) and request.seconds[v, k] < math.inf:
                seconds[v] += request.seconds[v, k]
                count += 1
        seconds[v] /= max(count, 1)
        if request.output[v] > 0.0:
            returning[v] = request.output[v] * home_rate[home] + home_delay[home]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            if request.data[e] > 0.0:
                g = request.home[request.source[e]]
                moving[e] = request.data[e] * pair_rate[g, home] + pair_delay[g, home]
    return seconds, moving, returning


@inner
@typing.no_type_check
def upward_ranks(request, seconds, moving, returning):
    """rank(v) = w(v) + max(way home, max over successors of c + rank) `[N]`."""
    ranks = returning.copy()
    for v in range(seconds.size - 1, -1, -1):
        ranks[v] += seconds[v]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            ranks[u] = max(ranks[u], moving[e] + ranks[v])
    return ranks


@inner
@typing.no_type_check
def empty_tasks(request):
    """bool `[N]`: which tasks change nothing."""
    num_tasks, num_places = request.seconds.shape
    empty = np.ones(num_tasks, np.bool_)
    for v in range(num_tasks):
        for k in range(num_places):
            empty[v] &= request.seconds[v, k] == 0.0
        empty[v] &= request.input[v] == 0.0 and request.output[v] == 0.0
        empty[v] &= request.release[v] == 0.0
        empty[v] &= request.first_edge[v] == request.first_edge[v + 1]
    for u in request.source:
        empty[u] = False
    return empty


@compiled
@typing.no_type_check
def empty_last(request, place, order):
    """Puts empty tasks, which change nothing, at the end of `order` and at place 0; in place."""
    num_tasks = order.size
    empty = empty_tasks(request)
    count = 0
    for i in range(num_tasks):
        if not empty[order[i]]:
            order[count] = order[i]
            count += 1
    for v in range(num_tasks):
        if empty[v]:
            order[count], place[v] = v, 0
            count += 1


@inner
@typing.no_type_check
def _downward_ranks(request, seconds, moving):
    """rank_d(v) = max over predecessors of rank_d + w + c `[N]`."""
    ranks = np.zeros(seconds.size)
    for v in range(seconds.size):
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            ranks[v] = max(ranks[v], ranks[u] + seconds[u] + moving[e])
    return ranks


@inner
@typing.no_type_check
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
                    if is_live(rate, request.home[s], q):
                        way = moving[e] if q != k else 0.0
                        best = min(best, table[s, q] + request.seconds[s, q] + way)
                table[v, k] = max(table[v, k], best)
    return table


@plain
@typing.no_type_check
def _sort(items, keys):
    """Puts items in increasing order of their keys in place, equal ones as they were."""
    for i in range(1, items.size):
        item = items[i]
        while i > 0 and keys[items[i - 1]] > keys[item]:
            items[i] = items[i - 1]
            i -= 1
        items[i] = item


@inner
@typing.no_type_check
def by_decreasing(ranks):
    """int `[N]` tasks by decreasing rank, nearly equal ones by number."""
    order, keys = np.arange(ranks.size), np.empty_like(ranks)
    for v in order:
        keys[v] = -ranks[v]
    _sort(order, keys)
    largest = order[0]
    tolerance = _SAME * max(ranks[largest], 0.0)
    for v in order:
        if not ranks[largest] - ranks[v] <= tolerance:
            largest = v
        keys[v] = -ranks[largest]
    order = np.arange(ranks.size)
    _sort(order, keys)
    return order


@inner
@typing.no_type_check
def ready_order(request, priority):
    """int `[N]`: of the tasks whose needs are met the one of highest priority, again and again."""
    num_tasks = priority.size
    tolerance = _SAME * max(priority.max(), 0.0)
    missing = np.empty(num_tasks, np.int64)
    for v in range(num_tasks):
        missing[v] = request.first_edge[v + 1] - request.first_edge[v]
    first_reader, reader, _ = readers(request)
    ready = [v for v in range(num_tasks) if missing[v] == 0]
    order = np.empty(num_tasks, np.int64)
    for i in range(num_tasks):
        highest = -math.inf
        for v in ready:
            highest = max(highest, priority[v])
        chosen = -1
        for index in range(len(ready)):
            behind = highest - priority[ready[index]]
            near = behind <= tolerance or priority[ready[index]] == highest
            if near and (chosen < 0 or ready[index] < ready[chosen]):
                chosen = index
        order[i] = ready.pop(chosen)
        for r in range(first_reader[order[i]], first_reader[order[i] + 1]):
            missing[reader[r]] -= 1
            if missing[reader[r]] == 0:
                ready.append(reader[r])
    return order


@inner
@typing.no_type_check
def _critical_path(request, rate, seconds, moving, up, priority):
    """CPOP: which tasks are on the critical path, and the live place that runs them fastest."""
    num_tasks, num_places = request.seconds.shape
    longest = priority.max()
    tolerance = _SAME * longest
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
                live = is_live(rate, request.home[v], k)
                total += request.seconds[v, k] if live else math.inf
        if total < least:
            fastest, least = k, total
    return critical, fastest


@plain
@typing.no_type_check
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
@typing.no_type_check
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
            if only != k and (only >= 0 or not is_live(rate, request.home[task], k)):
                continue
            ready = request.release[task]
            home = request.home[task]
            if request.input[task] > 0.0 and home != k:
                ready += request.input[task] * rate[home, k] + delay[home, k]
            for e in range(request.first_edge[task], request.first_edge[task + 1]):
                u = request.source[e]
                arrived = finish[u]
                if request.data[e] > 0.0 and place[u] != k:
                    arrived += request.data[e] * rate[place[u], k] + delay[place[u], k]
                ready = max(ready, arrived)
            duration = request.seconds[task, k]
            begin, on, gap = ready, -1, 0
            first, last = request.first_server[k], request.first_server[k + 1]
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
@typing.no_type_check
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
                if is_live(rate, request.home[v], k):
                    priority[v] += bonus[v, k]
                    count += 1
            priority[v] /= max(count, 1)
        sequence = ready_order(request, priority)
    else:
        up = upward_ranks(request, seconds, moving, returning)
        if method == CPOP:
            through = _downward_ranks(request, seconds, moving)
            for v in range(num_tasks):
                through[v] += up[v]
            critical, fastest = _critical_path(request, rate, seconds, moving, up, through)
            for v in range(num_tasks):
                if critical[v]:
                    fixed[v] = fastest
            sequence = ready_order(request, through)
        else:
            sequence = by_decreasing(up)
    place, start, finish = _plan(request, rate, delay, sequence, bonus, fixed)
    # Equal starts stay in the order of planning, in which no task stands before what it needs.
    _sort(sequence, start)
    empty_last(request, place, sequence)
    return place, sequence, finish


@inner
@typing.no_type_check
def rank_order(request):
    """int `[N]` tasks by decreasing upward rank."""
    rate, delay = pair_costs(request)
    seconds, moving, returning = mean_costs(request, rate, delay)
    order = by_decreasing(upward_ranks(request, seconds, moving, returning))
    empty_last(request, np.zeros(order.size, np.int64), order)
    return order


@plain
@typing.no_type_check
def greedy_places(request, rate, bench, before, order, place):
    """Writes into `place` where each task, in the given order, is done first.

    Args:
      rate: `[K, K]` of `pair_costs`; only places with a live route from and to home are tried.
      bench: written.
      before: a second bench, for the state that every place is tried on.
    """
    num_places = request.seconds.shape[1]
    reset(bench)
    for i in range(order.size):
        task = order[i]
        bench.position[task] = i
        best, chosen = math.inf, np.int64(0)
        for k in range(num_places):
            if not is_live(rate, request.home[task], k):
                continue
            copy_queues(bench, before, task)
            _, _, back = book(request, bench, task, k)
            copy_queues(before, bench, task)
            if back < best:
                best, chosen = back, k
        book(request, bench, task, chosen)
        place[task] = chosen


@inner
@typing.no_type_check
def greedy(request):
    """Places and order int `[N]`."""
    order = rank_order(request)
    place = np.zeros(order.size, np.int64)
    rate, _ = pair_costs(request)
    greedy_places(request, rate, new_bench(request), new_bench(request), order, place)
    return place, order
