"""The model once more, as plain float64 loops that follow its definition word by word.

Nothing here is imported from the project, and nothing is clever: decisions are tuples, costs are
Python floats, an optimum is found by looking at everything. `Chain` holds the raw quantities of
one request; a "table" is a pair of nested sequences `execution[t][k]`, `transfer[t][j][k]`. What is
here is about chains; task graphs have files of their own, whose names can be had from here too.
"""

import itertools
import math
from typing import NamedTuple

from tests.graph_heuristics_oracle import *  # noqa: F403
from tests.graph_oracle import *  # noqa: F403

DEVICE, EDGE, CLOUD = 0, 1, 2
PLACES = (DEVICE, EDGE, CLOUD)


class Chain(NamedTuple):
    """One request: A cycle counts, A + 1 data sizes, two speeds, two bandwidths."""

    cycles: tuple
    data: tuple
    p1: float
    p2: float
    b1: float
    b2: float


class Power(NamedTuple):
    """Device-side power, with the default figures of the model."""

    kappa: float = 1e-27
    transmit: float = 1.258
    receive: float = 1.181
    idle: float = 0.0


DEFAULT_POWER = Power()


def hop_seconds(data, bandwidth):
    """Time of one hop: nothing to send takes no time, a dead link never delivers."""
    if data == 0:
        return 0.0
    if bandwidth == 0:
        return math.inf
    return float(data) / float(bandwidth)


def joules(watts, seconds):
    """Energy of a hop; a transfer that never ends is impossible, whatever the power."""
    return math.inf if seconds == math.inf else watts * seconds


def execution_seconds(chain, t, place):
    if place == DEVICE:
        return float(chain.cycles[t]) / float(chain.p1)
    if place == EDGE:
        return float(chain.cycles[t]) / float(chain.p2)
    return 0.0


def transfer_seconds(chain, t, source, target):
    if source == target:
        return 0.0
    wireless = hop_seconds(chain.data[t], chain.b1)
    wired = hop_seconds(chain.data[t], chain.b2)
    if {source, target} == {DEVICE, EDGE}:
        return wireless
    if {source, target} == {EDGE, CLOUD}:
        return wired
    return wireless + wired


def latency(chain, decision):
    """Seconds from the task's arrival at the device until its result is back there."""
    route = (DEVICE, *decision, DEVICE)
    total = 0.0
    for t, place in enumerate(decision):
        total += execution_seconds(chain, t, place)
    for t in range(len(decision) + 1):
        total += transfer_seconds(chain, t, route[t], route[t + 1])
    return total


def execution_joules(chain, t, place, power):
    if place == DEVICE:
        return power.kappa * float(chain.p1) ** 2 * float(chain.cycles[t])
    return power.idle * execution_seconds(chain, t, place)


def transfer_joules(chain, t, source, target, power):
    """Walks hop by hop: the device sends, receives, or waits for edge and cloud."""
    total = 0.0
    while source != target:
        step = source + 1 if target > source else source - 1
        if (source, step) == (DEVICE, EDGE):
            total += joules(power.transmit, hop_seconds(chain.data[t], chain.b1))
        elif (source, step) == (EDGE, DEVICE):
            total += joules(power.receive, hop_seconds(chain.data[t], chain.b1))
        else:
            total += joules(power.idle, hop_seconds(chain.data[t], chain.b2))
        source = step
    return total


def energy(chain, decision, power=DEFAULT_POWER):
    """Joules that the device spends on one request."""
    route = (DEVICE, *decision, DEVICE)
    total = 0.0
    for t, place in enumerate(decision):
        total += execution_joules(chain, t, place, power)
    for t in range(len(decision) + 1):
        total += transfer_joules(chain, t, route[t], route[t + 1], power)
    return total


