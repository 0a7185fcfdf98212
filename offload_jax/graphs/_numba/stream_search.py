"""Annealing about a request that finds a machine which is not empty; see `search`."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from offload_jax.graphs._flow.row import Row
from offload_jax.graphs._flow.solve import least_serial
from offload_jax.graphs._numba import annealing
from offload_jax.graphs._numba.ranks import empty_last
from offload_jax.graphs._numba.rules import greedy_from, rank_order
from offload_jax.graphs._numba.search import COLDEST, HEAT, HOTTEST
from offload_jax.graphs._numba.simulator import book, compiled, inner, new_state
from offload_jax.graphs.request import Request

# Steps between looks at the clock.
_SLICE = 50
_SIMULATIONS = 1000


@inner
def _copy_of(request, found):
    """A state to write on, with links and servers as they were found."""
    state = new_state(request)
    state.free[:], state.busy[:] = found.free, found.busy
    return state


@compiled
def _greedy(request, found):
    return greedy_from(request, _copy_of(request, found))


@compiled
def _makespan(request, found, place, order):
    return book(request, _copy_of(request, found), place, order)


def searcher(
    num_simulations: int | None, time_limit: float | None, seed: int
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """What `_numba.stream.serve` searches with.

    Args:
      num_simulations: for each request; 1 000 if there is no time limit either.
      time_limit: seconds for each request, or None.
      seed: of request i it is `seed + i`.
    """

    if num_simulations is None and time_limit is None:
        num_simulations = _SIMULATIONS
    most = math.inf if num_simulations is None else num_simulations

    def search(request: Request, row: Row | None, found: Any, i: int) -> tuple[Any, Any]:
        began = time.perf_counter()
        annealing.seed(seed + i)
        order, allowed = rank_order(request), request.seconds < np.inf
        places = [np.where(allowed[:, k], k, allowed.argmax(1)) for k in range(allowed.shape[1])]
        if row is not None:
            places.append(least_serial(request, row).place.astype(np.int64))
        starts = [_greedy(request, found), *((place, order) for place in places)]
        best = starts[int(np.argmin([_makespan(request, found, *start) for start in starts]))]
        walker = annealing.walker_from(request, found, *best)
        hottest, done, share = min(HOTTEST, HEAT / len(order)), len(starts), 0.0
        while done < most and share < 1:
            steps = int(min(_SLICE, most - done))
            begin = hottest * COLDEST**share
            share = max(share, (done + steps) / most)
            if time_limit is not None:
                share = max(share, min(1.0, (time.perf_counter() - began) / time_limit))
            annealing.anneal(request, walker, steps, begin, hottest * COLDEST**share)
            done += steps
        empty_last(request, walker.best_place, walker.best_order)
        return walker.best_place, walker.best_order

    return search
