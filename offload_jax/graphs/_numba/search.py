"""`search`: the best of many first decisions, then annealing from it. On the host."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from offload_jax.graphs._flow.row import Row, row_or_none
from offload_jax.graphs._flow.solve import least_serial
from offload_jax.graphs._jax.rules import RANK_NOISE, RATE_NOISE
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, OnSolution
from offload_jax.graphs.request import Request, unpack_rows

NUM_PERTURBED = 64
# A move of one task changes the makespan by about 1 / N. Hotter than that a good start is lost
# before annealing has found one as good; of graphs of a few tasks it would be all the same.
HOTTEST, COLDEST = 0.15, 0.1
HEAT = 0.6
# Of a time limit: what greedy about noisy copies may take; annealing makes more of it.
_NOISY_SHARE = 0.1
# Steps between looks at the clock: this many, with a time limit fewer if they take this long.
_SLICE, _SLICE_SECONDS = 1000, 1e-3

_Arrays = tuple[np.ndarray, np.ndarray]


def default_simulations(num_tasks: int) -> int:
    """20 000; fewer for more than 500 tasks, so that they take a few seconds."""
    return max(1, min(20_000, 10_000_000 // num_tasks))


def search(
    costs: GraphCosts,
    *,
    start: Sequence[Decision] = (),
    num_simulations: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
    on_solution: OnSolution | None = None,
) -> Decision:
    """The best decision found, for every request of a batch; requests share the cores.

    Args:
      costs: concrete.
      start: int64 `[..., N]`, decisions to begin with besides those that `search_request` makes.
      num_simulations: for each request; `default_simulations` if there is no time limit either.
      time_limit: seconds for each request.
      seed: of the random numbers of each request; without a time limit the same seed gives the
        same decision.
      on_solution: see `solve`.

    Returns:
      Decisions `[R, N]` by row of the flattened batch.
    """
    num_tasks, row = costs.num_tasks, row_or_none(costs.routes)
    limit = math.inf if num_simulations is None else num_simulations
    if num_simulations is None and time_limit is None:
        limit = default_simulations(num_tasks)

    def one(request: Request, *given: np.ndarray) -> _Arrays:
        return search_request(
            request,
            row,
            list(zip(given[::2], given[1::2], strict=True)),
            num_simulations=limit,
            time_limit=time_limit,
            seed=seed,
            on_solution=on_solution,
        )

    given = [part.reshape(-1, num_tasks) for decision in start for part in decision]
    with ThreadPoolExecutor() as pool:
        # What the user gave is called in the user's thread.
        each = map if on_solution else pool.map
        found = np.array([*each(one, unpack_rows(costs), *given)], int).reshape(-1, 2, num_tasks)
    return Decision(found[:, 0].astype(np.int8), found[:, 1].astype(np.int32))


def search_request(
    request: Request,
    row: Row | None,
    given: Sequence[_Arrays] = (),
    *,
    num_simulations: float,
    time_limit: float | None = None,
    seed: int = 0,
    on_solution: OnSolution | None = None,
) -> _Arrays:
    """Place and order int `[N]` for one request, never worse than what it begins with.

    It begins with the best of what is given, every single place, the cut (if there is a row) and,
    as long as there is time, greedy and HEFT, and greedy about noisy copies for a tenth of it; for
    the rest see `search`.
    """
    from offload_jax.graphs._numba import annealing
    from offload_jax.graphs._numba.lower_bound import score
    from offload_jax.graphs._numba.ranks import empty_last
    from offload_jax.graphs._numba.simulator import makespan_of

    began = time.perf_counter()

    def share_of_time() -> float:
        return 0.0 if time_limit is None else (time.perf_counter() - began) / time_limit

    annealing.seed(seed)
    starts = [*given, *_single_places(request), *_cut(request, row)]
    costs = [makespan_of(request, *start) for start in starts]
    num_perturbed = max(1, int(min(num_simulations, 4 * NUM_PERTURBED)) // 4)
    noisy = (
        annealing.perturbed(request, copy, RANK_NOISE, RATE_NOISE)[1:]
        for copy in range(1, num_perturbed)
    )
    for more, most in ((_rules(request), 1.0), (noisy, _NOISY_SHARE)):
        while share_of_time() < most and (start := next(more, None)):
            starts.append(start)
            costs.append(makespan_of(request, *start))
    best = starts[int(np.argmin(costs))]
    walker, told = annealing.new_walker(request, *best), math.inf
    bound = score(request, *best)[1] if on_solution else 0.0
    hottest = min(HOTTEST, HEAT / len(request.user))
    temperature, done, steps = hottest, len(starts), _SLICE if time_limit is None else 1
    while True:
        cost = float(walker.makespan[1])
        if on_solution and cost < told:
            told = cost
            decision = Decision(walker.best_place.astype(np.int8), walker.best_order.copy())
            if on_solution(cost, min(bound, cost), decision):
                break
        if done >= num_simulations or share_of_time() >= 1:
            break
        steps = int(min(steps, num_simulations - done))
        spent = min(1.0, max((done + steps) / num_simulations, share_of_time()))
        colder = hottest * COLDEST**spent
        before = time.perf_counter()
        annealing.anneal(request, walker, steps, temperature, colder)
        temperature, done = colder, done + steps
        if time_limit is not None:
            took = max(time.perf_counter() - before, 1e-9)
            steps = max(1, min(_SLICE, int(steps * _SLICE_SECONDS / took)))
    empty_last(request, walker.best_place, walker.best_order)
    return walker.best_place, walker.best_order


def _single_places(request: Request) -> Iterator[_Arrays]:
    """Everything at one place; what that forbids at the first place allowed."""
    from offload_jax.graphs._numba.rules import rank_order

    order, allowed = rank_order(request), request.seconds < math.inf
    for place in range(allowed.shape[1]):
        yield np.where(allowed[:, place], place, allowed.argmax(1)), order


def _cut(request: Request, row: Row | None) -> Iterator[_Arrays]:
    """The cut, if places are in a row."""
    from offload_jax.graphs._numba.rules import rank_order

    if row is not None:
        yield least_serial(request, row).place.astype(np.int64), rank_order(request)


def _rules(request: Request) -> Iterator[_Arrays]:
    """Greedy and HEFT."""
    from offload_jax.graphs._numba import annealing, list_scheduling

    yield annealing.perturbed(request, 0, RANK_NOISE, RATE_NOISE)[1:]
    yield list_scheduling.plan(request, list_scheduling.HEFT)[:2]
