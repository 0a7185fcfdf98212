"""Learned policies on concrete requests, by the compiled loops: as `rows` for the rules."""

import numpy as np

from offload_jax.graphs._numba.network import Weights
from offload_jax.graphs._numba.rollout import best_schedule
from offload_jax.graphs._numba.rows import decided, request_at
from offload_jax.graphs._numba.simulator import compiled
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision


@compiled
def _learned_rows(
    rows, weights, first_weight, widths, noise, changed, with_rule, place, order, first, last
):
    """Writes the decisions of `best_schedule`."""
    for r in range(first, last):
        at = min(r, noise.shape[0] - 1)
        place[r], order[r] = best_schedule(
            request_at(rows, r), weights, first_weight, widths, noise[at], changed[at], with_rule
        )


def most_probable(weights: Weights, costs: GraphCosts) -> Decision:
    """See `LearnedGraphPolicy`; weights as `network.pack` gives them."""
    silence = np.zeros((1, 0, costs.num_tasks, costs.num_places + 1))
    return _learned(weights, costs, silence, silence > 0, with_rule=False)


def best_of(
    weights: Weights, costs: GraphCosts, noise: np.ndarray, changed: np.ndarray
) -> Decision:
    """See `LearnedGraphPolicy.best_of`; noise as `_jax.policy.draws` gives it."""
    return _learned(weights, costs, np.array(noise, np.float64), np.array(changed), with_rule=True)


def _learned(
    weights: Weights, costs: GraphCosts, noise: np.ndarray, changed: np.ndarray, *, with_rule: bool
) -> Decision:
    nothing = np.zeros(costs.num_tasks)
    return decided(costs, nothing, _learned_rows, *weights, noise, changed, with_rule)
