"""Decisions that cost no search: greedy and the fixed places."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int8

from offload_jax.costs import CostTerms


def greedy(terms: CostTerms, *, count_return: bool = False) -> Int8[Array, "*batch A"]:
    """Subtask after subtask, the place with the least transfer-in plus execution (section 5.1).

    Args:
      terms: the costs, K places, A subtasks.
      count_return: for the last subtask, also count moving the result home. The paper's wording
        does not.

    Returns:
      `[*batch, A]` decisions; ties go to the smaller place.
    """
    num_subtasks, batch = terms.num_subtasks, terms.batch_shape
    places = range(terms.num_places)

    def choose(place: Array, execution: list, transfer: list, extra: list) -> Array:
        best, chosen = None, None
        for k in places:
            arriving = transfer[0][k]
            for j in places[1:]:
                arriving = jnp.where(place == j, transfer[j][k], arriving)
            total = arriving + execution[k] + extra[k]
            if best is None:
                best, chosen = total, jnp.zeros(batch, jnp.int8)
            else:
                chosen = jnp.where(total < best, jnp.int8(k), chosen)
                best = jnp.minimum(total, best)
        return chosen

    def stage(t):
        return [v[t] for v in terms.execution], [[v[t] for v in row] for row in terms.transfer]

    nothing = [0.0] * len(places)

    def step(place: Array, t: Array) -> tuple[Array, Array]:
        place = choose(place, *stage(t), nothing)
        return place, place

    start = jnp.zeros(batch, jnp.int8)
    # Unrolled for short chains, where it fuses into one loop over the batch.
    place, chosen = jax.lax.scan(
        step, start, jnp.arange(num_subtasks - 1), unroll=max(1, min(num_subtasks - 1, 16))
    )
    home = [terms.transfer[k][0][num_subtasks] if count_return else 0.0 for k in places]
    last = choose(place, *stage(num_subtasks - 1), home)
    return jnp.moveaxis(jnp.concatenate([chosen, last[None]]), 0, -1)
