"""`search`: perturbed greedy decisions, then annealing from the best of them. On the host."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._jax.rules import RANK_NOISE, RATE_NOISE
from offload_jax.graphs._numba.request import Request, unpack_rows
from offload_jax.graphs.costs import GraphCosts

NUM_SIMULATIONS = 20_000
NUM_STARTS = 64
# Temperatures, as shares of the best makespan.
_HOTTEST, _COLDEST = 0.15, 0.003
# Steps between looks at the clock: under a millisecond for 20 tasks.
_SLICE = 1000


class Found(NamedTuple):
    """Decisions of a batch: int `[R, N]` places and orders."""

    place: np.ndarray
    order: np.ndarray


def search(
    costs: GraphCosts,
    *,
    num_simulations: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
) -> Found:
    """The best decision found, for every request of a batch; requests share the cores.

    Args:
      costs: concrete.
      num_simulations: for each request; `NUM_SIMULATIONS` if there is no time limit either.
      time_limit: seconds for each request.
      seed: of the random numbers of each request; without a time limit the same seed gives the
        same decision.

    Returns:
      Decisions by row of the flattened batch.
    """
    if num_simulations is None and time_limit is None:
        num_simulations = NUM_SIMULATIONS

    def one(request: Request) -> tuple[np.ndarray, np.ndarray]:
        return search_request(
            request, num_simulations=num_simulations, time_limit=time_limit, seed=seed
        )

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(one, unpack_rows(costs)))
    return Found(*(np.stack(part) for part in zip(*found, strict=True)))


def search_request(
    request: Request, *, num_simulations: int | None, time_limit: float | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Place and order int `[N]` for one request; see `search`."""
    from offload_jax.graphs._numba import annealing
    from offload_jax.graphs._numba.ranks import empty_last

    began = time.perf_counter()
    annealing.seed(seed)
    starts = (
        NUM_STARTS if num_simulations is None else max(1, min(NUM_STARTS, num_simulations // 4))
    )
    walker = annealing.new_walker(
        request, *annealing.perturbed(request, starts, RANK_NOISE, RATE_NOISE)
    )
    left = None if num_simulations is None else num_simulations - starts
    temperature, done = _HOTTEST, 0
    while left is None or done < left:
        steps = _SLICE if left is None else min(_SLICE, left - done)
        spent = 0.0 if left is None else (done + steps) / left
        if time_limit is not None:
            spent = max(spent, (time.perf_counter() - began) / time_limit)
        colder = _HOTTEST * (_COLDEST / _HOTTEST) ** min(1.0, spent)
        annealing.anneal(request, walker, steps, temperature, colder)
        temperature, done = colder, done + steps
        if time_limit is not None and time.perf_counter() - began >= time_limit:
            break
    empty_last(request, walker.best_place, walker.best_order)
    return walker.best_place, walker.best_order
