"""Loads of processors and links once more, as plain loops over one request; see `graph_oracle`."""

import itertools
import math

import numpy as np

from tests import oracle


def chain_period(chain, decision):
    """Of a request over device, edge and cloud: two processors, four directions of links."""
    busy = dict.fromkeys(["device", "edge", "up", "down", "out", "in"], 0.0)
    for t, place in enumerate(decision):
        if place != oracle.CLOUD:
            name = "device" if place == oracle.DEVICE else "edge"
            busy[name] += oracle.execution_seconds(chain, t, place)
    route = (oracle.DEVICE, *decision, oracle.DEVICE)
    for t, size in enumerate(chain.data):
        source, target = route[t], route[t + 1]
        wireless = oracle.hop_seconds(size, chain.b1)
        wired = oracle.hop_seconds(size, chain.b2)
        if source == 0 < target:
            busy["up"] += wireless
        if target == 0 < source:
            busy["down"] += wireless
        if source < 2 == target:
            busy["out"] += wired
        if target < 2 == source:
            busy["in"] += wired
    return max(busy.values())


def table_period(execution, transfer, decision):
    """Of a table: a processor for each place, a link for each ordered pair of places."""
    busy = {}
    route = (0, *decision, 0)
    for t, place in enumerate(decision):
        busy[place] = busy.get(place, 0.0) + float(execution[t][place])
    for t in range(len(decision) + 1):
        pair = route[t], route[t + 1]
        busy[pair] = busy.get(pair, 0.0) + float(transfer[t][pair[0]][pair[1]])
    return max(busy.values())


def is_contiguous(decision):
    """Whether each place runs one stage at most."""
    stages = [place for place, _ in itertools.groupby(decision)]
    return len(stages) == len(set(stages))


def link_bytes(graph, place):
    """Bytes over each wire under given places; None where some have no way."""
    moved = dict.fromkeys(range(len(graph.startup)), 0.0)

    def cross(v, source, target, num_bytes, crossed=()):
        route = graph.routes[source][target]
        for link in route or ():
            moved[graph.link_of(link, v)] += num_bytes if link not in crossed else 0.0
        return route

    for v in graph.tasks:
        ways = [
            (0, place[v], graph.input[v]),
            (place[v], 0, graph.output[v]),
        ]
        for source, target, num_bytes in ways:
            if num_bytes and cross(v, source, target, num_bytes) is None:
                return None
        crossed = set()
        for w in graph.readers(v):
            if graph.edges[v, w]:
                route = cross(v, place[v], place[w], graph.edges[v, w], crossed)
                if route is None:
                    return None
                if graph.send_once:
                    crossed.update(route)
    return moved


def is_possible(graph, place):
    """Whether all tasks can run where they are and all bytes arrive."""
    moved = link_bytes(graph, place)
    return moved is not None and all(
        [graph.seconds[v][place[v]] < math.inf for v in graph.tasks]
        + [not size or graph.seconds_per_byte[wire] < math.inf for wire, size in moved.items()]
    )


def graph_period(graph, place):
    """The largest load of a processor, over its servers, or of a serial link."""
    if not is_possible(graph, place):
        return math.inf
    busy = [0.0]
    at = [graph.place_of(place[v], v) for v in graph.tasks]
    for v, servers in enumerate(graph.servers[k] for k in place):
        if servers is not None:
            tasks = [w for w in graph.tasks if at[w] == at[v]]
            busy.append(sum(graph.seconds[w][place[w]] for w in tasks) / servers)
    serial = {
        graph.link_of(link, v)
        for link in range(len(graph.serial))
        for v in graph.tasks
        if graph.serial[link]
    }
    for wire, size in link_bytes(graph, place).items():
        if size and wire in serial:
            busy.append(size * graph.seconds_per_byte[wire])
    return max(busy)


def graph_price(graph, place, execution, per_byte):
    """What tasks and bytes cost under given places; `inf` where they are impossible."""
    if not is_possible(graph, place):
        return math.inf
    total = sum(execution[v][place[v]] for v in graph.tasks)
    return total + sum(
        size * per_byte[link] for link, size in link_bytes(graph, place).items() if size
    )


def least_price(graph, execution, per_byte):
    """Least price of all placements at once; as `least` has it, but for thousands of them."""
    place = np.array([*itertools.product(graph.places, repeat=len(graph.tasks))])
    ways = np.zeros((len(graph.places),) * 2 + (len(graph.serial),), bool)
    lost = np.zeros(ways.shape[:2], bool)
    for j, k in itertools.product(graph.places, repeat=2):
        ways[j, k, list(graph.routes[j][k] or ())] = True
        lost[j, k] = graph.routes[j][k] is None
    moved, total = np.zeros((len(place), len(graph.serial))), np.zeros(len(place))

    def cross(sizes, source, target):
        total[lost[source, target]] += math.inf if sizes else 0.0
        return sizes * ways[source, target]

    for v in graph.tasks:
        here, home = place[:, v], np.zeros(len(place), int)
        impossible = np.isinf(np.array(graph.seconds[v]))
        total += np.where(impossible, math.inf, execution[v])[here]
        moved += cross(graph.input[v], home, here) + cross(graph.output[v], here, home)
        sent = [cross(graph.edges[v, w], here, place[:, w]) for w in graph.readers(v)]
        if sent:
            moved += np.max(sent, 0) if graph.send_once else np.sum(sent, 0)
    dear = np.where(np.isinf(graph.seconds_per_byte), math.inf, per_byte)
    total += np.where(moved > 0, moved * np.where(moved > 0, dear, 0.0), 0.0).sum(1)
    return total.min()


def least(graph, execution, per_byte, weights=(0, 1, 0), limits=(math.inf,) * 3, keeps=None):
    """Least weighted sum of makespan, price and period within limits on the three.

    Placements come by increasing price and period, so that few need a search for an order.
    """
    priced = []
    for place in itertools.product(graph.places, repeat=len(graph.tasks)):
        price = graph_price(graph, place, execution, per_byte)
        period = graph_period(graph, place)
        fits = price <= limits[1] and period <= limits[2] and price < math.inf
        if fits and (keeps is None or keeps(place)):
            priced.append((weights[1] * price + weights[2] * period, place))
    best = math.inf
    for cost, place in sorted(priced):
        if cost >= best:
            break
        if weights[0] == 0 and limits[0] == math.inf:
            return cost
        # Makespans below it are looked for, those equal to the limit, 0 too, among them.
        most = math.nextafter(limits[0] * (1 + 1e-9), math.inf)
        if weights[0] and best < math.inf:
            most = min(most, (best - cost) / weights[0])
        makespan = oracle.placement_optimum(graph, place, most)
        if makespan < most:
            best = cost + weights[0] * makespan
    return best
