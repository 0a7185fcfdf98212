"""Exact min-plus dynamic program over the layered graph of places, for any A and K.

The cost of a chain is a shortest path through A layers of K places, so the least cost of finishing
the chain from subtask t onwards, once subtask t - 1 ran at place j, obeys

    V[t](j) = min_k transfer[t, j, k] + execution[t, k] + V[t + 1](k).

O(A K^2) operations and, on a batch, one pass over the input. Two things make it fast: the table
entries stay separate arrays, so XLA fuses everything into one loop over the batch, and each V
carries its decisions with it, a few bits a subtask packed into one integer, so no back-pointers
are written and walked. An integer holds a *block* of subtasks; longer chains scan over blocks, and
over the subtasks of a block. (Unrolling a block inside the scan looks better and is not: XLA's CPU
fusion then computes every value again for each of its K uses, K^B times in all.)

Going backwards and keeping the smallest k among equals yields the lexicographically smallest
optimal decision.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int8

from offload_jax.chains.costs import ChainCosts, CostTerms, terms_of
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import Objective

WORD_BITS = 32
# Terms of a chain that is unrolled instead of scanned; bounds compile time.
_MAX_UNROLLED = 512
# XLA's CPU loops over a long batch are two to three times slower where its length is no multiple of
# this, so what is left over is solved apart.
_EVEN, _LARGE = 64, 4096


def minimize(
    source: ChainProblem | ChainCosts, objective: Objective
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Least-cost decision and its cost, for every chain of a batch.

    Args:
      source: problem or table, any A and K.
      objective: what to minimise; ignored for a table.

    Returns:
      `[*batch, A]` lexicographically smallest optimal decision and `[*batch]` its cost; cost
      `inf` and decision all 0 where every decision is impossible.
    """
    num_subtasks, batch = source.num_subtasks, source.batch_shape
    if isinstance(source, ChainProblem) and len(batch) == 1 and batch[0] > _LARGE:
        even = batch[0] // _EVEN * _EVEN
        if even != batch[0]:
            parts = [minimize(part, objective) for part in (source[:even], source[even:])]
            decisions, costs = zip(*parts, strict=True)
            return jnp.concatenate(decisions), jnp.concatenate(costs)
    num_places = source.num_places
    bits = max(1, (num_places - 1).bit_length())
    block = WORD_BITS // bits
    if num_subtasks > min(block, _MAX_UNROLLED // num_places**2):
        return _minimize_long(terms_of(source, objective), block, bits, batch)
    # Cutting the source, not its terms, lets XLA fuse terms that are used more than once.
    stages = [terms_of(source.subtask(t), objective) for t in range(num_subtasks)]
    final = [stages[-1].transfer[k][0][1] for k in range(num_places)]
    stages = [jax.tree.map(lambda entry: entry[0], stage) for stage in stages]
    values, words = final, [jnp.zeros((), jnp.uint32)] * num_places
    for t in reversed(range(num_subtasks)):
        values, words = _prepend(stages[t], values, words, bits * t)
    # Where nothing is possible, the rest of the chain alone may still have chosen places.
    word = jnp.where(values[0] < math.inf, words[0], 0)
    decision = unpack(jnp.broadcast_to(word, batch), num_subtasks, bits)
    return decision, jnp.broadcast_to(values[0], batch)


def _prepend(
    stage: CostTerms, values: list[Array], words: list[Array], shift: Any
) -> tuple[list[Array], list[Array]]:
    """One step of the recursion: puts a subtask in front of the rest of the chain.

    Args:
      stage: execution of the subtask and the transfer before it, entries `[*batch]`.
      values: for each of K places, the least cost of the rest once the subtask ran there.
      words: the packed decisions of the rest that cost so little.
      shift: bit position of the subtask's decision.

    Returns:
      Least costs and packed decisions for each of the K places before the subtask.
    """
    places = range(len(values))
    arrived = [stage.execution[k] + values[k] for k in places]
    extended = [words[k] | (jnp.uint32(k) << shift) for k in places]
    new_values, new_words = [], []
    for j in places:
        best, word = arrived[0] + stage.transfer[j][0], extended[0]
        for k in places[1:]:
            candidate = arrived[k] + stage.transfer[j][k]
            better = candidate < best
            best = jnp.where(better, candidate, best)
            word = jnp.where(better, extended[k], word)
        new_values.append(best)
        new_words.append(word)
    return new_values, new_words


def unpack(words: Array, length: int, bits: int) -> Int8[Array, "... length"]:
    """The first `length` places that are packed in each word, `bits` a place, lowest first."""
    shifts = jnp.arange(length, dtype=jnp.uint32) * bits
    mask = jnp.uint32((1 << bits) - 1)
    return ((words[..., None] >> shifts.reshape((1,) * words.ndim + (-1,))) & mask).astype(jnp.int8)


def _minimize_long(
    terms: CostTerms, block: int, bits: int, batch: tuple[int, ...]
) -> tuple[Array, Array]:
    """Scans over blocks from the end, then follows the packed decisions from the start."""
    num_subtasks, places = terms.num_subtasks, range(terms.num_places)
    num_blocks = math.ceil(num_subtasks / block)
    # As even as possible: the padding is less than a block.
    block = math.ceil(num_subtasks / num_blocks)
    padding = num_blocks * block - num_subtasks
    dtype = jnp.result_type(*jax.tree.leaves(terms))

    def blocks(entry: Array, fill: float) -> Array:
        # Padding goes in front: subtasks that must run at place 0, where the chain starts, free.
        entry = jnp.broadcast_to(entry[:num_subtasks], (num_subtasks, *batch)).astype(dtype)
        front = jnp.full((padding, *batch), fill, dtype)
        return jnp.concatenate([front, entry]).reshape(num_blocks, block, *batch)

    stages = CostTerms(
        tuple(blocks(terms.execution[k], 0.0 if k == 0 else math.inf) for k in places),
        tuple(tuple(blocks(terms.transfer[j][k], 0.0) for k in places) for j in places),
    )

    shifts = jnp.arange(block, dtype=jnp.uint32) * bits

    def backward(values: list[Array], block_terms: CostTerms) -> tuple[list[Array], list[Array]]:
        def step(carry: tuple[list, list], stage: tuple[CostTerms, Array]) -> tuple:
            return _prepend(stage[0], *carry, stage[1]), None

        words = [terms.zeros(jnp.uint32)] * len(values)
        (values, words), _ = jax.lax.scan(
            step, (values, words), (block_terms, shifts), reverse=True
        )
        return values, words

    final = [terms.transfer[k][0][num_subtasks] for k in places]
    start = [value + terms.zeros(dtype) for value in final]
    values, words = jax.lax.scan(backward, start, stages, reverse=True)

    def forward(place: Array, word_from: list[Array]) -> tuple[Array, Array]:
        word = word_from[0]
        for k in places[1:]:
            word = jnp.where(place == k, word_from[k], word)
        return unpack(word, block, bits)[..., -1], word

    possible = (values[0] < math.inf)[None]
    words = [jnp.where(possible, word, 0) for word in words]
    _, chosen = jax.lax.scan(forward, terms.zeros(jnp.int8), words)
    decision = jnp.moveaxis(unpack(chosen, block, bits), 0, -2)
    return decision.reshape(*batch, num_blocks * block)[..., padding:], values[0]
