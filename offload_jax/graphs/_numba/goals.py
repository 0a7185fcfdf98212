"""Annealing on any goal: price, period and latency, each weighed or limited, and memory.

A step gives one task, a run of tasks in order or, where time matters, one place in the order
another value; of several users it also moves all tasks of one to another place in the order. What
breaks a limit costs more, in proportion to how far; the best decision that keeps all of them is
what is returned.
"""

import math

import numpy as np

from offload_jax.graphs._numba.annealing import shift, window
from offload_jax.graphs._numba.rules import greedy_in_order
from offload_jax.graphs._numba.simulator import (
    compiled,
    inner,
    new_state,
    plain,
    readers,
    reset,
    run_task,
    waited,
)
from offload_jax.graphs._numba.spending import new_scratch, spend
from offload_jax.side_constraints import RELATIVE_TOLERANCE

_SLACK = 1.0 + RELATIVE_TOLERANCE


@inner
def _excess(spent, limit):
    """How far a limit is exceeded, as a share of it."""
    if spent <= limit * _SLACK:
        return 0.0
    return (spent - limit) / limit if limit > 0.0 else 1.0


@plain
def _complete(request, state, place, order, completion):
    """Writes when each user is served, `[U]`."""
    reset(state)
    completion[:] = 0.0
    for i in range(order.size):
        task = order[i]
        state.position[task] = i
        _, _, back = run_task(request, state, task, place[task])
        user = request.user[task]
        completion[user] = max(completion[user], max(back, state.finish[task]))


@compiled
def completion_of(request, place, order):
    """`[U]` when each user is served, for callers from Python."""
    completion = np.zeros(request.num_users)
    _complete(request, new_state(request), place, order, completion)
    return completion


@compiled
def greedy_along(request, order):
    """`greedy_in_order` on an empty machine, for callers from Python."""
    return greedy_in_order(request, new_state(request), order)


@inner
def _score(request, goal, timed, place, order, state, scratch, held, completion):
    """What a decision costs, and by how much it breaks limits in all."""
    reader, moved, busy, crossed, spent = scratch
    weights, execution, per_byte, limits, memory, max_memory, share, since, largest = goal
    spend(request, place, execution, per_byte, request.serial, reader, moved, busy, crossed, spent)
    price, period = spent[0], spent[1]
    if price == math.inf:
        return math.inf, math.inf
    makespan, latency = 0.0, 0.0
    if timed:
        _complete(request, state, place, order, completion)
        for seconds in completion:
            makespan = max(makespan, seconds)
        latency = waited(completion, share, since, largest)
    if makespan == math.inf:
        return math.inf, math.inf
    excess = _excess(makespan, limits[0]) + _excess(price, limits[1]) + _excess(period, limits[2])
    held[:, :] = 0.0
    for v in range(place.size):
        held[request.own_place[place[v]] * request.user[v], place[v]] += memory[v]
    for user in range(held.shape[0]):
        for k in range(held.shape[1]):
            excess += _excess(held[user, k], max_memory[k])
    return weights[0] * latency + weights[1] * price + weights[2] * period, excess


@compiled
def score(request, goal, timed, place, order):
    """The cost of a decision, and by how much it breaks limits in all."""
    held = np.zeros((request.num_users, request.seconds.shape[1]))
    state, completion = new_state(request), np.zeros(request.num_users)
    return _score(request, goal, timed, place, order, state, new_scratch(request), held, completion)


