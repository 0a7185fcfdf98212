"""The machine for task graphs once more, as plain float64 loops over one request.

Nothing here is imported from the project. A `Graph` holds Python numbers; times are Python floats;
an optimum of a tiny graph is found by looking at every semi-active schedule. A transfer is named
("input", v), ("data", u, v) or ("output", v), and is a tuple of hops (link, start, finish), where
finish is when the link is free again, before the link's start-up delay.
"""

import copy
import itertools
import math
from typing import NamedTuple

__all__ = [
    "PAPER_ROUTES",
    "Graph",
    "Timetable",
    "all_orders",
    "best_decision",
    "faults",
    "graph_energy",
    "joint_optimum",
    "least_serial_latency",
    "longest_path",
    "placement_optimum",
    "rate_seconds",
    "route_seconds",
    "serial_latency",
    "simulate_graph",
    "table",
    "three_places",
]


class Graph(NamedTuple):
    """One request: N tasks, K places, L one-way links.

    `seconds[v][k]`, `edges[u, v]` in bytes, `routes[j][k]` the links from j to k or None,
    `servers[k]` a number or None for any number, `serial[l]` whether link l carries one transfer at
    a time. Inputs lie and outputs end at place 0. Of `users` users each has places `own_places` and
    links `own_links` of its own; `seconds_per_byte` and `startup` list the links in turn, one that
    every user has once for each user.
    """

    seconds: tuple
    edges: dict
    input: tuple
    output: tuple
    release: tuple
    seconds_per_byte: tuple
    startup: tuple
    routes: tuple
    servers: tuple
    serial: tuple
    send_once: bool = False
    user: tuple = ()
    users: int = 1
    own_places: tuple = ()
    own_links: tuple = ()

    def user_of(self, v):
        return self.user[v] if self.user else 0

    def place_of(self, k, v):
        """The processor that place k is for task v."""
        return (k, self.user_of(v)) if self.own_places and self.own_places[k] else k

    def link_of(self, link, v):
        """The wire that a link is for task v: its number in the list of all wires."""
        own = self.own_links or (False,) * len(self.serial)
        first = sum(self.users if own[earlier] else 1 for earlier in range(link))
        return first + (self.user_of(v) if own[link] else 0)

    def rate(self, link, v):
        return self.seconds_per_byte[self.link_of(link, v)]

    def delay(self, link, v):
        return self.startup[self.link_of(link, v)]

    @property
    def tasks(self):
        return range(len(self.seconds))

    @property
    def places(self):
        return range(len(self.servers))

    def needs(self, v):
        return [u for u in self.tasks if (u, v) in self.edges]

    def readers(self, u):
        return [v for v in self.tasks if (u, v) in self.edges]

    def is_empty(self, v):
        """No work, no edges, no bytes and no release."""
        return not (
            any(self.seconds[v])
            or self.needs(v)
            or self.readers(v)
            or self.input[v]
            or self.output[v]
            or self.release[v]
        )


class Timetable(NamedTuple):
    """A schedule: `start[v]`, `finish[v]`, `place[v]`, transfers by name, and the makespan."""

    start: tuple
    finish: tuple
    place: tuple
    transfers: dict
    makespan: float


PAPER_ROUTES = (((), (0,), (0, 2)), ((1,), (), (2,)), ((3, 1), (3,), ()))


def rate_seconds(bandwidth):
    """Seconds per byte; a dead link never delivers."""
    return math.inf if bandwidth == 0 else 1.0 / float(bandwidth)


def three_places(
    cycles, edges, input, output, p1, p2, b1, b2, edge_servers=1, release=None, send_once=False
):
    """Device, edge and a cloud that takes no time; device-edge-cloud links, both ways at once."""
    return Graph(
        seconds=tuple((float(c) / p1, float(c) / p2, 0.0) for c in cycles),
        edges=dict(edges),
        input=tuple(input),
        output=tuple(output),
        release=tuple(release or [0.0] * len(cycles)),
        seconds_per_byte=(rate_seconds(b1), rate_seconds(b1), rate_seconds(b2), rate_seconds(b2)),
        startup=(0.0,) * 4,
        routes=PAPER_ROUTES,
        servers=(1, edge_servers, None),
        serial=(True,) * 4,
        send_once=send_once,
    )


