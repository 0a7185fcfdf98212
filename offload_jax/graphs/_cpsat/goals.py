"""CP-SAT for any goal: prices, period and makespan, weighed or limited, and memory.

Prices, loads and memory are sums over literals that say where tasks are and which links data
crosses. Where no time matters, these literals are the whole model; else they are those of the
model of schedules. All amounts become whole units, rounded down: a limit is then a little looser
than it was, by less than its tolerance, and the solver's bound is a bound as it stands.
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np

from offload_jax.cpsat import run_model
from offload_jax.extras import needs
from offload_jax.graphs._cpsat.model import IntegerModel, _Source, _Target
from offload_jax.graphs._cpsat.operations import (
    Plan,
    TimedRequest,
    in_units,
    longest,
    run,
    schedule_of,
)
from offload_jax.graphs._cpsat.solve import in_sequence
from offload_jax.graphs.decision import Schedule
from offload_jax.graphs.goals import Goal
from offload_jax.graphs.request import Request
from offload_jax.side_constraints import RELATIVE_TOLERANCE

with needs("cpsat"):
    from ortools.sat.python import cp_model

_RESOLUTION = 1 << 40
_LARGEST = 1 << 58

Terms = list[tuple[float, Any]]
"""Amounts and the literals with which each is spent."""


class Answer(NamedTuple):
    """A better decision than the one known, or None; a lower bound; whether it is proven."""

    place: np.ndarray | None
    schedule: Schedule | None
    cost: float
    lower_bound: float
    proven: bool


class Placement(IntegerModel):
    """Where tasks run and what crosses which link, without any times."""

    def __init__(self, request: TimedRequest, deadline: float) -> None:
        self.request, self.deadline, self.horizon, self.lower = request, deadline, 0, 0.0
        self.complete = self._build()

    def _build(self) -> bool:
        self.model = cp_model.CpModel()
        self.at, self.conjunctions, self.crossings = [], {}, []
        for v in range(len(self.request.seconds)):
            places = [int(k) for k in np.flatnonzero(np.isfinite(self.request.seconds[v]))]
            at: dict[int, Any] = {k: self.model.new_bool_var(f"{v}@{k}") for k in places}
            if len(places) == 1:
                at = {places[0]: True}
            self.model.add_exactly_one(at.values())
            self.at.append(at)
        for v in range(len(self.request.seconds)):
            self._add_transfers(v)
            if time.monotonic() >= self.deadline:
                return False
        return True

    def _add_transfers(self, u: int) -> None:
        request, home = self.request, {int(self.request.home[u]): True}
        if request.sends_input[u]:
            self._cross(("input", u, u), request.input[u], home, [self.at[u]])
        if request.sends_output[u]:
            self._cross(("output", u, u), request.output[u], self.at[u], [home])
        readers = [(v, e) for v, e in request.edges_from[u] if request.sends_data[e]]
        if request.send_once and readers:
            hops = request.data[readers[0][1]]
            self._cross(("data", u, u), hops, self.at[u], [self.at[v] for v, _ in readers])
        elif not request.send_once:
            for v, e in readers:
                self._cross(("data", u, v), request.data[e], self.at[u], [self.at[v]])

    def _cross(self, name: tuple[str, int, int], hops: np.ndarray, source: Any, to: Any) -> None:
        """The links that a transfer takes to all its readers."""
        ways = self.request.ways(hops)
        for j in source:
            for at in to:
                for k in at:
                    if j != k and ways[j, k] == math.inf:
                        self._forbid(source[j], at[k])
        there = sorted({k for at in to for k in at})
        wanted = {k: self._any([at[k] for at in to if k in at]) for k in there}
        target = _Target(wanted, [(0, at) for at in to], {})
        routes = {(j, k): self.request.routes[j][k] or () for j in source for k in wanted if j != k}
        for link in sorted({link for route in routes.values() for link in route}):
            present = self._present(link, routes, _Source(source, 0, {}), target)
            self.crossings.append(((*name, link), present))


def solve(
    request: Request,
    timed: TimedRequest,
    goal: Goal,
    known: float,
    hint: np.ndarray,
    time_limit: float | None,
) -> Answer:
    """Looks for what costs least.

    Args:
      request, timed: the same request in bytes and in seconds.
      goal: what to minimise.
      known: the cost of a decision that keeps all limits; `inf` if there is none.
      hint: int `[N]` its places, or any.
      time_limit: seconds, models and scalings included.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    best = Answer(None, None, known, 0.0, known == 0.0)
    while not best.proven:
        bound = best.cost if best.cost < math.inf else _dearest(request, timed, goal)
        found = _solve_scaled(request, timed, goal, bound, hint, deadline)
        lower = max(best.lower_bound, found.lower_bound)
        if found.cost < best.cost:
            hint = found.place if found.place is not None else hint
            best = found._replace(lower_bound=lower)
        else:
            best = best._replace(lower_bound=lower, proven=found.proven)
        if not found.proven or best.cost >= bound / 2 or best.cost in (0.0, math.inf):
            break
        best = best._replace(proven=False)
    if best.cost < math.inf:
        return best._replace(lower_bound=min(best.lower_bound, best.cost))
    return best._replace(lower_bound=math.inf if best.proven else best.lower_bound)


