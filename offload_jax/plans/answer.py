"""Which solver a plan comes from."""

import math
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.costs import ChainCosts
from offload_jax.chains.solve import solve as solve_chain
from offload_jax.extras import is_installed
from offload_jax.graphs.at_once import at_once
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision, GraphSolution
from offload_jax.graphs.request import Request
from offload_jax.graphs.solve import solve as solve_graph
from offload_jax.graphs.timetable import Timetable, timetable

PROVEN = 1e-6
"""What is so close to its lower bound counts as proven: solvers round to float32."""

_GOOD_ENOUGH = 0.1
_PROVABLE, PROOF_SECONDS = 20, 10.0


class Answer(NamedTuple):
    """A decision and what it gives.

    Attributes:
      place: int8 `[N]`.
      order: int32 `[N]`.
      timetable: when what happens.
      lower_bound: no decision costs less.
    """

    place: np.ndarray
    order: np.ndarray
    timetable: Timetable
    lower_bound: float


def gap(cost: float, lower_bound: float) -> float:
    """How far a cost may be above the least possible, as a fraction of that."""
    if not 0 < lower_bound < math.inf:
        return 0.0 if cost == lower_bound else math.inf
    return cost / lower_bound - 1


def fastest(
    request: Request, costs: GraphCosts, time_limit: float | None, *, is_chain: bool
) -> Answer:
    """The answer of least latency without limits.

    Args:
      request: the only row of `costs`.
      costs: what is planned, allowed places only.
      time_limit: seconds.
      is_chain: whether each task needs the one before it, and no other.
    """
    if is_chain:
        return _of_chain(request)
    first = Answer(*at_once(costs))
    few = is_provable(first.place)
    latency = first.timetable.makespan
    enough = _GOOD_ENOUGH if time_limit is None and not few else PROVEN
    if latency == math.inf or gap(latency, first.lower_bound) <= enough:
        return first
    found = cheapest(request, costs, time_limit, start=Decision(first.place, first.order))
    bound = max(first.lower_bound, found.lower_bound)
    better = min(first, found, key=lambda one: one.timetable.makespan)
    return better._replace(lower_bound=min(bound, better.timetable.makespan))


def cheapest(
    request: Request, costs: GraphCosts, time_limit: float | None, **options: Any
) -> Answer:
    """The answer of `graphs.solve`, by CP-SAT if it may be proven soon.

    Args:
      request: the only row of `costs`.
      costs: what is planned, allowed places only.
      time_limit: seconds.
      options: of `graphs.solve`.

    Raises:
      ValueError: no decision keeps to what is asked, or none was found.
    """
    few = is_provable(request.seconds)
    solution = solve_graph(
        costs,
        method="cpsat" if few else "auto",
        time_limit=PROOF_SECONDS if few and time_limit is None else time_limit,
        **options,
    )
    if not float(solution.cost) < math.inf:
        verb = "is possible" if bool(solution.optimal) else "was found"
        raise ValueError(f"no plan within these limits {verb}")
    return _answer(request, solution)


def is_provable(tasks: np.ndarray) -> bool:
    """Whether CP-SAT is there and may soon have a proof about an array of so many tasks."""
    return len(tasks) <= _PROVABLE and is_installed("ortools")


def _of_chain(request: Request) -> Answer:
    """By the dynamic program for chains."""
    place = np.asarray(solve_chain(_chain_costs(request)).decision, np.int8)
    order = np.arange(len(place), dtype=np.int32)
    table = timetable(request, place, order)
    return Answer(place, order, table, table.makespan)


def _answer(request: Request, solution: GraphSolution) -> Answer:
    place, order = np.asarray(solution.place, np.int8), np.asarray(solution.order, np.int32)
    table = timetable(request, place, order)
    if solution.schedule is not None:
        makespan, start, finish = (np.asarray(part, float) for part in solution.schedule[:3])
        table = table._replace(makespan=float(makespan), start=start, finish=finish)
    return Answer(place, order, table, float(solution.lower_bound))


def _chain_costs(request: Request) -> ChainCosts:
    """The table of a chain, all of whose data between two places takes the route of the request."""
    num_places = request.seconds.shape[1]
    bounds = zip(request.first_hop[:-1].tolist(), request.first_hop[1:].tolist(), strict=True)
    hops = [request.hops[first:last] for first, last in bounds]
    rate, startup = (
        np.array([values[route].sum() if len(route) else math.inf for route in hops])
        for values in (request.seconds_per_byte, request.startup)
    )
    data = np.array([request.input[0], *request.data, request.output[-1]])[:, None]
    sent = np.multiply(data, rate, out=np.zeros((len(data), len(rate))), where=data > 0)
    sent += np.where(data > 0, startup, 0.0)
    transfer = sent.reshape(len(data), num_places, num_places)
    transfer[:, range(num_places), range(num_places)] = 0.0
    return ChainCosts(request.seconds, transfer)