def table(seconds, edges):
    """Classic examples: serial processors, links that never contend, one second a byte."""
    number, places = len(seconds), range(len(seconds[0]))
    pairs = [(j, k) for j in places for k in places if j != k]
    return Graph(
        seconds=tuple(tuple(map(float, row)) for row in seconds),
        edges=dict(edges),
        input=(0.0,) * number,
        output=(0.0,) * number,
        release=(0.0,) * number,
        seconds_per_byte=(1.0,) * len(pairs),
        startup=(0.0,) * len(pairs),
        routes=tuple(
            tuple((pairs.index((j, k)),) if j != k else () for k in places) for j in places
        ),
        servers=(1,) * len(places),
        serial=(False,) * len(pairs),
    )


class Machine:
    """What is booked so far while tasks are taken one after the other."""

    def __init__(self, graph):
        self.graph = graph
        self.link_free = [0.0] * len(graph.startup)
        self.server_free = {
            graph.place_of(k, v): None if m is None else [0.0] * m
            for k, m in enumerate(graph.servers)
            for v in graph.tasks
        }
        self.start, self.finish, self.place, self.home_at = {}, {}, {}, {}
        self.crossed, self.transfers = {u: {} for u in graph.tasks}, {}

    def copy(self):
        other = copy.copy(self)
        for name in ("link_free", "start", "finish", "place", "home_at", "transfers"):
            setattr(other, name, getattr(self, name).copy())
        other.crossed = {u: links.copy() for u, links in self.crossed.items()}
        other.server_free = {k: free and free.copy() for k, free in self.server_free.items()}
        return other

    def move(self, v, num_bytes, source, target, begin, crossed=None):
        """Books a transfer for task v hop by hop; when it is there, and its hops.

        `crossed` says when a result that is sent once came out of links; it crosses none again.
        """
        if num_bytes == 0 or source == target:
            return begin, ()
        route = self.graph.routes[source][target]
        if route is None:
            return math.inf, ()
        here, hops = begin, []
        for link in route:
            if crossed and link in crossed:
                here = crossed[link]
                continue
            wire = self.graph.link_of(link, v)
            start = max(here, self.link_free[wire]) if self.graph.serial[link] else here
            end = start + num_bytes * self.graph.rate(link, v)
            self.link_free[wire] = end
            hops.append((link, start, end))
            here = end + self.graph.delay(link, v)
            if crossed is not None:
                crossed[link] = here
        return here, tuple(hops)

    def fetch(self, u, v, place):
        """Brings u's result to v; one that is sent once goes on from where it has come to."""
        crossed = self.crossed[u] if self.graph.send_once else None
        num_bytes = self.graph.edges[u, v]
        arrival, hops = self.move(v, num_bytes, self.place[u], place, self.finish[u], crossed)
        if hops:
            self.transfers["data", u, v] = hops
        return arrival

    def run(self, v, place):
        """Takes one task: its input, its predecessors' data, itself, its output."""
        graph, release = self.graph, self.graph.release[v]
        arrival, hops = self.move(v, graph.input[v], 0, place, release)
        if hops:
            self.transfers["input", v] = hops
        ready = max(release, arrival)
        for u in self.place:  # in the order in which tasks were taken
            if (u, v) in graph.edges:
                ready = max(ready, self.fetch(u, v, place))
        seconds, free = graph.seconds[v][place], self.server_free[graph.place_of(place, v)]
        start = ready
        if seconds > 0 and free is not None:
            first = min(range(len(free)), key=lambda s: free[s])
            start = max(ready, free[first])
            free[first] = start + seconds
        self.start[v], self.finish[v], self.place[v] = start, start + seconds, place
        self.home_at[v], hops = self.move(v, graph.output[v], place, 0, start + seconds)
        if hops:
            self.transfers["output", v] = hops


