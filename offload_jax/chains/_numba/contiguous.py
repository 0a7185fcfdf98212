"""Pipelines: the least period of contiguous stages, each at a place of its own; compiled loops.

The places may come in any order and some may stay idle. With L[S, k, t] for the least period of the
first t subtasks on the set S of places, the last stage at place k,

    L[S, k, t] = min over s < t, j in S - {k} of
                 max(L[S - {k}, j, s], transfer[s, j, k], load of subtasks s..t-1 at k).

Below a period, few of these matter: without looking at who sends to whom, the places of S reach the
subtasks up to F[S] at most, each going as far as the period lets it from where the others got to,

    F[S] = max over k in S of furthest end at k from F[S - {k}],

and those outside of S have to reach what is left, counted from the last subtask back. Bisection
finds the least period below which F does not rule all out, and L is filled in below slightly more
than that, and more again, until there is a pipeline.
"""

import math
from typing import Any

import numpy as np

from offload_jax.compiled import njit

# What takes numba long is avoided: wrappers that nobody calls, slices and arithmetic on arrays.
_OPTIONS: Any = {
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"nnan"},
    "no_cfunc_wrapper": True,
}
_inner = njit(**_OPTIONS, no_cpython_wrapper=True)
# Sums in another order may differ by rounding.
_ROUNDING = 1 + 1e-9
# How close bisection gets and by how much the period is raised first, as shares of it; and how much
# more it is raised each time.
_CLOSE, _RAISED = 1e-3, 2.0


@_inner
def _ends(transfer):
    """`[K, A + 1]` seconds before each subtask: the least to each place, from it, and staying."""
    num_places, num = transfer.shape[0], transfer.shape[2] - 1
    enter = np.full((num_places, num + 1), math.inf)
    leave, stay = enter.copy(), np.empty((num_places, num + 1))
    for k in range(num_places):
        enter[k, 0] = 0.0 if k == 0 else transfer[0, k, 0]
        leave[k, num] = 0.0 if k == 0 else transfer[k, 0, num]
        for t in range(num + 1):
            stay[k, t] = transfer[k, k, t]
        for j in range(num_places):
            if j != k:
                for t in range(1, num):
                    enter[k, t] = min(enter[k, t], transfer[j, k, t])
                    leave[k, t] = min(leave[k, t], transfer[k, j, t])
    return enter, leave, stay


@_inner
def _reach(table, limits, most, furthest, reached):
    """Writes to `reached` `[2^K]` how many subtasks each set of places can do within a period.

    Args:
      table: execution and spent, see `pipeline`, and what `_ends` gives; or all of them reversed.
      limits: see `pipeline`.
      most: seconds.
      furthest: `[K, A + 1]` scratch.
    """
    execution, spent, enter, leave, stay = table
    num_places, num = execution.shape
    most = most * _ROUNDING
    used = np.empty(len(limits))
    for k in range(num_places):
        computed, stayed, end, cut, best = 0.0, 0.0, 0, 0, 0
        for b in range(len(limits)):
            used[b] = 0.0
        for s in range(num):
            if end <= s:
                computed, stayed, end = 0.0, 0.0, s
                for b in range(len(limits)):
                    used[b] = 0.0
            while end < num and computed + execution[k, end] <= most:
                staying = stayed + stay[k, end] if end > s else 0.0
                fits = staying <= most
                for b in range(len(limits)):
                    fits &= used[b] + spent[b, k, end] <= limits[b] * _ROUNDING
                if not fits:
                    break
                computed, stayed = computed + execution[k, end], staying
                for b in range(len(limits)):
                    used[b] += spent[b, k, end]
                end += 1
                if leave[k, end] <= most:
                    cut = end
            if enter[k, s] <= most and cut > best:
                best = cut
            furthest[k, s] = best
            if end > s:
                computed -= execution[k, s]
                stayed -= stay[k, s + 1] if end > s + 1 else 0.0
                for b in range(len(limits)):
                    used[b] -= spent[b, k, s]
        furthest[k, num] = num
    reached[0] = 0
    for places in range(1, 1 << num_places):
        best = 0
        for k in range(num_places):
            if (places >> k) & 1:
                before = reached[places ^ (1 << k)]
                best = max(best, before, furthest[k, before])
        reached[places] = best


@_inner
def _enter(transfer, least, window, rest, k, entry):
    """Least periods of what comes before a stage at place k that begins at each subtask."""
    num_places = transfer.shape[0]
    if rest == 0:
        entry[0] = 0.0 if k == 0 else transfer[0, k, 0]
        return
    first, last = window[rest, 0], window[rest, 1]
    for s in range(first, last + 1):
        entry[s] = math.inf
    for j in range(num_places):
        if (rest >> j) & 1:
            for s in range(first, last + 1):
                before, moving = least[rest, j, s], transfer[j, k, s]
                before = before if before > moving else moving
                entry[s] = before if before < entry[s] else entry[s]


