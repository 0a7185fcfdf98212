"""Where the serial latency would have each task, compiled by numba: `_jax.beliefs`, once more."""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._numba.simulator import fused, inner
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


@inner
def _way_seconds(request, rate, delay, never):
    """`[M, K, K]` of moving what is on an edge from a place to a place."""
    num_tasks, num_places = request.seconds.shape
    way = np.zeros((request.source.size, num_places, num_places))
    for v in range(num_tasks):
        user = request.user[v]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            for j in range(num_places):
                for k in range(num_places):
                    if j != k:
                        moving = moving_seconds(
                            request.data[e], rate[user, j, k], delay[user, j, k]
                        )
                        way[e, j, k] = min(moving, never)
    return way


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


@fused
def _tell(way, told, message, edge, onwards):
    """Tells one end of an edge what the other knows: the least over places of that one, from 0.

    To and fro a message takes the place of the one that answers it.
    """
    num_places, least = told.size, math.inf
    for k in range(num_places):
        first = math.inf
        for q in range(num_places):
            first = min(first, told[q] + (way[edge, q, k] if onwards else way[edge, k, q]))
        message[edge, k] = first
        least = min(least, first)
    for k in range(num_places):
        message[edge, k] -= least


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
    way = _way_seconds(request, rate, delay, never)
    first_edge, source = request.first_edge, request.source
    for _ in range(ROUNDS):
        for v in range(num_tasks):
            for k in range(num_places):
                belief[v, k] = own[v, k] + behind[v, k]
            for e in range(first_edge[v], first_edge[v + 1]):
                u = source[e]
                for k in range(num_places):
                    told[k] = share[u] * belief[u, k] - message[e, k]
                _tell(way, told, message, e, True)
                for k in range(num_places):
                    belief[v, k] += message[e, k]
        behind[:] = 0.0
        for v in range(num_tasks - 1, -1, -1):
            for k in range(num_places):
                belief[v, k] = own[v, k] + behind[v, k]
                for e in range(first_edge[v], first_edge[v + 1]):
                    belief[v, k] += message[e, k]
            for e in range(first_edge[v], first_edge[v + 1]):
                for k in range(num_places):
                    told[k] = share[v] * belief[v, k] - message[e, k]
                _tell(way, told, message, e, False)
                for k in range(num_places):
                    behind[source[e], k] += message[e, k]
    place, total = np.zeros(num_tasks, np.int64), np.empty(num_places)
    for v in range(num_tasks):
        for k in range(num_places):
            total[k] = own[v, k] + behind[v, k]
            for e in range(first_edge[v], first_edge[v + 1]):
                total[k] += way[e, place[source[e]], k]
        least, best = total.min(), belief[v].min()
        for k in range(num_places - 1, -1, -1):
            belief[v, k] -= best
            if total[k] <= least + SAME * never:
                place[v] = k
    tail, sent, rank = _what_follows(request, way, output_seconds, never, place)
    return Beliefs(belief, place, tail, sent, rank)


@inner
def _what_follows(request, way, output_seconds, never, place):
    num_tasks, num_places = request.seconds.shape
    tail = np.minimum(output_seconds, never)
    sent, rank = tail.copy(), np.zeros(num_tasks)
    for v in range(num_tasks - 1, -1, -1):
        rank[v] = min(request.seconds[v, place[v]], never) + tail[v, place[v]]
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            for k in range(num_places):
                moving = way[e, k, place[v]]
                tail[u, k] = max(tail[u, k], moving + rank[v])
                sent[u, k] += moving
    return tail, sent, rank
