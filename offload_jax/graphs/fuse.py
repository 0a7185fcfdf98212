"""Fewer, larger tasks: edges of a task graph contracted one by one, never into a cycle."""

import heapq
import math
from collections import defaultdict

import numpy as np

from offload_jax.graphs.task_graph import TaskGraph


def fuse(graph: TaskGraph, max_tasks: int) -> TaskGraph:
    """Contracts edges until at most `max_tasks` tasks are left.

    Next is always the edge of greatest bytes² / (cycles · cycles) of the tasks at its ends whose
    contraction makes no cycle, ties to the lowest numbers: a heavy edge is the one that a good
    decision is least likely to cut, and dividing merges small tasks before large ones (the rating
    "expansion*2" of Holtgrewe, Sanders & Schulz 2010). With `send_once` an edge whose sender has no
    other reader goes before all others, because only then does the merged task hand on one result
    as before; otherwise it hands on several, and they count as one that all of its readers take. A
    network of one result never needs the second kind. Where no edges are left, the two tasks of
    fewest cycles are merged.

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
    if max_tasks < 1:
        raise ValueError(f"max_tasks = {max_tasks}: must be at least 1")
    if graph.num_tasks <= max_tasks:
        return graph
    groups = _Groups(graph)
    while len(groups.members) > max_tasks and (edge := groups.next_edge()):
        groups.merge(*edge)
    unconnected = [(cycles, group) for group, cycles in groups.cycles.items()]
    heapq.heapify(unconnected)
    while len(groups.members) > max_tasks:
        # Whatever is left here has no edges, so no pair can make a cycle.
        first, second = heapq.heappop(unconnected), heapq.heappop(unconnected)
        merged = groups.merge(first[1], second[1])
        heapq.heappush(unconnected, (first[0] + second[0], merged))
    return _merged_graph(graph, list(groups.members.values()))


class _Groups:
    """Groups of tasks, each known by its lowest member, and the graph between them.

    Attributes:
      members: the tasks of each group.
      readers: for each group, those that read from it, with the bytes of each result they read:
        by the task that computed it if results are sent once, by the edge otherwise.
      writers: for each group, those it reads from.
      cycles: of each group.
    """

    def __init__(self, graph: TaskGraph) -> None:
        self.send_once = graph.send_once
        self.cycles = dict(enumerate(graph.cycles.tolist()))
        self.members = {task: [task] for task in range(graph.num_tasks)}
        self.readers: dict[int, dict[int, dict[int, float]]] = {g: {} for g in self.members}
        self.writers: dict[int, set[int]] = {g: set() for g in self.members}
        self._queue: list[tuple[bool, float, int, int]] = []
        # Edges that would close a cycle, under the group that the other way between their ends
        # leads through: that way is there for as long as the group is on its own.
        self._blocked: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index, (u, v) in enumerate(graph.edges.tolist()):
            key = u if graph.send_once else index
            self.readers[u][v] = {key: float(graph.data[index])}
            self.writers[v].add(u)
        for u, readers in self.readers.items():
            for v in readers:
                self._push(u, v)

    def _rank(self, u: int, v: int) -> tuple[bool, float, int, int]:
        spreads = self.send_once and len(self.readers[u]) > 1
        size, work = sum(self.readers[u][v].values()), self.cycles[u] * self.cycles[v]
        return spreads, -size * size / work if work else -math.inf, u, v

    def _push(self, u: int, v: int) -> None:
        heapq.heappush(self._queue, self._rank(u, v))

    def next_edge(self) -> tuple[int, int] | None:
        """The next edge to contract; None if no edges are left."""
        while self._queue:
            rank = heapq.heappop(self._queue)
            u, v = rank[2:]
            if v not in self.readers.get(u, ()) or rank != self._rank(u, v):
                continue  # Merging has changed it, and the changed edge was pushed.
            through = self._other_way(u, v)
            if through is None:
                return u, v
            self._blocked[through].append((u, v))
        return None

    def _other_way(self, u: int, v: int) -> int | None:
        """The first group on a path from u to v beside the edge, if there is one."""
        if len(self.readers[u]) == 1 or len(self.writers[v]) == 1:
            return None
        seen = {v}
        for first in self.readers[u]:
            if first in seen:
                continue
            seen.add(first)
            stack = [first]
            while stack:
                for group in self.readers[stack.pop()]:
                    if group == v:
                        return first
                    if group not in seen:
                        seen.add(group)
                        stack.append(group)
        return None

    def merge(self, u: int, v: int) -> int:
        """Makes one group of two and returns its number."""
        keep, gone = min(u, v), max(u, v)
        self.members[keep] += self.members.pop(gone)
        self.cycles[keep] += self.cycles.pop(gone)
        for reader, results in self.readers.pop(gone).items():
            self.writers[reader].discard(gone)
            if reader != keep:
                self.readers[keep].setdefault(reader, {}).update(results)
                self.writers[reader].add(keep)
        for writer in self.writers.pop(gone):
            results = self.readers[writer].pop(gone)
            if writer != keep:
                self.readers[writer].setdefault(keep, {}).update(results)
                self.writers[keep].add(writer)
        self.writers[keep].discard(gone)
        changed = {(keep, reader) for reader in self.readers[keep]}
        changed |= {(writer, r) for writer in self.writers[keep] for r in self.readers[writer]}
        changed.update(self._blocked.pop(u, ()), self._blocked.pop(v, ()))
        for writer, reader in changed:
            if reader in self.readers.get(writer, ()):
                self._push(writer, reader)
        return keep


def _merged_graph(graph: TaskGraph, groups: list[list[int]]) -> TaskGraph:
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
