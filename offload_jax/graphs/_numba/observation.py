"""What a learned policy sees on its way through a schedule, compiled by numba: `features.look`."""

import math
import typing
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._jax.task_features import NUM_PLACE, NUM_STEP
from offload_jax.graphs._numba.simulator import book, copy_queues, inner, plain
from offload_jax.graphs._numba.task_features import bounded, moving_seconds


class Sight(NamedTuple):
    """What is seen on the way through a schedule.

    Attributes:
      ready, start, finish, back: `[K]` of the task that is to be placed, at each place.
      busier: `[K]` by how much the links are free later, all together.
      lying: `[N, K]` bytes for each task that lie at each place.
      left, to_fetch, to_return: `[K]` of all tasks that come after it, running times and
        seconds of moving inputs and outputs.
      places: float32 `[K, NUM_PLACE]` for the network.
      step: float32 `[1, NUM_STEP]` likewise.
    """

    ready: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    back: np.ndarray
    busier: np.ndarray
    lying: np.ndarray
    left: np.ndarray
    to_fetch: np.ndarray
    to_return: np.ndarray
    places: np.ndarray
    step: np.ndarray


@inner
@typing.no_type_check
def new_sight(request):
    num_tasks, num_places = request.seconds.shape
    return Sight(
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros((num_tasks, num_places)),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros((num_places, NUM_PLACE), np.float32),
        np.zeros((1, NUM_STEP), np.float32),
    )


@plain
@typing.no_type_check
def begin(request, known, sight):
    """Makes `sight` that of a schedule in which nothing is booked."""
    num_tasks, num_places = request.seconds.shape
    for k in range(num_places):
        sight.left[k] = sight.to_fetch[k] = sight.to_return[k] = 0.0
        for v in range(num_tasks):
            sight.lying[v, k] = 0.0
            _count(request, known, sight, v, k, 1.0)


@plain
@typing.no_type_check
def _count(request, known, sight, task, k, sign):
    """Adds what a task has to do to what is left, or takes it off."""
    if request.seconds[task, k] < math.inf:
        sight.left[k] += sign * request.seconds[task, k]
    if known.there[task, k] < math.inf:
        sight.to_fetch[k] += sign * known.there[task, k]
    if known.back[task, k] < math.inf:
        sight.to_return[k] += sign * known.back[task, k]


@plain
@typing.no_type_check
def _latest(request, bench, k, inwards):
    """When the links of ways into or out of a place are free, the last of each, in the mean."""
    num_places = request.seconds.shape[1]
    total, count = 0.0, 0
    for j in range(num_places):
        pair = j * num_places + k if inwards else k * num_places + j
        first, last = request.first_hop[pair], request.first_hop[pair + 1]
        if j != k and first < last:
            latest = 0.0
            for h in range(first, last):
                latest = max(latest, bench.free[request.hops[h]])
            total += latest
            count += 1
    return total / max(count, 1)


@plain
@typing.no_type_check
def _see(request, known, bench, sight, task):
    """Writes what the network gets for a task, once every place has been tried."""
    num_places = request.seconds.shape[1]
    per_scale, unit, sent = 1.0 / known.scale, known.unit, known.sent[task]
    first, least, longest, last = math.inf, math.inf, 0.0, 0.0
    for k in range(num_places):
        if known.live[task, k]:
            finish = sight.finish[k]
            first = min(first, finish)
            least = min(least, finish + known.onward[task, k])
            longest = max(longest, finish + known.onward[task, k])
            if finish < math.inf:
                last = max(last, finish)
    if first == math.inf:
        first = 0.0
    if least == math.inf:
        least = 0.0
    readers = range(known.first_reader[task], known.first_reader[task + 1])
    for k in range(num_places):
        beside, fetching = 0.0, 0.0
        for j in range(num_places):
            lying = 0.0
            for r in readers:
                lying += sight.lying[known.reader[r], j]
            if j == k:
                beside = lying
            else:
                fetching += moving_seconds(lying, known.rate[j, k], 0.0)
        seconds = request.seconds[task, k]
        if seconds == math.inf:
            seconds = 0.0
        idle, work = first, 0.0
        first_server, last_server = request.first_server[k], request.first_server[k + 1]
        if last_server > first_server:
            idle = math.inf
            for s in range(first_server, last_server):
                idle = min(idle, bench.busy[s])
            work = (sight.left[k] + seconds) / (last_server - first_server)
        finish, onward = sight.finish[k], known.onward[task, k]
        values = (
            sight.ready[k] - first,
            sight.start[k] - first,
            finish - first,
            sight.back[k] - first,
            finish + onward - least,
            onward,
            seconds,
            sight.start[k] - sight.ready[k],
            idle - first,
            work,
            idle + work - first,
            sight.busier[k],
            _latest(request, bench, k, True) - first,
            _latest(request, bench, k, False) - first,
            beside * unit,
            fetching,
            sight.lying[task, k] * unit,
            sight.to_fetch[k],
            sight.to_return[k],
            known.alone[k],
            idle + work + sight.to_return[k] - least,
            sent * known.far[k] / max(unit, 1e-30),
        )
        for i in range(NUM_PLACE):
            sight.places[k, i] = bounded(values[i] * per_scale)
    step = first, least, sent, longest - least, last - first
    for i in range(NUM_STEP):
        sight.step[0, i] = bounded(step[i] * per_scale)


@plain
@typing.no_type_check
def look(request, known, bench, before, sight, task):
    """Tries a task at every place and writes what is seen of it; `before` is a second bench."""
    num_places = request.seconds.shape[1]
    copy_queues(bench, before, task)
    for k in range(num_places):
        sight.ready[k], sight.start[k], sight.back[k] = book(request, bench, task, k)
        sight.finish[k] = bench.finish[task]
        sight.busier[k] = 0.0
        for link in range(bench.free.size):
            sight.busier[k] += bench.free[link] - before.free[link]
        copy_queues(before, bench, task)
        _count(request, known, sight, task, k, -1.0)
    _see(request, known, bench, sight, task)


@plain
@typing.no_type_check
def place_task(request, known, bench, sight, task, k):
    """Books a task and keeps what its readers will find; gives when it is done and home."""
    _, _, back = book(request, bench, task, k)
    for r in range(known.first_reader[task], known.first_reader[task + 1]):
        sight.lying[known.reader[r], k] += request.data[known.edge[r]]
    return max(back, bench.finish[task])
