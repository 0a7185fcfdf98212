"""Exact Pareto fronts of latency and energy."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8

from offload_jax.chains import exhaustive, label_setting
from offload_jax.chains.costs import (
    ChainCosts,
    costs_terms,
    host_terms,
    problem_terms,
    validate_costs,
)
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.objectives import LATENCY, PowerModel, energy_of
from offload_jax.summary import summarize


class ParetoFront(NamedTuple):
    """The non-dominated points of one problem, by increasing latency.

    Attributes:
      latency: `[n]` seconds, increasing.
      energy: `[n]` joules of the device, decreasing.
      decision: `[n, A]` a decision that attains each point.
    """

    latency: Float64[np.ndarray, " n"]
    energy: Float64[np.ndarray, " n"]
    decision: Int8[np.ndarray, "n A"]

    def __repr__(self) -> str:
        return summarize(self)


class ParetoFronts(NamedTuple):
    """The fronts of a batch, padded to the M points of the longest.

    Attributes:
      latency: `[..., M]` seconds, increasing; `inf` where padded.
      energy: `[..., M]` joules, decreasing; `inf` where padded.
      decision: `[..., M, A]` a decision that attains each point; 0 where padded.
      valid: `[..., M]` False where padded.
    """

    latency: Float64[np.ndarray, "*batch M"]
    energy: Float64[np.ndarray, "*batch M"]
    decision: Int8[np.ndarray, "*batch M A"]
    valid: Bool[np.ndarray, "*batch M"]

    def __repr__(self) -> str:
        return summarize(self)


def pareto_front(problem: ChainProblem, power: PowerModel | None = None) -> ParetoFront:
    """All trade-offs between latency and energy that no other decision beats in both.

    By a label-setting dynamic program in float64 on the host, so it needs concrete values. Points
    that differ by less than 1e-12 of their value count as one.

    Args:
      problem: one problem, any A.
      power: the device's power model; the default one if None.

    Returns:
      The exact front. The first point has the least latency, the last one the least energy.

    Raises:
      ValueError: the problem is invalid, or a batch (see `pareto_fronts`).
    """
    validate(problem)
    if problem.batch_shape:
        raise ValueError(
            f"problem: one problem has one front, got a batch {problem.batch_shape};"
            " use pareto_fronts"
        )
    terms = [problem_terms(problem, o, library=np) for o in (LATENCY, energy_of(power))]
    return ParetoFront(*label_setting.front(*terms))


def pareto_front_of_costs(first: ChainCosts, second: ChainCosts) -> ParetoFront:
    """The front of any two additive costs of one chain, such as tables of `network_costs`.

    Args:
      first: `execution` `[A, K]`, `transfer` `[A + 1, K, K]`; what the result calls latency.
      second: a table of the same shape; what the result calls energy.

    Returns:
      The exact front, empty if every decision is impossible.

    Raises:
      ValueError: a table is invalid or a batch, or the two do not fit each other.
    """
    for name, costs in (("first", first), ("second", second)):
        validate_costs(costs, name)
        if costs.batch_shape:
            raise ValueError(f"{name}: must be the costs of one chain, got {costs.batch_shape}")
    if first.execution.shape != second.execution.shape:
        raise ValueError(
            f"second: execution {second.execution.shape} must have the shape"
            f" {first.execution.shape} of the first table"
        )
    terms = [costs_terms(costs, library=np) for costs in (first, second)]
    return ParetoFront(*label_setting.front(*terms))


def pareto_fronts(problem: ChainProblem, power: PowerModel | None = None) -> ParetoFronts:
    """The exact fronts of a batch of short chains, by vectorised enumeration in float64.

    Args:
      problem: problems with any batch shape, 3^A at most `exhaustive.MAX_DECISIONS`.
      power: the device's power model; the default one if None.

    Returns:
      Fronts with the batch shape of the problem, padded to the longest; of equal points, the
      lexicographically smallest decision.

    Raises:
      ValueError: the problem is invalid, or its chains are too long to enumerate.
    """
    validate(problem)
    num_subtasks, num_places, batch = problem.num_subtasks, problem.num_places, problem.batch_shape
    exhaustive.check_size(num_subtasks, num_places)
    terms = [host_terms(problem, quantity, batch) for quantity in (LATENCY, energy_of(power))]
    size = math.prod(batch)
    chunk = max(1, exhaustive.CHUNK_SCORES // num_places**num_subtasks)
    parts = []
    for start in range(0, size, chunk):
        cut = [t.rows(slice(start, start + chunk)) for t in terms]
        scores = [exhaustive.score_all(t, library=np) for t in cut]
        parts.append(_sorted_fronts(*(s.reshape(-1, s.shape[-1]).T for s in scores)))
    longest = max((part[0].shape[1] for part in parts), default=0)
    latency, energy = (np.full((size, longest), math.inf) for _ in range(2))
    number = np.zeros((size, longest), np.int64)
    for start, part in zip(range(0, size, chunk), parts, strict=True):
        for padded, values in zip((latency, energy, number), part, strict=True):
            padded[start : start + chunk, : values.shape[1]] = values
    valid = latency < math.inf
    shape = (*batch, longest)
    return ParetoFronts(
        latency.reshape(shape),
        energy.reshape(shape),
        exhaustive.unravel(number.reshape(shape), num_subtasks, num_places),
        valid.reshape(shape),
    )


def _sorted_fronts(
    latency: np.ndarray, energy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latency, energy and number of the non-dominated decisions, `[n, M]`, `inf` where padded."""
    order = np.argsort(latency, axis=-1, kind="stable")
    latency = np.take_along_axis(latency, order, -1)
    energy = np.take_along_axis(energy, order, -1)
    kept = latency < math.inf
    least = np.minimum.accumulate(energy, -1)
    kept[:, 1:] &= energy[:, 1:] < least[:, :-1] * (1 - label_setting.ROUNDING)
    position = np.cumsum(kept, -1) - 1
    longest = int(position[:, -1].max()) + 1
    row, column = np.nonzero(kept)
    packed = [np.full((len(kept), longest), math.inf) for _ in range(2)]
    number = np.zeros((len(kept), longest), np.int64)
    for values, target in zip((latency, energy, order), (*packed, number), strict=True):
        target[row, position[row, column]] = values[row, column]
    return _drop_near_equal(packed[0], packed[1], number)


def _drop_near_equal(
    latency: np.ndarray, energy: np.ndarray, number: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drops a point whose successor is no slower up to rounding and needs less energy."""
    with np.errstate(invalid="ignore"):
        apart = latency[:, 1:] > latency[:, :-1] * (1 + label_setting.ROUNDING)
    kept = latency < math.inf
    kept[:, :-1] &= apart | ~kept[:, 1:]
    order = np.argsort(~kept, axis=-1, kind="stable")
    latency = np.where(kept, latency, math.inf)
    energy = np.where(kept, energy, math.inf)
    longest = int(kept.sum(-1).max())
    return tuple(  # type: ignore[return-value]
        np.take_along_axis(values, order, -1)[:, :longest] for values in (latency, energy, number)
    )
