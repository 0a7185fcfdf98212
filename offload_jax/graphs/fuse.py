"""Fewer, larger tasks: edges of a task graph contracted one by one, never into a cycle."""

import dataclasses
import heapq
import itertools
import math
from collections import defaultdict

import numpy as np

from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.validation import check_class, check_integer


def fuse(graph: TaskGraph, max_tasks: int) -> TaskGraph:
    """Contracts edges until at most `max_tasks` tasks are left.

    Next is always the edge of greatest bytes² / (cycles · cycles) of the tasks at its ends whose
    contraction makes no cycle, ties (to 12 digits) to the lowest numbers: a heavy edge is the one
    that a good decision is least likely to cut, and dividing merges small tasks before large ones
    (the rating "expansion*2" of Holtgrewe, Sanders & Schulz 2010). With `send_once` an edge whose
    sender has no other reader goes before all others, because only then does the merged task hand
    on one result as before; otherwise it hands on several, and they count as one that all of its
    readers take. A network of one result never needs the second kind. Where no edges are left, the
    two tasks of fewest cycles are merged.

    A merged task has the name of its member of most cycles, and the sum of its members' cycles,
    `input` and `output`.

    Args:
      graph: the tasks.
      max_tasks: how many may be left, at least 1.

    Returns:
      The graph of merged tasks, `graph` itself if it is small enough.

    Raises:
      ValueError: `max_tasks` is below 1.
    """
    check_class("graph", graph, TaskGraph)
    check_integer("max_tasks", max_tasks)
    return graph if graph.num_tasks <= max_tasks else merged(graph, groups_of(graph, max_tasks))


def groups_of(graph: TaskGraph, max_tasks: int) -> list[list[int]]:
    """The tasks that `fuse` merges, by their numbers: groups in the order of their first task."""
    left = _Groups(graph)
    while len(left.members) > max_tasks and (edge := left.next_edge()):
        left.merge(edge.sender, edge.reader)
    unconnected = [(left.cycles[g], left.number[g], g) for g in left.members]
    heapq.heapify(unconnected)
    while len(left.members) > max_tasks:
        # Whatever is left here has no edges, so no pair can make a cycle.
        first, second = heapq.heappop(unconnected), heapq.heappop(unconnected)
        group = left.merge(first[2], second[2])
        heapq.heappush(unconnected, (left.cycles[group], left.number[group], group))
    return sorted(left.members.values(), key=min)


@dataclasses.dataclass(eq=False)
class _Edge:
    """What one group reads from another.

    Attributes:
      sender, reader: the groups at its ends.
      size: bytes.
      results: bytes by the task that computed them, if results are sent once; else empty.
      version: which entry of a queue is the one for the edge as it is.
      through: a group on another way from sender to reader, if one is known. It is on one for as
        long as it is merged with neither of them.
    """

    sender: int
    reader: int
    size: float
    results: dict[int, float]
    version: int = 0
    through: int | None = None