def simulate_graph(graph, place, order):
    """The schedule that a decision gives."""
    machine = Machine(graph)
    for v in order:
        missing = [u for u in graph.needs(v) if u not in machine.place]
        assert not missing, f"task {v} comes before {missing}"
        machine.run(v, place[v])
    start = tuple(machine.start[v] for v in graph.tasks)
    finish = tuple(machine.finish[v] for v in graph.tasks)
    makespan = max([*finish, *machine.home_at.values()])
    return Timetable(start, finish, tuple(place), machine.transfers, makespan)


def all_orders(graph):
    """Every permutation in which each task follows what it needs."""
    for order in itertools.permutations(graph.tasks):
        turn = {v: i for i, v in enumerate(order)}
        if all(turn[u] < turn[v] for u, v in graph.edges):
            yield order


def best_decision(graph):
    """Least makespan of any (place, order), by looking at all."""
    least = math.inf
    for place in itertools.product(graph.places, repeat=len(graph.tasks)):
        for order in all_orders(graph):
            least = min(least, simulate_graph(graph, place, order).makespan)
    return least


def longest_path(graph, place):
    """Makespan of a placement if no one ever waits for a processor or a link."""
    finish, end = {}, 0.0
    for v in graph.tasks:
        ready = graph.release[v] + route_seconds(graph, v, graph.input[v], 0, place[v])
        for u in graph.needs(v):
            way = route_seconds(graph, v, graph.edges[u, v], place[u], place[v])
            ready = max(ready, finish[u] + way)
        finish[v] = ready + graph.seconds[v][place[v]]
        back = route_seconds(graph, v, graph.output[v], place[v], 0)
        end = max(end, finish[v] + back)
    return end


def route_seconds(graph, v, num_bytes, source, target):
    """Time of a transfer for task v that waits for no one."""
    if num_bytes == 0 or source == target:
        return 0.0
    route = graph.routes[source][target]
    if route is None:
        return math.inf
    return sum(num_bytes * graph.rate(link, v) + graph.delay(link, v) for link in route)


def serial_latency(graph, place):
    """Seconds of all tasks and transfers of a placement, one after the other.

    A result that is sent once crosses each link at most once.
    """
    total, crossed = 0.0, set()
    for v in graph.tasks:
        total += graph.seconds[v][place[v]]
        total += route_seconds(graph, v, graph.input[v], 0, place[v])
        total += route_seconds(graph, v, graph.output[v], place[v], 0)
    for (u, v), num_bytes in graph.edges.items():
        if not graph.send_once:
            total += route_seconds(graph, v, num_bytes, place[u], place[v])
        elif num_bytes > 0:
            for link in graph.routes[place[u]][place[v]]:
                if (u, link) not in crossed:
                    crossed.add((u, link))
                    total += num_bytes * graph.rate(link, u) + graph.delay(link, u)
    return total


def least_serial_latency(graph):
    """That of the best placement, by looking at all."""
    every = itertools.product(graph.places, repeat=len(graph.tasks))
    return min(serial_latency(graph, place) for place in every)


class _Operation(NamedTuple):
    """A task or a hop: what it occupies, for how long, what must be over before, and a delay."""

    resource: tuple | None
    seconds: float
    after: tuple
    delay: float = 0.0
    release: float = 0.0


