"""Streams of requests by events, in plain Python: every processor and link has a queue.

When a request arrives, what it has to run and to move is appended to the queues of processors and
links, in the order in which its tasks are taken. Time then goes from event to event. The head of a
queue waits for what it needs, and those behind it for the head; a free server is the head's even
while it still waits. Nothing is predicted.
"""

import heapq
import itertools
import math

__all__ = ["sojourns"]


class Resource:
    """A queue before some servers; `serial` False is one that nobody waits for."""

    def __init__(self, servers):
        self.idle, self.queue = servers, []


class Operation:
    """Something that takes a while at a resource, or at none."""

    def __init__(self, seconds, resource, delay=0.0):
        self.seconds, self.resource, self.delay = seconds, resource, delay
        self.missing, self.after, self.holds = 0, [], False

    def needs(self, other):
        if other is not None:
            other.after.append(self)
            self.missing += 1


class Simulation:
    def __init__(self):
        self.events, self.number, self.now = [], itertools.count(), 0.0

    def at(self, time, action, *given):
        heapq.heappush(self.events, (time, next(self.number), action, given))

    def run(self):
        while self.events:
            self.now, _, action, given = heapq.heappop(self.events)
            action(*given)

    def submit(self, operation):
        if operation.resource is not None:
            operation.resource.queue.append(operation)
            self.grant(operation.resource)
        self.try_begin(operation)

    def grant(self, resource):
        while resource.idle and resource.queue:
            resource.idle -= 1
            head = resource.queue.pop(0)
            head.holds = True
            self.try_begin(head)

    def try_begin(self, operation):
        ready = operation.missing == 0 and not getattr(operation, "begun", False)
        if ready and (operation.resource is None or operation.holds):
            operation.begun = True
            self.at(self.now + operation.seconds, self.finish, operation)

    def finish(self, operation):
        if operation.resource is not None:
            operation.resource.idle += 1
            self.grant(operation.resource)
        self.at(self.now + operation.delay, self.deliver, operation)

    def deliver(self, operation):
        operation.done = self.now
        for other in operation.after:
            other.missing -= 1
            self.try_begin(other)


def sojourns(graphs, arrivals, users, decisions, own_places, own_links):
    """Seconds from arrival until each request is done and home.

    Args:
      graphs: a `graph_oracle.Graph` of one user for each request; none may take for ever.
      arrivals, users: a time and a number for each.
      decisions: place and order for each.
      own_places, own_links: which places and links every user has.
    """
    simulation, resources, ends = Simulation(), {}, []

    def resource(kind, number, own, user, servers):
        if servers is None:
            return None
        return resources.setdefault((kind, number, user if own else 0), Resource(servers))

    def begin(graph, user, place, order, end):
        def link(number):
            servers = 1 if graph.serial[number] else None
            return resource("link", number, own_links[number], user, servers)

        def move(num_bytes, source, target, after, crossed=None):
            """The last hop of a transfer, or what it would wait for."""
            if num_bytes == 0 or source == target:
                return after
            for hop in graph.routes[source][target]:
                if crossed is not None and hop in crossed:
                    after = crossed[hop]
                    continue
                seconds = num_bytes * graph.seconds_per_byte[hop]
                operation = Operation(seconds, link(hop), graph.startup[hop])
                operation.needs(after)
                simulation.submit(operation)
                after = operation
                if crossed is not None:
                    crossed[hop] = after
            return after

        tasks, crossed = {}, {u: {} for u in graph.tasks}
        for v in order:
            there = Operation(graph.release[v], None)
            simulation.submit(there)
            seconds, servers = graph.seconds[v][place[v]], graph.servers[place[v]]
            waits = [there, move(graph.input[v], 0, place[v], there)]
            for u in [u for u in order if (u, v) in graph.edges]:
                once = crossed[u] if graph.send_once else None
                waits.append(move(graph.edges[u, v], place[u], place[v], tasks[u], once))
            where = None
            if seconds > 0:
                where = resource("place", place[v], own_places[place[v]], user, servers)
            tasks[v] = Operation(seconds, where)
            for other in waits:
                tasks[v].needs(other)
            simulation.submit(tasks[v])
            end += [tasks[v], move(graph.output[v], place[v], 0, tasks[v])]

    for graph, time, user, (place, order) in zip(graphs, arrivals, users, decisions, strict=True):
        ends.append([])
        simulation.at(time, begin, graph, user, list(place), list(order), ends[-1])
    simulation.run()
    assert all(math.isfinite(operation.done) for end in ends for operation in end)
    pairs = zip(ends, arrivals, strict=True)
    return [max(operation.done for operation in end) - time for end, time in pairs]
