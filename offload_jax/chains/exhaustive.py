"""Enumeration of the whole decision space: the paper's Optimal and the independent check.

All K^A decisions of a chain are scored as one tensor with an axis a subtask: stage t adds
`transfer[t, j, k] + execution[t, k]` to the axes of subtasks t - 1 and t by broadcasting, which
shares all common prefixes. A `vmap` whose batch axis is the innermost one scores a chunk of chains
at a time: every addition is then a long contiguous vector, and memory does not grow with the batch.

Enumeration does not mind limits: it scores every decision once for the objective and once for every
limited quantity, and takes the cheapest among the decisions that fit.
"""

import math
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from offload_jax.batching import map_chunks
from offload_jax.chains.constraints import NO_LIMITS, RELATIVE_TOLERANCE, Limits
from offload_jax.chains.costs import ChainCosts, CostTerms, terms_under_maximum
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import Objective, Period

MAX_DECISIONS = 2_000_000  # 3^13 is 1 594 323
CHUNK_SCORES = 1 << 20
"""Scores held at once: a few MB, so that they stay in cache."""


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


def score_all(terms: CostTerms, *, library: ModuleType = jnp) -> Any:
    """Costs of all decisions: shape `(K,) * A + batch`, an axis a subtask.

    Args:
      terms: entries that broadcast to `[A, *batch]` and `[A + 1, *batch]`.
      library: `jax.numpy`, or `numpy` for NumPy entries.
    """
    places, num_subtasks = range(terms.num_places), terms.num_subtasks
    batch = terms.batch_shape
    axes = (slice(None),) * len(batch)

    def stack(entries: list[Any]) -> Any:
        return library.stack([library.broadcast_to(entry, batch) for entry in entries])

    scores = stack([terms.transfer[0][k][0] + terms.execution[k][0] for k in places])
    for t in range(1, num_subtasks):
        rows = [
            stack([terms.transfer[j][k][t] + terms.execution[k][t] for k in places]) for j in places
        ]
        stage = library.stack(rows)
        scores = scores[(..., None, *axes)] + stage.reshape((1,) * (t - 1) + stage.shape)
    home = stack([terms.transfer[k][0][num_subtasks] for k in places])
    return scores + home.reshape((1,) * (num_subtasks - 1) + home.shape)


def score_batch(terms: CostTerms) -> Float[Array, "*places batch"]:
    """`score_all` of every chain of a flat batch; twice as fast, with limits, as without `vmap`."""
    batch = terms.batch_shape
    terms = jax.tree.map(lambda entry: jnp.broadcast_to(entry, (len(entry), *batch)), terms)
    return jax.vmap(score_all, in_axes=-1, out_axes=-1)(terms)


def minimize(
    source: ChainProblem | ChainCosts, objective: Objective | Period, limits: Limits = NO_LIMITS
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Least-cost decision and its cost, by looking at every decision.

    Args:
      source: problem or table, K^A at most `MAX_DECISIONS`.
      objective: what to minimise, ignored for a table unless it is the period; its power model also
        measures the energy that is limited.
      limits: they broadcast with the batch of the problem, and need one.

    Returns:
      `[*batch, A]` lexicographically smallest decision among the cheapest that fit, and `[*batch]`
      its cost. Where none fits: all 0 and `inf`.

    Raises:
      ValueError: the decision space is too large.
    """
    check_size(source.num_subtasks, source.num_places)
    limited = limits.by_quantity(source, objective.power)
    bounds = [jnp.asarray(limit) * (1 + RELATIVE_TOLERANCE) for *_, limit in limited]
    # Tables that are limited are cut into the same chunks; the source itself comes first.
    tables = [each for each, *_ in limited if each is not source]
    fields = [field for table in tables for field in (table.execution, table.transfer)]

    def select(chunk: ChainProblem | ChainCosts, *rows: Array) -> tuple[Array, Array]:
        scores = _score(chunk, objective)
        others = zip(rows[len(bounds) :: 2], rows[len(bounds) + 1 :: 2], strict=True)
        for (which, quantity, _), bound in zip(limited, rows, strict=False):
            spent = _score(chunk if which is source else ChainCosts(*next(others)), quantity)
            bound = bound.reshape((1,) * (spent.ndim - 1) + (-1,))
            scores = jnp.where(spent <= bound, scores, math.inf)
        return first_argmin(scores)

    number, cost = map_chunks(
        select,
        source,
        *bounds,
        *fields,
        own_axes=[0] * len(bounds) + [2, 3] * len(tables),
        chunk_rows=max(1, CHUNK_SCORES // source.num_places**source.num_subtasks),
    )
    return unravel(number, source.num_subtasks, source.num_places), cost


def _score(source: ChainProblem | ChainCosts, objective: Objective | Period) -> Array:
    """What every decision costs a flat batch."""
    terms = terms_under_maximum(source, objective)
    if len(terms) == 1:
        return score_batch(terms[0])
    batch = np.broadcast_shapes(*(each.batch_shape for each in terms))
    # One loop over all of them compiles in a tenth of the time.
    loads = jax.tree.map(
        lambda *entries: jnp.stack([jnp.broadcast_to(e, (len(e), *batch)) for e in entries]), *terms
    )
    first = score_batch(terms[0])

    def larger(most: Array, load: CostTerms) -> tuple[Array, None]:
        return jnp.maximum(most, score_batch(load)), None

    most, _ = jax.lax.scan(larger, jnp.broadcast_to(first, (*first.shape[:-1], *batch)), loads)
    return most


def first_argmin(scores: Array) -> tuple[Array, Array]:
    """Index of the first least score of each chain, and that score."""
    flat = scores.reshape(-1, scores.shape[-1])
    least = jnp.min(flat, axis=0)
    # Two plain reductions: XLA's argmin on CPU is several times slower than both together.
    index = jnp.arange(flat.shape[0], dtype=jnp.int32)[:, None]
    first = jnp.min(jnp.where(flat == least[None], index, flat.shape[0]), axis=0)
    return first, least


def unravel(number: Any, num_subtasks: int, num_places: int) -> Any:
    """Decisions int8 `[..., A]` by their number `[...]` in lexicographic order; NumPy or JAX."""
    weights = num_places ** np.arange(num_subtasks - 1, -1, -1, dtype=np.int32)
    digits = number[..., None] // weights.reshape((1,) * number.ndim + (-1,)) % num_places
    return digits.astype(np.int8)