def _operations(graph, place):
    """All operations of a placement by name, and what counts for the makespan."""
    listed = {}

    def move(v, name, num_bytes, source, target, after, release=0.0, once=False):
        """Adds the hops, those of a result that is sent once by their links; names the last."""
        if num_bytes == 0 or source == target:
            return after
        route = graph.routes[source][target]
        if route is None:
            listed[(*name, 0)] = _Operation(None, math.inf, after)
            return ((*name, 0),)
        for i, link in enumerate(route):
            resource = ("link", graph.link_of(link, v)) if graph.serial[link] else None
            seconds = num_bytes * graph.rate(link, v)
            hop = (*name, link if once else i)
            listed[hop] = _Operation(resource, seconds, after, graph.delay(link, v), release)
            after, release = (hop,), 0.0
        return after

    for v in graph.tasks:
        after = move(v, ("input", v), graph.input[v], 0, place[v], (), graph.release[v])
        for u in graph.needs(v):
            once = graph.send_once
            name = ("data", u) if once else ("data", u, v)
            ahead = (("task", u),)
            after += move(v, name, graph.edges[u, v], place[u], place[v], ahead, once=once)
        seconds = graph.seconds[v][place[v]]
        limited = seconds > 0 and graph.servers[place[v]] is not None
        resource = ("place", graph.place_of(place[v], v)) if limited else None
        listed["task", v] = _Operation(resource, seconds, after, 0.0, graph.release[v])
        move(v, ("output", v), graph.output[v], place[v], 0, (("task", v),))
    return listed


def joint_optimum(graph, best=math.inf, value=max):
    """Least makespan over places and over all sequences on every processor and link.

    Operations are dispatched as early as possible in every order of non-decreasing start, which
    reaches every semi-active schedule, and one of those is optimal. `best` if none is below that;
    `value` makes a cost of when users are served, which must not fall as they are served later.
    """
    for place in itertools.product(graph.places, repeat=len(graph.tasks)):
        best = placement_optimum(graph, place, best, value)
    return best


def placement_optimum(graph, place, best=math.inf, value=max):
    """Least makespan over all sequences for given places, or `best` if none is below."""
    operations = _operations(graph, place)
    if any(operation.seconds == math.inf for operation in operations.values()):
        return best
    free = {
        ("place", graph.place_of(k, v)): (0.0,) * m
        for k, m in enumerate(graph.servers)
        if m is not None
        for v in graph.tasks
    }
    free |= {("link", wire): (0.0,) for wire, _ in enumerate(graph.startup)}
    # Seconds that follow each operation at least, and so when users can be served.
    tail, served = dict.fromkeys(operations, 0.0), [0.0] * graph.users
    for name, operation in reversed(operations.items()):
        user, seconds = graph.user_of(name[1]), operation.seconds + operation.delay + tail[name]
        served[user] = max(served[user], operation.release + seconds)
        for other in operation.after:
            tail[other] = max(tail[other], seconds)
    if value(served) >= best:
        return best
    return _dispatch(graph, operations, tail, {}, free, 0.0, tuple(served), best, value)


def _dispatch(graph, operations, tail, over, free, last, served, best, value):
    """Tries every operation that may come next; `over` says when those dispatched are over."""
    if len(over) == len(operations):
        return min(best, value(served))
    for name, operation in operations.items():
        if name in over or not all(other in over for other in operation.after):
            continue
        start = max([operation.release, *(over[other] for other in operation.after)])
        busy = free
        if operation.resource is not None:
            first, *others = sorted(free[operation.resource])
            start = max(start, first)
            busy = free | {operation.resource: (start + operation.seconds, *others)}
        done = start + operation.seconds + operation.delay
        user = graph.user_of(name[1])
        then = (*served[:user], max(served[user], done + tail[name]), *served[user + 1 :])
        if start < last or value(then) >= best:
            continue
        now = over | {name: done}
        best = _dispatch(graph, operations, tail, now, busy, start, then, best, value)
    return best


