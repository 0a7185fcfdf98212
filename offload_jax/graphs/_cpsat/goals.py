"""CP-SAT for any goal: prices, period and latency, weighed or limited, and memory.

Prices, loads and memory are sums over literals that say where tasks are and which links data
crosses. Where no time matters, these literals are the whole model; else they are those of the
model of schedules. All amounts become whole units, rounded down: a limit is then a little looser
than it was, by less than its tolerance, and the solver's bound is a bound as it stands.

Where it matters when each user is served, there is a variable for each. From a known decision
follows how late that can be: no user waits less than on an empty machine, so one alone has all that
the known mean leaves above that. Weights that differ become whole numbers, too, rounded down.
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
    heads_and_tails,
    in_units,
    longest,
    operations,
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
_COARSER = 1 << 12

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
        self.request, self.deadline, self.impossible = request, deadline, False
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
        request, home = self.request, {0: True}
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
        ways = self.request.ways(hops + self.request.startup[name[1]])
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
    hint: tuple[np.ndarray, np.ndarray],
    time_limit: float | None,
) -> Answer:
    """Looks for what costs least.

    Args:
      request, timed: the same request in bytes and in seconds.
      goal: what to minimise.
      known: the cost of a decision that keeps all limits; `inf` if there is none.
      hint: int `[N]` its places and order, or any.
      time_limit: seconds, models and scalings included.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    best = Answer(None, None, known, 0.0, known == 0.0)
    while not best.proven:
        bound = best.cost if best.cost < math.inf else _dearest(request, timed, goal)
        found = _solve_scaled(request, timed, goal, bound, hint, deadline)
        lower = max(best.lower_bound, found.lower_bound)
        if found.cost < best.cost:
            if found.place is not None:
                order = hint[1] if found.schedule is None else np.asarray(found.schedule.order)
                hint = found.place, order
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
    latest *= float(goal.share.max())
    total = goal.latency_weight * latest + goal.price_weight * price + goal.period_weight * seconds
    return total or 1.0


def _solve_scaled(
    request: Request,
    timed: TimedRequest,
    goal: Goal,
    bound: float,
    hint: tuple[np.ndarray, np.ndarray],
    deadline: float,
) -> Answer:
    """One solve with amounts in shares of `bound`, which the best decision does not exceed."""
    if goal.needs_schedule:
        horizons = _horizons(timed, goal, bound)
        last = min(max(horizons), longest(timed))
        # Weights that differ need room for more digits in the sums of times that they weigh.
        scaled, unit = in_units(timed, last if _is_even(goal) else last * _COARSER)
        most = longest(scaled)
        units = [int(min(horizon / unit, most)) for horizon in horizons]
        model: IntegerModel = IntegerModel(scaled, units[0] if len(units) == 1 else units, deadline)
    else:
        scaled, unit = timed, 1.0
        model = Placement(timed, deadline)
    if not model.complete:
        return Answer(None, None, math.inf, 0.0, model.impossible)
    value, offset = _minimize(model, request, goal, bound, unit)
    _add_hint(model, goal, *hint)
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
    lower = max(0.0, solver.best_objective_bound * value + offset)
    if status == "UNKNOWN":
        return Answer(None, None, math.inf, lower, False)
    if not goal.needs_schedule:
        place = np.array(_places(model, solver))
        cost = goal.cost(request, place, np.zeros(request.num_users))
        return Answer(place, None, cost, lower, status == "OPTIMAL")
    read = model.read(solver, lower, status)
    place = np.array(read.place)
    sequence = in_sequence(timed, scaled, place.tolist(), read.start)
    plan = Plan(place.tolist(), sequence, run(timed, sequence))
    cost = goal.cost(request, place, np.array(plan.times.completion))
    return Answer(place, schedule_of(timed, plan), cost, lower, status == "OPTIMAL")


def _horizons(timed: TimedRequest, goal: Goal, bound: float) -> list[float]:
    """Until when each user has to be served, or all together where only the makespan counts."""
    latest = goal.max_latency * (1 + RELATIVE_TOLERANCE)
    most = bound / goal.latency_weight if goal.latency_weight else math.inf
    if not goal.by_user:
        return [min(latest, most)]
    head, tail = heads_and_tails(timed)
    least = goal.since.copy()
    np.maximum.at(least, timed.user, (head + tail).min(1))
    if goal.largest:
        served = goal.since + most
    else:
        spare = max(0.0, most - goal.latency(least))
        alone = np.full_like(least, math.inf)
        served = least + np.divide(spare, goal.share, out=alone, where=goal.share > 0)
    # So that no rounding of these sums forbids what is known.
    return np.minimum(latest, served * (1 + 1e-12)).tolist()


def _is_even(goal: Goal) -> bool:
    return bool((goal.share == goal.share[0]).all())


