"""Pipelines: the least period of contiguous stages, each at a place of its own; compiled loops.

The places may come in any order and some may stay idle. With L[S, k, t] for the least period of the
first t subtasks on the set S of places, the last stage at place k,

    L[S, k, t] = min over s < t, j in S - {k} of
                 max(L[S - {k}, j, s], transfer[s, j, k], load of subtasks s..t-1 at k).

The load grows with the length of the stage, so s counts down only until the load alone is too much,
after about A / K subtasks: O(2^K K A (K + A / K)). A bound on the period, raised until a pipeline
is found, leaves little of that: from subtask t on, the places outside of S have to do the rest, so
that for any weights y

    sum over t' >= t of min_k y_k execution[t', k] <= bound * sum over k outside of S of y_k.
"""

import math

import numpy as np

from offload_jax.compiled import njit

_OPTIONS = {"cache": True, "error_model": "numpy", "fastmath": {"nnan"}}
# A place that can run nothing, or for nothing, weighs nothing in the sum above.
_ROUNDING = 1 + 1e-9


@njit(**_OPTIONS)
def _enter(transfer, least, rest, k, first, entry):
    """Least periods of what comes before a stage at place k that begins at each subtask."""
    num_places = transfer.shape[0]
    entry[:] = math.inf
    if rest == 0:
        entry[0] = 0.0 if k == 0 else transfer[0, k, 0]
        return
    for j in range(num_places):
        if (rest >> j) & 1:
            for s in range(first, len(entry)):
                before, moving = least[rest, j, s], transfer[j, k, s]
                before = before if before > moving else moving
                entry[s] = before if before < entry[s] else entry[s]


@njit(**_OPTIONS)
def _weights(execution):
    """`[K]` y of the bound, and `[A + 1]` the least weighed seconds from each subtask on."""
    num_places, num = execution.shape
    weight = np.zeros(num_places)
    for k in range(num_places):
        total, count = 0.0, 0
        for t in range(num):
            if execution[k, t] < math.inf:
                total += execution[k, t]
                count += 1
        weight[k] = count / total if total > 0.0 else 0.0
    rest = np.zeros(num + 1)
    for t in range(num - 1, -1, -1):
        smallest = math.inf
        for k in range(num_places):
            if execution[k, t] < math.inf:
                smallest = min(smallest, weight[k] * execution[k, t])
        rest[t] = rest[t + 1] + smallest
    return weight, rest


@njit(**_OPTIONS)
def _fill(execution, transfer, spent, limits, weight, rest_from, most, least):
    """Fills `least` with periods below `most`; the best period, its places and the last of them."""
    num_places, num = execution.shape
    num_budgets = len(limits)
    entry, left = np.empty(num + 1), np.empty(num_budgets)
    earliest = np.zeros(1 << num_places, np.int64)
    found, found_set, found_place = most, 0, 0
    for places in range(1, 1 << num_places):
        size, outside = 0, 0.0
        for k in range(num_places):
            if (places >> k) & 1:
                size += 1
            else:
                outside += weight[k]
        begin = size
        while found < math.inf and begin < num and rest_from[begin] > found * outside * _ROUNDING:
            begin += 1
        earliest[places] = begin
        for k in range(num_places):
            if not (places >> k) & 1:
                continue
            least[places, k, :] = math.inf
            rest = places ^ (1 << k)
            _enter(transfer, least, rest, k, earliest[rest], entry)
            first, last = earliest[rest], num - 1
            while first < num and entry[first] >= found:
                first += 1
            while last >= first and entry[last] >= found:
                last -= 1
            if last < first:
                continue
            for end in range(max(begin, first + 1), num + 1):
                # What stays at place 0 between requests counts there, too.
                stayed = transfer[0, 0, num] if k == 0 and end == num else 0.0
                computed, best = 0.0, found
                for b in range(num_budgets):
                    left[b] = limits[b]
                for s in range(end - 1, first - 1, -1):
                    computed += execution[k, s]
                    if s + 1 < end:
                        stayed += transfer[k, k, s + 1]
                    if k == 0 and s == 0:
                        stayed += transfer[0, 0, 0]
                    load, fits = computed if computed > stayed else stayed, True
                    for b in range(num_budgets):
                        left[b] -= spent[b, k, s]
                        fits &= left[b] >= 0.0
                    if load >= best or not fits:
                        break
                    load = load if load > entry[s] else entry[s]
                    best = load if load < best else best
                if best < found:
                    least[places, k, end] = best
                elif end > last:
                    break
            home = 0.0 if k == 0 else transfer[k, 0, num]
            total = max(least[places, k, num], home)
            if total < found:
                found, found_set, found_place = total, places, k
    return found, found_set, found_place


@njit(**_OPTIONS)
def _stages(execution, transfer, spent, limits, least, most, places, k):
    """Follows the stages back from the last, at place k; none needs more than `most`."""
    num_places, num = execution.shape
    decision = np.zeros(num, np.int8)
    entry, left = np.empty(num + 1), np.empty(len(limits))
    end = num
    while end > 0:
        rest = places ^ (1 << k)
        _enter(transfer, least, rest, k, 0, entry)
        left[:] = limits
        computed, stayed = 0.0, transfer[0, 0, num] if k == 0 and end == num else 0.0
        for s in range(end - 1, -1, -1):
            decision[s] = k
            computed += execution[k, s]
            if s + 1 < end:
                stayed += transfer[k, k, s + 1]
            if k == 0 and s == 0:
                stayed += transfer[0, 0, 0]
            left -= spent[:, k, s]
            if max(computed, stayed, entry[s]) <= most and (left >= 0.0).all():
                end = s
                break
        following = k
        for j in range(num_places):
            fits = max(least[rest, j, end], transfer[j, following, end]) <= most
            if end > 0 and (rest >> j) & 1 and fits:
                k = j
        places = rest
    return decision


@njit(**_OPTIONS)
def pipeline(execution, transfer, spent, limits):
    """The contiguous decision of least period.

    Args:
      execution: `[K, A]` seconds, `inf` where forbidden.
      transfer: `[K, K, A + 1]` seconds from place to place.
      spent: `[B, K, A]` what each subtask takes of each budget.
      limits: `[B]` the most that a stage may take of each.

    Returns:
      int8 `[A]` the decision, empty where there is none.
    """
    num_places, num = execution.shape
    least = np.empty((1 << num_places, num_places, num + 1))
    least[0] = math.inf
    weight, rest_from = _weights(execution)
    raised = 1.1
    bound = rest_from[0] / weight.sum() if weight.sum() > 0.0 else 0.0
    while True:
        most = bound * raised if bound > 0.0 and raised < 1e9 else math.inf
        found, places, k = _fill(execution, transfer, spent, limits, weight, rest_from, most, least)
        if places != 0:
            return _stages(execution, transfer, spent, limits, least, found, places, k)
        if most == math.inf:
            return np.empty(0, np.int8)
        raised = 1 + 2 * (raised - 1)
