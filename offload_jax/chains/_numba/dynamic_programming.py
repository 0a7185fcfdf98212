"""Loops for one request at a time, compiled by numba; `offload_jax.single` is the way in.

Signatures are explicit: everything is compiled when this module is imported, nothing during a
request. Bad values are found here, on the way, and answered with an empty decision.
"""

import math

import numpy as np

from offload_jax.compiled import njit

_ARRAY, _FLOAT = "float64[::1]", "float64"

_TABLE = "float64[:, ::1], float64[:, :, ::1]"

_REQUEST = f"{_ARRAY}, {_ARRAY}, {_FLOAT}, {_FLOAT}, {_FLOAT}, {_FLOAT}"


@njit(inline="always")
def is_valid(cycles, data, device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth):
    """The rules of `offload_jax.validate`; NaN fails every comparison."""
    if cycles.size == 0 or data.size != cycles.size + 1:
        return False
    if not (0 < device_speed < math.inf and 0 < edge_speed < math.inf):
        return False
    if not (0 <= device_edge_bandwidth < math.inf and 0 <= edge_cloud_bandwidth < math.inf):
        return False
    valid = True
    for value in cycles:
        valid &= 0 <= value < math.inf
    for value in data:
        valid &= 0 <= value < math.inf
    return valid


@njit(inline="always")
def product(amount, rate):
    # Nothing costs nothing, even at a rate of `inf` (a dead link).
    return amount * rate if amount > 0 else amount * 0


@njit(inline="always")
def rate(price, bandwidth):
    return price / bandwidth if bandwidth > 0 else bandwidth * 0 + math.inf


@njit(f"int8[::1]({_REQUEST}, {_ARRAY})", cache=True)
def exact(
    cycles,
    data,
    device_speed,
    edge_speed,
    device_edge_bandwidth,
    edge_cloud_bandwidth,
    prices,
):
    """Min-plus recursion from the end of the chain, in float64.

    Args:
      cycles: `[A]`.
      data: `[A + 1]` bytes.
      device_speed: cycles/s; so is `edge_speed`.
      edge_speed: see `device_speed`.
      device_edge_bandwidth: bytes/s; so is `edge_cloud_bandwidth`.
      edge_cloud_bandwidth: see `device_edge_bandwidth`.
      prices: `[5]` cost of a second of computing on the device, of sending, of receiving, of
        waiting, and of a cycle on the device at 1 cycle/s.

    Returns:
      int8 `[A]` lexicographically smallest optimal decision, empty where the request is invalid.
    """
    if not is_valid(
        cycles, data, device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
    ):
        return np.empty(0, np.int8)
    num = cycles.size
    computing, sending, receiving, waiting, joules = prices
    device_rate = computing / device_speed + joules * device_speed * device_speed
    edge_rate = waiting / edge_speed
    up_rate = rate(sending, device_edge_bandwidth)
    down_rate = rate(receiving, device_edge_bandwidth)
    wan_rate = rate(waiting, edge_cloud_bandwidth)
    best_next = np.empty((num, 3), np.int8)
    # Least cost of the rest of the chain, from each place.
    down, wan = product(data[num], down_rate), product(data[num], wan_rate)
    rest0, rest1, rest2 = 0.0, down, wan + down
    for t in range(num - 1, -1, -1):
        up = product(data[t], up_rate)
        down = product(data[t], down_rate)
        wan = product(data[t], wan_rate)
        run0 = rest0 + product(cycles[t], device_rate)
        run1 = rest1 + product(cycles[t], edge_rate)
        run2 = rest2
        # Strict comparisons keep the smallest place among equals.
        rest0, place = run0, 0
        if run1 + up < rest0:
            rest0, place = run1 + up, 1
        if run2 + (up + wan) < rest0:
            rest0, place = run2 + (up + wan), 2
        best_next[t, 0] = place
        rest1, place = run0 + down, 0
        if run1 < rest1:
            rest1, place = run1, 1
        if run2 + wan < rest1:
            rest1, place = run2 + wan, 2
        best_next[t, 1] = place
        rest2, place = run0 + (wan + down), 0
        if run1 + wan < rest2:
            rest2, place = run1 + wan, 1
        if run2 < rest2:
            rest2, place = run2, 2
        best_next[t, 2] = place
    decision = np.empty(num, np.int8)
    place = 0
    for t in range(num):
        place = best_next[t, place]
        decision[t] = place
    return decision


@njit(f"int8[::1]({_TABLE})", cache=True)
def exact_table(execution, transfer):
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


LONGEST_LIMITED = 13
"""Subtasks of a request with limits: at worst all 3^13 decisions are looked at."""


@njit(
    f"int8[::1]({_ARRAY}, {_ARRAY}, {_FLOAT}, {_FLOAT}, {_FLOAT}, {_FLOAT}, float64[:, ::1],"
    f" {_ARRAY})",
    cache=True,
)
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
      cycles: as in `exact`, A at most `LONGEST_LIMITED`; so are the next five.
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
