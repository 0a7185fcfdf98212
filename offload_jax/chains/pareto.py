"""Exact Pareto fronts of latency and energy, and of latency and period."""

import functools
import math
import time
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8

from offload_jax.chains import exhaustive, label_setting
from offload_jax.chains.costs import (
    ChainCosts,
    costs_terms,
    host_terms,
    host_terms_under_maximum,
    path_cost,
    problem_terms,
    validate_costs,
    validate_source,
)
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.chains.solve import solve
from offload_jax.objectives import LATENCY, PERIOD, PowerModel, energy_of
from offload_jax.side_constraints import RELATIVE_TOLERANCE
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


class PeriodFront(NamedTuple):
    """The non-dominated trade-offs between latency and period, by increasing latency.

    Attributes:
      latency: `[n]` seconds of one request alone, increasing.
      period: `[n]` seconds between the results of a stream of requests, decreasing.
      decision: `[n, A]` a decision that attains each point.
      optimal: `[n]` whether the point is proven to be on the front; all are but where a time limit
        came first.
    """

    latency: Float64[np.ndarray, " n"]
    period: Float64[np.ndarray, " n"]
    decision: Int8[np.ndarray, "n A"]
    optimal: Bool[np.ndarray, " n"]

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
    num_decisions = num_places**num_subtasks
    chunk = max(1, exhaustive.CHUNK_SCORES // num_decisions)
    found = []
    for start in range(0, max(1, size), chunk):
        cut = [t.rows(slice(start, start + chunk)) for t in terms]
        scores = [exhaustive.score_all(t, library=np).reshape(num_decisions, -1).T for t in cut]
        row, *points = _points(*scores)
        found.append((start + row, *points))
    row, column, *values = map(np.concatenate, zip(*found, strict=True))
    shape = (size, column.max(initial=-1) + 1)
    tables = [np.full(shape, fill) for fill in (math.inf, math.inf, 0)]
    for table, value in zip(tables, values, strict=True):
        table[row, column] = value
    latency, energy, number = (table.reshape(*batch, shape[1]) for table in tables)
    decision = exhaustive.unravel(number, num_subtasks, num_places)
    return ParetoFronts(latency, energy, decision, latency < math.inf)


def period_front(
    problem: ChainProblem | ChainCosts, *, time_limit: float | None = None
) -> PeriodFront:
    """All trade-offs between the latency of one request and the period of a stream of them.

    Chains of up to 2 000 000 decisions are enumerated in float64. Of longer ones, points are found
    one by one, from that of least latency on, by CP-SAT: least latency below the period of the
    point before, which takes seconds a point and is hard towards the least period.

    Args:
      problem: one problem or one table of seconds, concrete.
      time_limit: seconds for all points that CP-SAT finds; without one it goes on to the end.

    Returns:
      The front; of a time limit what was found until then.

    Raises:
      ValueError: the problem is invalid, or a batch.
    """
    validate_source(problem)
    if isinstance(problem, ChainProblem):
        validate(problem)
    if problem.batch_shape:
        raise ValueError(f"problem: one problem has one front, got a batch {problem.batch_shape}")
    num_subtasks, num_places = problem.num_subtasks, problem.num_places
    if num_subtasks * math.log(num_places) > math.log(exhaustive.MAX_DECISIONS):
        return _period_walk(problem, math.inf if time_limit is None else time_limit)
    latency, *loads = (
        exhaustive.score_all(terms, library=np).reshape(1, -1)
        for objective in (LATENCY, PERIOD)
        for terms in host_terms_under_maximum(problem, objective, (1,))
    )
    period = functools.reduce(np.maximum, loads)
    period = np.where(latency < math.inf, period, math.inf)
    _, _, seconds, periods, number = _points(latency, period)
    decision = exhaustive.unravel(number, num_subtasks, num_places)
    return PeriodFront(seconds, periods, decision, np.ones(len(seconds), bool))


def _period_walk(problem: ChainProblem | ChainCosts, time_limit: float) -> PeriodFront:
    deadline = time.monotonic() + time_limit
    latency, *loads = (
        terms.rows(0)
        for objective in (LATENCY, PERIOD)
        for terms in host_terms_under_maximum(problem, objective, (1,))
    )
    found: list[tuple[float, float, np.ndarray, bool]] = []
    solution = solve(problem)
    while np.isfinite(solution.cost):
        decision = np.asarray(solution.decision)
        period = max(path_cost(load, decision) for load in loads)
        found.append((path_cost(latency, decision), period, decision, bool(solution.optimal)))
        left = deadline - time.monotonic()
        if left <= 0 or period == 0:
            break
        # A limit counts as met up to a tolerance: the next period has to be below this one.
        most = period * (1 - 2 * RELATIVE_TOLERANCE)
        limit = None if left == math.inf else left
        solution = solve(problem, method="cpsat", max_period=most, time_limit=limit)
    # Of equal latencies the last point has the least period.
    after = [*[point[0] for point in found[1:]], math.inf]
    found = [p for p, next_one in zip(found, after, strict=True) if p[0] < next_one]
    return PeriodFront(
        np.array([p[0] for p in found]),
        np.array([p[1] for p in found]),
        np.array([p[2] for p in found], np.int8).reshape(-1, problem.num_subtasks),
        np.array([p[3] for p in found], bool),
    )


def _points(latency: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row, number in the front, latency, energy and decision of points, from all `[n, 3^A]`."""
    order = np.argsort(latency, axis=-1, kind="stable")
    latency = np.take_along_axis(latency, order, -1)
    energy = np.take_along_axis(energy, order, -1)
    kept = latency < math.inf
    least = np.minimum.accumulate(energy, -1)
    kept[:, 1:] &= energy[:, 1:] < least[:, :-1] * (1 - label_setting.ROUNDING)
    row, column = np.nonzero(kept)
    points = [each[row, column] for each in (latency, energy, order)]
    # Of two points of the same latency up to rounding, the later one needs less energy.
    apart = np.roll(points[0], -1) > points[0] * (1 + label_setting.ROUNDING)
    kept = apart | (np.diff(row, append=len(latency)) > 0)
    row = row[kept]
    number = np.arange(len(row)) - np.searchsorted(row, row)
    return row, number, *(each[kept] for each in points)
