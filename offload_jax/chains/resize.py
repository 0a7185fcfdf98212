"""Fitting a chain to a fixed number of subtasks, for networks of fixed input size (section 5.1).

Inserting: empty subtasks (no cycles) are put at the end, their data that of the result. A path
through them costs what it cost before, so the optimum does not change.

Merging: adjacent subtasks become one; their cycles add and the data between them disappears. A
merged subtask runs at one place, so a decision survives a merge exactly if it changes place only
at cuts that were kept. The merge chosen here is the best one: the cost of its optimum is the least
of all merges into that many subtasks. It is that of the cheapest decision with at most n - 1
changes of place, found by a dynamic program over (subtask, changes so far, place) in O(A n K^2).
Kept cuts that this decision does not need are those of least data, where other decisions would
most likely change place.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from offload_jax.batching import broadcast_batch
from offload_jax.chains.costs import CostTerms, problem_terms
from offload_jax.chains.problem import ChainProblem, validate_shapes
from offload_jax.objectives import LATENCY, Objective
from offload_jax.summary import summarize
from offload_jax.validation import check_class, check_integer


class Resized(NamedTuple):
    """A chain of n subtasks and what became of the A original ones.

    Attributes:
      problem: the resized problem.
      segment: int32 `[..., A]` the subtask of the resized chain that each original one is in.
    """

    problem: ChainProblem
    segment: Int[Array, "*batch A"]

    def __repr__(self) -> str:
        return summarize(self)

    def expand(self, decision: Any) -> Array:
        """The decision `[..., n]` for the resized chain as one `[..., A]` for the original.

        It costs the same after merging, and at most the same after inserting.
        """
        decision = jnp.asarray(decision)
        segment = jnp.broadcast_to(self.segment, decision.shape[:-1] + self.segment.shape[-1:])
        return jnp.take_along_axis(decision, segment, axis=-1)


def resize(
    problem: ChainProblem, num_subtasks: int, *, objective: Objective = LATENCY
) -> ChainProblem:
    """Fits chains to a number of subtasks by inserting empty ones or merging adjacent ones.

    Works inside `jit` and `vmap`.

    Args:
      problem: the problem, leading dimensions free.
      num_subtasks: n, at least 1.
      objective: what the merged chain should do best at.

    Returns:
      The problem with n subtasks, the same speeds and bandwidths. Inserting leaves the optimal
      cost as it is; merging gives the least optimal cost of all merges, never below the original.
      Where problems of a batch differ in speeds or bandwidths only, each is merged its own way, so
      `cycles` and `data` gain the batch dimensions.

    Raises:
      ValueError: `num_subtasks` is less than 1 or no integer, or shapes do not fit.
    """
    return resize_with_segments(problem, num_subtasks, objective=objective).problem


def resize_with_segments(
    problem: ChainProblem, num_subtasks: int, *, objective: Objective = LATENCY
) -> Resized:
    """`resize`, and the map that turns decisions back into ones for the original chain."""
    validate_shapes(problem)
    check_class("objective", objective, Objective)
    check_integer("num_subtasks", num_subtasks)
    if num_subtasks >= problem.num_subtasks:
        return _insert(problem, num_subtasks)
    return _merge(problem, objective, num_subtasks=num_subtasks)


def _insert(problem: ChainProblem, num_subtasks: int) -> Resized:
    extra = num_subtasks - problem.num_subtasks
    segment = jnp.arange(problem.num_subtasks, dtype=jnp.int32)
    if extra == 0:
        return Resized(problem, segment)
    cycles, data = jnp.asarray(problem.cycles), jnp.asarray(problem.data)

    def lengthen(value: Array, mode: str) -> Array:
        return jnp.pad(value, [(0, 0)] * (value.ndim - 1) + [(0, extra)], mode=mode)

    cycles, data = lengthen(cycles, "constant"), lengthen(data, "edge")
    return Resized(dataclasses.replace(problem, cycles=cycles, data=data), segment)


@functools.partial(jax.jit, static_argnames="num_subtasks")
def _merge(problem: ChainProblem, objective: Objective, *, num_subtasks: int) -> Resized:
    full = broadcast_batch(problem)
    moves = _moves_of_cheapest(problem_terms(full, objective), num_subtasks - 1, full.batch_shape)
    cycles, data = jnp.asarray(full.cycles), jnp.asarray(full.data)
    # Needed cuts first, then those of least data; rank 0 is kept first.
    order = jnp.argsort(jnp.where(moves, -1.0, data[..., 1:-1]), axis=-1)
    kept = jnp.argsort(order, axis=-1) < num_subtasks - 1
    padded = jnp.pad(kept, [(0, 0)] * (kept.ndim - 1) + [(1, 0)])
    segment = jnp.cumsum(padded, axis=-1, dtype=jnp.int32)
    number = jnp.arange(num_subtasks).reshape((1,) * (segment.ndim - 1) + (-1, 1))
    member = segment[..., None, :] == number
    merged_cycles = jnp.sum(jnp.where(member, cycles[..., None, :], 0.0), axis=-1)
    # Data enters a merged subtask where its first original subtask starts.
    first = jnp.argmax(member, axis=-1)
    merged_data = jnp.concatenate([jnp.take_along_axis(data, first, -1), data[..., -1:]], -1)
    merged = dataclasses.replace(problem, cycles=merged_cycles, data=merged_data)
    return Resized(merged, segment)


def _moves_of_cheapest(terms: CostTerms, most: int, batch: tuple[int, ...]) -> Array:
    """Where the cheapest decision with at most `most` changes of place has them: `[*batch, A-1]`.

    Values are `[changes, place, *batch]`; the moves from and to the device at the ends are free.
    """
    num_subtasks, places = terms.num_subtasks, range(terms.num_places)
    dtype = jnp.result_type(*jax.tree.leaves(terms))

    def full(entry: Array) -> Array:
        return jnp.broadcast_to(entry, (len(entry), *batch)).astype(dtype)

    execution = jnp.stack([full(entry) for entry in terms.execution], 1)
    transfer = jnp.stack([jnp.stack([full(e) for e in row], 1) for row in terms.transfer], 1)
    start = transfer[0, 0] + execution[0]
    values = jnp.full((most + 1, *start.shape), math.inf, dtype).at[0].set(start)
    ones = (1,) * len(batch)
    here = jnp.arange(len(places)).reshape(1, -1, *ones)

    def step(values: Array, stage: tuple[Array, Array]) -> tuple[Array, Array]:
        arriving, running = stage
        fewer = jnp.concatenate([jnp.full_like(values[:1], math.inf), values[:-1]])
        best = values + jnp.stack([arriving[k, k] for k in places])[None]
        source = jnp.broadcast_to(here, values.shape)
        for j in places:
            candidate = fewer[:, j, None] + arriving[j][None]
            better = (candidate < best) & (here != j)
            best, source = jnp.where(better, candidate, best), jnp.where(better, j, source)
        return best + running[None], source

    values, sources = jax.lax.scan(step, values, (transfer[1:num_subtasks], execution[1:]))
    total = (values + transfer[num_subtasks, :, 0][None]).reshape(-1, *batch)
    # Changes are the major axis: among equals, the fewest.
    last = jnp.argmin(total, axis=0)

    def back(state: Array, source: Array) -> tuple[Array, Array]:
        place = state % len(places)
        flat = source.reshape(-1, *batch)
        previous = jnp.take_along_axis(flat, state[None], axis=0)[0]
        moved = previous != place
        changes = state // len(places) - moved
        return changes * len(places) + previous, moved

    _, moved = jax.lax.scan(back, last, sources, reverse=True)
    return jnp.moveaxis(moved, 0, -1)
