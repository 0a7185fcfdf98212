"""Simulated annealing over places and order of one request: compiled loops in float64.

A step changes the place of a task, or its position in the order as far as its needs allow, or both.
Only what stands from the first change on is booked again, and no further than until the step is
sure to be refused.
"""

import math
import typing
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.ranks import (
    by_decreasing,
    mean_costs,
    pair_costs,
    upward_ranks,
)
from offload_jax.graphs._numba.request import Request
from offload_jax.graphs._numba.rules import greedy_places
from offload_jax.graphs._numba.simulator import (
    Bench,
    book,
    compiled,
    inner,
    new_bench,
    plain,
    readers,
    simulate,
)

# Shares of steps that change the place alone, and of those that also move the task.
_PLACE_ALONE, _BOTH = 0.5, 0.15
_REFUSED = math.inf


class Queues(NamedTuple):
    """Links, servers and makespan before each position of the order: `[N, L]`, `[N, S]`, `[N]`."""

    free: np.ndarray
    busy: np.ndarray
    makespan: np.ndarray


class Walk(NamedTuple):
    """Where annealing of a request stands.

    Attributes:
      place, order: int `[N]` the present decision.
      finish, position: `[N]` when each task is done and where it stands, in the present decision.
      best_place, best_order: int `[N]` the best decision so far.
      makespan: `[2]` of the present and of the best decision.
      queues: of the present decision.
      tried_place, tried_order, tried_queues: the decision of the step that is being tried.
      bench: what the machine writes on.
      first_reader, reader: the edges by the task that they come from.
    """

    place: np.ndarray
    order: np.ndarray
    finish: np.ndarray
    position: np.ndarray
    best_place: np.ndarray
    best_order: np.ndarray
    makespan: np.ndarray
    queues: Queues
    tried_place: np.ndarray
    tried_order: np.ndarray
    tried_queues: Queues
    bench: Bench
    first_reader: np.ndarray
    reader: np.ndarray


@compiled
@typing.no_type_check
def seed(number):
    """Seeds the random numbers of this thread."""
    np.random.seed(number)


@compiled
@typing.no_type_check
def perturbed(request, num, rank_noise, rate_noise):
    """The best of `num` greedy decisions about noisy copies of a request; see `greedy.perturbed`.

    Returns:
      Place and order int `[N]`.
    """
    num_places = request.seconds.shape[1]
    rate, delay = pair_costs(request)
    mean_seconds, mean_moving, returning = mean_costs(request, rate, delay)
    bench, before = new_bench(request), new_bench(request)
    place = np.zeros(mean_seconds.size, np.int64)
    best, best_place, best_order = math.inf, place.copy(), place.copy()
    for copy in range(num):
        seconds, moving = mean_seconds.copy(), mean_moving.copy()
        world_seconds = request.seconds.copy()
        world_rate = request.seconds_per_byte.copy()
        if copy > 0:
            for v in range(seconds.size):
                seconds[v] *= math.exp(rank_noise * np.random.normal())
            for e in range(moving.size):
                moving[e] *= math.exp(rank_noise * np.random.normal())
            if copy % 2 == 0:
                for k in range(num_places):
                    slower = math.exp(rate_noise * np.random.normal())
                    for v in range(seconds.size):
                        world_seconds[v, k] *= slower
                for link in range(world_rate.size):
                    world_rate[link] *= math.exp(rate_noise * np.random.normal())
        world = Request(
            world_seconds,
            request.first_edge,
            request.source,
            request.data,
            request.input,
            request.output,
            request.release,
            request.home,
            world_rate,
            request.startup,
            request.first_hop,
            request.hops,
            request.first_server,
            request.serial,
            request.send_once,
        )
        order = by_decreasing(upward_ranks(request, seconds, moving, returning))
        greedy_places(world, rate, bench, before, order, place)
        makespan = simulate(request, bench, place, order)
        if copy == 0 or makespan < best:
            best = makespan
            best_place, best_order = place.copy(), order
    return best_place, best_order


@inner
@typing.no_type_check
def _new_queues(request):
    num_tasks, num_places = request.seconds.shape
    return Queues(
        np.zeros((num_tasks, request.startup.size)),
        np.zeros((num_tasks, request.first_server[num_places])),
        np.zeros(num_tasks),
    )


@compiled
@typing.no_type_check
def start(request, place, order):
    """A walk that begins at a decision."""
    bench, queues = new_bench(request), _new_queues(request)
    first_reader, reader, _ = readers(request)
    makespan = _book_from(request, bench, place, order, np.int64(0), queues, queues, math.inf)
    return Walk(
        place.copy(),
        order.copy(),
        bench.finish.copy(),
        bench.position.copy(),
        place.copy(),
        order.copy(),
        np.array([makespan, makespan]),
        queues,
        place.copy(),
        order.copy(),
        _new_queues(request),
        bench,
        first_reader,
        reader,
    )


