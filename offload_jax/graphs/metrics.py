"""How good decisions about task graphs are, beside the best known ones."""

from typing import NamedTuple

import numpy as np

from offload_jax.graphs._jax.simulate import simulate
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, GraphSolution, Schedule, decision_of
from offload_jax.graphs.problem import GraphProblem
from offload_jax.summary import summarize
from offload_jax.validation import ArrayLike, as_float_array, check_kind, require


class Normalized(NamedTuple):
    """Makespans divided by reference makespans, aggregated over a batch.

    Attributes:
      ratio_of_means: mean makespan over mean reference.
      mean, median, geometric_mean, p99: of the ratios of single requests.
    """

    ratio_of_means: float
    mean: float
    median: float
    geometric_mean: float
    p99: float

    def __repr__(self) -> str:
        return summarize(self)


def normalized_makespan(
    source: GraphProblem | GraphCosts,
    decision: Decision | Schedule | GraphSolution,
    reference: ArrayLike,
) -> Normalized:
    """Aggregates the makespans of decisions over reference makespans.

    Args:
      source: problem or costs, leading dimensions free.
      decision: has place and order of each task; what else it has is not read.
      reference: `[...]` seconds, such as the best known makespans or those of a solver.

    Returns:
      Every aggregate, 1 being as good as the reference.

    Raises:
      ValueError: the decision cannot be carried out, or a reference is not above 0.
    """
    place, order = decision_of("decision", decision)
    makespan = np.asarray(simulate(source, place, order).makespan, np.float64)
    return normalized(makespan, reference)


def normalized(makespan: ArrayLike, reference: ArrayLike) -> Normalized:
    """The same from makespans `[...]`."""
    reference = as_float_array("reference", reference)
    check_kind("reference", reference)
    require("reference", reference, np.asarray(reference) > 0, "must be greater than 0")
    makespan, reference = np.broadcast_arrays(
        np.asarray(makespan, np.float64), np.asarray(reference, np.float64)
    )
    ratio = makespan / reference
    return Normalized(
        float(makespan.mean() / reference.mean()),
        float(ratio.mean()),
        float(np.median(ratio)),
        float(np.exp(np.log(ratio).mean())),
        float(np.percentile(ratio, 99)),
    )
