"""Loops for one table of costs, and for one request with limits; see `compiled`."""

import math
import typing

import numpy as np

from offload_jax.chains.compiled import is_valid, product, rate
from offload_jax.extras import needs

with needs("single"):
    import numba

LONGEST_LIMITED = 13
"""Subtasks of a request with limits: at worst all 3^13 decisions are looked at."""

_ARRAY, _FLOAT = "float64[::1]", "float64"
_TABLE = "float64[:, ::1], float64[:, :, ::1]"


@numba.njit(f"int8[::1]({_TABLE})", nogil=True)
@typing.no_type_check
def exact(execution, transfer):
    """Min-plus recursion from the end of the chain, in float64.

    Args:
      execution: `[A, K]`.
      transfer: `[A + 1, K, K]`.

    Returns:
      int8 `[A]` lexicographically smallest optimal decision, all 0 where none is possible, empty
      where the table is invalid.
    """
    num, places = execution.shape
    decision = np.zeros(num, np.int8)
    best_next = np.empty((num, places), np.int8)
    rest, arrived = transfer[num, :, 0].copy(), np.empty(places)
    valid = True
    for k in range(places):
        for j in range(places):
            valid &= transfer[num, j, k] >= 0
    for t in range(num - 1, -1, -1):
        for k in range(places):
            valid &= execution[t, k] >= 0
            arrived[k] = rest[k] + execution[t, k]
        for j in range(places):
            best, place = math.inf, 0
            for k in range(places):
                valid &= transfer[t, j, k] >= 0
                cost = arrived[k] + transfer[t, j, k]
                # Strict comparisons keep the smallest place among equals.
                if cost < best:
                    best, place = cost, k
            rest[j] = best
            best_next[t, j] = place
    if not valid:
        return np.empty(0, np.int8)
    if rest[0] < math.inf:
        place = 0
        for t in range(num):
            place = best_next[t, place]
            decision[t] = place
    return decision


@numba.njit(
    f"int8[::1]({_ARRAY}, {_ARRAY}, {_FLOAT}, {_FLOAT}, {_FLOAT}, {_FLOAT}, float64[:, ::1],"
    f" {_ARRAY})",
    nogil=True,
)
@typing.no_type_check
def within(
    cycles,
    data,
    device_speed,
    edge_speed,
    device_edge_bandwidth,
    edge_cloud_bandwidth,
    prices,
    limits,
):
    """Depth first through all decisions, in lexicographic order, bounded by the least rest.

    Args:
      cycles: as in `compiled.exact`, A at most `LONGEST_LIMITED`; so are the next five.
      data: see `cycles`.
      device_speed: see `cycles`.
      edge_speed: see `cycles`.
      device_edge_bandwidth: see `cycles`.
      edge_cloud_bandwidth: see `cycles`.
      prices: `[Q, 5]` those of the objective, then those of the limited quantities.
      limits: `[Q]`, the first `inf`.

    Returns:
      int8 `[A]` lexicographically smallest decision among the cheapest within the limits, -1
      everywhere where there is none, empty where the request is invalid.
    """
    if not is_valid(
        cycles, data, device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
    ):
        return np.empty(0, np.int8)
    num, quantities = cycles.size, len(limits)
    execution = np.zeros((num, 3, quantities))
    transfer = np.zeros((num + 1, 3, 3, quantities))
    rest = np.zeros((num + 1, 3, quantities))
    for q in range(quantities):
        computing, sending, receiving, waiting, joules = prices[q]
        device_rate = computing / device_speed + joules * device_speed * device_speed
        edge_rate = waiting / edge_speed
        up_rate = rate(sending, device_edge_bandwidth)
        down_rate = rate(receiving, device_edge_bandwidth)
        wan_rate = rate(waiting, edge_cloud_bandwidth)
        for t in range(num, -1, -1):
            up, down = product(data[t], up_rate), product(data[t], down_rate)
            wan = product(data[t], wan_rate)
            transfer[t, 0, 1, q], transfer[t, 0, 2, q] = up, up + wan
            transfer[t, 1, 0, q], transfer[t, 1, 2, q] = down, wan
            transfer[t, 2, 0, q], transfer[t, 2, 1, q] = wan + down, wan
            if t == num:
                for k in range(3):
                    rest[t, k, q] = transfer[t, k, 0, q]
                continue
            execution[t, 0, q] = product(cycles[t], device_rate)
            execution[t, 1, q] = product(cycles[t], edge_rate)
            for j in range(3):
                least = math.inf
                for k in range(3):
                    cost = transfer[t, j, k, q] + execution[t, k, q] + rest[t + 1, k, q]
                    least = min(least, cost)
                rest[t, j, q] = least
    decision = np.full(num, -1, np.int8)
    choice = np.full(num, -1, np.int8)
    spent = np.zeros((num + 1, quantities))
    best, t = math.inf, 0
    while t >= 0:
        choice[t] += 1
        if choice[t] == 3:
            choice[t] = -1
            t -= 1
            continue
        place = choice[t]
        before = choice[t - 1] if t > 0 else 0
        total, fits = 0.0, True
        for q in range(quantities - 1, -1, -1):
            spent[t + 1, q] = spent[t, q] + transfer[t, before, place, q] + execution[t, place, q]
            total = spent[t + 1, q] + rest[t + 1, place, q]
            fits &= total <= limits[q]
        if not (fits and total < best):
            continue
        if t < num - 1:
            t += 1
        else:
            best = total
            decision[:] = choice
    return decision
