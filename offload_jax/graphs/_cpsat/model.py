"""The integer model of one request for OR-Tools CP-SAT; see `solve`."""

import itertools
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.cpsat import run_model
from offload_jax.extras import needs
from offload_jax.graphs._cpsat.operations import Key, TimedRequest, Times, heads_and_tails
from offload_jax.graphs._cpsat.resources import Literal, Use, any_of, share

with needs("cpsat"):
    from ortools.sat.python import cp_model


class IntegerSolution(NamedTuple):
    """Places and starts in units, None if there are none; a bound in units; CP-SAT's status."""

    place: list[int] | None
    start: dict[Key, int]
    lower_bound: float
    status: str


OnSolution = Callable[[IntegerSolution], object]


class IntegerModel:
    """The integer model of one request.

    `horizon` is the makespan of a known schedule, or at least that of some best one; or for each
    user when all of theirs has been done: there is then a variable for each user in `ends`, and not
    only the makespan. A model that is not complete by the deadline is left as it is and not solved.
    """

    def __init__(
        self, request: TimedRequest, horizon: int | Sequence[int], deadline: float
    ) -> None:
        self.request, self.deadline = request, deadline
        self.horizons = [horizon] if isinstance(horizon, int) else list(horizon)
        self.horizon = max(self.horizons)
        alone = np.zeros_like(request.user)
        self.group = (request.user if len(self.horizons) > 1 else alone).tolist()
        latest = np.array(self.horizons)[self.group]
        self.head, self.tail = heads_and_tails(request)
        through = self.head + self.tail
        self.possible = through <= latest[:, None]
        # Every task runs somewhere, so nothing is done before this.
        least = np.zeros(len(self.horizons))
        np.maximum.at(least, self.group, np.where(self.possible, through, math.inf).min(1))
        self.least, self.lower = least.tolist(), float(least.max())
        self.impossible = self.lower == math.inf
        self.complete = not self.impossible and self._build()

    def _build(self) -> bool:
        """Fills the model; False if the deadline came first."""
        self.model, request = cp_model.CpModel(), self.request
        self.ends = [
            self.model.new_int_var(int(least), latest, "end")
            for least, latest in zip(self.least, self.horizons, strict=True)
        ]
        self.makespan = self.ends[0]
        if len(self.ends) > 1:
            self.makespan = self.model.new_int_var(int(self.lower), self.horizon, "makespan")
            self.model.add_max_equality(self.makespan, self.ends)
        self.start: dict[Key, cp_model.IntVar] = {}
        self.end: list[cp_model.IntVar] = []
        self.at: list[dict[int, Literal]] = []
        self.conjunctions: dict[tuple[int, ...], Literal] = {}
        self.used: dict[int, list[Use]] = {}
        self.crossings: list[tuple[Key, Literal]] = []
        for add in (self._add_task, self._add_transfers):
            for v in range(len(self.possible)):
                add(v)
                if time.monotonic() >= self.deadline:
                    return False
        everything = self.ends if len(self.ends) == 1 else [self.makespan, *self.ends]
        for resource, uses in self.used.items():
            share(self.model, request.capacity(resource) or 1, uses, everything)
        self.model.minimize(self.makespan)
        return True

    def solve(self, on_solution: OnSolution | None = None) -> IntegerSolution:
        """Runs CP-SAT until the deadline, which may have passed already.

        Args:
          on_solution: called with every better solution; CP-SAT stops where it returns True.
        """
        if not self.complete:
            status = "INFEASIBLE" if self.impossible else "UNKNOWN"
            return IntegerSolution(None, {}, self.lower, status)
        solver, status = run_model(
            self.model,
            _Teller(self, on_solution) if on_solution else None,
            deadline=self.deadline,
            # A Boolean for the order of every pair on a serial resource. Without them conflicts are
            # learned on bounds of times, of which there are 2^40, and hardly any is reused.
            use_strong_propagation_in_disjunctive=True,
            # Presolve of OR-Tools 9.15 loses solutions of such models and then proves a wrong
            # optimum (google/or-tools issues 5274 and 5293); it also takes longer than it saves.
            cp_model_presolve=False,
            # Linear relaxations of disjunctions cost more than they cut off.
            linearization_level=0,
        )
        if status == "INFEASIBLE":
            return IntegerSolution(None, {}, 0.0, status)
        lower = max(self.lower, solver.best_objective_bound)
        if status == "UNKNOWN":
            return IntegerSolution(None, {}, lower, status)
        return self.read(solver, lower, status)

    def read(self, solver: Any, lower: float, status: str) -> IntegerSolution:
        """What a solver, or a callback, has found."""
        place = [
            next(k for k, literal in places.items() if solver.boolean_value(literal))
            for places in self.at
        ]
        start = {key: solver.value(variable) for key, variable in self.start.items()}
        return IntegerSolution(place, start, lower, status)

    def add_hint(self, place: Sequence[int], times: Times) -> None:
        """Tells the solver a schedule, complete as far as it is one."""
        if not self.complete:
            return
        self.model.add_hint(self.makespan, int(times.makespan))
        if len(self.ends) > 1:
            for end, time_of in zip(self.ends, times.completion, strict=True):
                self.model.add_hint(end, int(time_of))
        for key, variable in self.start.items():
            if key in times.start:
                self.model.add_hint(variable, int(times.start[key]))
        for v, places in enumerate(self.at):
            self.model.add_hint(self.end[v], int(times.finish["task", v, 0, 0]))
            for k, literal in places.items():
                if isinstance(literal, cp_model.IntVar):
                    self.model.add_hint(literal, int(place[v]) == k)

    def _add_task(self, v: int) -> None:
        """A task at one of its places, not before its head nor too late for its tail."""
        model, request = self.model, self.request
        places = [int(k) for k in np.flatnonzero(self.possible[v])]
        at: dict[int, Literal] = {places[0]: True}
        if len(places) == 2:
            first = model.new_bool_var(f"{v}@{places[0]}")
            at = {places[0]: first, places[1]: ~first}
        elif len(places) > 2:
            at = {k: model.new_bool_var(f"{v}@{k}") for k in places}
            model.add_exactly_one(at.values())
        head, tail, seconds = (
            {k: int(values[v, k]) for k in places}
            for values in (self.head, self.tail, request.seconds)
        )
        horizon, done = self.horizons[self.group[v]], self.ends[self.group[v]]
        latest = horizon - min(tail.values())
        start = model.new_int_var(min(head.values()), latest, f"start {v}")
        earliest = min(head[k] + seconds[k] for k in places)
        latest = horizon - min(tail[k] - seconds[k] for k in places)
        end = model.new_int_var(earliest, latest, f"end {v}")
        for k in places:
            interval = model.new_optional_interval_var(start, seconds[k], end, at[k], f"{v}@{k}")
            if request.servers[k] is not None and seconds[k] > 0:
                use = Use(interval, seconds[k], at[k], head[k], tail[k] - seconds[k], done)
                self.used.setdefault(int(request.processor[v, k]), []).append(use)
        model.add(start >= sum(head[k] * at[k] for k in places))
        model.add(done >= start + sum(tail[k] * at[k] for k in places))
        model.add(done >= end)
        self.at.append(at)
        self.end.append(end)
        self.start["task", v, 0, 0] = start

    def _add_transfers(self, u: int) -> None:
        """Input and output of a task, and what it sends to others."""
        request, places = self.request, self.at[u]
        released = float(request.release[u])
        if request.sends_input[u]:
            source = _Source({0: True}, int(released), {0: released})
            waiting = [(self.start["task", u, 0, 0], places)]
            target = _Target(places, waiting, self._tails([u], places))
            self._add_transfer(("input", u, u), request.input[u], source, target)
        source = _Source(
            places, self.end[u], {k: self.head[u, k] + request.seconds[u, k] for k in places}
        )
        if request.sends_output[u]:
            done = self.ends[self.group[u]]
            target = _Target({0: True}, [(done, {0: True})], {0: 0.0})
            self._add_transfer(("output", u, u), request.output[u], source, target)
        starts = {v: self.start["task", v, 0, 0] for v, _ in request.edges_from[u]}
        for start in starts.values():
            self.model.add(start >= self.end[u])
        readers = {v: request.data[e] for v, e in request.edges_from[u] if request.sends_data[e]}
        if not request.send_once:
            for v, hops in readers.items():
                target = _Target(
                    self.at[v], [(starts[v], self.at[v])], self._tails([v], self.at[v])
                )
                self._add_transfer(("data", u, v), hops, source, target)
        elif readers:
            # One transfer to all places where a reader is, over each link once.
            there = {
                k: [v for v in readers if k in self.at[v]] for k in range(len(request.servers))
            }
            wanted = {k: self._any([self.at[v][k] for v in at]) for k, at in there.items() if at}
            waiting = [(starts[v], self.at[v]) for v in readers]
            tails = {k: self._tails(there[k], [k])[k] for k in wanted}
            target = _Target(wanted, waiting, tails)
            self._add_transfer(("data", u, u), next(iter(readers.values())), source, target)

    def _tails(self, tasks: list[int], places: Iterable[int]) -> dict[int, float]:
        return {k: min(self.tail[v, k] for v in tasks) for k in places}

    def _add_transfer(
        self, name: tuple[str, int, int], hops: np.ndarray, source: "_Source", target: "_Target"
    ) -> None:
        """Hops between all pairs of places, each present where the route of the pair has it."""
        request, horizon = self.request, self.horizons[self.group[name[1]]]
        lags = hops + request.startup[name[1]]
        ways = request.ways(lags)
        routes: dict[tuple[int, int], tuple[int, ...]] = {}
        for j, k in itertools.product(source.at, target.at):
            if j != k and source.head[j] + ways[j, k] + target.tail[k] > horizon:
                self._forbid(source.at[j], target.at[k])
            elif j != k:
                routes[j, k] = request.routes[j][k] or ()
        present: dict[int, Literal] = {}
        for link in sorted({link for route in routes.values() for link in route}):
            present[link] = self._present(link, routes, source, target)
            self.crossings.append(((*name, link), present[link]))
            self._add_hop((*name, link), hops, present[link], routes, source, target)
        for pair, route in routes.items():
            for first, then in itertools.pairwise(route):
                # Both hops may be present for other pairs, too, or in the other order.
                turned = any(then in r and first in r[r.index(then) :] for r in routes.values())
                when = [present[first], present[then]]
                if turned or len(target.waiting) > 1:
                    when = [source.at[pair[0]], target.at[pair[1]]]
                arrival = self.start[(*name, first)] + int(lags[first])
                self._add_if(self.start[(*name, then)] >= arrival, when)
        if len(target.waiting) == 1:
            ((waiting, _),) = target.waiting
            passing = sum(int(lags[link]) * present[link] for link in present)
            self._add_if(waiting >= source.ready + passing, [])

    def _present(
        self,
        link: int,
        routes: dict[tuple[int, int], tuple[int, ...]],
        source: "_Source",
        target: "_Target",
    ) -> Literal:
        """Whether the transfer takes a link: for tree networks one conjunction."""

        def wanted_at(to: Collection[int]) -> Literal:
            if len(target.waiting) == 1:
                return self._at_one_of(target.at, to)
            return self._any([target.at[k] for k in to])

        rows: dict[frozenset[int], list[int]] = {}
        for j in source.at:
            to = frozenset(k for k in target.at if link in routes.get((j, k), ()))
            if to:
                rows.setdefault(to, []).append(j)
        return self._any(
            [
                self._both(self._at_one_of(source.at, origins), wanted_at(to))
                for to, origins in rows.items()
            ]
        )

    def _add_hop(
        self,
        key: Key,
        hops: np.ndarray,
        present: Literal,
        routes: dict[tuple[int, int], tuple[int, ...]],
        source: "_Source",
        target: "_Target",
    ) -> None:
        model, request, task, link = self.model, self.request, key[1], key[3]
        lags = hops + request.startup[task]
        seconds, lag, group = int(hops[link]), int(lags[link]), self.group[task]
        using = [(j, k, route) for (j, k), route in routes.items() if link in route]
        head = min(source.head[j] + lags[list(r[: r.index(link)])].sum() for j, _, r in using)
        tail = min(
            target.tail[k] + lags[list(r[r.index(link) :])].sum() - seconds for _, k, r in using
        )
        latest = self.horizons[group] - seconds - int(tail)
        start = model.new_int_var(int(head), latest, f"start {key}")
        interval = model.new_optional_fixed_size_interval_var(start, seconds, present, f"{key}")
        if request.serial[link]:
            use = Use(interval, seconds, present, int(head), int(tail), self.ends[group])
            self.used.setdefault(request.on_link(task, link), []).append(use)
        self.start[key] = start
        if any(route[0] == link for *_, route in using):
            self._add_if(start >= source.ready, [present])
        arrivals: dict[int, list[int]] = {}
        for j, k, route in using:
            if route[-1] == link:
                arrivals.setdefault(k, []).append(j)
        for (k, origins), (waiting, at) in itertools.product(arrivals.items(), target.waiting):
            if k in at:
                sent = self._at_one_of(source.at, origins)
                self._add_if(waiting >= start + lag, [sent, at[k]])

    def _at_one_of(self, at: Mapping[int, Literal], places: Collection[int]) -> Literal:
        """Whether one of these literals holds, of which exactly one holds in all."""
        rest = [k for k in at if k not in places]
        if len(places) == 1:
            return at[next(iter(places))]
        if not rest:
            return True
        if len(rest) == 1:
            return ~at[rest[0]]
        return self._any([at[k] for k in places])

    def _any(self, literals: list[Literal]) -> Literal:
        return any_of(self.model, literals)

    def _both(self, first: Literal, second: Literal) -> Literal:
        if first is True or second is True:
            return second if first is True else first
        key = tuple(sorted((first.index, second.index)))
        if key not in self.conjunctions:
            result = self.model.new_bool_var("both")
            self.model.add_bool_or([~first, ~second, result])
            self.model.add_implication(result, first)
            self.model.add_implication(result, second)
            self.conjunctions[key] = result
        return self.conjunctions[key]

    def _forbid(self, first: Literal, second: Literal) -> None:
        self.model.add_bool_or([~literal for literal in (first, second) if literal is not True])

    def _add_if(self, constraint: Any, literals: list[Literal]) -> None:
        self.model.add(constraint).only_enforce_if([x for x in literals if x is not True])


class _Source(NamedTuple):
    """Where data comes from: literals by place, when it is ready, and no earlier than `head`."""

    at: Mapping[int, Any]
    ready: Any
    head: Mapping[int, float]


class _Target(NamedTuple):
    """Where data goes: literals by place, what waits for it and where, what is after."""

    at: Mapping[int, Any]
    waiting: Sequence[tuple[Any, Mapping[int, Any]]]
    tail: Mapping[int, float]


class _Teller(cp_model.CpSolverSolutionCallback):
    """Hands every better solution on."""

    def __init__(self, model: IntegerModel, on_solution: OnSolution) -> None:
        super().__init__()
        self.model, self.on_solution = model, on_solution

    def on_solution_callback(self) -> None:
        found = self.model.read(self, self.best_objective_bound, "FEASIBLE")
        if self.on_solution(found):
            self.stop_search()
