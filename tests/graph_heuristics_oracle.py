"""List scheduling of task graphs as published, as plain float64 loops over one `Graph`.

Ranks, HEFT and CPOP: Topcuoglu, Hariri, Wu 2002. Optimistic cost table and PEFT: Arabnejad, Barbosa
2014. A place without a live route from and to the device counts in no mean and is never chosen.
"""

import math

from tests.graph_oracle import Machine, route_seconds

__all__ = [
    "cpop",
    "critical_path",
    "decreasing",
    "downward_ranks",
    "greedy_graph",
    "heft",
    "live_places",
    "optimistic_cost_table",
    "peft",
    "ready_sequence",
    "upward_ranks",
]

NEAR = 1e-9


def _alive(graph, v, source, target):
    route = graph.routes[source][target]
    return route is not None and all(graph.rate(link, v) < math.inf for link in route)


def live_places(graph, v):
    """Places with a live route from and to the device of v's user."""
    return [k for k in graph.places if _alive(graph, v, 0, k) and _alive(graph, v, k, 0)]


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def mean_seconds(graph, v):
    """Over live places; one that is forbidden to v says nothing about its length."""
    return _mean(
        graph.seconds[v][k] for k in live_places(graph, v) if graph.seconds[v][k] < math.inf
    )


def mean_transfer(graph, u, v):
    """Over pairs of different live places."""
    return _mean(
        route_seconds(graph, v, graph.edges[u, v], j, k)
        for j in live_places(graph, u)
        for k in live_places(graph, v)
        if j != k and _alive(graph, v, j, k)
    )


def mean_way_home(graph, v):
    """Over live places other than the device."""
    return _mean(route_seconds(graph, v, graph.output[v], k, 0) for k in live_places(graph, v) if k)


def upward_ranks(graph):
    ranks = {}
    for v in reversed(graph.tasks):
        ahead = [mean_way_home(graph, v)]
        ahead += [mean_transfer(graph, v, s) + ranks[s] for s in graph.readers(v)]
        ranks[v] = mean_seconds(graph, v) + max(ahead)
    return [ranks[v] for v in graph.tasks]


def downward_ranks(graph):
    ranks = []
    for v in graph.tasks:
        behind = [
            ranks[u] + mean_seconds(graph, u) + mean_transfer(graph, u, v) for u in graph.needs(v)
        ]
        ranks.append(max(behind, default=0.0))
    return ranks


def optimistic_cost_table(graph):
    """`[v][p]`: the least that is still to come once v has run at p; 0 at exits."""
    costs = {}
    for v in reversed(graph.tasks):
        costs[v] = [
            max(
                (
                    min(
                        costs[s][q] + graph.seconds[s][q] + (p != q) * mean_transfer(graph, v, s)
                        for q in live_places(graph, s)
                    )
                    for s in graph.readers(v)
                ),
                default=0.0,
            )
            for p in graph.places
        ]
    return [costs[v] for v in graph.tasks]


def decreasing(graph, values):
    """Tasks by decreasing value; nearly equal values by number; empty tasks last."""
    near = NEAR * max(values)
    tasks = sorted(graph.tasks, key=lambda v: -values[v])
    groups, last = [], None
    for v in tasks:
        if last is None or values[last] - values[v] > near:
            groups.append([])
        groups[-1].append(v)
        last = v
    listed = [v for group in groups for v in sorted(group)]
    return sorted(listed, key=graph.is_empty)


def ready_sequence(graph, values):
    """From the tasks whose predecessors are taken, the one of greatest value, again and again."""
    turn = {v: i for i, v in enumerate(decreasing(graph, values))}
    taken = []
    while len(taken) < len(graph.tasks):
        ready = [v for v in graph.tasks if v not in taken and set(graph.needs(v)) <= set(taken)]
        taken.append(min(ready, key=turn.get))
    return taken