@_inner
def _fill(execution, transfer, spent, limits, window, most, least):
    """Fills `least` with periods below `most`; the best period, its places and the last of them.

    Only from the first to the last subtask of the window `[2^K, 2]` of each set.
    """
    num_places, num = execution.shape
    num_budgets = len(limits)
    entry, left = np.empty(num + 1), np.empty(num_budgets)
    found, found_set, found_place = most, 0, 0
    for places in range(1, 1 << num_places):
        begin, until = window[places, 0], window[places, 1]
        if begin > until:
            continue
        for k in range(num_places):
            if not (places >> k) & 1:
                continue
            for end in range(begin, until + 1):
                least[places, k, end] = math.inf
            rest = places ^ (1 << k)
            first, last = window[rest, 0], window[rest, 1]
            _enter(transfer, least, window, rest, k, entry)
            while first <= last and entry[first] >= found:
                first += 1
            while last >= first and entry[last] >= found:
                last -= 1
            if last < first:
                continue
            for end in range(max(begin, first + 1), until + 1):
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
                    if s <= last:
                        load = load if load > entry[s] else entry[s]
                        best = load if load < best else best
                if best < found:
                    least[places, k, end] = best
                elif end > last:
                    break
            home = 0.0 if k == 0 else transfer[k, 0, num]
            total = max(least[places, k, num], home) if until == num else math.inf
            if total < found:
                found, found_set, found_place = total, places, k
    return found, found_set, found_place


@_inner
def _stages(execution, transfer, spent, limits, window, least, most, places, k):
    """Follows the stages back from the last, at place k; none needs more than `most`."""
    num_places, num = execution.shape
    decision = np.zeros(num, np.int8)
    entry, left = np.empty(num + 1), np.empty(len(limits))
    end = num
    while end > 0:
        rest = places ^ (1 << k)
        first, last = window[rest, 0], window[rest, 1]
        _enter(transfer, least, window, rest, k, entry)
        for b in range(len(limits)):
            left[b] = limits[b]
        computed, stayed = 0.0, transfer[0, 0, num] if k == 0 and end == num else 0.0
        for s in range(end - 1, first - 1, -1):
            decision[s] = k
            computed += execution[k, s]
            if s + 1 < end:
                stayed += transfer[k, k, s + 1]
            if k == 0 and s == 0:
                stayed += transfer[0, 0, 0]
            fits = max(computed, stayed) <= most
            for b in range(len(limits)):
                left[b] -= spent[b, k, s]
                fits &= left[b] >= 0.0
            if s <= last and entry[s] <= most and fits:
                end = s
                break
        following = k
        for j in range(num_places):
            member = end > 0 and (rest >> j) & 1
            if member and max(least[rest, j, end], transfer[j, following, end]) <= most:
                k = j
        places = rest
    return decision


@_inner
def _largest(execution, transfer):
    """No period that is possible is above this."""
    total = 0.0
    for t in range(transfer.shape[2]):
        computed = moved = 0.0
        for k in range(len(execution)):
            if t < execution.shape[1] and computed < execution[k, t] < math.inf:
                computed = execution[k, t]
            for j in range(len(execution)):
                if moved < transfer[j, k, t] < math.inf:
                    moved = transfer[j, k, t]
        total += computed + moved
    return total


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
    enter, leave, stay = _ends(transfer)
    ahead = execution, spent, enter, leave, stay
    back = (
        execution[:, ::-1].copy(),
        spent[:, :, ::-1].copy(),
        leave[:, ::-1].copy(),
        enter[:, ::-1].copy(),
        stay[:, ::-1].copy(),
    )
    furthest = np.empty((num_places, num + 1), np.int64)
    reached, returned = np.empty(1 << num_places, np.int64), np.empty(1 << num_places, np.int64)
    top = _largest(execution, transfer) * (1 + _CLOSE) or 1.0
    low, high = 0.0, top
    while high - low > _CLOSE * high and high > 1e-15 * top:
        middle = 0.5 * (low + high)
        _reach(ahead, limits, middle, furthest, reached)
        if reached[-1] == num:
            high = middle
        else:
            low = middle
    window = np.empty((1 << num_places, 2), np.int64)
    least = np.empty((1 << num_places, num_places, num + 1))
    most, raised = high, _CLOSE * high
    while most < top:
        most, raised = min(most + raised, top), _RAISED * raised
        _reach(ahead, limits, most, furthest, reached)
        _reach(back, limits, most, furthest, returned)
        for places in range(1 << num_places):
            window[places, 0], window[places, 1] = num - returned[~places], reached[places]
        window[0, 0] = window[0, 1] = 0
        found, places, k = _fill(execution, transfer, spent, limits, window, most, least)
        if places != 0:
            return _stages(execution, transfer, spent, limits, window, least, found, places, k)
    return np.empty(0, np.int8)
