"""What a learned policy knows of one request, compiled by numba: `_jax.task_features`, once more.

Times are float64; what the network gets is float32, columns in the order of `columns`.
"""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.beliefs import Beliefs, beliefs
from offload_jax.graphs._numba.ranks import (
    empty_tasks,
    is_live,
    mean_costs,
    pair_costs,
    upward_ranks,
)
from offload_jax.graphs._numba.simulator import inner, plain, readers
from offload_jax.graphs._numba.ways import paths
from offload_jax.graphs.columns import LIMIT, NEVER, NUM_TASK


class TaskFeatures(NamedTuple):
    """What is known of a request before anything is booked, as `_jax.task_features.TaskFeatures`.

    Attributes:
      task: float32 `[N, NUM_TASK + M]`; the last columns are for what tasks hear of each other.
      tail, input_seconds, output_seconds: `[N, K]`.
      live: bool `[N, K]`.
      empty: bool `[N]`.
      sent: `[N]` mean seconds of moving what others need of a task.
      rate: `[U, K, K]` seconds per byte.
      far: `[U, K]` mean seconds per byte from a place to the others.
      single_place_seconds: `[U, K]`.
      agreed: of `beliefs`.
      scale, unit: of times, and seconds per byte.
      first_reader, reader, edge: as `readers` gives them.
    """

    task: np.ndarray
    tail: np.ndarray
    input_seconds: np.ndarray
    output_seconds: np.ndarray
    live: np.ndarray
    empty: np.ndarray
    sent: np.ndarray
    rate: np.ndarray
    far: np.ndarray
    single_place_seconds: np.ndarray
    agreed: Beliefs
    scale: float
    unit: float
    first_reader: np.ndarray
    reader: np.ndarray
    edge: np.ndarray


@plain
def bounded(value):
    if math.isnan(value):
        return LIMIT
    return min(max(value, -LIMIT), LIMIT)


@inner
def _all_at_one_place(request, input_seconds, output_seconds):
    """`[U, K]` seconds of all that a user's tasks may have to wait for there.

    These are the user's own tasks, and where users share what they need, those of all. Places
    without limit run all at once.
    """
    num_tasks, num_places = request.seconds.shape
    moving, total, longest = np.zeros((3, request.num_users, num_places))
    for v in range(num_tasks):
        for k in range(num_places):
            row = request.user[v] * request.own_place[k]
            total[row, k] += request.seconds[v, k]
            longest[row, k] = max(longest[row, k], request.seconds[v, k])
            row = request.user[v] * request.own_ways[k]
            moving[row, k] += input_seconds[v, k] + output_seconds[v, k]
    seconds = np.zeros((request.num_users, num_places))
    for user in range(request.num_users):
        for k in range(num_places):
            row = user * request.own_place[k]
            servers = request.servers[k]
            seconds[user, k] = moving[user * request.own_ways[k], k]
            seconds[user, k] += total[row, k] / servers if servers > 0 else longest[row, k]
    return seconds


@inner
def _mean_rates(rate):
    """`[U, K]` mean seconds per byte from a place to others, dead ways left out."""
    far = np.zeros(rate.shape[:2])
    for user in range(rate.shape[0]):
        for k in range(rate.shape[1]):
            count = 0
            for j in range(rate.shape[1]):
                if j != k and rate[user, k, j] < math.inf:
                    far[user, k] += rate[user, k, j]
                    count += 1
            far[user, k] /= max(count, 1)
    return far


