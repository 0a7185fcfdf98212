"""How good decisions are, against the exact optimum."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from offload_jax.batching import without_explicit_axes
from offload_jax.chains.costs import ChainCosts
from offload_jax.chains.evaluation import evaluate_source, validate_decision
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.solve import solve
from offload_jax.objectives import LATENCY, Objective
from offload_jax.summary import summarize
from offload_jax.validation import ArrayLike


class NormalizedLatency(NamedTuple):
    """Cost of decisions over the optimal cost, aggregated over a batch in five ways.

    The aggregates differ where costs are heavy-tailed: the mean of ratios weighs every request
    alike, the ratio of means weighs long ones more and may not converge (see docs/model.md).

    Attributes:
      ratio_of_means: mean cost over mean optimal cost (the paper's figures 5 and 6).
      mean: mean of the per-sample ratios.
      median: median of the per-sample ratios.
      geometric_mean: geometric mean of the per-sample ratios.
      p99: 99th percentile of the per-sample ratios.
    """

    ratio_of_means: Float[Array, ""]
    mean: Float[Array, ""]
    median: Float[Array, ""]
    geometric_mean: Float[Array, ""]
    p99: Float[Array, ""]

    def __repr__(self) -> str:
        return summarize(self)


def aggregate(cost: ArrayLike, optimal_cost: ArrayLike) -> NormalizedLatency:
    """Aggregates given costs `[...]` against given optimal costs `[...]`.

    A request whose optimum is 0 counts as ratio 1 if its cost is 0 too, else as `inf`.
    """
    return without_explicit_axes(_aggregate, PartitionSpec())(cost, optimal_cost)


@jax.jit
def _aggregate(cost: ArrayLike, optimal_cost: ArrayLike) -> NormalizedLatency:
    both = jnp.broadcast_arrays(jnp.asarray(cost), jnp.asarray(optimal_cost))
    cost, optimal_cost = (jnp.ravel(costs) for costs in both)
    ratio = jnp.where(cost == optimal_cost, 1.0, cost / optimal_cost)
    median, p99 = _percentiles(ratio, (50, 99))
    means = jnp.mean(cost), jnp.mean(optimal_cost)
    return NormalizedLatency(
        ratio_of_means=jnp.where(means[0] == means[1], 1.0, means[0] / means[1]),
        mean=jnp.mean(ratio),
        median=median,
        geometric_mean=jnp.exp(jnp.mean(jnp.log(ratio))),
        p99=p99,
    )


def _percentiles(values: Float[Array, " n"], percents: tuple[int, ...]) -> list[Array]:
    """As `jnp.percentile(..., method="higher")` of numbers that are not negative, without sorting.

    Their bits are in the same order as they are, so each percentile is found bit by bit, by
    counting how many are below; a sort takes thirty times as long.
    """
    num, width = values.shape[0], 8 * values.dtype.itemsize
    word = jnp.dtype(f"uint{width}")
    bits = jax.lax.bitcast_convert_type(values, word)
    ranks = [jnp.asarray(-(-percent * (num - 1) // 100)) for percent in percents]

    def narrow(i: Array, found: list[Array]) -> list[Array]:
        tried = [each | (jnp.ones((), word) << (width - 2 - i).astype(word)) for each in found]
        below = [jnp.sum(bits < each, dtype=jnp.int32) for each in tried]
        return [
            jnp.where(count <= rank, new, old)
            for count, rank, new, old in zip(below, ranks, tried, found, strict=True)
        ]

    # Made of the data, so that they vary over a mesh as the data does.
    zeros = [jnp.sum(bits < 0, dtype=word)] * len(percents)
    found = jax.lax.fori_loop(0, width - 1, narrow, zeros)
    # Taken from the values again, for their gradient.
    result = [jnp.max(values, where=bits == each, initial=-math.inf) for each in found]
    unknown = jnp.any(jnp.isnan(values)) | (result[0] < 0)
    return [jnp.where(unknown, math.nan, each) for each in result]


def normalized_latency(
    problem: ChainProblem | ChainCosts, decision: ArrayLike, *, objective: Objective = LATENCY
) -> NormalizedLatency:
    """Latency of decisions over the latency of the exact optimum.

    Args:
      problem: problems with any batch shape, or tables.
      decision: `[..., A]` decisions for them; leading dimensions broadcast with the problems'.
      objective: another cost than latency, on request.

    Returns:
      Five aggregates over the batch; all are at least 1 up to rounding.

    Raises:
      ValueError: problem or decision are invalid.
    """
    optimum = solve(problem, objective=objective)
    validate_decision(decision, problem.num_subtasks, problem.num_places)
    return aggregate(evaluate_source(problem, decision, objective), optimum.cost)


class Accuracy(NamedTuple):
    """How often decisions agree with given labels.

    Attributes:
      per_subtask: share of equal entries for each subtask, `[A]`.
      mean: share of equal entries overall.
      whole_decision: share of decisions equal in every entry.
    """

    per_subtask: Float[Array, " A"]
    mean: Float[Array, ""]
    whole_decision: Float[Array, ""]

    def __repr__(self) -> str:
        return summarize(self)


def accuracy(decision: ArrayLike, label: ArrayLike) -> Accuracy:
    """Agreement of decisions `[..., A]` with labels `[..., A]`.

    Raises:
      ValueError: the shapes differ.
    """
    decision, label = jnp.asarray(decision), jnp.asarray(label)
    if decision.shape != label.shape:
        raise ValueError(f"label: shape {label.shape} is not {decision.shape}, that of decision")
    return without_explicit_axes(_agreement, PartitionSpec())(decision, label)


@jax.jit
def _agreement(decision: Array, label: Array) -> Accuracy:
    num_subtasks = decision.shape[-1]
    same = (decision == label).reshape(-1, num_subtasks)
    agreeing = jnp.sum(same, axis=0, dtype=jnp.int32)
    # To count is several times as fast as `jnp.mean` and `jnp.all` of booleans.
    whole = jnp.sum(jnp.sum(same, axis=-1, dtype=jnp.int32) == num_subtasks, dtype=jnp.int32)
    num = same.shape[0]
    return Accuracy(agreeing / num, jnp.mean(agreeing / num), whole / num)
