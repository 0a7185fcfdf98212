"""What a learned policy sees at every step, compiled by numba: `_jax.observation`, once more."""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.simulator import (
    copy_queues,
    inner,
    link_of,
    plain,
    run_task,
    servers_of,
)
from offload_jax.graphs._numba.task_features import bounded
from offload_jax.graphs._numba.ways import moving_seconds
from offload_jax.graphs.columns import LEAST_OWN, NUM_PLACE, NUM_STEP


class Observation(NamedTuple):
    """What is seen of the task that is to be placed.

    Attributes:
      ready, start, finish, back: `[K]` of the task that is to be placed, at each place.
      busier: `[K]` by how much the links are free later, all together.
      resident_bytes: `[N, K]` bytes for each task that lie at each place.
      left, to_fetch, to_return: `[U, K]` of all tasks that come after it, running times and
        seconds of moving inputs and outputs; in row 0 where users share the place or the way.
      agreed_left: `[U, K]` running times of those of them that `beliefs` would have there.
      places: float32 `[K, NUM_PLACE]` for the network.
      step: float32 `[1, NUM_STEP]` likewise.
    """

    ready: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    back: np.ndarray
    busier: np.ndarray
    resident_bytes: np.ndarray
    left: np.ndarray
    to_fetch: np.ndarray
    to_return: np.ndarray
    agreed_left: np.ndarray
    places: np.ndarray
    step: np.ndarray


@inner
def new_observation(request):
    num_tasks, num_places = request.seconds.shape
    return Observation(
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros(num_places),
        np.zeros((num_tasks, num_places)),
        np.zeros((request.num_users, num_places)),
        np.zeros((request.num_users, num_places)),
        np.zeros((request.num_users, num_places)),
        np.zeros((request.num_users, num_places)),
        np.zeros((num_places, NUM_PLACE), np.float32),
        np.zeros((1, NUM_STEP), np.float32),
    )


@plain
def start(request, features, observation):
    """Makes `observation` that of a schedule in which nothing is booked."""
    num_tasks, num_places = request.seconds.shape
    for k in range(num_places):
        for user in range(request.num_users):
            observation.left[user, k] = observation.agreed_left[user, k] = 0.0
            observation.to_fetch[user, k] = observation.to_return[user, k] = 0.0
        for v in range(num_tasks):
            observation.resident_bytes[v, k] = 0.0
            _count(request, features, observation, v, k, 1.0)


@plain
def _count(request, features, observation, task, k, sign):
    """Adds what a task has to do to what is left, or takes it off."""
    if request.seconds[task, k] < math.inf:
        row = request.user[task] * request.own_place[k]
        observation.left[row, k] += sign * request.seconds[task, k]
        if k == features.agreed.place[task]:
            observation.agreed_left[row, k] += sign * request.seconds[task, k]
    row = request.user[task] * request.own_ways[k]
    if features.input_seconds[task, k] < math.inf:
        observation.to_fetch[row, k] += sign * features.input_seconds[task, k]
    if features.output_seconds[task, k] < math.inf:
        observation.to_return[row, k] += sign * features.output_seconds[task, k]


@plain
def _latest(request, state, user, k, inwards):
    """When the links of ways into or out of a place are free, the last of each, in the mean."""
    num_places = request.seconds.shape[1]
    total, count = 0.0, 0
    for j in range(num_places):
        pair = j * num_places + k if inwards else k * num_places + j
        first, last = request.first_hop[pair], request.first_hop[pair + 1]
        if j != k and first < last:
            latest = 0.0
            for h in range(first, last):
                latest = max(latest, state.free[link_of(request, request.hops[h], user)])
            total += latest
            count += 1
    return total / max(count, 1)


