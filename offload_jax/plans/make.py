"""`plan`: what is asked, which solver answers, and all that a person wants to see of the answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from offload_jax.graphs.at_once import steady_bandwidths
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.objectives import Prices
from offload_jax.graphs.period import period_of
from offload_jax.graphs.request import Request, unpack_rows
from offload_jax.graphs.timetable import Timetable, longest_first, timetable
from offload_jax.models.parts import groups_of_places
from offload_jax.network import Network
from offload_jax.objectives import LATENCY, Objective, Period, PowerModel
from offload_jax.plans import answer, limits
from offload_jax.plans.plan import Flip, Plan, Segment, Sent, Total, Weights, weighed
from offload_jax.plans.task import Task, costs_of
from offload_jax.validation import check_class


def plan(
    what: Any,
    network: Network | None = None,
    *,
    objective: Objective | Period = LATENCY,
    max_latency: float | None = None,
    max_energy: float | None = None,
    max_period: float | None = None,
    max_memory: Mapping[str, float] | None = None,
    allowed: Mapping[str, Sequence[str]] | None = None,
    time_limit: float | None = None,
) -> Plan:
    """Decides where the layers of a task run on a network.

    Latency is the makespan of one request on an empty machine, in which places run as many layers
    at a time as they have servers and links carry one transfer at a time; all data between two
    places takes one route, see `graphs.network_costs`. A chain gets its least latency. Of anything
    else, the better of the minimum cut and every single place is taken, milliseconds for hundreds
    of layers, if it is proven or, without a time limit, at most a tenth above its lower bound.
    Otherwise, for other objectives and within limits, up to 20 layers are given to CP-SAT, for 10 s
    without a time limit, and more of them, or all if CP-SAT is not installed, to the method "auto"
    of `graphs.solve`, for the time limit or as long as it takes by itself.

    Args:
      what: a `models.Model`, with its measured seconds if it has some, `graphs.TaskGraph`,
        `graphs.MeasuredGraph`, `ChainProblem`, `MeasuredTask`, or a profile of a chain such as
        `models.ModelChain`.
      network: where it may run; the first place holds the inputs and takes the outputs. Left out,
        a `ChainProblem` has its own three places; otherwise its speeds and bandwidths are not used.
      objective: `oj.LATENCY`; `oj.PERIOD`, seconds from one request to the next in a stream;
        `oj.ENERGY`, joules of computing at the places whose `watts` are known; or a weighted sum of
        seconds and joules, an `oj.Objective`.
      max_latency, max_energy, max_period: the most seconds, joules and seconds that a plan takes.
      max_memory: bytes for the weights of what runs at a place, by its name, besides `memory` of
        the network's places.
      allowed: names of the places where layers may run, by the name of a layer, or by a pattern of
        several in which * stands for any text and ? for any letter.
      time_limit: seconds for searching.

    Returns:
      The plan.

    Raises:
      ValueError: what or network is none of the above, a limit is malformed, names something
        unknown or cannot be kept, or no plan is possible, or none was found within the limits.
      ImportError: a package that the solver needs is not installed.
    """
    most = {"latency": max_latency, "energy": max_energy, "period": max_period}
    for name, value in most.items():
        limits.check_positive_or_none(f"max_{name}", value)
    limits.check_positive_or_none("time_limit", time_limit)
    task, network, costs = costs_of(what, network)
    goal, weights = _goal(objective)
    if weights[1] or max_energy:
        require_watts("objective" if weights[1] else "max_energy", network)
    memory = limits.memory_limits(task, network, max_memory)
    costs = limits.keep_to_allowed(task, network, costs, allowed or {})
    request = next(unpack_rows(costs))
    fastest = None
    if goal == "latency":
        fastest = answer.fastest(request, costs, time_limit, is_chain=task.is_chain)
        if fastest.timetable.makespan == math.inf:
            raise ValueError(f"{task.name}: no placement is possible")
    found = fastest
    if found is None or not _keeps(task, network, request, found, memory, most):
        found = answer.cheapest(
            request,
            costs,
            time_limit,
            objective=joules(network, costs, weights),
            max_latency=None if goal == "latency" else max_latency,
            max_energy=max_energy,
            max_period=max_period,
            side_constraints=limits.side_constraints(task, memory),
        )
    table = found.timetable
    own = total_of(network, request, found.place, table)
    limits.check_total(own, **most)
    return Plan(
        name=task.name,
        file=task.file,
        shapes=dict(task.shapes or {}),
        names=task.graph.names,
        network=network,
        objective=goal,
        weights=weights,
        place=found.place,
        order=found.order,
        start=table.start,
        finish=table.finish,
        latency=own.latency,
        period=own.period,
        energy=own.energy,
        lower_bound=float(found.lower_bound),
        optimal=answer.gap(weighed(own, weights), float(found.lower_bound)) <= answer.PROVEN,
        inputs=_inputs(task, found.place),
        segments=_segments(task, request, found.place, found.order, table),
        totals={
            name: single(network, request, place) for place, name in enumerate(network.place_names)
        },
        flips=_flips(network, costs, found.place) if found is fastest else None,
        source=what,
    )


def _goal(objective: Any) -> tuple[str, Weights]:
    """The name of what is minimised, and what a second of the latency, a joule and a second of the
    period weigh.

    Raises:
      ValueError: it is no objective of plans.
    """
    if isinstance(objective, Period):
        return "period", (0.0, 0.0, 1.0)
    check_class("objective", objective, Objective)
    if objective.power != PowerModel():
        raise ValueError("objective.power: plans count the watts of places instead")
    latency, energy = float(objective.latency_weight), float(objective.energy_weight)
    if latency and energy:
        return "weighted", (latency, energy, 0.0)
    return ("latency", (1.0, 0.0, 0.0)) if latency else ("energy", (0.0, 1.0, 0.0))


def require_watts(what: str, network: Network) -> None:
    """Refuses a network of which no energy is known.

    Raises:
      ValueError: it is.
    """
    if all(place.watts is None for place in network.places):
        raise ValueError(f"{what}: energy needs the watts of a place of the network")


def joules(network: Network, costs: GraphCosts, weights: Weights) -> Prices:
    """Joules of computing as prices, links cost none; and what else is weighed."""
    seconds = np.asarray(costs.seconds)
    spent = np.where(seconds < math.inf, seconds, 0.0) * _watts(network)
    return Prices(spent, np.zeros(len(costs.serial)), *weights)


def _watts(network: Network) -> np.ndarray:
    return np.array([place.watts or 0.0 for place in network.places])


def _keeps(
    task: Task,
    network: Network,
    request: Request,
    found: answer.Answer,
    memory: np.ndarray,
    most: Mapping[str, float | None],
) -> bool:
    """Whether a plan keeps to all limits but that of its latency."""
    own = total_of(network, request, found.place, found.timetable)
    return limits.fits(task, found.place, memory) and all(
        (getattr(own, name) or 0.0) <= limits.or_infinite(most[name])
        for name in ("energy", "period")
    )


def single(network: Network, request: Request, place: int) -> Total:
    """What it takes to run everything at one place."""
    places = np.full(len(request.user), place, np.int8)
    table = timetable(request, places, longest_first(request, places))
    return total_of(network, request, places, table)


def total_of(network: Network, request: Request, place: np.ndarray, table: Timetable) -> Total:
    """What places and times take."""
    known = any(one.watts is not None for one in network.places)
    if table.makespan == math.inf:
        return Total(math.inf, math.inf, None)
    seconds = request.seconds[np.arange(len(place)), place]
    energy = float(_watts(network)[place] @ seconds) if known else None
    return Total(float(table.makespan), period_of(request, place.astype(np.int64)), energy)


def _segments(
    task: Task, request: Request, place: np.ndarray, order: np.ndarray, table: Timetable
) -> tuple[Segment, ...]:
    """The parts in which the places run the task, by their start."""
    groups = groups_of_places(task.graph, place.tolist(), order.tolist())
    members = sorted(map(sorted, groups), key=lambda layers: min(table.start[layers]))
    number = {layer: index for index, layers in enumerate(members) for layer in layers}
    sent = _sent(task, place, number)
    seconds = request.seconds[np.arange(len(place)), place]
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


def _flips(network: Network, costs: GraphCosts, place: np.ndarray) -> tuple[Flip, ...] | None:
    factors = steady_bandwidths(costs, place)
    if factors is None:
        return None
    bandwidths = [float(np.asarray(link.bandwidth)) for link in network.links]
    return tuple(
        Flip(number, bandwidth * least, bandwidth * greatest)
        for number, (bandwidth, (least, greatest)) in enumerate(
            zip(bandwidths, factors, strict=True)
        )
    )
