"""`search`: perturbed greedy decisions, then annealing from the best of them. On the host."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from offload_jax.graphs._jax.rules import RANK_NOISE, RATE_NOISE
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.request import Request, unpack_rows

NUM_SIMULATIONS = 20_000
NUM_STARTS = 64
# Temperatures, as shares of the best makespan.
_HOTTEST, _COLDEST = 0.15, 0.003
# Steps between looks at the clock: this many, with a time limit fewer if they take this long.
_SLICE, _SLICE_SECONDS = 1000, 1e-3


def search(
    costs: GraphCosts,
    *,
    num_simulations: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
) -> Decision:
    """The best decision found, for every request of a batch; requests share the cores.

    Args:
      costs: concrete.
      num_simulations: for each request; `NUM_SIMULATIONS` if there is no time limit either.
      time_limit: seconds for each request.
      seed: of the random numbers of each request; without a time limit the same seed gives the
        same decision.

    Returns:
      Decisions `[R, N]` by row of the flattened batch.
    """
    if num_simulations is None and time_limit is None:
        num_simulations = NUM_SIMULATIONS

    def one(request: Request) -> tuple[np.ndarray, np.ndarray]:
        return search_request(
            request, num_simulations=num_simulations, time_limit=time_limit, seed=seed
        )

    with ThreadPoolExecutor() as pool:
        found = np.array([*pool.map(one, unpack_rows(costs))], int).reshape(-1, 2, costs.num_tasks)
    return Decision(found[:, 0].astype(np.int8), found[:, 1].astype(np.int32))


def search_request(
    request: Request, *, num_simulations: int | None, time_limit: float | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Place and order int `[N]` for one request; see `search`."""
    from offload_jax.graphs._numba import annealing
    from offload_jax.graphs._numba.ranks import empty_last

    began = time.perf_counter()

    def share_of_time() -> float:
        return 0.0 if time_limit is None else (time.perf_counter() - began) / time_limit

    annealing.seed(seed)
    copies = (
        NUM_STARTS if num_simulations is None else max(1, min(NUM_STARTS, num_simulations // 4))
    )
    best = annealing.perturbed(request, 0, RANK_NOISE, RATE_NOISE)
    for copy in range(1, copies):
        if share_of_time() >= 1:
            break
        found = annealing.perturbed(request, copy, RANK_NOISE, RATE_NOISE)
        best = min(best, found, key=lambda attempt: attempt[0])
    walker = annealing.new_walker(request, *best[1:])
    left = math.inf if num_simulations is None else num_simulations - copies
    temperature, done, steps = _HOTTEST, 0, _SLICE if time_limit is None else 1
    while done < left and share_of_time() < 1:
        steps = int(min(steps, left - done))
        spent = min(1.0, max((done + steps) / left, share_of_time()))
        colder = _HOTTEST * (_COLDEST / _HOTTEST) ** spent
        before = time.perf_counter()
        annealing.anneal(request, walker, steps, temperature, colder)
        temperature, done = colder, done + steps
        if time_limit is not None:
            took = max(time.perf_counter() - before, 1e-9)
            steps = max(1, min(_SLICE, int(steps * _SLICE_SECONDS / took)))
    empty_last(request, walker.best_place, walker.best_order)
    return walker.best_place, walker.best_order