@plain
def _write_columns(request, features, state, observation, task):
    """Writes what the network gets for a task, once every place has been tried."""
    num_places = request.seconds.shape[1]
    per_scale, unit, sent = 1.0 / features.scale, features.unit, features.sent[task]
    user, agreed = request.user[task], features.agreed
    first, least, longest, last = math.inf, math.inf, 0.0, 0.0
    least_agreed, own = math.inf, 0.0
    for k in range(num_places):
        if request.seconds[task, k] < math.inf:
            own += request.seconds[task, k] / num_places
        if features.live[task, k]:
            finish = observation.finish[k]
            least_agreed = min(least_agreed, finish + agreed.tail[task, k])
            first = min(first, finish)
            least = min(least, finish + features.tail[task, k])
            longest = max(longest, finish + features.tail[task, k])
            if finish < math.inf:
                last = max(last, finish)
    if first == math.inf:
        first = 0.0
    if least == math.inf:
        least = 0.0
    if least_agreed == math.inf:
        least_agreed = 0.0
    own += sent + LEAST_OWN * features.scale
    readers = range(features.first_reader[task], features.first_reader[task + 1])
    for k in range(num_places):
        beside, fetching = 0.0, 0.0
        for j in range(num_places):
            resident = 0.0
            for r in readers:
                resident += observation.resident_bytes[features.reader[r], j]
            if j == k:
                beside = resident
            else:
                fetching += moving_seconds(resident, features.rate[user, j, k], 0.0)
        seconds = request.seconds[task, k]
        if seconds == math.inf:
            seconds = 0.0
        idle, work, agreed_work = first, 0.0, 0.0
        first_server, last_server = servers_of(request, k, user)
        if last_server > first_server:
            idle = math.inf
            for s in range(first_server, last_server):
                idle = min(idle, state.busy[s])
            row, servers = user * request.own_place[k], last_server - first_server
            work = (observation.left[row, k] + seconds) / servers
            agreed_work = observation.agreed_left[row, k] / servers
        finish, tail = observation.finish[k], features.tail[task, k]
        agreed_tail = agreed.tail[task, k]
        way = user * request.own_ways[k]
        values = (
            observation.ready[k] - first,  # ready
            observation.start[k] - first,  # start
            finish - first,  # finish
            observation.back[k] - first,  # back
            finish + tail - least,  # beside_least
            tail,  # tail
            seconds,  # seconds
            observation.start[k] - observation.ready[k],  # wait
            idle - first,  # idle
            work,  # work_left
            idle + work - first,  # drained
            observation.busier[k],  # link_seconds
            _latest(request, state, user, k, True) - first,  # inbound
            _latest(request, state, user, k, False) - first,  # outbound
            beside * unit,  # sibling_bytes
            fetching,  # sibling_fetch
            observation.resident_bytes[task, k] * unit,  # resident
            observation.to_fetch[way, k],  # inputs_left
            observation.to_return[way, k],  # outputs_left
            features.single_place_seconds[user, k],  # single_place
            idle + work + observation.to_return[way, k] - least,  # drained_home
            agreed.extra[task, k],  # extra
            agreed_tail,  # agreed_tail
            agreed.sent[task, k],  # agreed_sent
            agreed_work,  # agreed_left
            idle + agreed_work - first,  # agreed_drained
            finish + agreed_tail - least,  # agreed_through
            sent * features.far[user, k] / max(unit, 1e-30),  # sent_far
        )
        for i in range(len(values)):
            observation.places[k, i] = bounded(values[i] * per_scale)
        gaps = (
            finish - first,  # finish_gap
            finish + tail - least,  # through_gap
            finish + agreed_tail - least_agreed,  # agreed_gap
            agreed.extra[task, k],  # extra_gap
            observation.start[k] - observation.ready[k],  # wait_gap
        )
        for i in range(len(gaps)):
            more = max(gaps[i], 0.0)  # Dead places may be earlier.
            share = more / (more + own) if gaps[i] < math.inf else 1.0
            observation.places[k, len(values) + i] = share
    step = first, least, sent, longest - least, last - first
    for i in range(NUM_STEP):
        observation.step[0, i] = bounded(step[i] * per_scale)


@plain
def observe(request, features, state, before, observation, task):
    """Tries a task at every place and writes what is seen of it; `before` is a second state."""
    num_places = request.seconds.shape[1]
    copy_queues(request, state, before, task)
    for k in range(num_places):
        observation.ready[k], observation.start[k], observation.back[k] = run_task(
            request, state, task, k
        )
        observation.finish[k] = state.finish[task]
        observation.busier[k] = 0.0
        for link in range(request.serial.size):
            entry = link_of(request, link, request.user[task])
            observation.busier[k] += state.free[entry] - before.free[entry]
        copy_queues(request, before, state, task)
        _count(request, features, observation, task, k, -1.0)
    _write_columns(request, features, state, observation, task)


@plain
def place_task(request, features, state, observation, task, k):
    """Books a task and keeps what its readers will find; gives when it is done and home."""
    _, _, back = run_task(request, state, task, k)
    for r in range(features.first_reader[task], features.first_reader[task + 1]):
        observation.resident_bytes[features.reader[r], k] += request.data[features.edge[r]]
    return max(back, state.finish[task])