@compiled
def anneal(request, goal, timed, place, order, num_steps, share, cold, strict):
    """Walks from a decision, while the temperature falls geometrically.

    Args:
      request: what is decided about.
      goal: weights `[3]` of latency, price and period, prices, limits `[3]` of makespan, price and
        period, memory of tasks and of places, and what the latency is, as `Goal` has them.
      timed: whether times are weighed or limited.
      place, order: int `[N]` where to begin; changed to where the walk ends.
      num_steps: decisions to look at.
      share, cold: the temperature falls from the first to the second, as shares of the cost.
      strict: what breaking a limit by all of it costs, as a share of the cost.

    Returns:
      The best place and order, their cost and by how much they break limits.
    """
    num_tasks, num_places = request.seconds.shape
    state, scratch = new_state(request), new_scratch(request)
    held, completion = np.zeros((request.num_users, num_places)), np.zeros(request.num_users)
    first_reader, reader, _ = readers(request)
    cost, excess = _score(request, goal, timed, place, order, state, scratch, held, completion)
    best_cost, best_excess = cost, excess
    best_place, best_order = place.copy(), order.copy()
    position = np.empty(num_tasks, np.int64)
    for i in range(num_tasks):
        position[order[i]] = i
    before, ahead, served = place.copy(), order.copy(), request.num_users > 1
    cooling = math.log(cold / share) / num_steps
    for step in range(num_steps):
        before[:] = place
        task, kind = np.random.randint(num_tasks), np.random.random()
        if served and timed and goal[8] and np.random.random() < 0.5:
            # The largest latency falls only if that of the user who waited longest does.
            task = _next_of(request, task, np.argmax(completion - goal[7]))
        origin = target = position[task]
        block = served and timed and kind < 0.1
        if block:
            ahead[:] = order
            _move_user(request, order, position, ahead, request.user[task])
        elif timed and kind < 0.35:
            first, last = window(request, first_reader, reader, position, task)
            target = first + np.random.randint(last - first + 1)
            _shift(order, position, origin, target)
        if num_places > 1 and (not timed or kind > 0.25):
            if kind > 0.9:
                # Two tasks change places, which moves no memory but their difference.
                other = np.random.randint(num_tasks)
                place[task], place[other] = place[other], place[task]
            else:
                here = (place[task] + 1 + np.random.randint(num_places - 1)) % num_places
                length = 1
                if kind > 0.65:
                    length = np.int64(num_tasks ** np.random.random())
                for i in range(position[task], min(num_tasks, position[task] + length)):
                    place[order[i]] = here
        tried, broken = _score(request, goal, timed, place, order, state, scratch, held, completion)
        scale = best_cost if best_cost < math.inf else cost
        heat = scale * share * math.exp(cooling * step)
        rise = tried - cost + (broken - excess) * scale * strict
        allowance = -heat * math.log(1.0 - np.random.random())
        if cost == math.inf or (tried < math.inf and rise <= allowance):
            cost, excess = tried, broken
            if excess < best_excess or (excess == best_excess and cost < best_cost):
                best_cost, best_excess = cost, excess
                best_place[:] = place
                best_order[:] = order
        else:
            place[:] = before
            if block:
                order[:] = ahead
                for i in range(num_tasks):
                    position[order[i]] = i
            elif target != origin:
                _shift(order, position, target, origin)
    return best_place, best_order, best_cost, best_excess


@inner
def _next_of(request, task, user):
    """The first task of a user from that number on, after the last one from 0."""
    for _ in range(request.user.size):
        if request.user[task] == user:
            break
        task = (task + 1) % request.user.size
    return task


@inner
def _move_user(request, order, position, ahead, user):
    """Moves all tasks of a user, which follow one another then, to a random place in the order."""
    num_tasks = order.size
    since = np.random.randint(num_tasks + 1)
    filled = 0
    for part in range(3):
        # Those of others before that place, the user's, those of others after it.
        first = since if part == 2 else 0
        last = since if part == 0 else num_tasks
        for i in range(first, last):
            if (request.user[ahead[i]] == user) == (part == 1):
                order[filled] = ahead[i]
                position[ahead[i]] = filled
                filled += 1


@inner
def _shift(order, position, origin, target):
    """Moves what stands at `origin` to `target`, and says so in `position`."""
    shift(order, origin, target)
    for i in range(min(origin, target), max(origin, target) + 1):
        position[order[i]] = i
