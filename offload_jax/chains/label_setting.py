"""Label-setting dynamic program for two costs at once, in float64 on the host; any A and K.

Going backwards through the chain, every place keeps the *labels* of its completions: pairs (first
cost, second cost) of finishing the chain from there. A label that another one beats or equals in
both costs is dominated: whatever comes before adds the same to both, so it can never be part of a
front and is dropped. What is left at the start is the exact Pareto front (bicriteria shortest
paths; Hansen 1980), and the best decision under upper limits on the two costs, for every weighted
sum of them, is one of its points.

A place keeps its labels as arrays sorted by the first cost, so a step is one merge of K sorted
arrays and one running minimum. On continuous random tables the number of labels grows about as
A^1.8, to around 250 for 50 subtasks and 1 300 for 100: milliseconds a chain.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8

from offload_jax.chains.constraints import RELATIVE_TOLERANCE, Limits
from offload_jax.chains.costs import ChainCosts, CostTerms, host_terms
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import LATENCY, Objective, energy_of

# Sums that are equal but were added in another order differ by a few 1e-16.
ROUNDING = 1e-12


class Front(NamedTuple):
    """The non-dominated points of one chain, sorted by the first cost.

    Attributes:
      first: float64 `[n]`, increasing.
      second: float64 `[n]`, decreasing.
      decision: int8 `[n, A]`, a decision that attains each point.
    """

    first: np.ndarray
    second: np.ndarray
    decision: np.ndarray


def nondominated(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated pairs, by increasing first cost.

    Of equal pairs the one that comes first stays. A pair better than another by less than 1e-12
    of its value counts as equal to it.
    """
    order = np.argsort(first, kind="stable")  # merges presorted runs in linear time
    ordered = second[order]
    least_before = np.minimum.accumulate(ordered[:-1])
    better = np.ones(len(order), bool)
    better[1:] = ordered[1:] < least_before * (1 - ROUNDING)
    order = order[better]
    ordered = first[order]
    apart = np.ones(len(order), bool)
    apart[:-1] = ordered[1:] > ordered[:-1] * (1 + ROUNDING)
    return order[apart]


def front(first: CostTerms, second: CostTerms) -> Front:
    """The exact Pareto front of two additive costs of one chain.

    Args:
      first: NumPy entries `[A]` and `[A + 1]` of one chain.
      second: likewise.

    Returns:
      All non-dominated points of finite cost; none if every decision is impossible.
    """
    num_subtasks, places = first.num_subtasks, range(first.num_places)
    labels = [
        (np.atleast_1d(first.transfer[k][0][-1]), np.atleast_1d(second.transfer[k][0][-1]))
        for k in places
    ]
    # For every stage and place: where each label goes next, and which label it continues there.
    chosen: list[list[np.ndarray]] = []
    continued: list[list[np.ndarray]] = []
    for t in reversed(range(num_subtasks)):
        step = []
        chosen.append([])
        continued.append([])
        target = np.repeat(np.arange(len(places), dtype=np.int8), [len(a) for a, _ in labels])
        index = np.concatenate([np.arange(len(a)) for a, _ in labels])
        for j in places if t > 0 else (0,):
            costs = [
                np.concatenate(
                    [
                        labels[k][c] + (terms.transfer[j][k][t] + terms.execution[k][t])
                        for k in places
                    ]
                )
                for c, terms in enumerate((first, second))
            ]
            possible = np.flatnonzero((costs[0] < math.inf) & (costs[1] < math.inf))
            kept = possible[nondominated(costs[0][possible], costs[1][possible])]
            step.append((costs[0][kept], costs[1][kept]))
            chosen[-1].append(target[kept])
            continued[-1].append(index[kept])
        labels = step
    return Front(*labels[0], _decisions(chosen[::-1], continued[::-1], len(labels[0][0])))


def _decisions(
    chosen: list[list[np.ndarray]], continued: list[list[np.ndarray]], num_points: int
) -> np.ndarray:
    """Follows the labels of the start to the end of the chain."""
    decision = np.zeros((num_points, len(chosen)), np.int8)
    place, label = np.zeros(num_points, np.int8), np.arange(num_points)
    for t, (targets, labels) in enumerate(zip(chosen, continued, strict=True)):
        next_place, next_label = np.zeros_like(place), np.zeros_like(label)
        for j in range(len(targets)):
            here = place == j
            next_place[here] = targets[j][label[here]]
            next_label[here] = labels[j][label[here]]
        place, label = next_place, next_label
        decision[:, t] = place
    return decision


def minimize(
    source: ChainProblem | ChainCosts, objective: Objective, limits: Limits
) -> tuple[Int8[np.ndarray, "*batch A"], Float64[np.ndarray, "*batch"]]:
    """Least-cost decision within the limits, from the Pareto front of latency and energy.

    Of a table it is the front of the table and of the one that is limited.

    Args:
      source: concrete problems or tables, any A.
      objective: what to minimise; its power model also measures the energy that is limited.
      limits: at least one; they broadcast with the batch of the problem.

    Returns:
      `[*batch, A]` decisions and `[*batch]` their costs; among the cheapest that fit the one of
      least latency, then of least energy or limited cost, then the lexicographically smallest.
      Where no decision fits: all 0 and `inf`.
    """
    batch = np.broadcast_shapes(source.batch_shape, limits.batch_shape)
    decision = np.zeros((math.prod(batch), source.num_subtasks), np.int8)
    cost = np.full(math.prod(batch), math.inf)
    limit = [
        np.broadcast_to(math.inf if value is None else np.asarray(value, np.float64), batch).ravel()
        * (1 + RELATIVE_TOLERANCE)
        for value in (limits.latency, limits.energy if limits.table is None else limits.total)
    ]
    # A front does not depend on the limits: each problem has one, however many limits it meets.
    own, other = source.batch_shape, limits.table
    if other is not None:
        own = np.broadcast_shapes(own, other.batch_shape)
    first = host_terms(source, LATENCY, own)
    second = host_terms(source if other is None else other, energy_of(objective.power), own)
    fronts = [front(first.rows(i), second.rows(i)) for i in range(math.prod(own))]
    which = np.broadcast_to(np.arange(len(fronts)).reshape(own), batch).ravel()
    weights = [
        np.asarray(weight, np.float64)
        for weight in (objective.latency_weight, objective.energy_weight)
    ]
    for i, number in enumerate(which):
        points = fronts[number]
        fits = np.flatnonzero((points.first <= limit[0][i]) & (points.second <= limit[1][i]))
        if len(fits):
            scores = weights[0] * points.first[fits] + weights[1] * points.second[fits]
            best = int(np.argmin(scores))
            decision[i], cost[i] = points.decision[fits[best]], scores[best]
    return decision.reshape(*batch, source.num_subtasks), cost.reshape(batch)
