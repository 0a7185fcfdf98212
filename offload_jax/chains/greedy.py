"""Decisions that cost no search: greedy."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int8

from offload_jax.chains.costs import ChainCosts, CostTerms, terms_of
from offload_jax.chains.dynamic_programming import WORD_BITS, bits_of, computed_once, unpack
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
    num_subtasks, batch = source.num_subtasks, source.batch_shape
    bits = bits_of(source.num_places)
    in_word = WORD_BITS // bits

    def follow(part: ChainProblem | ChainCosts, place: Array, count_return: bool = False) -> Array:
        word = _follow(part, place, objective=objective, bits=bits, count_return=count_return)
        return jnp.broadcast_to(word, batch)

    nowhere = jnp.zeros((), jnp.uint32)
    if num_subtasks <= in_word:
        return unpack([follow(source, nowhere, count_return)], num_subtasks, bits, in_word)

    def step(before: Array, i: Array) -> tuple[Array, Array]:
        place = before >> (bits * (in_word - 1))
        # What is stored is the word that came in: XLA gives a loop that stores its result in a
        # larger array a single thread.
        return follow(source.part(i * in_word, in_word), place), before

    rest = (num_subtasks - 1) % in_word + 1
    num_words = (num_subtasks - rest) // in_word + 1
    first = follow(source.part(0, in_word), nowhere)
    last, words = jax.lax.scan(step, first, jnp.arange(1, num_words - 1))
    place = last >> (bits * (in_word - 1))
    end = follow(source.part(num_subtasks - rest, rest), place, count_return)
    words = jnp.moveaxis(jnp.concatenate([words, last[None], end[None]]), 0, -1)
    decision = unpack([words], in_word, bits, in_word)
    return decision.reshape(*batch, num_words * in_word)[..., :num_subtasks]


def _follow(
    source: ChainProblem | ChainCosts,
    place: Array,
    *,
    objective: Objective,
    bits: int,
    count_return: bool,
) -> Array:
    """Greedy decisions of a part of a chain that is entered from a place, packed into a word.

    Cut and packed as in the dynamic program, so that all fuses into one loop over the batch.
    """
    num_subtasks, places = source.num_subtasks, range(source.num_places)
    word = jnp.zeros((), jnp.uint32)
    for t in range(num_subtasks):
        stage = terms_of(source.subtask(t), objective)
        returns = count_return and t == num_subtasks - 1
        home = [stage.transfer[k][0][1] if returns else 0.0 for k in places]
        place = _choose(place, jax.tree.map(lambda entry: entry[0], stage), home)
        word = word | (place << (bits * t))
    # Every word is kept, but XLA must not know it.
    return computed_once(word, place < len(places))


def _choose(place: Array, stage: CostTerms, home: list[Any]) -> Array:
    """The next place after `place`; `home` is what moving on from each would cost."""
    places = range(stage.num_places)

    def total(k: int) -> Array:
        arriving = stage.transfer[0][k]
        for j in places[1:]:
            arriving = jnp.where(place == j, stage.transfer[j][k], arriving)
        return arriving + stage.execution[k] + home[k]

    best, chosen = total(0), jnp.zeros((), jnp.uint32)
    for k in places[1:]:
        candidate = total(k)
        chosen = jnp.where(candidate < best, jnp.uint32(k), chosen)
        best = jnp.minimum(candidate, best)
    return chosen