def _dearest(request: Request, timed: TimedRequest, goal: Goal) -> float:
    """At least what the best decision costs, if any keeps the limits."""
    executed = np.where(np.isfinite(goal.execution), goal.execution, 0.0).max(1).sum()
    per_byte = np.where(np.isfinite(goal.per_byte), goal.per_byte, 0.0).sum()
    sizes = request.input.sum() + request.output.sum() + request.data.sum()
    price = min(float(executed + sizes * per_byte), goal.max_price * (1 + RELATIVE_TOLERANCE))
    seconds = longest(timed)
    latest = min(seconds, goal.max_latency * (1 + RELATIVE_TOLERANCE))
    total = goal.latency_weight * latest + goal.price_weight * price + goal.period_weight * seconds
    return total or 1.0


def _solve_scaled(
    request: Request,
    timed: TimedRequest,
    goal: Goal,
    bound: float,
    hint: np.ndarray,
    deadline: float,
) -> Answer:
    """One solve with amounts in shares of `bound`, which the best decision does not exceed."""
    horizon = goal.max_latency * (1 + RELATIVE_TOLERANCE)
    if goal.latency_weight:
        horizon = min(horizon, bound / goal.latency_weight)
    if goal.needs_schedule:
        scaled, unit = in_units(timed, min(horizon, longest(timed)))
        last = min(horizon / unit, longest(scaled))
        model: IntegerModel = IntegerModel(scaled, int(last), deadline)
    else:
        scaled, unit = timed, 1.0
        model = Placement(timed, deadline)
    if not model.complete:
        return Answer(
            None, None, math.inf, 0.0, goal.needs_schedule and model.lower > model.horizon
        )
    value = _minimize(model, request, goal, bound, unit)
    for v, places in enumerate(model.at):
        for k, literal in places.items():
            if isinstance(literal, cp_model.IntVar):
                model.model.add_hint(literal, int(hint[v]) == k)
    solver, status = run_model(
        model.model,
        deadline=deadline,
        use_strong_propagation_in_disjunctive=True,
        # See `IntegerModel.solve`.
        cp_model_presolve=False,
        linearization_level=0 if goal.needs_schedule else 2,
    )
    if status == "INFEASIBLE":
        return Answer(None, None, math.inf, 0.0, True)
    lower = max(0.0, solver.best_objective_bound * value)
    if status == "UNKNOWN":
        return Answer(None, None, math.inf, lower, False)
    if not goal.needs_schedule:
        place = np.array(_places(model, solver))
        return Answer(place, None, goal.cost(request, place, 0.0), lower, status == "OPTIMAL")
    read = model.read(solver, lower, status)
    place = np.array(read.place)
    sequence = in_sequence(timed, scaled, place.tolist(), read.start)
    plan = Plan(place.tolist(), sequence, run(timed, sequence))
    cost = goal.cost(request, place, plan.times.makespan)
    return Answer(place, schedule_of(timed, plan), cost, lower, status == "OPTIMAL")


