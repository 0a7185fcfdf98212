"""OR-Tools CP-SAT for one request: places, and any order on every processor and link."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from offload_jax.graphs.operations import (
    Key,
    Operation,
    Request,
    heads_and_tails,
    operations,
    requests,
    run,
    schedule_of,
)
from offload_jax.graphs.decision import Schedule

OPT = dict(res=30, lin=1, tails=True, loads=True, edge=True, params={}, strict=False, log=False, windows=0, onlyplaces=False)

Literal = Any


class Answer(NamedTuple):
    schedule: Schedule | None
    cost: float
    lower_bound: float
    optimal: bool
    status: str


class _Model:
    def __init__(self, request: Request, horizon: int):
        self.request = request
        self.horizon = horizon
        self.model = cp_model.CpModel()
        self.start: dict[Key, Any] = {}
        self.present: dict[Key, Any] = {}
        self.on: dict[int, list] = {}
        self.load: dict[int, list] = {}
        self.makespan = self.model.new_int_var(0, horizon, "makespan")
        self.head, self.tail = heads_and_tails(request)
        possible = self.head + self.tail <= horizon
        self.feasible = bool(possible.any(1).all())
        self.places = [[int(k) for k in np.flatnonzero(row)] for row in possible]
        self.lower = float(np.where(possible, self.head + self.tail, math.inf).min(1).max())
        if self.feasible:
            self.makespan = self.model.new_int_var(max(0, int(self.lower)), horizon, "makespan")
            self.build()

    def conj(self, a, b):
        """a and b; True/False/lits."""
        if a is False or b is False:
            return False
        if a is True:
            return b
        if b is True:
            return a
        if a is b:
            return a
        key = tuple(sorted((a.index, b.index)))
        if key in self.ands:
            return self.ands[key]
        p = self.model.new_bool_var("")
        self.model.add_bool_or([~a, ~b, p])
        self.model.add_implication(p, a)
        self.model.add_implication(p, b)
        self.ands[key] = p
        return p

    def disj(self, lits):
        lits = [x for x in lits if x is not False]
        if not lits:
            return False
        if any(x is True for x in lits):
            return True
        if len(lits) == 1:
            return lits[0]
        p = self.model.new_bool_var("")
        self.model.add_bool_or([*lits, ~p])
        for x in lits:
            self.model.add_implication(x, p)
        return p

    def at(self, v: int, places) -> Literal:
        """Whether task v is at one of the places."""
        places = frozenset(places) & frozenset(self.places[v])
        if not places:
            return False
        if len(places) == len(self.places[v]):
            return True
        if (v, places) not in self.sets:
            rest = frozenset(self.places[v]) - places
            if len(places) == 1:
                lit = self.x[v][next(iter(places))]
            elif len(rest) == 1:
                lit = ~self.x[v][next(iter(rest))]
            else:
                lit = self.model.new_bool_var("")
                self.model.add(sum(self.x[v][k] for k in places) == lit)
            self.sets[v, places] = lit
        return self.sets[v, places]

    def build(self):
        m, r, H = self.model, self.request, self.horizon
        N, K = r.seconds.shape
        self.ands, self.sets = {}, {}
        self.x = []
        self.s, self.e = [], []
        head, tail = self.head, self.tail
        for v in range(N):
            P = self.places[v]
            if len(P) == 1:
                lits = {P[0]: True}
            elif len(P) == 2:
                b = m.new_bool_var("")
                lits = {P[0]: b, P[1]: ~b}
            else:
                lits = {k: m.new_bool_var("") for k in P}
                m.add_exactly_one(lits.values())
            self.x.append(lits)
            lo = int(min(head[v, k] for k in P))
            hi = H - int(min(tail[v, k] for k in P))
            s = m.new_int_var(lo, hi, f"s{v}")
            lo = int(min(head[v, k] + r.seconds[v, k] for k in P))
            hi = H - int(min(tail[v, k] - r.seconds[v, k] for k in P))
            e = m.new_int_var(lo, hi, f"e{v}")
            self.s.append(s)
            self.e.append(e)
            self.start["task", v, 0, 0] = s
            for k in P:
                d = int(r.seconds[v, k])
                self.interval(s, d, e, lits[k], k if r.servers[k] is not None and d > 0 else None,
                              int(head[v, k]), int(tail[v, k]) - d)
            if OPT["tails"]:
                m.add(s >= sum(int(head[v, k]) * self.lin(lits[k]) for k in P))
                m.add(self.makespan >= s + sum(int(tail[v, k]) * self.lin(lits[k]) for k in P))
            m.add(self.makespan >= e)
        for v in range(N):
            home = {int(r.home[v])}
            if r.sends_input[v]:
                self.transfer("input", v, v, r.input[v], {int(r.home[v]): True}, self.x[v], None, v, int(r.release[v]))
            if r.sends_output[v]:
                self.transfer("output", v, v, r.output[v], self.x[v], {int(r.home[v]): True}, v, None, 0)
        for u in range(N):
            for v in np.flatnonzero(r.depends[u]):
                v = int(v)
                if not (r.sends_data[u, v]):
                    m.add(self.s[v] >= self.e[u])
                elif not r.send_once:
                    self.transfer("data", u, v, r.data[u, v], self.x[u], self.x[v], u, v, 0)
            readers = r.readers(u)
            if r.send_once and readers:
                for v in readers:
                    m.add(self.s[v] >= self.e[u])
                for k in range(K):
                    there = [(v, self.x[v][k]) for v in readers if k in self.x[v]]
                    y = self.disj([lit for _, lit in there])
                    if y is False:
                        continue
                    self.transfer("data", u, k, r.data[u, readers[0]], self.x[u], {k: y}, u, there, 0)
        for resource, items in self.on.items():
            capacity = r.servers[resource] if resource < K else 1
            if capacity == 1:
                m.add_no_overlap([i for i, *_ in items])
            elif capacity < len(items):
                m.add_cumulative([i for i, *_ in items], [1] * len(items), capacity)
            if OPT["loads"]:
                self.loads(items, capacity)
        m.minimize(self.makespan)

    def loads(self, items, capacity):
        m = self.model
        pts = {(min(h for *_, h, t in items), min(t for *_, h, t in items))}
        if OPT["windows"]:
            hs = sorted({h for *_, h, t in items}); ts = sorted({t for *_, h, t in items})
            seen = set()
            for h in hs:
                for t in ts:
                    sub = [(h2, t2) for _, d, l, h2, t2 in items if h2 >= h and t2 >= t]
                    if len(sub) >= 2 and tuple(sub) not in seen:
                        seen.add(tuple(sub))
                        hh = min(a for a, b in sub); tt = min(b for a, b in sub)
                        pts.add((hh, tt))
        for h, t in pts:
            sub = [(d, l) for _, d, l, h2, t2 in items if h2 >= h and t2 >= t]
            if h + t + sum(d for d, _ in sub) / capacity > self.lower:
                self.window(capacity, h, t, sub)

    def window(self, capacity, h, t, sub):
        # valid only if something is present: h + t counted with the largest? use each op's presence
        m = self.model
        b = self.disj([l for _, l in sub])
        if b is True:
            m.add(capacity * self.makespan >= capacity * (h + t) + sum(d * self.lin(l) for d, l in sub))
        elif b is not False:
            m.add(capacity * self.makespan >= capacity * (h + t) * b + sum(d * self.lin(l) for d, l in sub))

    @staticmethod
    def lin(lit):
        return 1 if lit is True else 0 if lit is False else lit

    def interval(self, s, d, e, lit, resource, head, tail):
        m = self.model
        if lit is True:
            i = m.new_interval_var(s, d, e, "")
        else:
            i = m.new_optional_interval_var(s, d, e, lit, "")
        if resource is not None:
            self.on.setdefault(resource, []).append((i, d, lit, head, tail))

    def enforce(self, constraint, *lits):
        lits = [x for x in lits if x is not True]
        if lits:
            constraint.only_enforce_if(lits)

    def transfer(self, kind, u, v, hops, source, target, sender, reader, release):
        """Hops between all pairs of places of two ends."""
        m, r, H = self.model, self.request, self.horizon
        K = len(r.servers)
        pairs = {}
        for j in source:
            for k in target:
                if j == k:
                    continue
                if not math.isfinite(r.way(hops, j, k)):
                    m.add_bool_or([~x for x in (source[j], target[k]) if x is not True])
                else:
                    pairs[j, k] = r.routes[j][k]
        links = sorted({l for route in pairs.values() for l in route})

        def end_set(end, places):
            if end is source and sender is not None:
                return self.at(sender, places)
            if end is target and isinstance(reader, int):
                return self.at(reader, places)
            return self.disj([end[k] for k in places])

        present = {}
        for link in links:
            by = {}
            for j in source:
                ks = frozenset(k for k in target if (j, k) in pairs and link in pairs[j, k])
                if ks:
                    by.setdefault(ks, set()).add(j)
            present[link] = self.disj(
                [self.conj(end_set(source, js), end_set(target, ks)) for ks, js in by.items()]
            )
        edge = 0
        for link in links:
            lit = present[link]
            if lit is False:
                continue
            d = int(hops[link])
            using = [(j, k) for j, k in pairs if link in pairs[j, k]]
            # earliest and latest
            lo, tl = math.inf, math.inf
            for j, k in using:
                route = pairs[j, k]
                i = route.index(link)
                before = sum(hops[x] + r.startup[x] for x in route[:i])
                after = sum(hops[x] + r.startup[x] for x in route[i:]) - d
                base = release if sender is None else self.head[sender, j] + r.seconds[sender, j]
                if reader is None:
                    end = 0
                elif isinstance(reader, int):
                    end = self.tail[reader, k]
                else:
                    end = min(self.tail[w, k] for w, _ in reader)
                lo, tl = min(lo, base + before), min(tl, after + end)
            if lo + d + tl > H:
                m.add_bool_or([] if lit is True else [~lit])
                continue
            s = m.new_int_var(int(lo), H - d - int(tl), "")
            self.start[kind, u, v, link] = s
            self.present[kind, u, v, link] = lit
            self.interval(s, d, s + d, lit, K + link if r.serial[link] else None, int(lo), int(tl))
            lag = d + int(r.startup[link])
            edge = edge + lag * self.lin(lit)
            if sender is not None and any(pairs[p][0] == link for p in using):
                self.enforce(m.add(s >= self.e[sender]), lit)
            if any(pairs[p][-1] == link for p in using):
                if reader is None:
                    self.enforce(m.add(self.makespan >= s + lag), lit)
                elif isinstance(reader, int):
                    self.enforce(m.add(self.s[reader] >= s + lag), lit)
                else:
                    for w, there in reader:
                        self.enforce(m.add(self.s[w] >= s + lag), lit, there)
        follow = {(a, b) for route in pairs.values() for a, b in zip(route, route[1:])}
        for a, b in follow:
            if ((kind, u, v, a) in self.start) and ((kind, u, v, b) in self.start):
                sa, sb = self.start[kind, u, v, a], self.start[kind, u, v, b]
                self.enforce(m.add(sb >= sa + int(hops[a] + r.startup[a])), present[a], present[b])
        if reader is not None and isinstance(reader, int):
            if sender is None:
                m.add(self.s[reader] >= release + edge)
            elif OPT["edge"]:
                m.add(self.s[reader] >= self.e[sender] + edge)
            else:
                m.add(self.s[reader] >= self.e[sender])
        elif reader is None and OPT["edge"]:
            m.add(self.makespan >= self.e[sender] + edge)


def single_place(request):
    best = (math.inf, None, None)
    N, K = request.seconds.shape
    for k in range(K):
        ops = operations(request, [k] * N, range(N))
        t = run(request, ops).makespan
        if t < best[0]:
            best = (t, [k] * N, list(range(N)))
    return best


def solve_request(request, hint=None, time_limit=None, num_workers=1):
    t0 = time.monotonic()
    cost, place, order = single_place(request)
    if hint is not None:
        ops = operations(request, hint[0], hint[1])
        c = run(request, ops).makespan
        if c <= cost:
            cost, place, order = c, hint[0], hint[1]
    assert math.isfinite(cost)
    unit = 2.0 ** (math.frexp(cost)[1] - OPT["res"])
    scaled = request.in_units(unit)
    ops = operations(scaled, place, order)
    times = run(scaled, ops)
    H = int(times.makespan) - (1 if OPT["strict"] else 0)
    M = _Model(scaled, H)
    if not M.feasible:
        return dict(cost=cost, lb=(H + 1) * unit, status="INFEASIBLE", wall=time.monotonic() - t0, cpu=0)
    m = M.model
    if not OPT["strict"]:
        for key, var in M.start.items():
            if key in times.start:
                m.add_hint(var, int(times.start[key]))
        for v in range(len(place)):
            m.add_hint(M.e[v], int(times.finish["task", v, 0, 0]))
            for k, lit in M.x[v].items():
                if lit is not True:
                    if len(M.x[v]) == 2 and k == M.places[v][1]:
                        continue
                    m.add_hint(lit, int(place[v]) == k)
        m.add_hint(M.makespan, H)
    solver = cp_model.CpSolver()
    p = solver.parameters
    p.num_workers = num_workers
    p.catch_sigint_signal = False
    p.random_seed = 0
    p.absolute_gap_limit = 0
    p.relative_gap_limit = 0
    p.linearization_level = OPT["lin"]
    p.log_search_progress = OPT["log"]
    for k, v in OPT["params"].items():
        f = getattr(p, k)
        if hasattr(f, "extend"):
            f.extend(v)
        else:
            setattr(p, k, cp_model.sat_parameters_pb2.SatParameters.SearchBranching.Value(v) if False else v)
    if time_limit:
        p.max_deterministic_time = time_limit
    st = solver.solve(m)
    out = dict(hint=cost, status=solver.status_name(st), wall=time.monotonic() - t0, branches=solver.num_branches, conf=solver.num_conflicts,
      det=solver.response_proto.deterministic_time)
    if st in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        pl = [next(k for k, lit in row.items() if lit is True or solver.boolean_value(lit)) for row in M.x]
        st_ = {k: solver.value(v) for k, v in M.start.items()}
        o = sorted(range(len(pl)), key=lambda v: (st_["task", v, 0, 0], v))
        ops = operations(request, pl, o)
        iops = {q.key: q for q in operations(scaled, pl, o)}
        rank = {q.key: i for i, q in enumerate(ops)}
        ops = sorted(ops, key=lambda q: (st_[q.key], st_[q.key] + iops[q.key].seconds, rank[q.key]))
        out["cost"] = min(cost, run(request, ops).makespan)
        out["obj"] = solver.objective_value * unit
    elif st == cp_model.INFEASIBLE:
        out["cost"] = cost
        out["lb"] = (H + 1) * unit
        return out
    else:
        out["cost"] = cost
    out["lb"] = solver.best_objective_bound * unit
    return out
