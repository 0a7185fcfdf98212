"""Where the serial latency would have each task, compiled by numba: `_jax.beliefs`, once more."""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.simulator import inner, plain
from offload_jax.graphs._numba.ways import moving_seconds
from offload_jax.graphs.columns import ROUNDS, SAME


class Beliefs(NamedTuple):
    """What messages say of each task, and what follows it where all are as they say.

    Attributes:
      extra: `[N, K]` seconds of serial latency over those of the best place.
      place: int `[N]` a place of least serial latency, given those of what the task needs.
      tail: `[N, K]` seconds from its end at a place until all that follows is home.
      sent: `[N, K]` seconds of moving its results on and home, one after the other.
      rank: `[N]` seconds from its start at its own place until all is home.
    """

    extra: np.ndarray
    place: np.ndarray
    tail: np.ndarray
    sent: np.ndarray
    rank: np.ndarray


@plain
def _way(request, rate, delay, never, edge, user, j, k):
    if j == k:
        return 0.0
    return min(moving_seconds(request.data[edge], rate[user, j, k], delay[user, j, k]), never)


@inner
def _own_seconds(request, input_seconds, output_seconds, never):
    num_tasks, num_places = request.seconds.shape
    own = np.empty((num_tasks, num_places))
    for v in range(num_tasks):
        for k in range(num_places):
            total = request.seconds[v, k] + input_seconds[v, k] + output_seconds[v, k]
            own[v, k] = min(total, never)
    return own


@inner
def _shares(request):
    """`[N]`: what of its belief a task tells along each edge."""
    num_tasks = request.seconds.shape[0]
    readers = np.zeros(num_tasks)
    for u in request.source:
        readers[u] += 1.0
    for v in range(num_tasks):
        needed = request.first_edge[v + 1] - request.first_edge[v]
        readers[v] = 1.0 / max(readers[v], needed, 1.0)
    return readers


@plain
def _tell(request, rate, delay, never, edge, user, share, belief, onwards, told, message):
    """Tells one end of an edge what the other knows: the least over places of that one, from 0.

    To and fro a message takes the place of the one that answers it.
    """
    num_places, least = belief.size, math.inf
    for k in range(num_places):
        told[k] = share * belief[k] - message[k]
    for k in range(num_places):
        message[k] = math.inf
        for q in range(num_places):
            j, to = (q, k) if onwards else (k, q)
            way = _way(request, rate, delay, never, edge, user, j, to)
            message[k] = min(message[k], told[q] + way)
        least = min(least, message[k])
    for k in range(num_places):
        message[k] -= least


@inner
def beliefs(request, rate, delay, input_seconds, output_seconds, never):
    """The beliefs of a request.

    Args:
      rate, delay: `[U, K, K]` of `pair_costs`.
      input_seconds, output_seconds: `[N, K]`.
      never: seconds that count as infinitely many.
    """
    num_tasks, num_places = request.seconds.shape
    own, share = _own_seconds(request, input_seconds, output_seconds, never), _shares(request)
    belief, behind = own.copy(), np.zeros((num_tasks, num_places))
    message, told = np.zeros((request.source.size, num_places)), np.empty(num_places)
    ways = request, rate, delay, never
    for _ in range(ROUNDS):
        for v in range(num_tasks):
            for k in range(num_places):
                belief[v, k] = own[v, k] + behind[v, k]
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                u, user = request.source[e], request.user[v]
                _tell(*ways, e, user, share[u], belief[u], True, told, message[e])
                for k in range(num_places):
                    belief[v, k] += message[e, k]
        behind[:] = 0.0
        for v in range(num_tasks - 1, -1, -1):
            for k in range(num_places):
                belief[v, k] = own[v, k] + behind[v, k]
                for e in range(request.first_edge[v], request.first_edge[v + 1]):
                    belief[v, k] += message[e, k]
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                _tell(*ways, e, request.user[v], share[v], belief[v], False, told, message[e])
                for k in range(num_places):
                    behind[request.source[e], k] += message[e, k]
    place, total = np.zeros(num_tasks, np.int64), np.empty(num_places)
    for v in range(num_tasks):
        for k in range(num_places):
            total[k] = own[v, k] + behind[v, k]
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                j = place[request.source[e]]
                total[k] += _way(request, rate, delay, never, e, request.user[v], j, k)
        least, best = total.min(), belief[v].min()
        for k in range(num_places - 1, -1, -1):
            belief[v, k] -= best
            if total[k] <= least + SAME * never:
                place[v] = k
    tail, sent, rank = _what_follows(request, rate, delay, output_seconds, never, place)
    return Beliefs(belief, place, tail, sent, rank)


@inner
def _what_follows(request, rate, delay, output_seconds, never, place):
    num_tasks, num_places = request.seconds.shape
    tail = np.minimum(output_seconds, never)
    sent, rank = tail.copy(), np.zeros(num_tasks)
    for v in range(num_tasks - 1, -1, -1):
        rank[v] = min(request.seconds[v, place[v]], never) + tail[v, place[v]]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            for k in range(num_places):
                way = _way(request, rate, delay, never, e, request.user[v], k, place[v])
                tail[u, k] = max(tail[u, k], way + rank[v])
                sent[u, k] += way
    return tail, sent, rank
