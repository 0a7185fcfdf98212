"""Simulated annealing over places and order of one request: compiled loops in float64.

A step changes the place of a task, or its position in the order as far as its needs allow, or both,
or takes tasks that hang together at one place to another. Only what stands from the first change on
is booked again, and no further than until the step is sure to be refused.
"""

import math
import typing
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.simulator import (
    State,
    compiled,
    inner,
    new_state,
    plain,
    readers,
    run_task,
)

# Shares of steps that change the place alone, of those that also move the task, and of those that
# take a group of tasks to one place. The others only move the task.
_PLACE_ALONE, _BOTH, _GROUP = 0.4, 0.15, 0.2
_REFUSED = math.inf


class Queues(NamedTuple):
    """Links, servers and makespan before each position of the order: `[N, R]`, `[N, S]`, `[N]`."""

    free: np.ndarray
    busy: np.ndarray
    makespan: np.ndarray


class Walker(NamedTuple):
    """Where annealing of a request stands.

    Attributes:
      place, order: int `[N]` the present decision.
      finish, position: `[N]` when each task is done and where it stands, in the present decision.
      best_place, best_order: int `[N]` the best decision so far.
      makespan: `[2]` of the present and of the best decision.
      queues: of the present decision.
      tried_place, tried_order, tried_queues: the decision of the step that is being tried.
      state: what the machine writes on.
      first_reader, reader: the edges by the task that they come from.
      stack: int `[N]` scratch.
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
    state: State
    first_reader: np.ndarray
    reader: np.ndarray
    stack: np.ndarray


@compiled
@typing.no_type_check
def seed(number):
    """Seeds the random numbers of this thread."""
    np.random.seed(number)


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
def new_walker(request, place, order):
    """A walker that begins at a decision."""
    return walker_from(request, new_state(request), place, order)


@compiled
@typing.no_type_check
def walker_from(request, found, place, order):
    """The same on a machine that is not empty: links and servers are free as in `found`."""
    state, queues = new_state(request), _new_queues(request)
    first_reader, reader, _ = readers(request)
    queues.free[0], queues.busy[0] = found.free, found.busy
    makespan = _simulate_from(request, state, place, order, np.int64(0), queues, queues, math.inf)
    return Walker(
        place.copy(),
        order.copy(),
        state.finish.copy(),
        state.position.copy(),
        place.copy(),
        order.copy(),
        np.array([makespan, makespan]),
        queues,
        place.copy(),
        order.copy(),
        _new_queues(request),
        state,
        first_reader,
        reader,
        np.zeros(order.size, np.int64),
    )


@plain
@typing.no_type_check
def _simulate_from(request, state, place, order, first, before, after, limit):
    """Books what stands from position `first` on; the makespan, `inf` if it exceeds `limit`.

    Args:
      before: the queues to begin with, at `first`.
      after: gets the queues from `first` on.
    """
    num_links, num_servers = state.free.size, state.busy.size
    makespan = before.makespan[first]
    for link in range(num_links):
        state.free[link] = before.free[first, link]
    for server in range(num_servers):
        state.busy[server] = before.busy[first, server]
    for u in range(state.crossed.shape[0]):
        for link in range(state.crossed.shape[1]):
            state.crossed[u, link] = -1.0
    for i in range(first, order.size):
        for link in range(num_links):
            after.free[i, link] = state.free[link]
        for server in range(num_servers):
            after.busy[i, server] = state.busy[server]
        after.makespan[i] = makespan
        task = order[i]
        state.position[task] = i
        _, _, back = run_task(request, state, task, place[task])
        makespan = max(makespan, max(back, state.finish[task]))
        if makespan > limit:
            return _REFUSED
    return makespan


@plain
@typing.no_type_check
def window(request, first_reader, reader, position, task):
    """The first and the last position that a task can move to, all others staying in order."""
    first, last = 0, position.size - 1
    for e in range(request.first_edge[task], request.first_edge[task + 1]):
        first = max(first, position[request.source[e]] + 1)
    for r in range(first_reader[task], first_reader[task + 1]):
        last = min(last, position[reader[r]] - 1)
    return first, last


@plain
@typing.no_type_check
def shift(order, origin, target):
    """Moves what stands at `origin` to `target`."""
    task = order[origin]
    step = 1 if target > origin else -1
    for i in range(origin, target, step):
        order[i] = order[i + step]
    order[target] = task


@plain
@typing.no_type_check
def _accept(walker, first, makespan):
    """The decision that is being tried becomes the present one."""
    walker.makespan[0] = makespan
    for i in range(first, walker.order.size):
        task = walker.tried_order[i]
        walker.order[i] = task
        walker.place[task] = walker.tried_place[task]
        walker.finish[task] = walker.state.finish[task]
        walker.position[task] = i
        for link in range(walker.queues.free.shape[1]):
            walker.queues.free[i, link] = walker.tried_queues.free[i, link]
        for server in range(walker.queues.busy.shape[1]):
            walker.queues.busy[i, server] = walker.tried_queues.busy[i, server]
        walker.queues.makespan[i] = walker.tried_queues.makespan[i]
    if makespan < walker.makespan[1]:
        walker.makespan[1] = makespan
        for i in range(walker.order.size):
            walker.best_order[i] = walker.order[i]
            walker.best_place[i] = walker.place[i]


@plain
@typing.no_type_check
def _refuse(walker, first):
    """The state and the decision to try go back to the present one."""
    for i in range(first, walker.order.size):
        task = walker.order[i]
        walker.tried_order[i] = task
        walker.tried_place[task] = walker.place[task]
        walker.state.finish[task] = walker.finish[task]
        walker.state.position[task] = i
        walker.state.place[task] = walker.place[task]


@plain
@typing.no_type_check
def _take_group(request, walker, task, place):
    """Takes a task to a place, with others that edges join to it where it was.

    As likely as drawn for all of them, an edge takes the other end along: few tasks, or all that
    hang together. A task that moves alone would pay for their data.

    Returns:
      The first position that changed.
    """
    here, first, likely = walker.place[task], walker.position[task], np.random.random()
    walker.tried_place[task] = place
    walker.stack[0] = task
    count = 1
    while count > 0:
        count -= 1
        v = walker.stack[count]
        first = min(first, walker.position[v])
        into, out_of = request.first_edge[v], walker.first_reader[v]
        num_into = request.first_edge[v + 1] - into
        for i in range(num_into + walker.first_reader[v + 1] - out_of):
            other = (
                request.source[into + i] if i < num_into else walker.reader[out_of + i - num_into]
            )
            if walker.tried_place[other] == here and np.random.random() < likely:
                walker.tried_place[other] = place
                walker.stack[count] = other
                count += 1
    return first


@compiled
@typing.no_type_check
def anneal(request, walker, num_steps, hottest, coldest):
    """Takes steps while the temperature falls geometrically.

    Args:
      request: what is decided about.
      walker: changed.
      num_steps: simulations to spend; all are counted, also those that end early.
      hottest, coldest: temperatures, as shares of the best makespan.
    """
    num_tasks, num_places = request.seconds.shape
    if num_places == 1 and num_tasks == 1:
        return
    cooling = math.log(coldest / hottest) / num_steps
    for step in range(num_steps):
        temperature = walker.makespan[1] * hottest * math.exp(cooling * step)
        # Until something possible is found, every step is taken.
        lost = walker.makespan[1] == math.inf
        heat = -math.log(1.0 - np.random.random())
        limit = math.inf if lost else walker.makespan[0] + temperature * heat
        task, kind = np.random.randint(num_tasks), np.random.random()
        origin = walker.position[task]
        target, place = origin, walker.place[task]
        if num_places > 1 and kind < _PLACE_ALONE + _BOTH + _GROUP:
            place = (place + 1 + np.random.randint(num_places - 1)) % num_places
        if _PLACE_ALONE <= kind < _PLACE_ALONE + _BOTH or kind >= _PLACE_ALONE + _BOTH + _GROUP:
            earliest, latest = window(
                request, walker.first_reader, walker.reader, walker.position, task
            )
            target = earliest + np.random.randint(latest - earliest + 1)
        if target == origin and place == walker.place[task]:
            continue
        first = min(origin, target)
        shift(walker.tried_order, origin, target)
        walker.tried_place[task] = place
        if _PLACE_ALONE + _BOTH <= kind < _PLACE_ALONE + _BOTH + _GROUP:
            first = _take_group(request, walker, task, place)
        if request.send_once:
            first = np.int64(0)
        makespan = _simulate_from(
            request,
            walker.state,
            walker.tried_place,
            walker.tried_order,
            first,
            walker.queues,
            walker.tried_queues,
            limit,
        )
        if makespan <= limit and (lost or makespan < math.inf):
            _accept(walker, first, makespan)
        else:
            _refuse(walker, first)