class _Groups:
    """Groups of tasks and the graph between them.

    A task that thousands read has thousands of edges, and their ratings all fall when it grows, but
    not their order. So an edge waits in a queue of the end that has more edges, ordered without the
    cycles of that end, and only the first of each queue is in the queue of queues. When a group
    grows, edges that wait with their other end have to be rated again, which are few, because no
    more than 2 M / n groups have n edges.

    Attributes:
      members: the tasks of each group.
      number: of each group, its lowest member.
      cycles: of each group.
      readers: for each group, its edges to others, by reader.
      writers: for each group, its edges from others, by sender.
    """

    def __init__(self, graph: TaskGraph) -> None:
        tasks = range(graph.num_tasks)
        self.send_once = graph.send_once
        self.members = {task: [task] for task in tasks}
        self.number = list(tasks)
        self.cycles: list[float] = graph.cycles.tolist()
        self.readers: list[dict[int, _Edge]] = [{} for _ in tasks]
        self.writers: list[dict[int, _Edge]] = [{} for _ in tasks]
        self._versions = itertools.count(1)
        # Queues by group and whether it is the sender, and the first of each as it was last put
        # into the queue of queues.
        self._queues: dict[tuple[int, bool], list[tuple[bool, float, int, int, _Edge]]]
        self._queues = defaultdict(list)
        self._first: dict[tuple[int, bool], tuple[bool, float, int, int]] = {}
        self._queue: list[tuple[tuple[bool, float, int, int], tuple[int, bool]]] = []
        self._elsewhere: list[set[_Edge]] = [set() for _ in tasks]
        self._blocked: list[list[_Edge]] = [[] for _ in tasks]
        # A topological order and the place of each group in it; -1 where a group has gone, which
        # has a place too, the last.
        self._order = list(tasks)
        self._place = list(range(graph.num_tasks + 1))
        for (u, v), size in zip(graph.edges.tolist(), graph.data.tolist(), strict=True):
            edge = _Edge(u, v, size, {u: size} if graph.send_once else {})
            self.readers[u][v] = self.writers[v][u] = edge
        self._rate([edge for readers in self.readers for edge in readers.values()])

    def _degree(self, group: int) -> int:
        return len(self.readers[group]) + len(self.writers[group])

    def _spreads(self, edge: _Edge) -> bool:
        return self.send_once and len(self.readers[edge.sender]) > 1

    def _rank(self, edge: _Edge) -> tuple[bool, float, int, int]:
        u, v = edge.sender, edge.reader
        rating = _ratio(edge.size, self.cycles[u] * self.cycles[v])
        return self._spreads(edge), -rating, self.number[u], self.number[v]

    def _rate(self, edges: list[_Edge]) -> None:
        """Puts edges that have changed into the queue of the end that has more edges."""
        changed = set()
        for edge in edges:
            home, other = edge.sender, edge.reader
            if self._degree(other) > self._degree(home):
                home, other = other, home
            self._elsewhere[home].discard(edge)
            self._elsewhere[other].add(edge)
            edge.version = next(self._versions)
            if edge.through is None:
                # Of a group without cycles all ratings are infinite.
                half = _ratio(edge.size, self.cycles[other] if self.cycles[home] else 0.0)
                entry = self._spreads(edge), -half, self.number[other], edge.version, edge
                queue = home, home == edge.sender
                heapq.heappush(self._queues[queue], entry)
                changed.add(queue)
        for queue in changed:
            self._show(queue)

    def _show(self, queue: tuple[int, bool]) -> _Edge | None:
        """Puts the first edge of a queue into the queue of queues and returns it."""
        edges = self._queues[queue]
        while edges and edges[0][-1].version != edges[0][-2]:
            heapq.heappop(edges)
        if not edges:
            self._first.pop(queue, None)
            return None
        edge = edges[0][-1]
        rank = self._rank(edge)
        if self._first.get(queue) != rank:
            self._first[queue] = rank
            heapq.heappush(self._queue, (rank, queue))
        return edge

    def next_edge(self) -> _Edge | None:
        """The next edge to contract; None if no edges are left."""
        while self._queue:
            rank, queue = heapq.heappop(self._queue)
            if self._first.get(queue) != rank:
                continue  # Another edge has become the first.
            del self._first[queue]
            edge = self._show(queue)
            if edge is None or self._first[queue] != rank:
                continue
            edge.through = self._other_way(edge)
            if edge.through is None:
                return edge
            self._blocked[edge.through].append(edge)
            edge.version = 0
            self._show(queue)
        return None

    def _other_way(self, edge: _Edge) -> int | None:
        """The first group on a path from sender to reader beside the edge.

        If there is none, both ends get one place in the order: that of the sender where nothing
        else leads to the reader, or that of the reader, with what follows the sender moved behind.
        """
        u, v = edge.sender, edge.reader
        place, order = self._place, self._order
        between: set[int] = set()
        if len(self.readers[u]) > 1 and len(self.writers[v]) > 1:
            for first in self.readers[u]:
                stack = [first] if first != v else []
                while stack:
                    group = stack.pop()
                    if group == v:
                        return first
                    if place[group] < place[v] and group not in between:
                        between.add(group)
                        stack += self.readers[group]
        if between:
            begin, end = min(place[group] for group in between), place[v] + 1
            order[begin:end] = sorted(order[begin:end], key=between.__contains__)
            for index in range(begin, end):
                place[order[index]] = index
        order[place[u]] = order[place[v]] = -1
        place[u] = place[v] = place[u] if len(self.writers[v]) == 1 else place[v]
        return None

    def merge(self, u: int, v: int) -> int:
        """Makes one group of two, the one that has more edges, and returns it."""
        keep, gone = (v, u) if self._degree(v) > self._degree(u) else (u, v)
        changed = list(self.readers[keep].values()) if len(self.readers[keep]) == 1 else []
        if self.cycles[keep] == 0 < self.cycles[gone]:
            changed = [*self.readers[keep].values(), *self.writers[keep].values()]
        self._order[self._place[keep]] = keep
        self.members[keep] += self.members.pop(gone)
        self.number[keep] = min(self.number[keep], self.number[gone])
        self.cycles[keep] += self.cycles[gone]
        for edge in self._blocked[gone]:
            if edge.through == gone:
                edge.through = None if keep in (edge.sender, edge.reader) else keep
                (changed if edge.through is None else self._blocked[keep]).append(edge)
        for edge in [*self.readers[gone].values(), *self.writers[gone].values()]:
            del self.readers[edge.sender][edge.reader], self.writers[edge.reader][edge.sender]
            self._elsewhere[edge.sender].discard(edge)
            self._elsewhere[edge.reader].discard(edge)
            edge.version = 0
            if edge.through == keep:
                edge.through = None
            if edge.sender == gone:
                edge.sender = keep
            else:
                edge.reader = keep
            if edge.sender != edge.reader:
                changed.append(self._join(edge))
        changed += self._elsewhere[keep]
        if len(self.readers[keep]) == 1:
            changed += self.readers[keep].values()
        self._rate([e for e in dict.fromkeys(changed) if self.readers[e.sender].get(e.reader) is e])
        for sends in (False, True):
            self._show((keep, sends))
        return keep

    def _join(self, edge: _Edge) -> _Edge:
        """Adds an edge, or what it carries to the one that is there between the same groups."""
        one = self.readers[edge.sender].setdefault(edge.reader, edge)
        self.writers[edge.reader][edge.sender] = one
        if one is edge:
            return one
        more = edge.results
        if len(more) > len(one.results):
            one.results, more = more, one.results
            one.size, edge.size = edge.size, one.size
        if self.send_once:
            one.size += sum(size for task, size in more.items() if task not in one.results)
            one.results.update(more)
        else:
            one.size += edge.size
        if one.through is None and edge.through is not None:
            one.through = edge.through
            self._blocked[edge.through].append(one)
        return one


