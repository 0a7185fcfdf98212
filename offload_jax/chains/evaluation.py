"""What given decisions cost: latency, energy, and what a table says."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from offload_jax.batching import lift
from offload_jax.chains.costs import (
    ChainCosts,
    CostTerms,
    lift_batch,
    terms_of,
    terms_under_maximum,
    validate_source,
)
from offload_jax.chains.problem import ChainProblem, validate_shapes
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, PERIOD, Objective, Period, PowerModel, energy_of
from offload_jax.validation import Array, ArrayLike, check_class, check_unmasked, is_traced, require


def evaluate_terms(terms: CostTerms, decision: ArrayLike) -> Float[jax.Array, "..."]:
    """Cost of `decision` `[..., A]`; selects instead of multiplying, so 0 * inf cannot occur."""
    decision = jnp.moveaxis(jnp.asarray(decision), -1, 0)
    home = jnp.zeros_like(decision[:1])
    source = jnp.concatenate([home, decision])
    target = jnp.concatenate([decision, home])
    batch_rank = max(decision.ndim - 1, len(terms.batch_shape))

    def pick(value: Any, mask: Array) -> Any:
        return jnp.where(lift_batch(mask, batch_rank), lift_batch(value, batch_rank), 0.0)

    places = range(terms.num_places)
    execution = sum(pick(terms.execution[k], decision == k) for k in places)
    transfer = sum(
        pick(terms.transfer[j][k], (source == j) & (target == k)) for j in places for k in places
    )
    return jnp.sum(execution, axis=0) + jnp.sum(transfer, axis=0)


# Subtasks that are followed in one loop over the batch, which bounds compile time.
_FOLLOWED = 32


def cost_of_decision(
    source: ChainProblem | ChainCosts, decision: ArrayLike, objective: Objective | Period
) -> Float[jax.Array, "..."]:
    """Cost of `decision` `[..., A]`, as part of a program that JAX compiles."""
    if isinstance(objective, Objective):
        return evaluate_decision(source, decision, objective)
    loads = terms_under_maximum(source, objective)
    return functools.reduce(jnp.maximum, [evaluate_terms(load, decision) for load in loads])


@jax.custom_jvp
def evaluate_decision(
    source: ChainProblem | ChainCosts, decision: ArrayLike, objective: Objective
) -> Float[jax.Array, "..."]:
    """The cost under an additive objective.

    It is followed from subtask to subtask, a part of the chain at a time, so that all of a part is
    one loop over the batch; all subtasks at once are twenty times slower, but for the derivative.
    """
    decision = jnp.asarray(decision)
    num_subtasks = source.num_subtasks
    rank = max(decision.ndim - 1, len(source.batch_shape))
    visited = lift(decision, rank + 1)
    follow = functools.partial(_follow, objective=objective)
    home = jnp.zeros_like(visited[..., 0])
    length = min(_FOLLOWED, num_subtasks)
    total = follow(source.part(0, length), visited[..., :length], home)

    def follow_part(i: Array, total: Array) -> Array:
        first = i * length
        places = jax.lax.dynamic_slice_in_dim(visited, first - 1, length + 1, axis=-1)
        return total + follow(source.part(first, length), places[..., 1:], places[..., 0])

    num_parts, rest = divmod(num_subtasks, length)
    if num_parts > 1:
        total = jax.lax.fori_loop(1, num_parts, follow_part, total)
    first = num_subtasks - rest
    if rest:
        total = total + follow(
            source.part(first, rest), visited[..., first:], visited[..., first - 1]
        )
    last = terms_of(source.subtask(num_subtasks - 1), objective)
    return total + _of(visited[..., -1], [lift_batch(row[0], rank)[1] for row in last.transfer])


@evaluate_decision.defjvp
def _evaluate_decision_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    source, decision, objective = primals

    def total(source: ChainProblem | ChainCosts, objective: Objective) -> jax.Array:
        return evaluate_terms(terms_of(source, objective), decision)

    return jax.jvp(total, (source, objective), (tangents[0], tangents[2]))


def _follow(
    source: ChainProblem | ChainCosts, visited: Array, before: Array, *, objective: Objective
) -> Array:
    """Cost of a part of a chain `[..., A]`, entered from places `before` `[...]`, up to its end."""
    rank, places = before.ndim, range(source.num_places)
    total: Any = 0.0
    for t in range(source.num_subtasks):
        stage, place = terms_of(source.subtask(t), objective), visited[..., t]
        spent = []
        for k in places:
            arriving = [lift_batch(stage.transfer[j][k], rank)[0] for j in places]
            spent.append(_of(before, arriving) + lift_batch(stage.execution[k], rank)[0])
        total, before = total + _of(place, spent), place
    return total


def _of(place: Array, entries: list[Any]) -> Any:
    """The entry of each place; selects instead of multiplying, so 0 * inf cannot occur."""
    found: Any = 0.0
    for k, entry in enumerate(entries):
        found = jnp.where(place == k, entry, found)
    return found


def evaluate(costs: ChainCosts, decision: ArrayLike) -> Float[jax.Array, "..."]:
    """Cost of given decisions.

    Args:
      costs: the table, leading dimensions free.
      decision: `[..., A]` integers in 0..K-1; its leading dimensions broadcast with those of the
        table.

    Returns:
      `[...]` costs, `inf` where the decision uses what is impossible.

    Raises:
      ValueError: the decision does not fit the table, or names a place that does not exist.
    """
    check_class("costs", costs, ChainCosts)
    validate_decision(decision, costs.num_subtasks, costs.num_places)
    return evaluate_source(costs, decision, LATENCY)


def latency(problem: ChainProblem, decision: ArrayLike) -> Float[jax.Array, "..."]:
    """End-to-end latency in seconds of given decisions (section 3.2).

    Args:
      problem: the problem, leading dimensions free.
      decision: `[..., A]` integers in 0..2; leading dimensions broadcast with the problem's.

    Returns:
      `[...]` seconds, `inf` where data crosses a dead link.

    Raises:
      ValueError: shapes do not fit, or the decision names a place that does not exist.
    """
    return _evaluate_problem(problem, decision, LATENCY)


def energy(
    problem: ChainProblem, decision: ArrayLike, power: PowerModel | None = None
) -> Float[jax.Array, "..."]:
    """Energy in joules that the device spends under given decisions.

    Args:
      problem: the problem, leading dimensions free.
      decision: `[..., A]` integers in 0..2; leading dimensions broadcast with the problem's.
      power: the device's power model; the default one if None.

    Returns:
      `[...]` joules, `inf` where data crosses a dead link.

    Raises:
      ValueError: shapes do not fit, or the decision names a place that does not exist.
    """
    return _evaluate_problem(problem, decision, energy_of(power))


def period(problem: ChainProblem | ChainCosts, decision: ArrayLike) -> Float[jax.Array, "..."]:
    """Seconds between the results of a stream of equal requests under given decisions.

    That is the largest load of any resource: see `oj.PERIOD`. A problem has the processors of
    device and edge and both directions of its two links; of a table of seconds, every place is a
    processor and every ordered pair of places a link. Where links are shared otherwise, write the
    chain as a task graph.

    Args:
      problem: the problem, or a table of seconds; leading dimensions free.
      decision: `[..., A]` integers in 0..K-1; leading dimensions broadcast with the problem's.

    Returns:
      `[...]` seconds, `inf` where the decision uses what is impossible.

    Raises:
      ValueError: shapes do not fit, or the decision names a place that does not exist.
    """
    validate_source(problem)
    validate_decision(decision, problem.num_subtasks, problem.num_places)
    return evaluate_source(problem, decision, PERIOD)


def _evaluate_problem(
    problem: ChainProblem, decision: ArrayLike, objective: Objective
) -> jax.Array:
    validate_shapes(problem)
    validate_decision(decision, problem.num_subtasks, len(Place))
    return evaluate_source(problem, decision, objective)


def evaluate_source(
    source: ChainProblem | ChainCosts, decision: ArrayLike, objective: Objective | Period
) -> Float[jax.Array, "..."]:
    """Cost `[...]` of decisions that were checked; the objective is ignored for a table."""
    decision = decision if isinstance(decision, jax.Array) else np.asarray(decision)
    return _evaluate(source, decision, objective, weightless=objective.weightless)


@functools.partial(jax.jit, static_argnames="weightless")
def _evaluate(
    source: ChainProblem | ChainCosts,
    decision: Array,
    objective: Objective | Period,
    *,
    weightless: tuple[bool, bool],
) -> jax.Array:
    return cost_of_decision(source, decision, objective.without(weightless))


def validate_decision(decision: ArrayLike, num_subtasks: int, num_places: int) -> None:
    """Checks shape, type and, on concrete arrays, values of a decision."""
    check_unmasked("decision", decision)
    decision = decision if isinstance(decision, jax.Array) else np.asarray(decision)
    if not jnp.issubdtype(decision.dtype, jnp.integer):
        raise ValueError(f"decision: must hold integers, got dtype {decision.dtype}")
    if decision.ndim == 0 or decision.shape[-1] != num_subtasks:
        raise ValueError(
            f"decision: last axis must be A = {num_subtasks}, got shape {decision.shape}"
        )
    if is_traced(decision) or not decision.size:
        return
    values = np.asarray(decision)
    # Two extremes cost a tenth of a comparison for each place.
    if values.min() < 0 or values.max() >= num_places:
        good = (values >= 0) & (values < num_places)
        require("decision", decision, good, f"places are 0..{num_places - 1}")