@plain
@typing.no_type_check
def _book_from(request, bench, place, order, first, before, after, limit):
    """Books what stands from position `first` on; the makespan, `inf` if it exceeds `limit`.

    Args:
      before: the queues to begin with, at `first`.
      after: gets the queues from `first` on.
    """
    num_links, num_servers = bench.free.size, bench.busy.size
    makespan = before.makespan[first]
    for link in range(num_links):
        bench.free[link] = before.free[first, link]
    for server in range(num_servers):
        bench.busy[server] = before.busy[first, server]
    for u in range(bench.copies.shape[0]):
        for k in range(bench.copies.shape[1]):
            bench.copies[u, k] = -1.0
    for i in range(first, order.size):
        for link in range(num_links):
            after.free[i, link] = bench.free[link]
        for server in range(num_servers):
            after.busy[i, server] = bench.busy[server]
        after.makespan[i] = makespan
        task = order[i]
        bench.position[task] = i
        _, _, back = book(request, bench, task, place[task])
        makespan = max(makespan, max(back, bench.finish[task]))
        if makespan > limit:
            return _REFUSED
    return makespan


@plain
@typing.no_type_check
def _window(request, walk, task):
    """The first and the last position that a task can move to, all others staying in order."""
    first, last = 0, walk.order.size - 1
    for e in range(request.first_edge[task], request.first_edge[task + 1]):
        first = max(first, walk.position[request.source[e]] + 1)
    for r in range(walk.first_reader[task], walk.first_reader[task + 1]):
        last = min(last, walk.position[walk.reader[r]] - 1)
    return first, last


@plain
@typing.no_type_check
def _shift(order, origin, target):
    """Moves what stands at `origin` to `target`."""
    task = order[origin]
    step = 1 if target > origin else -1
    for i in range(origin, target, step):
        order[i] = order[i + step]
    order[target] = task


@plain
@typing.no_type_check
def _accept(walk, first, makespan):
    """The decision that is being tried becomes the present one."""
    walk.makespan[0] = makespan
    for i in range(first, walk.order.size):
        task = walk.tried_order[i]
        walk.order[i] = task
        walk.place[task] = walk.tried_place[task]
        walk.finish[task] = walk.bench.finish[task]
        walk.position[task] = i
        for link in range(walk.queues.free.shape[1]):
            walk.queues.free[i, link] = walk.tried_queues.free[i, link]
        for server in range(walk.queues.busy.shape[1]):
            walk.queues.busy[i, server] = walk.tried_queues.busy[i, server]
        walk.queues.makespan[i] = walk.tried_queues.makespan[i]
    if makespan < walk.makespan[1]:
        walk.makespan[1] = makespan
        for i in range(walk.order.size):
            walk.best_order[i] = walk.order[i]
            walk.best_place[i] = walk.place[i]


@plain
@typing.no_type_check
def _refuse(walk, first):
    """The bench and the decision to try go back to the present one."""
    for i in range(first, walk.order.size):
        task = walk.order[i]
        walk.tried_order[i] = task
        walk.tried_place[task] = walk.place[task]
        walk.bench.finish[task] = walk.finish[task]
        walk.bench.position[task] = i
        walk.bench.place[task] = walk.place[task]


@compiled
@typing.no_type_check
def anneal(request, walk, num_steps, hottest, coldest):
    """Takes steps while the temperature falls geometrically.

    Args:
      request: what is decided about.
      walk: changed.
      num_steps: simulations to spend; all are counted, also those that end early.
      hottest, coldest: temperatures, as shares of the best makespan.
    """
    num_tasks, num_places = request.seconds.shape
    if num_places == 1 and num_tasks == 1:
        return
    cooling = math.log(coldest / hottest) / num_steps
    for step in range(num_steps):
        temperature = walk.makespan[1] * hottest * math.exp(cooling * step)
        # Until something possible is found, every step is taken.
        lost = walk.makespan[1] == math.inf
        heat = -math.log(1.0 - np.random.random())
        limit = math.inf if lost else walk.makespan[0] + temperature * heat
        task, kind = np.random.randint(num_tasks), np.random.random()
        origin = walk.position[task]
        target, place = origin, walk.place[task]
        if num_places > 1 and kind < _PLACE_ALONE + _BOTH:
            place = (place + 1 + np.random.randint(num_places - 1)) % num_places
        if kind >= _PLACE_ALONE:
            earliest, latest = _window(request, walk, task)
            target = earliest + np.random.randint(latest - earliest + 1)
        if target == origin and place == walk.place[task]:
            continue
        first = np.int64(0) if request.send_once else min(origin, target)
        _shift(walk.tried_order, origin, target)
        walk.tried_place[task] = place
        makespan = _book_from(
            request,
            walk.bench,
            walk.tried_place,
            walk.tried_order,
            first,
            walk.queues,
            walk.tried_queues,
            limit,
        )
        if makespan <= limit and (lost or makespan < math.inf):
            _accept(walk, first, makespan)
        else:
            _refuse(walk, first)
