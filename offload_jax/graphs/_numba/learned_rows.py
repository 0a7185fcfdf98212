"""Learned policies on concrete requests, by the compiled loops: as `rows` for the rules."""

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
from offload_jax.graphs.request import Request, unpack_rows


@compiled
def _most_probable_rows(rows, weights, first_weight, widths, silence, place, order, first, last):
    """Writes the decisions of `best_schedule` without samples."""
    for r in range(first, last):
        place[r], order[r], _ = best_schedule(
            request_at(rows, r), weights, first_weight, widths, silence, silence > 0
        )


def most_probable(weights: Weights, costs: GraphCosts) -> Decision:
    """See `LearnedGraphPolicy`; weights as `network.pack` gives them."""
    silence = np.zeros((0, costs.num_tasks, costs.num_places + 1))
    return decided(costs, np.zeros(costs.num_tasks), _most_probable_rows, *weights, silence)


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