def _places(model: IntegerModel, solver: Any) -> list[int]:
    return [
        next(k for k, literal in places.items() if solver.boolean_value(literal))
        for places in model.at
    ]


def _minimize(
    model: IntegerModel, request: Request, goal: Goal, bound: float, unit: float
) -> float:
    """Adds limits and the objective; what a unit of the objective is worth."""
    price, loads = _prices(model, request, goal), _loads(model, request)
    # What costs `inf` is forbidden, weighed and limited or not.
    _sum(model, [term for term in price if term[0] == math.inf], 0.0, 1.0)
    _limit(model, price, goal.max_price)
    for load in loads:
        _limit(model, load, goal.max_period)
    for k, most in enumerate(goal.max_memory.tolist()):
        held = [(float(goal.memory[v]), at[k]) for v, at in enumerate(model.at) if k in at]
        _limit(model, held, most)
    value, total = bound / _RESOLUTION, []
    if goal.latency_weight:
        # So many units of time are worth one, or one is worth so many.
        second = goal.latency_weight * unit
        coarse = max(1, math.floor(bound / _LARGEST / second))
        times = max(1, round(second * coarse / value))
        value = second * coarse / times
        passed = model.makespan
        if coarse > 1:
            passed = model.model.new_int_var(0, model.horizon, "passed")
            model.model.add(coarse * passed + coarse - 1 >= model.makespan)
        total.append(times * passed)
    if goal.price_weight:
        weight = goal.price_weight
        total.append(_sum(model, price, bound / weight, value / weight))
    if goal.period_weight:
        period = model.model.new_int_var(0, 2 * _RESOLUTION, "period")
        weight = goal.period_weight
        for load in loads:
            model.model.add(_sum(model, load, bound / weight, value / weight) <= period)
        total.append(period)
    model.model.minimize(sum(total))
    return value


def _sum(model: IntegerModel, terms: Terms, most: float, unit: float) -> Any:
    """The sum in whole units; what alone is more than `most` is forbidden."""
    found: Any = 0
    for amount, literal in terms:
        if amount > most * (1 + RELATIVE_TOLERANCE):
            model.model.add_bool_or([False if literal is True else ~literal])
        elif amount > 0:
            found += math.floor(amount / unit) * literal
    return found


def _limit(model: IntegerModel, terms: Terms, most: float) -> None:
    if most < math.inf:
        allowance = math.ceil(_RESOLUTION * (1 + RELATIVE_TOLERANCE))
        model.model.add(_sum(model, terms, most, most / _RESOLUTION) <= allowance)


def _sizes(model: IntegerModel, request: Request) -> list[tuple[int, float, Any]]:
    """Link, bytes and literal of each crossing."""
    found = []
    edges = list(zip(model.request.source, model.request.reader, request.data, strict=True))
    data = {(int(u), int(v)): float(size) for u, v, size in edges}
    result = {int(u): float(size) for u, _, size in edges if size > 0}
    for (kind, u, v, link), literal in model.crossings:
        if kind != "data":
            size = float(getattr(request, kind)[u])
        else:
            size = result[u] if request.send_once else data[u, v]
        found.append((link, size, literal))
    return found


def _prices(model: IntegerModel, request: Request, goal: Goal) -> Terms:
    terms = [
        (float(goal.execution[v, k]), literal)
        for v, at in enumerate(model.at)
        for k, literal in at.items()
    ]
    return terms + [
        (size * float(goal.per_byte[link]), literal)
        for link, size, literal in _sizes(model, request)
    ]


def _loads(model: IntegerModel, request: Request) -> list[Terms]:
    """Seconds of each place over its servers, and of each serial link."""
    loads: list[Terms] = []
    for k, servers in enumerate(np.diff(request.first_server).tolist()):
        if servers:
            loads.append(
                [
                    (float(request.seconds[v, k]) / servers, at[k])
                    for v, at in enumerate(model.at)
                    if k in at
                ]
            )
    over: dict[int, Terms] = {}
    for link, size, literal in _sizes(model, request):
        if request.serial[link]:
            seconds = size * float(request.seconds_per_byte[link])
            over.setdefault(link, []).append((seconds, literal))
    return [*loads, *over.values()]
