"""Loads of processors and links once more, as plain loops over one request; see `graph_oracle`."""

import itertools
import math

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


def graph_loads(graph, place):
    """Seconds of each processor over its servers and of each serial link; `inf` if impossible."""
    busy = {}

    def cross(route, num_bytes):
        for link in route:
            seconds = num_bytes * graph.seconds_per_byte[link]
            if graph.serial[link] or seconds == math.inf:
                busy["link", link] = busy.get(("link", link), 0.0) + seconds

    def way(source, target):
        route = graph.routes[source][target]
        if route is None:
            busy["lost"] = math.inf
        return route or ()

    for v in graph.tasks:
        seconds, servers = graph.seconds[v][place[v]], graph.servers[place[v]]
        if servers is not None or seconds == math.inf:
            busy[place[v]] = busy.get(place[v], 0.0) + seconds / (servers or 1)
        if graph.input[v]:
            cross(way(graph.home[v], place[v]), graph.input[v])
        if graph.output[v]:
            cross(way(place[v], graph.home[v]), graph.output[v])
        crossed = set()
        for w in graph.readers(v):
            if graph.edges[v, w]:
                route = way(place[v], place[w])
                cross([link for link in route if link not in crossed], graph.edges[v, w])
                if graph.send_once:
                    crossed.update(route)
    return busy


def graph_period(graph, place):
    return max(graph_loads(graph, place).values(), default=0.0)
