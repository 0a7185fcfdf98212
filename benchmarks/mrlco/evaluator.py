"""How linkpark/metarl-offloading and linkpark/RLTaskOffloading time a decision, written anew.

Their `get_scheduling_cost_step_by_step` books task after task as `oj.graphs.simulate` does, on one
device, an uplink and one server, but

- a task on the server uploads all of its `size`, wherever its predecessors ran, and its result of
  `expect_size` is downloaded, whoever reads it: edges carry nothing themselves;
- an upload begins when every predecessor has run on the device or has been uploaded;
- a download never waits for another;
- the upload of a task without predecessors begins when the uplink is free, and leaves it free, so
  that all these uploads overlap.

Times are whole numbers of 1 / (70 * 2^20) s, in which all their rates are exact.
"""

import copy
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ortools.sat.python import cp_model

import offload_jax as oj
from offload_jax.cpsat import run_model

SECOND = 70 * 2**20
# Units for each byte: 1 MiB/s, 10 MiB/s, 7 Mbit/s of 2^20 bits.
_DEVICE, _SERVER, _LINK = 70, 7, 80


class Tasks(NamedTuple):
    """Bytes to work on, bytes of the result, and tasks needed, for each task."""

    size: list[int]
    result: list[int]
    needs: list[list[int]]


class Optimum(NamedTuple):
    """The best decision found, its latency and a bound in seconds, and whether that is proven."""

    decision: oj.graphs.Decision
    latency: float
    lower_bound: float
    proven: bool


def tasks_of(graph: oj.graphs.TaskGraph, cycles_per_byte: float) -> Tasks:
    """What the evaluator reads of a graph of daggen, whose tasks have one result each."""
    result, needs = graph.output.copy(), [list[int]() for _ in graph.names]
    result[graph.edges[:, 0]] = graph.data
    for u, v in graph.edges.tolist():
        needs[v].append(u)
    size = np.rint(graph.cycles / cycles_per_byte).astype(int)
    return Tasks(size.tolist(), np.rint(result).astype(int).tolist(), needs)


class Machine:
    """What the evaluator has booked so far, in units.

    Attributes:
      home: when the result of each task is on the device.
      sent: when each task is uploaded or, on the device, done.
      done: when each task is done on the server, 0 if it is not there.
    """

    def __init__(self, tasks: Tasks, *, queue: bool = False) -> None:
        """With `queue` the uplink carries one upload at a time, those of entries too."""
        self.tasks, self.queue = tasks, queue
        self.home, self.sent, self.done = ([0] * len(tasks.size) for _ in range(3))
        self._device = self._uplink = self._server = 0

    def book(self, task: int, place: int) -> int:
        """Runs a task on the device, 0, or the server, 1; when its result is home."""
        size, needs = self.tasks.size[task], self.tasks.needs[task]
        if place == 0:
            start = max([self._device, *(self.home[u] for u in needs)])
            self._device = self.home[task] = self.sent[task] = start + _DEVICE * size
            return self.home[task]
        start = max([self._uplink, *(self.sent[u] for u in needs)])
        self.sent[task] = start + _LINK * size
        if needs or self.queue:
            self._uplink = self.sent[task]
        start = max([self._server, self.sent[task], *(self.done[u] for u in needs)])
        self._server = self.done[task] = start + _SERVER * size
        self.home[task] = self.done[task] + _LINK * self.tasks.result[task]
        return self.home[task]


def latency(
    tasks: Tasks, place: Sequence[int], order: Sequence[int], *, queue: bool = False
) -> float:
    """Seconds until every result is home."""
    machine = Machine(tasks, queue=queue)
    return max(machine.book(v, place[v]) for v in order) / SECOND


def order_of(tasks: Tasks) -> list[int]:
    """By rank: the least seconds of the task at either place and of what follows it."""
    rank = [0] * len(tasks.size)
    for v in reversed(range(len(rank))):
        size = tasks.size[v]
        there = (_LINK + _SERVER) * size + _LINK * tasks.result[v]
        rank[v] += min(_DEVICE * size, there)
        for u in tasks.needs[v]:
            rank[u] = max(rank[u], rank[v])
    return np.argsort(rank, kind="stable")[::-1].tolist()


def greedy(tasks: Tasks) -> oj.graphs.Decision:
    """In their order each task to where its result is home first; here they queue all uploads."""
    order, machine = order_of(tasks), Machine(tasks, queue=True)
    place = [0] * len(order)
    for v in order:
        here, there = (copy.deepcopy(machine).book(v, k) for k in (0, 1))
        place[v] = int(there <= here)
        machine.book(v, place[v])
    return _decision(place, order)


def _decision(place: list[int], order: list[int]) -> oj.graphs.Decision:
    return oj.graphs.Decision(np.array(place, np.int8), np.array(order, np.int32))


def optimum(tasks: Tasks, *, queue: bool = False, time_limit: float) -> Optimum:
    """The best places in their order, which their `calculate_optimal_solution` enumerates."""
    order, hint = order_of(tasks), greedy(tasks).place.tolist()
    horizon = latency(tasks, hint, order, queue=queue)
    model, upper = cp_model.CpModel(), round(horizon * SECOND)

    def variable() -> Any:
        return model.new_int_var(0, upper, "")

    there = [model.new_bool_var("") for _ in order]
    home, sent, done = ([variable() for _ in order] for _ in range(3))
    device, uplink, server = variable(), variable(), variable()
    makespan = variable()
    for v in order:
        size, needs, books = tasks.size[v], tasks.needs[v], tasks.needs[v] or queue
        here, later = there[v].negated(), [variable() for _ in range(3)]
        for time_before in (device, *(home[u] for u in needs)):
            model.add(home[v] >= time_before + _DEVICE * size).only_enforce_if(here)
        model.add(sent[v] >= home[v]).only_enforce_if(here)
        for time_before in (uplink, *(sent[u] for u in needs)):
            model.add(sent[v] >= time_before + _LINK * size).only_enforce_if(there[v])
        for time_before in (server, sent[v], *(done[u] for u in needs)):
            model.add(done[v] >= time_before + _SERVER * size).only_enforce_if(there[v])
        model.add(home[v] >= done[v] + _LINK * tasks.result[v]).only_enforce_if(there[v])
        model.add(makespan >= home[v])
        for before, after, end, where in (
            (device, later[0], home[v], here),
            (uplink, later[1], sent[v] if books else 0, there[v]),
            (server, later[2], done[v], there[v]),
        ):
            model.add(after >= before)
            model.add(after >= end).only_enforce_if(where)
        device, uplink, server = later
    # The loads of device and uplink.
    model.add(makespan >= sum(_DEVICE * tasks.size[v] * there[v].negated() for v in order))
    booked = [v for v in order if tasks.needs[v] or queue]
    model.add(makespan >= sum(_LINK * tasks.size[v] * there[v] for v in booked))
    for v in order:
        model.add_hint(there[v], hint[v])
    model.minimize(makespan)
    solver, status = run_model(model, deadline=time.monotonic() + time_limit)
    if status in ("OPTIMAL", "FEASIBLE"):
        hint = [int(solver.boolean_value(x)) for x in there]
    found = latency(tasks, hint, order, queue=queue)
    bound = 0.0 if status == "UNKNOWN" else solver.best_objective_bound / SECOND
    return Optimum(_decision(hint, order), found, bound, math.isclose(bound, found))
