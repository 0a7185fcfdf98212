"""Decisions that cost no search: greedy and the fixed places."""

from typing import Any

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

    def choose(place: Array, t: Any, last_leg: list) -> Array:
        def total(k: int) -> Array:
            arriving = terms.transfer[0][k][t]
            for j in places[1:]:
                arriving = jnp.where(place == j, terms.transfer[j][k][t], arriving)
            return arriving + terms.execution[k][t] + last_leg[k]

        best, chosen = total(0), jnp.zeros(batch, jnp.int8)
        for k in places[1:]:
            candidate = total(k)
            chosen = jnp.where(candidate < best, jnp.int8(k), chosen)
            best = jnp.minimum(candidate, best)
        return chosen

    nothing = [0.0] * len(places)

    def step(place: Array, t: Array) -> tuple[Array, Array]:
        place = choose(place, t, nothing)
        return place, place

    start = terms.zeros(jnp.int8)
    # Unrolled for short chains, where it fuses into one loop over the batch.
    place, chosen = jax.lax.scan(
        step, start, jnp.arange(num_subtasks - 1), unroll=max(1, min(num_subtasks - 1, 16))
    )
    home = [terms.transfer[k][0][num_subtasks] if count_return else 0.0 for k in places]
    last = choose(place, num_subtasks - 1, home)
    return jnp.moveaxis(jnp.concatenate([chosen, last[None]]), 0, -1)
