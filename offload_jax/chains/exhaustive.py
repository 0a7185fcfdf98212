"""Enumeration of the whole decision space: the paper's Optimal and the independent check.

All K^A decisions of a chain are scored as one tensor with an axis a subtask: stage t adds
`transfer[t, j, k] + execution[t, k]` to the axes of subtasks t - 1 and t by broadcasting, which
shares all common prefixes. A `vmap` whose batch axis is the innermost one scores a chunk of chains
at a time: every addition is then a long contiguous vector, and memory does not grow with the batch.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from offload_jax.chains.costs import ChainCosts, CostTerms, terms_of
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import Objective

MAX_DECISIONS = 2_000_000  # 3^13 is 1 594 323
_CHUNK_SCORES = 1 << 20  # scores held at once; a few MB, so that they stay in cache


def check_size(num_subtasks: int, num_places: int) -> None:
    """Refuses decision spaces too large to enumerate.

    Raises:
      ValueError: names the sizes and the methods that can do it.
    """
    if num_subtasks * math.log(num_places) > math.log(MAX_DECISIONS):
        raise ValueError(
            f'method "exhaustive" enumerates at most {MAX_DECISIONS} decisions;'
            f' {num_places}^{num_subtasks} are too many: use "dp" or "cpsat"'
        )


def score_all(terms: CostTerms) -> Float[Array, "..."]:
    """Costs of all decisions of one chain: shape `(K,) * A`, one axis a subtask.

    Args:
      terms: costs of a single chain, entries of shape `[A]` and `[A + 1]`.
    """
    places = range(terms.num_places)
    num_subtasks = terms.num_subtasks
    scores = jnp.stack([terms.transfer[0][k][0] + terms.execution[k][0] for k in places])
    for t in range(1, num_subtasks):
        rows = [
            jnp.stack([terms.transfer[j][k][t] + terms.execution[k][t] for k in places])
            for j in places
        ]
        stage = jnp.stack(rows)
        scores = scores[..., None] + stage.reshape((1,) * (t - 1) + stage.shape)
    home = jnp.stack([terms.transfer[k][0][num_subtasks] for k in places])
    return scores + home.reshape((1,) * (num_subtasks - 1) + home.shape)


def minimize(
    source: ChainProblem | ChainCosts, objective: Objective
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Least-cost decision and its cost, by looking at every decision.

    Args:
      source: problem or table, K^A at most `MAX_DECISIONS`.
      objective: what to minimise; ignored for a table.

    Returns:
      `[*batch, A]` lexicographically smallest optimal decision and `[*batch]` its cost.

    Raises:
      ValueError: the decision space is too large.
    """
    return map_chunks(lambda chunk: first_argmin(score_batch(terms_of(chunk, objective))), source)


def score_batch(terms: CostTerms) -> Float[Array, "*places batch"]:
    """`score_all` of every chain of a flat batch, batch axis last."""
    num_subtasks, batch = terms.num_subtasks, terms.batch_shape

    def full(entry: Array, length: int) -> Array:
        return jnp.broadcast_to(entry, (length, *batch))

    terms = CostTerms(
        tuple(full(entry, num_subtasks) for entry in terms.execution),
        tuple(tuple(full(entry, num_subtasks + 1) for entry in row) for row in terms.transfer),
    )
    return jax.vmap(score_all, in_axes=-1, out_axes=-1)(terms)


def first_argmin(scores: Array) -> tuple[Array, Array]:
    """Index of the first least score of each chain, and that score."""
    flat = scores.reshape(-1, scores.shape[-1])
    least = jnp.min(flat, axis=0)
    # Two plain reductions: XLA's argmin on CPU is several times slower than both together.
    index = jnp.arange(flat.shape[0], dtype=jnp.int32)[:, None]
    first = jnp.min(jnp.where(flat == least[None], index, flat.shape[0]), axis=0)
    return first, least


def unravel(index: Array, num_subtasks: int, num_places: int) -> Int8[Array, "... A"]:
    """Decisions by their number in lexicographic order."""
    weights = num_places ** np.arange(num_subtasks - 1, -1, -1, dtype=np.int32)
    digits = index[..., None] // weights.reshape((1,) * index.ndim + (-1,)) % num_places
    return digits.astype(jnp.int8)


def map_chunks(
    select: Callable[..., tuple[Array, Array]],
    source: ChainProblem | ChainCosts,
    *per_chain: Any,
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Solves a chunk of chains at a time, whatever the batch shape.

    Args:
      select: maps a `source` with one batch axis `[n]`, and `per_chain` cut to that axis, to the
        number of the chosen decision of each chain and its cost, both `[n]`.
      source: problem or table with any leading dimensions.
      *per_chain: further arrays that broadcast with the leading dimensions of `source`.

    Returns:
      `[*batch, A]` decisions and `[*batch]` costs.
    """
    tail_ranks: tuple[int, ...] = (2, 3) if isinstance(source, ChainCosts) else (1, 1, 0, 0, 0, 0)
    tail_ranks += (0,) * len(per_chain)
    num_subtasks, num_places = source.num_subtasks, source.num_places
    batch = np.broadcast_shapes(source.batch_shape, *(jnp.shape(value) for value in per_chain))
    check_size(num_subtasks, num_places)
    size = math.prod(batch)
    if size == 0:
        empty = jnp.zeros(batch)
        return jnp.zeros((*batch, num_subtasks), jnp.int8), empty
    chunk = min(size, max(1, _CHUNK_SCORES // num_places**num_subtasks))
    num_chunks = math.ceil(size / chunk)
    leaves, structure = jax.tree.flatten((source, *per_chain))

    def flatten(leaf: Array, tail_rank: int) -> Array:
        """Merges the leading dimensions into one, of length 1 where the batch shares the leaf."""
        leaf = jnp.asarray(leaf)
        tail = leaf.shape[leaf.ndim - tail_rank :]
        if math.prod(leaf.shape[: leaf.ndim - tail_rank]) == 1:
            return leaf.reshape(1, *tail)
        leaf = jnp.broadcast_to(leaf, batch + tail).reshape(size, *tail)
        # The last chunk repeats the last chain; what it gives is dropped.
        padding = [(0, num_chunks * chunk - size)] + [(0, 0)] * tail_rank
        return jnp.pad(leaf, padding, mode="edge")

    flat = [flatten(leaf, rank) for leaf, rank in zip(leaves, tail_ranks, strict=True)]

    def solve_chunk(number: Array) -> tuple[Array, Array]:
        cut = [
            leaf if len(leaf) == 1 else jax.lax.dynamic_slice_in_dim(leaf, number * chunk, chunk)
            for leaf in flat
        ]
        index, cost = select(*jax.tree.unflatten(structure, cut))
        return jnp.broadcast_to(index, (chunk,)), jnp.broadcast_to(cost, (chunk,))

    index, cost = jax.lax.map(solve_chunk, jnp.arange(num_chunks))
    decision = unravel(index.reshape(-1)[:size], num_subtasks, num_places)
    return decision.reshape(*batch, num_subtasks), cost.reshape(-1)[:size].reshape(batch)