def _ratio(size: float, work: float) -> float:
    """size² / work to 40 bits, so that what differs by rounding alone is equal."""
    if not work:
        return math.inf
    ratio = size * size / work
    wide = ratio * (2.0**13 + 1)
    return wide - (wide - ratio) if wide < math.inf else ratio


def merged(graph: TaskGraph, groups: list[list[int]]) -> TaskGraph:
    """The graph of groups of tasks, each task in one and no circle among them; see `fuse`."""
    group_of = np.empty(graph.num_tasks, np.int64)
    for group, tasks in enumerate(groups):
        group_of[tasks] = group

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(group_of, values, len(groups))

    # Bytes of each result that leaves its group and of each pair of groups.
    between: dict[tuple[int, int], float] = defaultdict(float)
    results: dict[int, float] = {}
    ends = group_of[graph.edges].tolist()
    for (u, _), (sender, reader), size in zip(
        graph.edges.tolist(), ends, graph.data.tolist(), strict=True
    ):
        if sender != reader:
            between[sender, reader] += size
            results[u] = size
    data = list(between.values())
    if graph.send_once:
        handed_on = total(np.array([results.get(u, 0.0) for u in range(graph.num_tasks)]))
        data = [handed_on[sender] for sender, _ in between]
    return TaskGraph.from_edges(
        total(graph.cycles),
        list(between),
        data,
        input=total(graph.input),
        output=total(graph.output),
        names=[graph.names[max(tasks, key=lambda t: (graph.cycles[t], -t))] for tasks in groups],
        send_once=graph.send_once,
    )