@inner
def task_features(request, num_messages):
    """The features of a request, with `num_messages` columns of `task` left to write."""
    num_tasks, num_places = request.seconds.shape
    rate, delay = pair_costs(request)
    mean, moving, returning = mean_costs(request, rate, delay)
    rank = upward_ranks(request, mean, moving, returning)
    empty = empty_tasks(request)
    live = np.empty((num_tasks, num_places), np.bool_)
    count, highest = 0, 0.0
    for v in range(num_tasks):
        for k in range(num_places):
            live[v, k] = is_live(rate, request.user[v], k)
        if empty[v]:
            rank[v] = -1.0
        else:
            count += 1
        highest = max(highest, rank[v])
    if highest == 0.0:
        highest = 1.0
    head, tail, through, input_seconds, output_seconds = paths(request, rate, delay)
    bound = through.max()
    single_place_seconds = _all_at_one_place(request, input_seconds, output_seconds)
    # Of the user who is worst off where all stand best.
    scale = 0.0
    for user in range(request.num_users):
        scale = max(scale, single_place_seconds[user].min())
    if scale == math.inf:
        scale = bound
    if not 0.0 < scale < math.inf:
        scale = 1.0

    agreed = beliefs(request, rate, delay, input_seconds, output_seconds, NEVER * scale)
    agreed_highest = max(agreed.rank.max(), 1e-30)

    # By edge: seconds to all readers, to the worst one, and from what is needed; ranks of readers.
    sent, most, got = np.zeros(num_tasks), np.zeros(num_tasks), np.zeros(num_tasks)
    ranks, sent_bytes = np.zeros(num_tasks), np.zeros(num_tasks)
    total_moved, total_bytes = 0.0, 0.0
    for v in range(num_tasks):
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            sent[u] += moving[e]
            most[u] = max(most[u], moving[e])
            got[v] += moving[e]
            ranks[u] += rank[v] / highest
            sent_bytes[u] += request.data[e]
            total_moved += moving[e]
            total_bytes += request.data[e]
    unit = total_moved / (total_bytes if total_bytes > 0.0 else 1.0)
    first_reader, reader, edge = readers(request)
    task = np.empty((num_tasks, NUM_TASK + num_messages), np.float32)
    for v in range(num_tasks):
        shortest, longest, fetching, margin = math.inf, 0.0, 0.0, math.inf
        own_seconds = request.seconds[v, agreed.place[v]]
        if own_seconds == math.inf:
            own_seconds = 0.0
        for k in range(num_places):
            if k != agreed.place[v]:
                margin = min(margin, agreed.extra[v, k])
            if live[v, k]:
                shortest = min(shortest, request.seconds[v, k])
                if request.seconds[v, k] < math.inf:
                    longest = max(longest, request.seconds[v, k])
                fetching = max(fetching, input_seconds[v, k])
        values = (
            rank[v] / scale,  # rank
            rank[v] / highest,  # rank_share
            mean[v] / scale,  # mean_seconds
            shortest / scale,  # least_seconds
            longest / scale,  # most_seconds
            head[v].min() / scale,  # head
            tail[v].min() / scale,  # tail
            (bound - through[v]) / scale,  # slack
            (sent[v] + returning[v]) / scale,  # moved_on
            most[v] / scale,  # most_moved
            got[v] / scale,  # moved_in
            fetching / scale,  # input
            (first_reader[v + 1] - first_reader[v]) / 4.0,  # num_readers
            (request.first_edge[v + 1] - request.first_edge[v]) / 4.0,  # num_needed
            returning[v] / scale,  # returning
            ranks[v] / 4.0,  # reader_ranks
            bound / scale,  # bound
            highest / scale,  # highest_rank
            mean.sum() / 4.0 / scale,  # total_seconds
            total_moved / 4.0 / scale,  # total_moved
            agreed.rank[v] / scale,  # agreed_rank
            agreed.rank[v] / agreed_highest,  # agreed_rank_share
            margin / scale,  # margin
            own_seconds / scale,  # agreed_seconds
            agreed_highest / scale,  # agreed_highest
            np.log2(max(count, 1)) / 4.0,  # num_tasks
        )
        for i in range(NUM_TASK):
            task[v, i] = bounded(values[i])
        sent_bytes[v] *= unit
    return TaskFeatures(
        task,
        tail,
        input_seconds,
        output_seconds,
        live,
        empty,
        sent_bytes,
        rate,
        _mean_rates(rate),
        single_place_seconds,
        agreed,
        scale,
        unit,
        first_reader,
        reader,
        edge,
    )
