"""`plan`: what is asked, which solver answers, and all that a person wants to see of the answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from offload_jax.chains.problem import ChainProblem
from offload_jax.graphs.network_costs import network_costs
from offload_jax.graphs.request import Request, unpack_rows
from offload_jax.graphs.timetable import Timetable, longest_first, period, timetable
from offload_jax.network import Network
from offload_jax.objectives import LATENCY, Objective
from offload_jax.plans import answer, flips
from offload_jax.plans.plan import Plan, Segment, Sent, Total
from offload_jax.plans.task import Task, as_task, network_of
from offload_jax.validation import check_class

_PROVEN = 1e-6


def plan(
    what: Any,
    network: Network | None = None,
    *,
    objective: Objective = LATENCY,
    max_latency: float | None = None,
    max_memory: Mapping[str, float] | None = None,
    allowed: Mapping[str, Sequence[str]] | None = None,
    time_limit: float | None = None,
) -> Plan:
    """doc"""
    if network is None:
        check_class("network", what, ChainProblem)
        network = network_of(what)
    check_class("network", network, Network)
    task = as_task(what, network)
    costs = network_costs(task.graph, network, seconds=task.seconds)
    request = next(unpack_rows(costs))
    found = answer.find(task, costs, time_limit)
    table = found.timetable
    if table.makespan == math.inf:
        raise ValueError(f"{task.name}: no placement is possible")
    own = _total(network, request, found.place, table)
    return Plan(
        name=task.name,
        file=task.file,
        names=task.graph.names,
        network=network,
        objective="latency",
        place=found.place,
        order=found.order,
        start=table.start,
        finish=table.finish,
        latency=own.latency,
        period=own.period,
        energy=own.energy,
        lower_bound=found.lower_bound,
        optimal=bool(own.latency * (1 - _PROVEN) <= found.lower_bound),
        inputs=_inputs(task, found.place),
        segments=_segments(task, request, found.place, table),
        totals={
            name: _single(network, request, place) for place, name in enumerate(network.place_names)
        },
        flips=flips.find(network, costs, found.place),
        source=what,
    )


def _single(network: Network, request: Request, place: int) -> Total:
    places = np.full(len(request.home), place, np.int8)
    table = timetable(request, places, longest_first(request, places))
    return _total(network, request, places, table)


def _total(network: Network, request: Request, place: np.ndarray, table: Timetable) -> Total:
    watts = np.array([one.watts or 0.0 for one in network.places])
    known = any(one.watts is not None for one in network.places)
    if table.makespan == math.inf:
        return Total(math.inf, math.inf, math.inf if known else None)
    seconds, _ = table.loads(request, place)
    energy = float(seconds @ watts) if known else None
    return Total(float(table.makespan), period(request, table, place), energy)


def _segments(
    task: Task, request: Request, place: np.ndarray, table: Timetable
) -> tuple[Segment, ...]:
    """Layers of one place with as many changes of places before them are one segment."""
    graph = task.graph
    level = [0] * graph.num_tasks
    for u, v in graph.edges[np.argsort(graph.edges[:, 1], kind="stable")].tolist():
        level[v] = max(level[v], level[u] + int(place[u] != place[v]))
    groups: dict[tuple[int, int], list[int]] = {}
    for layer, key in enumerate(zip(level, place.tolist(), strict=True)):
        groups.setdefault(key, []).append(layer)
    members = sorted(groups.values(), key=lambda group: min(table.start[group]))
    number = {layer: index for index, group in enumerate(members) for layer in group}
    sent = _sent(task, place, number)
    seconds = request.seconds[np.arange(graph.num_tasks), place]
    return tuple(
        Segment(
            place=int(place[group[0]]),
            layers=tuple(group),
            seconds=float(seconds[group].sum()),
            start=float(min(table.start[group])),
            finish=float(max(table.finish[group])),
            sent=sent.get(index, ()),
        )
        for index, group in enumerate(members)
    )


def _sent(task: Task, place: np.ndarray, number: dict[int, int]) -> dict[int, tuple[Sent, ...]]:
    """What leaves each segment, by its number, for each other place."""
    graph = task.graph
    nothing: tuple[str, ...] = ()
    moved: dict[tuple[int, int], dict[Any, float]] = {}
    names: dict[tuple[int, int], dict[str, None]] = {}

    def add(sender: int, target: int, what: Any, num_bytes: float, tensors: Sequence[str]) -> None:
        if target == place[sender] or num_bytes == 0:
            return
        way = number[sender], target
        moved.setdefault(way, {})[what] = num_bytes
        names.setdefault(way, {}).update(dict.fromkeys(tensors))

    edges = zip(graph.edges.tolist(), graph.data.tolist(), strict=True)
    for index, ((u, v), num_bytes) in enumerate(edges):
        # A result that is sent once to a place counts once.
        what = u if graph.send_once else (u, v)
        tensors = task.tensors[index] if task.tensors else nothing
        add(u, int(place[v]), what, num_bytes, tensors)
    for v, num_bytes in enumerate(graph.output.tolist()):
        add(v, 0, ("output", v), num_bytes, task.outputs[v] if task.outputs else nothing)
    sent: dict[int, tuple[Sent, ...]] = {}
    for (index, target), sizes in sorted(moved.items()):
        one = Sent(target, sum(sizes.values()), tuple(names[index, target]))
        sent[index] = (*sent.get(index, ()), one)
    return sent


def _inputs(task: Task, place: np.ndarray) -> tuple[Sent, ...]:
    """What leaves the device before anything has run, by place."""
    sizes = np.bincount(place, task.graph.input)
    tensors = [
        dict.fromkeys(name for v in np.flatnonzero(place == k).tolist() for name in task.inputs[v])
        if task.inputs
        else ()
        for k in range(len(sizes))
    ]
    return tuple(
        Sent(k, float(sizes[k]), tuple(tensors[k])) for k in range(1, len(sizes)) if sizes[k] > 0
    )
