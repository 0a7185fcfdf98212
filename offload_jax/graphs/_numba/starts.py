"""What search begins with, the best of many decisions about one request: compiled, in float64."""

import math
import typing
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.list_scheduling import HEFT, plan
from offload_jax.graphs._numba.ranks import (
    by_decreasing,
    mean_costs,
    pair_costs,
    upward_ranks,
)
from offload_jax.graphs._numba.rules import greedy, greedy_places, only_allowed, rank_order
from offload_jax.graphs._numba.simulator import compiled, inner, new_state, reset, simulate
from offload_jax.graphs._numba.ways import paths
from offload_jax.graphs.request import Request

# How much what follows counts, drawn between both; noise of logarithms of ranks and of speeds.
_LEAST, _MOST = 0.5, 3.0
_RANK_NOISE, _RATE_NOISE = 1.0, 0.7


class Start(NamedTuple):
    """The best decision so far: int `[N]` place and order, and `[1]` its makespan."""

    place: np.ndarray
    order: np.ndarray
    makespan: np.ndarray


@inner
@typing.no_type_check
def _keep(start, makespan, place, order):
    if makespan < start.makespan[0]:
        start.makespan[0] = makespan
        start.place[:] = place
        start.order[:] = order


@compiled
@typing.no_type_check
def single_places(request):
    """Everything at one place; what that forbids at the first place allowed.

    Returns:
      The best of these, and int `[N]` the order of all, by upward rank.
    """
    num_tasks, num_places = request.seconds.shape
    order, state = rank_order(request), new_state(request)
    start = Start(np.zeros(num_tasks, np.int64), order.copy(), np.full(1, math.inf))
    for here in range(num_places):
        place = np.full(num_tasks, here)
        only_allowed(request, place)
        _keep(start, simulate(request, state, place, order), place, order)
    return start, order


@compiled
@typing.no_type_check
def try_decision(request, start, place, order):
    """Keeps a decision if it is better."""
    _keep(start, simulate(request, new_state(request), place, order), place, order)


@compiled
@typing.no_type_check
def try_rules(request, start):
    """Keeps greedy or HEFT if it is better."""
    state = new_state(request)
    place, order = greedy(request)
    _keep(start, simulate(request, state, place, order), place, order)
    place, order, _ = plan(request, HEFT)
    _keep(start, simulate(request, state, place, order), place, order)


@compiled
@typing.no_type_check
def try_noisy(request, start, num):
    """Keeps the best of greedy decisions that look ahead, if it is better.

    Each is about copies with noise: of ranks for the order, and for every second one of the speed
    of places and links. A task goes where it is done first, counting some of the time that at least
    has to follow there.
    """
    num_tasks, num_places = request.seconds.shape
    rate, delay = pair_costs(request)
    means = mean_costs(request, rate, delay)
    _, tail, _, _, _ = paths(request, rate, delay)
    seconds, moving, after = means[0].copy(), means[1].copy(), tail.copy()
    state, before, place = new_state(request), new_state(request), np.zeros(num_tasks, np.int64)
    slow_seconds, slow_rate = request.seconds.copy(), request.seconds_per_byte.copy()
    slow = Request(
        slow_seconds,
        request.first_edge,
        request.source,
        request.data,
        request.input,
        request.output,
        request.release,
        request.user,
        slow_rate,
        request.startup,
        request.first_hop,
        request.hops,
        request.serial,
        request.send_once,
        request.first_link,
        request.link_step,
        request.servers,
        request.first_server,
        request.own_place,
        request.own_ways,
        request.num_users,
    )
    for copy in range(num):
        weight = _LEAST + (_MOST - _LEAST) * np.random.random()
        for v in range(num_tasks):
            factor = math.exp(_RANK_NOISE * np.random.normal())
            seconds[v] = means[0][v] * factor
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                moving[e] = means[1][e] * factor
            for k in range(num_places):
                after[v, k] = weight * tail[v, k]
        order = by_decreasing(upward_ranks(request, seconds, moving, means[2]))
        reset(state)
        if copy % 2 == 0:
            greedy_places(request, rate, after, state, before, order, place)
        else:
            for k in range(num_places):
                factor = math.exp(_RATE_NOISE * np.random.normal())
                for v in range(num_tasks):
                    slow_seconds[v, k] = request.seconds[v, k] * factor
            for link in range(slow_rate.size):
                factor = math.exp(_RATE_NOISE * np.random.normal())
                slow_rate[link] = request.seconds_per_byte[link] * factor
            greedy_places(slow, rate, after, state, before, order, place)
        _keep(start, simulate(request, state, place, order), place, order)