def faults(graph, timetable, tolerance=1e-9):
    """What is wrong with a schedule, whoever made it: an empty list if it can be carried out."""
    found = []
    place, start, finish = timetable.place, timetable.start, timetable.finish
    slack = tolerance * max(1.0, timetable.makespan)

    def want(true, what):
        if not true:
            found.append(what)

    def follow(v, name, num_bytes, source, target, begin, crossed=None):
        """Checks the hops of one transfer for task v; when its data is there.

        `crossed`: the hops by link of a result that is sent once, whoever they were booked for.
        """
        hops = timetable.transfers.get(name, ())
        if crossed is not None and num_bytes and source != target:
            way = graph.routes[source][target] or ()
            want({hop[0] for hop in hops} <= {*way}, f"{name}: hops {hops} off the route {way}")
            hops = tuple(crossed[link] for link in way if link in crossed)
        if num_bytes == 0 or source == target:
            want(not hops, f"{name}: hops without anything to move")
            return begin
        route = graph.routes[source][target]
        if route is None or tuple(hop[0] for hop in hops) != route:
            found.append(f"{name}: hops {hops} do not follow route {route}")
            return math.inf
        for link, left, arrived in hops:
            seconds = num_bytes * graph.rate(link, v)
            want(left >= begin - slack, f"{name}: link {link} at {left}, data there at {begin}")
            want(abs(arrived - left - seconds) <= slack, f"{name}: link {link} not {seconds} s")
            begin = arrived + graph.delay(link, v)
        return begin

    sent = {u: {} for u in graph.tasks}
    for (kind, u, *_), listed in timetable.transfers.items():
        for hop in listed if kind == "data" else ():
            want(hop[0] not in sent[u] or not graph.send_once, f"{u}: crosses {hop[0]} twice")
            sent[u][hop[0]] = hop
    for v in graph.tasks:
        if place[v] not in graph.places:
            return [f"task {v}: no place {place[v]}"]
        seconds = graph.seconds[v][place[v]]
        want(abs(finish[v] - start[v] - seconds) <= slack, f"task {v}: runs not {seconds} s")
        want(start[v] >= graph.release[v] - slack, f"task {v}: starts before its release")
        there = follow(v, ("input", v), graph.input[v], 0, place[v], graph.release[v])
        want(start[v] >= there - slack, f"task {v}: starts before its input")
        for u in graph.needs(v):
            crossed = sent[u] if graph.send_once else None
            name, num_bytes = ("data", u, v), graph.edges[u, v]
            there = follow(v, name, num_bytes, place[u], place[v], finish[u], crossed)
            want(start[v] >= there - slack, f"task {v}: starts before the data of {u}")
        back = follow(v, ("output", v), graph.output[v], place[v], 0, finish[v])
        want(max(finish[v], back) <= timetable.makespan + slack, f"task {v}: after the makespan")
    wires = {}
    for (_, *tasks), listed in timetable.transfers.items():
        for link, *span in listed:
            if graph.serial[link]:
                wires.setdefault(graph.link_of(link, tasks[0]), []).append(span)
    for wire, spans in wires.items():
        want(_most_at_once(spans, slack) <= 1, f"link {wire}: two transfers at once")
    runs = {}
    for v in graph.tasks:
        if graph.servers[place[v]] is not None:
            runs.setdefault((graph.place_of(place[v], v), place[v]), []).append(v)
    for (at, k), tasks in runs.items():
        spans = [(start[v], finish[v]) for v in tasks]
        want(_most_at_once(spans, slack) <= graph.servers[k], f"place {at}: too many at once")
    return found


def _most_at_once(spans, slack):
    """How many of these intervals hold at one moment; touching by less than `slack` is none."""
    spans = [(a, b - slack) for a, b in spans if b - a > slack]
    return max((sum(a <= t < b for a, b in spans) for t, _ in spans), default=0)


def graph_energy(cycles, p1, timetable, power):
    """Joules of the device: its CPU, its radio (links 0 and 1), and idling while neither works."""
    if timetable.makespan == math.inf:
        return math.inf
    total, busy = 0.0, []
    for v, place in enumerate(timetable.place):
        if place == 0:
            total += power.kappa * float(p1) ** 2 * float(cycles[v])
            busy.append((timetable.start[v], timetable.finish[v]))
    hops = {hop for listed in timetable.transfers.values() for hop in listed}
    for link, start, finish in hops:
        if link in (0, 1):
            total += (power.transmit, power.receive)[link] * (finish - start)
            busy.append((start, finish))
    working, until = 0.0, 0.0
    for start, finish in sorted(busy):
        working += max(0.0, finish - max(start, until))
        until = max(until, finish)
    return total + power.idle * (timetable.makespan - working)
