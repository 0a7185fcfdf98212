"""Decisions that cost no search: greedy."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int8

from offload_jax.chains.costs import ChainCosts, CostTerms, terms_of
from offload_jax.chains.dynamic_programming import WORD_BITS, unpack
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import Objective


def greedy(
    source: ChainProblem | ChainCosts, objective: Objective, *, count_return: bool = False
) -> Int8[Array, "*batch A"]:
    """Subtask after subtask, the place with the least transfer-in plus execution (section 5.1).

    Args:
      source: problem or table, K places, A subtasks.
      objective: what to minimise; ignored for a table.
      count_return: for the last subtask, also count moving the result home. The paper's wording
        does not.

    Returns:
      `[*batch, A]` decisions; ties go to the smaller place.
    """
    num_subtasks, places = source.num_subtasks, range(source.num_places)
    nothing = [0.0] * len(places)
    bits = max(1, (len(places) - 1).bit_length())
    if num_subtasks * bits <= WORD_BITS:
        # Cut and packed as in the dynamic program, so that all fuses into one loop over the batch.
        place, word = jnp.zeros((), jnp.int8), jnp.zeros((), jnp.uint32)
        for t in range(num_subtasks):
            stage = terms_of(source.subtask(t), objective)
            last = count_return and t == num_subtasks - 1
            home = [stage.transfer[k][0][1] for k in places] if last else nothing
            place = _choose(place, jax.tree.map(lambda entry: entry[0], stage), home)
            word = word | (place.astype(jnp.uint32) << (bits * t))
        return unpack(jnp.broadcast_to(word, source.batch_shape), num_subtasks, bits)

    terms = terms_of(source, objective)

    def step(place: Array, t: Array) -> tuple[Array, Array]:
        place = _choose(place, jax.tree.map(lambda entry: entry[t], terms), nothing)
        return place, place

    place, chosen = jax.lax.scan(step, terms.zeros(jnp.int8), jnp.arange(num_subtasks - 1))
    final = jax.tree.map(lambda entry: entry[num_subtasks - 1], terms)
    home = [terms.transfer[k][0][num_subtasks] if count_return else 0.0 for k in places]
    return jnp.moveaxis(jnp.concatenate([chosen, _choose(place, final, home)[None]]), 0, -1)


def _choose(place: Array, stage: CostTerms, home: list[Any]) -> Array:
    """The next place after `place`; `home` is what moving on from each would cost."""
    places = range(stage.num_places)

    def total(k: int) -> Array:
        arriving = stage.transfer[0][k]
        for j in places[1:]:
            arriving = jnp.where(place == j, stage.transfer[j][k], arriving)
        return arriving + stage.execution[k] + home[k]

    best, chosen = total(0), jnp.zeros((), jnp.int8)
    for k in places[1:]:
        candidate = total(k)
        chosen = jnp.where(candidate < best, jnp.int8(k), chosen)
        best = jnp.minimum(candidate, best)
    return chosen
