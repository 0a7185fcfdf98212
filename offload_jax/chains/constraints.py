"""Least cost within a deadline or an energy budget, by enumeration.

A limit breaks the dynamic program of the unconstrained problem: the cheapest way to finish a chain
depends on what was already spent. Enumeration does not mind. It scores every decision once for the
objective and once for every limited quantity, and takes the cheapest among the decisions that fit.
Pure JAX, inside `jit` and `vmap` too.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from offload_jax.chains import exhaustive
from offload_jax.chains.costs import evaluate_terms, terms_of
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import LATENCY, Objective, is_zero

RELATIVE_TOLERANCE = 1e-6
"""A limit counts as met up to this fraction of it.

Latencies are float32 in JAX, so a deadline computed as the latency of some decision is off by a
few times 1e-7; without a tolerance that very decision could miss it.
"""

# Above this, "auto" leaves concrete problems to label setting.
MAX_AUTO_DECISIONS = 60_000


class Limits(NamedTuple):
    """What a decision may spend; None is no limit.

    Attributes:
      latency: `[...]` seconds, end to end.
      energy: `[...]` joules of the device.
    """

    latency: Any = None
    energy: Any = None

    @property
    def is_empty(self) -> bool:
        """True if nothing is limited."""
        return self.latency is None and self.energy is None

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The broadcast shape of the limits."""
        return np.broadcast_shapes(*(np.shape(value) for value in self if value is not None))


def check_limits(limits: Limits, batch_shape: tuple[int, ...]) -> None:
    """Checks limits against the batch they go with.

    Args:
      limits: the limits; values are looked at unless they are traced.
      batch_shape: the batch shape of the problem.

    Raises:
      ValueError: a limit is negative, NaN, no number, or does not broadcast with the batch; names
        the limit and its first bad index. `inf` is a legal limit that nothing exceeds.
    """
    batch = batch_shape
    for name, value in (("max_latency", limits.latency), ("max_energy", limits.energy)):
        if value is None:
            continue
        try:
            batch = np.broadcast_shapes(batch, np.shape(value))
        except ValueError:
            raise ValueError(
                f"{name}: shape {np.shape(value)} does not broadcast with the batch {batch}"
            ) from None
        if isinstance(value, jax.core.Tracer):
            continue
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name}: must hold real numbers, got {value!r}")
        bad = np.argwhere(~(array >= 0))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            where = f"{name}[{', '.join(map(str, index))}]" if index else name
            raise ValueError(f"{where} = {array[index]}: a limit must not be negative or NaN")


def prefers_enumeration(num_subtasks: int, num_places: int) -> bool:
    """Whether "auto" enumerates chains of this size."""
    return num_subtasks * math.log(num_places) <= math.log(MAX_AUTO_DECISIONS)


def minimize(
    problem: ChainProblem, objective: Objective, limits: Limits
) -> tuple[Int8[Array, "*batch A"], Float[Array, "*batch"]]:
    """Least-cost decision within the limits, by looking at every decision.

    Args:
      problem: the problem, 3^A at most `exhaustive.MAX_DECISIONS`.
      objective: what to minimise; its power model also measures the energy that is limited.
      limits: at least one; they broadcast with the batch of the problem.

    Returns:
      `[*batch, A]` lexicographically smallest decision among the cheapest that fit, and `[*batch]`
      its cost. Where no decision fits: all 0 and `inf`.

    Raises:
      ValueError: the decision space is too large.
    """
    limited = [
        (quantity, jnp.asarray(limit) * (1 + RELATIVE_TOLERANCE))
        for quantity, limit in ((LATENCY, limits.latency), (energy_of(objective), limits.energy))
        if limit is not None
    ]

    def select(chunk: ChainProblem, *bounds: Array) -> tuple[Array, Array]:
        scores = exhaustive.score_batch(terms_of(chunk, objective))
        for (quantity, _), bound in zip(limited, bounds, strict=True):
            spent = exhaustive.score_batch(terms_of(chunk, quantity))
            bound = bound.reshape((1,) * (spent.ndim - 1) + (-1,))
            scores = jnp.where(spent <= bound, scores, math.inf)
        return exhaustive.first_argmin(scores)

    # The choice is piecewise constant; the cost is scored again so that it differentiates.
    constant = jax.lax.stop_gradient((problem, [bound for _, bound in limited]))
    decision, least = exhaustive.map_chunks(select, constant[0], *constant[1])
    cost = evaluate_terms(terms_of(problem, objective), decision)
    return decision, jnp.where(least < math.inf, cost, math.inf)


def energy_of(objective: Objective) -> Objective:
    """The energy alone, by the power model of `objective`."""
    return Objective(latency_weight=0.0, energy_weight=1.0, power=objective.power)


def combine(objective: Objective, latency: Any, energy: Any) -> Any:
    """The objective from finite seconds and joules."""
    cost = 0.0
    if not is_zero(objective.latency_weight):
        cost = cost + objective.latency_weight * latency
    if not is_zero(objective.energy_weight):
        cost = cost + objective.energy_weight * energy
    return cost