class Plan:
    """Planned times: servers with gaps, links without contention, inputs but not the way home."""

    def __init__(self, graph):
        self.graph = graph
        self.booked = {
            graph.place_of(k, v): None if m is None else [[] for _ in range(m)]
            for k, m in enumerate(graph.servers)
            for v in graph.tasks
        }
        self.start, self.finish, self.place = {}, {}, {}

    def slot(self, v, k):
        """Start of v at k with insertion, and the server's list to book it in."""
        graph = self.graph
        ready = graph.release[v] + route_seconds(graph, v, graph.input[v], 0, k)
        for u in graph.needs(v):
            way = route_seconds(graph, v, graph.edges[u, v], self.place[u], k)
            ready = max(ready, self.finish[u] + way)
        seconds, servers = graph.seconds[v][k], self.booked[graph.place_of(k, v)]
        if servers is None or seconds == 0:
            return ready, None
        slots = []
        for server in servers:
            begin = ready
            for start, finish in sorted(server):
                if begin + seconds <= start:
                    break
                begin = max(begin, finish)
            slots.append(begin)
        best = min(range(len(slots)), key=lambda s: slots[s])
        return slots[best], servers[best]

    def put(self, v, k):
        start, server = self.slot(v, k)
        self.start[v], self.finish[v], self.place[v] = start, start + self.graph.seconds[v][k], k
        if server is not None:
            server.append((self.start[v], self.finish[v]))

    def finish_at(self, v, k):
        return self.slot(v, k)[0] + self.graph.seconds[v][k]

    def decision(self, sequence):
        """Places; tasks by planned start, equal ones as they were planned, empty ones last."""
        order = sorted(sequence, key=lambda v: (self.graph.is_empty(v), self.start[v]))
        return tuple(self.place[v] for v in self.graph.tasks), tuple(order)

    def makespan(self):
        return max(self.finish.values())


def _plan(graph, sequence, choose):
    plan = Plan(graph)
    for v in sequence:
        plan.put(v, 0 if graph.is_empty(v) else choose(plan, v))
    return plan.decision(sequence), plan


def _least_finish(plan, v):
    return min(live_places(plan.graph, v), key=lambda k: plan.finish_at(v, k))


def heft(graph):
    """((place, order), plan) of HEFT with insertion."""
    return _plan(graph, decreasing(graph, upward_ranks(graph)), _least_finish)


def critical_path(graph, priorities):
    """From the first entry of greatest priority, on through successors of that priority."""
    near = NEAR * max(priorities)
    entries = [v for v in graph.tasks if not graph.needs(v) and not graph.is_empty(v)]
    if not entries:
        return []
    length = max(priorities[v] for v in entries)
    path, ahead = [], entries
    while ahead := [v for v in ahead if length - priorities[v] <= near]:
        path.append(ahead[0])
        ahead = graph.readers(ahead[0])
    return path


def cpop(graph):
    """((place, order), plan) of CPOP with insertion."""
    up, down = upward_ranks(graph), downward_ranks(graph)
    priorities = [a + b for a, b in zip(up, down, strict=True)]
    path = critical_path(graph, priorities)
    candidates = set(graph.places).intersection(*(live_places(graph, v) for v in path))
    fastest = min(sorted(candidates) or [0], key=lambda k: sum(graph.seconds[v][k] for v in path))
    sequence = ready_sequence(graph, priorities)
    return _plan(graph, sequence, lambda plan, v: fastest if v in path else _least_finish(plan, v))


def peft(graph):
    """((place, order), plan) of PEFT with insertion."""
    costs = optimistic_cost_table(graph)
    priorities = [_mean(costs[v][k] for k in live_places(graph, v)) for v in graph.tasks]
    return _plan(
        graph,
        ready_sequence(graph, priorities),
        lambda plan, v: min(
            live_places(graph, v), key=lambda k: plan.finish_at(v, k) + costs[v][k]
        ),
    )


def greedy_graph(graph):
    """(place, order): rank order, each task where its output, or else itself, is done first."""
    order, machine = decreasing(graph, upward_ranks(graph)), Machine(graph)
    for v in order:
        tried = []
        for k in graph.places:
            attempt = machine.copy()
            attempt.run(v, k)
            tried.append(attempt)
        best = min(live_places(graph, v), key=lambda k: tried[k].home_at[v])
        machine = tried[0 if graph.is_empty(v) else best]
    return tuple(machine.place[v] for v in graph.tasks), tuple(order)
