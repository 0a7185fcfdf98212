"""Rules that decide with the machine in view, for one request: compiled loops in float64."""

import math

import numpy as np

from offload_jax.graphs._numba.ranks import (
    by_decreasing,
    empty_last,
    is_live,
    mean_costs,
    pair_costs,
    upward_ranks,
)
from offload_jax.graphs._numba.simulator import (
    compiled,
    copy_queues,
    inner,
    new_state,
    plain,
    run_task,
)


@compiled
def rank_order(request):
    """int `[N]` tasks by decreasing upward rank."""
    rate, delay = pair_costs(request)
    seconds, moving, returning = mean_costs(request, rate, delay)
    order = by_decreasing(upward_ranks(request, seconds, moving, returning))
    empty_last(request, np.zeros(order.size, np.int64), order)
    return order


@plain
def only_allowed(request, place):
    """Changes in place what a place forbids: to the first that is allowed."""
    for v in range(place.size):
        if not request.seconds[v, place[v]] < math.inf:
            place[v] = 0
            for k in range(request.seconds.shape[1] - 1, -1, -1):
                if request.seconds[v, k] < math.inf:
                    place[v] = k


@plain
def greedy_places(request, rate, after, state, before, order, place):
    """Writes into `place` where each task, in the given order, and what is after it are done first.

    Args:
      rate: `[U, K, K]` of `pair_costs`; only places with a live route from and to home are tried.
      after: `[N, K]` seconds that are taken to follow the end of a task, its way home included.
      state: where the machine stands; written.
      before: a second one, for the state that every place is tried on.
    """
    num_places = request.seconds.shape[1]
    for i in range(order.size):
        task = order[i]
        state.position[task] = i
        best, chosen = math.inf, np.int64(0)
        for k in range(num_places):
            if not is_live(rate, request.user[task], k):
                continue
            copy_queues(request, state, before, task)
            _, _, back = run_task(request, state, task, k)
            copy_queues(request, before, state, task)
            done = max(back, state.finish[task] + after[task, k])
            if done < best:
                best, chosen = done, k
        run_task(request, state, task, chosen)
        place[task] = chosen


@inner
def greedy(request):
    """Places and order int `[N]`."""
    return greedy_from(request, new_state(request))


@inner
def greedy_from(request, state):
    """The same on a machine that is not empty; `state` is written."""
    order = rank_order(request)
    return greedy_in_order(request, state, order), order


@inner
def greedy_in_order(request, state, order):
    """int `[N]` where each task, in the given order, is done first; `state` is written."""
    place = np.zeros(order.size, np.int64)
    rate, _ = pair_costs(request)
    after = np.zeros(request.seconds.shape)
    greedy_places(request, rate, after, state, new_state(request), order, place)
    return place
