"""The best of rules and of a network's samples, for one request, and annealing from it."""

from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.row import Row
from offload_jax.graphs._flow.solve import least_serial
from offload_jax.graphs._numba import annealing
from offload_jax.graphs._numba.network import Weights
from offload_jax.graphs._numba.ranks import empty_last
from offload_jax.graphs._numba.rollout import best_schedule, until_all_are_served
from offload_jax.graphs._numba.rules import greedy, only_allowed
from offload_jax.graphs._numba.search import COLDEST, hottest_of
from offload_jax.graphs._numba.simulator import compiled, new_state, simulate
from offload_jax.graphs.request import Request


class Effort(NamedTuple):
    """What is spent on each request.

    Attributes:
      noise, changed: `[n, N, K + 1]` of samples; see `rollout.best_schedule`.
      num_simulations: of annealing.
      seed: of annealing.
    """

    noise: np.ndarray
    changed: np.ndarray
    num_simulations: int
    seed: int


def decide(
    request: Request, row: Row | None, weights: Weights, effort: Effort
) -> tuple[np.ndarray, np.ndarray]:
    """Place and order int `[N]`: annealed from the best of samples and rules.

    The cut is one of the rules if there is a row.
    """
    cuts = np.zeros((0, len(request.release)), np.int64)
    if row is not None:
        cuts = least_serial(request, row).place[None].astype(np.int64)
    place, order = best_decision(request, *weights, effort.noise, effort.changed, cuts)
    if effort.num_simulations:
        hottest = hottest_of(len(place), effort.num_simulations)
        walk = effort.num_simulations, hottest, hottest * COLDEST, effort.seed
        return _annealed(request, place, order, *walk)
    return place, order


@compiled
def best_decision(request, weights, first, widths, noise, changed, cuts):
    """Place and order int `[N]`: the best of `greedy`, samples, single places, and of `cuts`.

    Args:
      weights, first, widths: as `network.pack` gives them.
      noise, changed: of `best_schedule`.
      cuts: int `[C, N]` places, to be taken by upward rank.
    """
    num_tasks, num_places = request.seconds.shape
    state = new_state(request)
    place, ranked = greedy(request)
    order, least = ranked, simulate(request, state, place, ranked)
    found, found_order, makespan = best_schedule(
        request, weights, first, widths, noise, changed, *until_all_are_served(request)
    )
    if makespan < least:
        place, order, least = found, found_order, makespan
    for c in range(num_places + cuts.shape[0]):
        tried = np.full(num_tasks, c)
        if c >= num_places:
            tried[:] = cuts[c - num_places]
        only_allowed(request, tried)
        makespan = simulate(request, state, tried, ranked)
        if makespan < least:
            place, order, least = tried, ranked, makespan
    empty_last(request, place, order)
    return place, order


@compiled
def _annealed(request, place, order, num_steps, hottest, coldest, number):
    """The best decision of a walk from the given one."""
    np.random.seed(number)
    walker = annealing.new_walker(request, place, order)
    annealing.anneal(request, walker, num_steps, hottest, coldest)
    empty_last(request, walker.best_place, walker.best_order)
    return walker.best_place, walker.best_order
