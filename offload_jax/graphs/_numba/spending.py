"""Prices, loads and memory of placements of one request, in compiled loops."""

import math

import numpy as np

from offload_jax.graphs._numba.simulator import compiled, link_of, plain


@plain
def _cross(request, user, pair, size, moved):
    """Adds bytes to the links between two places; False where there is no way."""
    first, last = request.first_hop[pair], request.first_hop[pair + 1]
    for h in range(first, last):
        moved[link_of(request, request.hops[h], user)] += size
    return first < last


@plain
def spend(request, place, execution, per_byte, serial, reader, moved, busy, crossed, spent):
    """Writes price and period of places to `spent`; both are `inf` where they are impossible.

    Args:
      request: see `graphs.request`.
      place: int `[N]`.
      execution, per_byte: `[N, K]` and `[R]` prices.
      serial: bool `[L]`.
      reader: int `[M]` the task that each edge leads to.
      moved, busy: `[R]` and `[U, K]` scratch; `busy` is left with the seconds of each place, in
        row 0 where users share it.
      crossed: bool `[N, L]` scratch, read only where results are sent once.
      spent: `[2]` price and period.
    """
    num_places = request.seconds.shape[1]
    moved[:] = 0.0
    busy[:, :] = 0.0
    price, possible = 0.0, True
    for v in range(place.size):
        here, user = place[v], request.user[v]
        price += execution[v, here]
        busy[request.own_place[here] * user, here] += request.seconds[v, here]
        if request.input[v] > 0.0 and here > 0:
            possible &= _cross(request, user, here, request.input[v], moved)
        if request.output[v] > 0.0 and here > 0:
            possible &= _cross(request, user, here * num_places, request.output[v], moved)
    if request.send_once:
        crossed[:, :] = False
    for e in range(request.source.size):
        u, size = request.source[e], request.data[e]
        origin, target = place[u], place[reader[e]]
        if size > 0.0 and origin != target:
            pair, user = origin * num_places + target, request.user[u]
            if not request.send_once:
                possible &= _cross(request, user, pair, size, moved)
                continue
            first, last = request.first_hop[pair], request.first_hop[pair + 1]
            possible &= first < last
            for h in range(first, last):
                link = request.hops[h]
                if not crossed[u, link]:
                    crossed[u, link] = True
                    moved[link_of(request, link, user)] += size
    period = 0.0
    for k in range(num_places):
        for user in range(busy.shape[0]):
            possible &= busy[user, k] < math.inf
            if request.servers[k] > 0:
                period = max(period, busy[user, k] / request.servers[k])
    for link in range(serial.size):
        first = request.first_link[link]
        for entry in range(first, first + 1 + request.link_step[link] * (request.num_users - 1)):
            if moved[entry] > 0.0:
                price += moved[entry] * per_byte[entry]
                seconds = moved[entry] * request.seconds_per_byte[entry]
                possible &= seconds < math.inf
                if serial[link]:
                    period = max(period, seconds)
    spent[0] = price if possible else math.inf
    spent[1] = period if possible else math.inf


@compiled
def new_scratch(request):
    """What `spend` writes on, and the reader of each edge."""
    num_tasks, num_places = request.seconds.shape
    reader = np.empty(request.source.size, np.int64)
    for v in range(num_tasks):
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            reader[e] = v
    crossed = np.zeros((num_tasks if request.send_once else 1, request.serial.size), np.bool_)
    busy = np.zeros((request.num_users, num_places))
    return reader, np.zeros(request.startup.size), busy, crossed, np.zeros(2)
