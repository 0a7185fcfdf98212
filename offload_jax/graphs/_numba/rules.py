"""Rules that decide with the machine in view, for one request: compiled loops in float64."""

import math
import typing

import numpy as np

from offload_jax.graphs._numba.ranks import (
    by_decreasing,
    empty_last,
    is_live,
    mean_costs,
    pair_costs,
    upward_ranks,
)
from offload_jax.graphs._numba.simulator import book, copy_queues, inner, new_bench, plain, reset


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
