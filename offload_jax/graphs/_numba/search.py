"""`search`: the best of many first decisions, then annealing from it. On the host."""

import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.bound import lower_bound
from offload_jax.graphs._flow.row import Row, row_or_none
from offload_jax.graphs._flow.solve import least_serial
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, OnSolution
from offload_jax.graphs.request import Request, unpack_rows

# Greedy decisions with noise, a quarter of all simulations at most, and of a time limit the share
# that may have gone before the last of them; some tasks in all between looks at the clock.
_NUM_NOISY, _NOISY_SHARE, _NOISY_TASKS = 64, 0.5, 160
# A move of one task changes the makespan by about 1 / N. Hotter than that a good start is lost
# before annealing has found one as good, and the sooner, the fewer steps there are; of graphs of a
# few tasks it would be all the same.
HOTTEST, COLDEST = 0.15, 0.1
HEAT, _HEATED, _MOST_HEATED = 0.6, 3600, 1.7
# Seconds of a step for each task, about: how many steps a time limit is worth.
_STEP_SECONDS, _CALL_SECONDS = 4e-8, 1e-4
# A cost that is this close to the lower bound, relatively, is the least.
_PROVEN = 1e-9
# Steps between looks at the clock: this many, with a time limit fewer if they take this long.
_SLICE, _SLICE_SECONDS = 1000, 1e-3

_Arrays = tuple[np.ndarray, np.ndarray]


class Searched(NamedTuple):
    """Decisions `[R, N]` by row of the flattened batch, and lower bounds `[R]`, 0 if not asked."""

    decision: Decision
    lower_bound: np.ndarray


def default_simulations(num_tasks: int) -> int:
    """20 000; fewer for more than 500 tasks, so that they take a few seconds."""
    return max(1, min(20_000, 10_000_000 // num_tasks))


def hottest_of(num_tasks: int, num_simulations: float) -> float:
    """The temperature to begin with, as a share of the makespan."""
    heat = HEAT * min(_MOST_HEATED, math.sqrt(num_simulations / _HEATED))
    return min(HOTTEST, heat / num_tasks)


def search(
    costs: GraphCosts,
    *,
    start: Sequence[Decision] = (),
    num_simulations: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
    on_solution: OnSolution | None = None,
    bounded: bool = False,
) -> Searched:
    """The best decision found, for every request of a batch; requests share the cores.

    Args:
      costs: concrete.
      start: int64 `[..., N]`, decisions to begin with besides those that `search_request` makes.
      num_simulations: for each request; `default_simulations` if there is no time limit either.
      time_limit: seconds for each request.
      seed: of the random numbers of each request; without a time limit the same seed gives the
        same decision.
      on_solution: see `solve`.
      bounded: whether to bound makespans by loads, where places are in a row, and to stop where
        nothing can be better.
    """
    num_tasks, row = costs.num_tasks, row_or_none(costs.routes)
    limit = math.inf if num_simulations is None else num_simulations
    if num_simulations is None and time_limit is None:
        limit = default_simulations(num_tasks)
    bound_of = functools.partial(lower_bound, costs=costs) if bounded and row else None

    def one(request: Request, *given: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        return search_request(
            request,
            row,
            list(zip(given[::2], given[1::2], strict=True)),
            num_simulations=limit,
            time_limit=time_limit,
            seed=seed,
            on_solution=on_solution,
            bound_of=bound_of,
        )

    given = [part.reshape(-1, num_tasks) for decision in start for part in decision]
    with ThreadPoolExecutor() as pool:
        # What the user gave is called in the user's thread.
        each = map if on_solution else pool.map
        found = [*each(one, unpack_rows(costs), *given)]
    place, order = (
        np.array([row[part] for row in found], int).reshape(-1, num_tasks) for part in (0, 1)
    )
    bounds = np.array([row[2] for row in found])
    return Searched(Decision(place.astype(np.int8), order.astype(np.int32)), bounds)


def search_request(
    request: Request,
    row: Row | None,
    given: Sequence[_Arrays] = (),
    *,
    num_simulations: float,
    time_limit: float | None = None,
    seed: int = 0,
    on_solution: OnSolution | None = None,
    bound_of: Callable[[Request, float], float] | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Place and order int `[N]` for one request, never worse than what it begins with; a bound.

    It begins with the best of every single place, what is given, the cut (if there is a row) and,
    as long as there is time, greedy, HEFT and, for half of it, greedy decisions with noise.

    Args:
      bound_of: gives a lower bound for a request and a known makespan; without it the bound is 0.
    """
    from offload_jax.graphs._numba import annealing, starts
    from offload_jax.graphs._numba.lower_bound import score
    from offload_jax.graphs._numba.ranks import empty_last

    num_tasks, began = len(request.seconds), time.perf_counter()

    def time_left() -> float:
        return math.inf if time_limit is None else began + time_limit - time.perf_counter()

    annealing.seed(seed)
    best, order = starts.single_places(request)
    if row is not None:
        given = [*given, (least_serial(request, row).place.astype(np.int64), order)]
    for known in given:
        starts.try_decision(request, best, *known)
    if time_left() > 0:
        starts.try_rules(request, best)
    num_noisy, done = int(min(_NUM_NOISY, num_simulations // 4)), 0
    while done < num_noisy and (time_limit is None or time_left() > time_limit * _NOISY_SHARE):
        num = min(max(1, _NOISY_TASKS // num_tasks), num_noisy - done)
        starts.try_noisy(request, best, num)
        done += num
    bound = bound_of(request, float(best.makespan[0])) if bound_of else 0.0
    shown = max(bound, score(request, best.place, best.order)[1]) if on_solution else 0.0

    walker, told = annealing.new_walker(request, best.place, best.order), math.inf
    whole, steps, pace = time_left(), 1, 0.0
    worth = min(num_simulations, (time_limit or math.inf) / (_STEP_SECONDS * num_tasks))
    temperature = hottest = hottest_of(num_tasks, worth)
    while True:
        cost = float(walker.makespan[1])
        if on_solution and cost < told:
            told = cost
            decision = Decision(walker.best_place.astype(np.int8), walker.best_order.copy())
            if on_solution(cost, min(shown, cost), decision):
                break
        left = time_left()
        if done >= num_simulations or left <= 0 or cost <= bound * (1 + _PROVEN):
            break
        if time_limit is None:
            steps = _SLICE
        elif pace:
            steps = max(1, min(_SLICE, int(min(_SLICE_SECONDS, left) / pace)))
        steps = int(min(steps, num_simulations - done))
        done += steps
        spent = done / num_simulations
        if time_limit is not None:
            spent = max(spent, 1 - (left - steps * pace) / whole)
        colder = hottest * COLDEST ** min(1.0, spent)
        annealing.anneal(request, walker, steps, temperature, colder)
        temperature, took = colder, left - time_left()
        # What a call takes by itself says nothing about steps.
        pace = took / steps if took > _CALL_SECONDS else _STEP_SECONDS * num_tasks
    empty_last(request, walker.best_place, walker.best_order)
    return walker.best_place, walker.best_order, min(bound, float(walker.makespan[1]))
