"""Prices, loads and memory of placements of one request, in compiled loops."""

import math

import numpy as np

from offload_jax.graphs._numba.simulator import compiled, plain


@plain
def _cross(request, origin, target, size, moved):
    """Adds bytes to the links between two places; False where there is no way."""
    pair = origin * request.seconds.shape[1] + target
    first, last = request.first_hop[pair], request.first_hop[pair + 1]
    for h in range(first, last):
        moved[request.hops[h]] += size
    return first < last or origin == target


@plain
def spend(request, place, execution, per_byte, serial, reader, moved, busy, crossed, spent):
    """Writes price and period of places to `spent`; both are `inf` where they are impossible.

    Args:
      request: see `graphs.request`.
      place: int `[N]`.
      execution, per_byte: `[N, K]` and `[L]` prices.
      serial: bool `[L]`.
      reader: int `[M]` the task that each edge leads to.
      moved, busy: `[L]` and `[K]` scratch; `busy` is left with the seconds of each place.
      crossed: bool `[N, L]` scratch, read only where results are sent once.
      spent: `[2]` price and period.
    """
    moved[:] = 0.0
    busy[:] = 0.0
    price, possible = 0.0, True
    for v in range(place.size):
        here, home = place[v], request.home[v]
        price += execution[v, here]
        busy[here] += request.seconds[v, here]
        if request.input[v] > 0.0:
            possible &= _cross(request, home, here, request.input[v], moved)
        if request.output[v] > 0.0:
            possible &= _cross(request, here, home, request.output[v], moved)
    if request.send_once:
        crossed[:, :] = False
    for e in range(request.source.size):
        u, size = request.source[e], request.data[e]
        origin, target = place[u], place[reader[e]]
        if size > 0.0 and origin != target:
            if not request.send_once:
                possible &= _cross(request, origin, target, size, moved)
                continue
            pair = origin * request.seconds.shape[1] + target
            first, last = request.first_hop[pair], request.first_hop[pair + 1]
            possible &= first < last
            for h in range(first, last):
                link = request.hops[h]
                if not crossed[u, link]:
                    crossed[u, link] = True
                    moved[link] += size
    period = 0.0
    for k in range(busy.size):
        servers = request.first_server[k + 1] - request.first_server[k]
        possible &= busy[k] < math.inf
        if servers > 0:
            period = max(period, busy[k] / servers)
    for link in range(moved.size):
        if moved[link] > 0.0:
            price += moved[link] * per_byte[link]
            seconds = moved[link] * request.seconds_per_byte[link]
            possible &= seconds < math.inf
            if serial[link]:
                period = max(period, seconds)
    spent[0] = price if possible else math.inf
    spent[1] = period if possible else math.inf


@compiled
def new_scratch(request):
    """What `spend` writes on, and the reader of each edge."""
    num_tasks, num_places = request.seconds.shape
    num_links = request.startup.size
    reader = np.empty(request.source.size, np.int64)
    for v in range(num_tasks):
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            reader[e] = v
    crossed = np.zeros((num_tasks if request.send_once else 1, num_links), np.bool_)
    return reader, np.zeros(num_links), np.zeros(num_places), crossed, np.zeros(2)
