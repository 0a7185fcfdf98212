"""Learned policies on concrete requests, by the compiled loops: as `rows` for the rules."""

import math
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from offload_jax.graphs._flow.row import row_or_none
from offload_jax.graphs._numba import best_of as one_request
from offload_jax.graphs._numba.network import Weights
from offload_jax.graphs._numba.rollout import best_schedule
from offload_jax.graphs._numba.rows import decided, request_at
from offload_jax.graphs._numba.simulator import compiled
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.goals import goals_of, limits_of
from offload_jax.graphs.objectives import UserLatency
from offload_jax.graphs.priced import solve
from offload_jax.graphs.request import Request, unpack_rows


@compiled
def _best_sample_rows(
    rows, weights, first_weight, widths, noise, changed, share, since, largest,
    place, order, first, last,
):  # fmt: skip
    """Writes the decisions of `best_schedule`."""
    for r in range(first, last):
        place[r], order[r], _ = best_schedule(
            request_at(rows, r), weights, first_weight, widths, noise, changed,
            share, since[r], largest,
        )  # fmt: skip


def most_probable(weights: Weights, costs: GraphCosts) -> Decision:
    """See `LearnedGraphPolicy`; weights as `network.pack` gives them."""
    silence = np.zeros((0, costs.num_tasks, costs.num_places + 1))
    since = np.zeros((math.prod(costs.batch_shape), costs.num_users))
    makespan = np.ones(costs.num_users), since, True
    return _best_samples(weights, costs, silence, silence > 0, makespan)


def _best_samples(
    weights: Weights, costs: GraphCosts, noise: np.ndarray, changed: np.ndarray, latency: tuple
) -> Decision:
    none = np.zeros(costs.num_tasks)
    return decided(costs, none, _best_sample_rows, *weights, noise, changed, *latency)


def best_for_users(
    weights: Weights, costs: GraphCosts, effort: one_request.Effort, objective: UserLatency
) -> Decision:
    """The best of samples and, user after user too, of rules, annealed for what users wait."""
    free = limits_of(costs.batch_shape, max_latency=None, max_energy=None, max_period=None)
    goals = goals_of(costs, costs, objective, free, None)
    since = np.reshape([goal.since for goal in goals], (-1, costs.num_users))
    latency = objective.shares(costs.num_users), since, bool(objective.largest)
    sampled = _best_samples(weights, costs, effort.noise, effort.changed, latency)
    start = Decision(*(np.asarray(part, np.int64) for part in sampled))
    num = effort.num_simulations
    found = solve(costs, goals, "search", start=[start], num_simulations=num, seed=effort.seed)
    return Decision(jax.device_put(found.place), jax.device_put(found.order))


def best_of(weights: Weights, costs: GraphCosts, effort: one_request.Effort) -> Decision:
    """See `LearnedGraphPolicy.best_of` and `then_search`; the same effort for every request."""
    row = row_or_none(costs.routes)

    def decide(request: Request) -> tuple[np.ndarray, np.ndarray]:
        return one_request.decide(request, row, weights, effort)

    with ThreadPoolExecutor() as pool:
        found = np.array(list(pool.map(decide, unpack_rows(costs))), np.int32)
    place, order = found.reshape(-1, 2, costs.num_tasks).swapaxes(0, 1)
    shape = (*costs.batch_shape, costs.num_tasks)
    return Decision(
        jax.device_put(place.reshape(shape).astype(np.int8)), jax.device_put(order.reshape(shape))
    )
