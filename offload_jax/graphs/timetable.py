"""One schedule with every hop of every transfer, in plain loops that nothing has to compile for.

The same machine as `simulate`, for what one person looks at: compiling would take seconds, and
these loops take some microseconds a task.
"""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs.request import Request, link_entries
from offload_jax.validation import ArrayLike


class Hop(NamedTuple):
    """One passage over one link.

    Attributes:
      kind: "input", "data" or "output".
      sender: the task whose bytes they are; of an input the one that needs it.
      link: its number.
      start, finish: seconds, between which the link is occupied.
    """

    kind: str
    sender: int
    link: int
    start: float
    finish: float


class Timetable(NamedTuple):
    """What happens when.

    Attributes:
      makespan: seconds until all tasks are done and all outputs are home.
      completion: float64 `[U]` the same for each user's; 0 of one without tasks.
      start, finish: float64 `[N]` seconds of each task.
      hops: in the order in which they were booked.
    """

    makespan: float
    completion: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    hops: tuple[Hop, ...]


def timetable(request: Request, place: ArrayLike, order: ArrayLike) -> Timetable:
    """Carries out a decision.

    Args:
      request: one row of costs.
      place: `[N]` the place of each task.
      order: `[N]` the tasks in an order in which each follows what it needs.

    Returns:
      The same times as `simulate`, in float64; `inf` where something is impossible.
    """
    machine = _Machine(request, place)
    completion = [0.0] * request.num_users
    for task in np.asarray(order).tolist():
        user = machine.user[task]
        completion[user] = max(completion[user], machine.run(task))
    return Timetable(
        max(completion),
        np.array(completion),
        np.array(machine.start),
        np.array(machine.finish),
        tuple(machine.hops),
    )


def longest_first(request: Request, place: ArrayLike) -> np.ndarray:
    """Tasks in decreasing order of the longest way from their start to the end, as they are placed.

    Args:
      request: one row of costs.
      place: `[N]` the place of each task.

    Returns:
      int32 `[N]`; ties go to the lower number, so that each task follows what it needs.
    """
    machine = _Machine(request, place)
    longest = machine.ways_home()
    for v in reversed(range(len(longest))):
        longest[v] += machine.seconds[v]
        for edge in machine.edges_into(v):
            u = machine.source[edge]
            way = machine.way(u, machine.data[edge], machine.place[u], machine.place[v])
            longest[u] = max(longest[u], way + longest[v])
    return np.argsort(-np.array(longest), kind="stable").astype(np.int32)


class _Machine:
    """What is booked so far; arrays as lists, which plain loops read faster."""

    def __init__(self, request: Request, place: ArrayLike) -> None:
        self.place = np.asarray(place).tolist()
        num_tasks, num_places = request.seconds.shape
        self.num_places = num_places
        self.seconds = request.seconds[np.arange(num_tasks), self.place].tolist()
        self.sizes = {name: getattr(request, name).tolist() for name in ("input", "output")}
        self.release = request.release.tolist()
        self.rate = request.seconds_per_byte.tolist()
        self.startup, self.serial = request.startup.tolist(), request.serial.tolist()
        self.user, self.entry = request.user.tolist(), link_entries(request).tolist()
        self.own_place = request.own_place.tolist()
        self.first_edge, self.source = request.first_edge.tolist(), request.source.tolist()
        self.data, self.send_once = request.data.tolist(), request.send_once
        first = request.first_hop.tolist()
        hops = request.hops.tolist()
        self.routes = [hops[first[i] : first[i + 1]] for i in range(num_places**2)]
        self.free = [0.0] * len(self.rate)
        servers = request.servers.tolist()
        self.busy = [[[0.0] * number for number in servers] for _ in range(request.num_users)]
        self.start, self.finish = [0.0] * num_tasks, [0.0] * num_tasks
        self.crossed: dict[tuple[int, int], float] = {}
        self.position: dict[int, int] = {}
        self.hops: list[Hop] = []

    def edges_into(self, task: int) -> range:
        return range(self.first_edge[task], self.first_edge[task + 1])

    def way(self, task: int, num_bytes: float, origin: int, target: int) -> float:
        """Seconds of a task's bytes between two places when nothing else moves."""
        if num_bytes == 0 or origin == target:
            return 0.0
        route, entry = self.routes[origin * self.num_places + target], self.entry[self.user[task]]
        hops = (num_bytes * self.rate[entry[link]] + self.startup[entry[link]] for link in route)
        return sum(hops) if route else math.inf

    def ways_home(self) -> list[float]:
        """Seconds that each output takes."""
        ends = zip(self.sizes["output"], self.place, strict=True)
        return [self.way(v, num_bytes, place, 0) for v, (num_bytes, place) in enumerate(ends)]

    def run(self, task: int) -> float:
        """Books a task and all that has to move for it; gives when all of it is done."""
        place = self.place[task]
        self.position[task] = len(self.position)
        ready = self.release[task]
        if place != 0:
            ready = self._move("input", task, self.sizes["input"][task], ready, 0, place)
        # What it needs arrives in the order in which that was booked.
        edges = sorted(self.edges_into(task), key=lambda e: self.position[self.source[e]])
        for edge in edges:
            u = self.source[edge]
            arrived = self.finish[u]
            if self.place[u] != place:
                arrived = self._move("data", u, self.data[edge], arrived, self.place[u], place)
            ready = max(ready, arrived)
        user = self.own_place[place] * self.user[task]
        seconds, servers = self.seconds[task], self.busy[user][place]
        if seconds > 0 and servers:
            server = servers.index(min(servers))
            ready = max(ready, servers[server])
            servers[server] = ready + seconds
        self.start[task], self.finish[task] = ready, ready + seconds
        if place == 0:
            return ready + seconds
        output = self.sizes["output"][task]
        return self._move("output", task, output, ready + seconds, place, 0)

    def _move(
        self, kind: str, task: int, num_bytes: float, here: float, origin: int, target: int
    ) -> float:
        """Books the hops that these bytes have not made yet; gives when they are there."""
        if num_bytes == 0:
            return here
        route = self.routes[origin * self.num_places + target]
        if not route:
            return math.inf
        once, entries = kind == "data" and self.send_once, self.entry[self.user[task]]
        for link in route:
            if once and (task, link) in self.crossed:
                here = self.crossed[task, link]
                continue
            entry = entries[link]
            start = max(here, self.free[entry]) if self.serial[link] else here
            self.free[entry] = end = start + num_bytes * self.rate[entry]
            self.hops.append(Hop(kind, task, link, start, end))
            here = end + self.startup[entry]
            if once:
                self.crossed[task, link] = here
        return here