def weighted_cost(chain, decision, latency_weight=1.0, energy_weight=0.0, power=DEFAULT_POWER):
    """Weighted sum of seconds and joules; a weight of 0 leaves its term out."""
    total = 0.0
    if latency_weight:
        total += latency_weight * latency(chain, decision)
    if energy_weight:
        total += energy_weight * energy(chain, decision, power)
    return total


def table_cost(execution, transfer, decision):
    """Cost of a decision on an additive table; the chain starts and ends at place 0."""
    route = (0, *decision, 0)
    total = 0.0
    for t, place in enumerate(decision):
        total += float(execution[t][place])
    for t in range(len(decision) + 1):
        total += float(transfer[t][route[t]][route[t + 1]])
    return total


def all_decisions(num_subtasks, num_places=3):
    """Every decision, in lexicographic order."""
    return itertools.product(range(num_places), repeat=num_subtasks)


def minimize(cost, decisions):
    """First decision of least cost, and that cost; the first decision if all cost `inf`."""
    best, least = None, math.inf
    for decision in decisions:
        value = cost(decision)
        if best is None or value < least:
            best, least = decision, value
    return best, least


def optimum(chain, latency_weight=1.0, energy_weight=0.0, power=DEFAULT_POWER):
    """Lexicographically smallest optimal decision of a request, and its cost."""
    return minimize(
        lambda decision: weighted_cost(chain, decision, latency_weight, energy_weight, power),
        all_decisions(len(chain.cycles)),
    )


def table_optimum(execution, transfer):
    """Lexicographically smallest optimal decision on a table, and its cost."""
    return minimize(
        lambda decision: table_cost(execution, transfer, decision),
        all_decisions(len(execution), len(execution[0])),
    )


def least_energy_within_latency(chain, max_latency, power=DEFAULT_POWER):
    """(decision, joules) with the least energy among those in time; None if none is."""
    allowed = [d for d in all_decisions(len(chain.cycles)) if latency(chain, d) <= max_latency]
    return minimize(lambda d: energy(chain, d, power), allowed) if allowed else None


def least_latency_within_energy(chain, max_energy, power=DEFAULT_POWER):
    """(decision, seconds) with the least latency among those affordable; None if none is."""
    allowed = [d for d in all_decisions(len(chain.cycles)) if energy(chain, d, power) <= max_energy]
    return minimize(lambda d: latency(chain, d), allowed) if allowed else None


def pareto_front(chain, power=DEFAULT_POWER):
    """All (seconds, joules) that no decision beats in one and equals in the other, sorted."""
    points = {
        (latency(chain, d), energy(chain, d, power)) for d in all_decisions(len(chain.cycles))
    }
    front = []
    for seconds, spent in sorted(points):
        if spent < math.inf and all(spent < other for _, other in front):
            front.append((seconds, spent))
    return front


def greedy(chain, count_return=False):
    """Subtask by subtask the least transfer-in plus execution; ties go to the smaller place."""
    decision, place = [], DEVICE
    last = len(chain.cycles) - 1
    for t in range(last + 1):
        best, least = None, math.inf
        for candidate in PLACES:
            value = transfer_seconds(chain, t, place, candidate)
            value += execution_seconds(chain, t, candidate)
            if count_return and t == last:
                value += transfer_seconds(chain, last + 1, candidate, DEVICE)
            if best is None or value < least:
                best, least = candidate, value
        decision.append(best)
        place = best
    return tuple(decision)


def shortest_path(execution, transfer):
    """Least cost of a long chain: a path through a layered graph, relaxed layer by layer."""
    num_subtasks, num_places = len(execution), len(execution[0])
    distance = [0.0] + [math.inf] * (num_places - 1)
    for t in range(num_subtasks):
        reached = []
        for k in range(num_places):
            arrivals = [distance[j] + float(transfer[t][j][k]) for j in range(num_places)]
            reached.append(min(arrivals) + float(execution[t][k]))
        distance = reached
    return min(distance[k] + float(transfer[num_subtasks][k][0]) for k in range(num_places))
