"""Upward ranks and what else orders tasks, for one request: compiled loops in float64.

Ranks within 1e-9 of the largest one of each other are equal; ties go to the lower number.
"""

import math

import numpy as np

from offload_jax.graphs._numba.simulator import compiled, inner, link_of, plain, readers

SAME = 1e-9


@inner
def pair_costs(request):
    """Seconds per byte and start-up delay `[U, K, K]` from place to place for each user.

    The rate is `inf` without a route.
    """
    num_places = request.seconds.shape[1]
    rate = np.zeros((request.num_users, num_places, num_places))
    delay = np.zeros((request.num_users, num_places, num_places))
    for user in range(request.num_users):
        for j in range(num_places):
            for k in range(num_places):
                pair = j * num_places + k
                if j != k and request.first_hop[pair] == request.first_hop[pair + 1]:
                    rate[user, j, k] = math.inf
                for h in range(request.first_hop[pair], request.first_hop[pair + 1]):
                    entry = link_of(request, request.hops[h], user)
                    rate[user, j, k] += request.seconds_per_byte[entry]
                    delay[user, j, k] += request.startup[entry]
    return rate, delay


@plain
def is_live(rate, user, place):
    """Whether a place has a live route from and to the device of a user."""
    return rate[user, 0, place] < math.inf and rate[user, place, 0] < math.inf


@inner
def _mean_way(rate, delay, user, num_targets):
    """Mean seconds per byte and delay from a user's live places to other live ones of the first."""
    total_rate, total_delay, count = 0.0, 0.0, 0
    for j in range(rate.shape[1]):
        for k in range(num_targets):
            if j == k or not (is_live(rate, user, j) and is_live(rate, user, k)):
                continue
            if rate[user, j, k] < math.inf:
                total_rate += rate[user, j, k]
                total_delay += delay[user, j, k]
                count += 1
    return (total_rate / count, total_delay / count) if count else (0.0, 0.0)


@inner
def mean_costs(request, rate, delay):
    """w `[N]`, c `[M]` by edge, and the mean way home `[N]` of outputs."""
    num_tasks, num_places = request.seconds.shape
    seconds, returning = np.zeros(num_tasks), np.zeros(num_tasks)
    moving = np.zeros(request.source.size)
    num_users = rate.shape[0]
    pair_rate, pair_delay = np.empty(num_users), np.empty(num_users)
    home_rate, home_delay = np.empty(num_users), np.empty(num_users)
    for user in range(num_users):
        home_rate[user], home_delay[user] = _mean_way(rate, delay, user, 1)
        pair_rate[user], pair_delay[user] = _mean_way(rate, delay, user, num_places)
    for v in range(num_tasks):
        user = request.user[v]
        count = 0
        for k in range(num_places):
            if is_live(rate, user, k) and request.seconds[v, k] < math.inf:
                seconds[v] += request.seconds[v, k]
                count += 1
        seconds[v] /= max(count, 1)
        if request.output[v] > 0.0:
            returning[v] = request.output[v] * home_rate[user] + home_delay[user]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            if request.data[e] > 0.0:
                moving[e] = request.data[e] * pair_rate[user] + pair_delay[user]
    return seconds, moving, returning


@inner
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


@plain
def sort_by(items, keys):
    """Puts items in increasing order of their keys in place, equal ones as they were."""
    for i in range(1, items.size):
        item = items[i]
        while i > 0 and keys[items[i - 1]] > keys[item]:
            items[i] = items[i - 1]
            i -= 1
        items[i] = item


@inner
def by_decreasing(ranks):
    """int `[N]` tasks by decreasing rank, nearly equal ones by number."""
    order, keys = np.arange(ranks.size), np.empty_like(ranks)
    for v in order:
        keys[v] = -ranks[v]
    sort_by(order, keys)
    largest = order[0]
    tolerance = SAME * max(ranks[largest], 0.0)
    for v in order:
        if not ranks[largest] - ranks[v] <= tolerance:
            largest = v
        keys[v] = -ranks[largest]
    order = np.arange(ranks.size)
    sort_by(order, keys)
    return order


@inner
def ready_order(request, priority):
    """int `[N]`: of the tasks whose needs are met the one of highest priority, again and again."""
    num_tasks = priority.size
    tolerance = SAME * max(priority.max(), 0.0)
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