def _add_hint(model: IntegerModel, goal: Goal, place: np.ndarray, order: np.ndarray) -> None:
    """Tells the solver a decision, and when all of it happens where that matters."""
    places = place.tolist()
    if goal.needs_schedule:
        times = run(model.request, operations(model.request, places, order.tolist()))
        if times.makespan < math.inf:
            model.add_hint(places, times)
            return
    for v, at in enumerate(model.at):
        for k, literal in at.items():
            if isinstance(literal, cp_model.IntVar):
                model.model.add_hint(literal, places[v] == k)


def _latency(model: IntegerModel, goal: Goal, unit: float) -> tuple[Any, float, float]:
    """A sum over variables, what one of it is worth, and what has to be added: seconds.

    No schedule has less of it than its latency in exact seconds is worth.
    """
    if not goal.by_user:
        return model.makespan, unit, 0.0
    if goal.largest:
        latest = model.model.new_int_var(0, model.horizon, "latest")
        since = np.ceil(goal.since / unit).astype(int).tolist()
        for end, begun in zip(model.ends, since, strict=True):
            model.model.add(latest >= end - begun)
        model.model.add(latest >= model.makespan - max(since))
        return latest, unit, 0.0
    factor = 1 / goal.share.max()
    if not _is_even(goal):
        factor *= math.ldexp(1.0, 56 - sum(model.horizons).bit_length())
    weights = np.floor(goal.share * factor * (1 + 1e-15)).astype(int).tolist()
    total = sum(weight * end for weight, end in zip(weights, model.ends, strict=True))
    return total, unit / factor, -float(goal.share @ goal.since)


def _places(model: IntegerModel, solver: Any) -> list[int]:
    return [
        next(k for k, literal in places.items() if solver.boolean_value(literal))
        for places in model.at
    ]


def _minimize(
    model: IntegerModel, request: Request, goal: Goal, bound: float, unit: float
) -> tuple[float, float]:
    """Adds limits and the objective; what a unit of it is worth, and what has to be added."""
    price, loads = _prices(model, request, goal), _loads(model, request)
    # What costs `inf` is forbidden, weighed and limited or not.
    _sum(model, [term for term in price if term[0] == math.inf], 0.0, 1.0)
    _limit(model, price, goal.max_price)
    for load in loads:
        _limit(model, load, goal.max_period)
    for k, most in enumerate(goal.max_memory.tolist()):
        for held in _at_processors(model, k, goal.memory):
            _limit(model, held, most)
    value, total, offset = bound / _RESOLUTION, [], 0.0
    if goal.latency_weight:
        passed, worth, offset = _latency(model, goal, unit)
        offset *= goal.latency_weight
        bound -= offset
        value = bound / _RESOLUTION
        # So many units of time are worth one, or one is worth so many.
        second = goal.latency_weight * worth
        coarse = max(1, math.floor(bound / _LARGEST / second))
        times = max(1, round(second * coarse / value))
        value = second * coarse / times
        if coarse > 1:
            counted = model.model.new_int_var(0, _LARGEST, "passed")
            model.model.add(coarse * counted + coarse - 1 >= passed)
            passed = counted
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
    return value, offset


def _at_processors(model: IntegerModel, place: int, values: np.ndarray) -> list[Terms]:
    """What tasks `[N]` bring to each processor of a place."""
    found: dict[int, Terms] = {}
    for v, at in enumerate(model.at):
        if place in at:
            terms = found.setdefault(int(model.request.processor[v, place]), [])
            terms.append((float(values[v]), at[place]))
    return list(found.values())


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


def _sizes(model: IntegerModel, request: Request) -> list[tuple[int, int, float, Any]]:
    """Link, its entry, bytes and literal of each crossing."""
    found = []
    edges = list(zip(model.request.source, model.request.reader, request.data, strict=True))
    data = {(int(u), int(v)): float(size) for u, v, size in edges}
    result = {int(u): float(size) for u, _, size in edges if size > 0}
    for (kind, u, v, link), literal in model.crossings:
        if kind != "data":
            size = float(getattr(request, kind)[u])
        else:
            size = result[u] if request.send_once else data[u, v]
        found.append((link, int(model.request.entry[u, link]), size, literal))
    return found


def _prices(model: IntegerModel, request: Request, goal: Goal) -> Terms:
    terms = [
        (float(goal.execution[v, k]), literal)
        for v, at in enumerate(model.at)
        for k, literal in at.items()
    ]
    return terms + [
        (size * float(goal.per_byte[entry]), literal)
        for _, entry, size, literal in _sizes(model, request)
    ]


def _loads(model: IntegerModel, request: Request) -> list[Terms]:
    """Seconds of each place over its servers, and of each serial link."""
    loads: list[Terms] = []
    for k, servers in enumerate(request.servers.tolist()):
        if servers:
            loads += _at_processors(model, k, request.seconds[:, k] / servers)
    over: dict[int, Terms] = {}
    for link, entry, size, literal in _sizes(model, request):
        if request.serial[link]:
            seconds = size * float(request.seconds_per_byte[entry])
            over.setdefault(entry, []).append((seconds, literal))
    return [*loads, *over.values()]
