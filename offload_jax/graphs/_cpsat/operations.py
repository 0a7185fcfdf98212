"""What runs on which resource: a request as seconds, a decision as operations, and their times.

Tasks and hops of transfers are operations; processors and links are resources. A schedule is fixed
by the sequence in which operations take resources. Which operations a decision has does not depend
on how long they take, so one sequence is carried out with exact seconds and with rounded ones.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs.costs import GraphCosts, Route
from offload_jax.graphs.decision import Schedule, Transfers
from offload_jax.graphs.request import Request, link_entries, processors, unpack_rows

Key = tuple[str, int, int, int]
"""What an operation is: ("task", v, 0, 0), or ("input", v, v, link), ("data", u, v, link) or
("output", v, v, link); where results are sent once, ("data", u, u, link)."""

# Fields of a request that are durations.
_DURATIONS = ("seconds", "release", "startup", "input", "data", "output")


@dataclasses.dataclass(frozen=True)
class TimedRequest:
    """One task graph as seconds, float64; `inf` is what cannot be.

    Attributes:
      seconds: `[N, K]` of each task at each place.
      release: `[N]`.
      source, reader: int `[M]` the tasks of each edge, by reader and then by source.
      input, data, output: `[N, L]`, `[M, L]`, `[N, L]` seconds on each link, if sent over it; 0
        where there are no bytes.
      startup: `[N, L]` seconds after each hop of what a task sends.
      sends_input, sends_data, sends_output: bool `[N]`, `[M]`, `[N]` whether there are bytes.
      routes, servers, serial, send_once, num_users: as in `GraphCosts`.
      user: int `[N]`.
      processor: int `[N, K]` what each place is for each task, in a list of all processors.
      processors: how many tasks each of these runs at a time; None is any number.
      entry: int `[N, L]` what each link is for each task, in a list of all links of all users.
    """

    seconds: np.ndarray
    release: np.ndarray
    source: np.ndarray
    reader: np.ndarray
    input: np.ndarray
    data: np.ndarray
    output: np.ndarray
    startup: np.ndarray
    sends_input: np.ndarray
    sends_data: np.ndarray
    sends_output: np.ndarray
    routes: tuple[tuple[Route, ...], ...]
    servers: tuple[int | None, ...]
    serial: tuple[bool, ...]
    send_once: bool
    num_users: int
    user: np.ndarray
    processor: np.ndarray
    processors: tuple[int | None, ...]
    entry: np.ndarray

    def in_units(self, unit: float) -> "TimedRequest":
        """Every duration in whole units, rounded down, so that no schedule becomes longer."""
        scaled = {name: np.floor(getattr(self, name) / unit) for name in _DURATIONS}
        return dataclasses.replace(self, **scaled)

    @functools.cached_property
    def edges_into(self) -> list[list[tuple[int, int]]]:
        """For each task the tasks that it needs, with the numbers of the edges."""
        return self._edges(self.reader, self.source)

    @functools.cached_property
    def edges_from(self) -> list[list[tuple[int, int]]]:
        """For each task the tasks that need it, with the numbers of the edges."""
        return self._edges(self.source, self.reader)

    def _edges(self, near: np.ndarray, far: np.ndarray) -> list[list[tuple[int, int]]]:
        listed: list[list[tuple[int, int]]] = [[] for _ in self.release]
        for edge, (here, there) in enumerate(zip(near.tolist(), far.tolist(), strict=True)):
            listed[here].append((there, edge))
        return listed

    def capacity(self, resource: int) -> int | None:
        """How many operations a resource takes at a time; None is any number."""
        return self.processors[resource] if resource < len(self.processors) else 1

    def on_link(self, task: int, link: int) -> int:
        """The resource that a link is for a task; processors come first."""
        return len(self.processors) + int(self.entry[task, link])

    def lags(self, name: str) -> np.ndarray:
        """Seconds `[..., L]` of inputs, data or outputs on each link, start-up delays included."""
        return getattr(self, name) + (self.startup[self.source] if name == "data" else self.startup)

    def ways(self, seconds: np.ndarray) -> np.ndarray:
        """Seconds `[..., K, K]` from place to place over free links.

        Args:
          seconds: `[..., L]` on each link, with what follows.
        """
        places = range(len(self.routes))
        ways = np.full((*seconds.shape[:-1], len(places), len(places)), math.inf)
        for j in places:
            for k in places:
                route = self.routes[j][k]
                if route is not None:
                    ways[..., j, k] = seconds[..., list(route)].sum(-1)
        return ways


def timed_requests(costs: GraphCosts) -> list[TimedRequest]:
    """The rows of a batch of costs, as one flat list."""
    return [timed_request(request, costs) for request in unpack_rows(costs)]


def timed_request(request: Request, costs: GraphCosts) -> TimedRequest:
    """One row of costs as seconds."""
    _check_routes(costs)
    as_they_are = ("seconds", "release", "source", "user", "num_users")
    fields: dict[str, Any] = {name: getattr(request, name) for name in as_they_are}
    fields["reader"] = np.repeat(np.arange(len(request.release)), np.diff(request.first_edge))
    fields["entry"] = entry = link_entries(request)[request.user]
    fields["startup"] = request.startup[entry]
    for name in ("input", "data", "output"):
        amount = getattr(request, name)[:, None]
        rate = request.seconds_per_byte[entry[request.source] if name == "data" else entry]
        with np.errstate(invalid="ignore"):  # 0 bytes over a dead link
            seconds = np.where(amount > 0, amount * rate, 0.0)
        fields |= {name: seconds, f"sends_{name}": amount[:, 0] > 0}
    every = processors(request)
    fields["processor"] = every[request.user]
    fields["processors"] = tuple(
        number
        for number, column in zip(costs.servers, every.T, strict=True)
        for _ in np.unique(column)
    )
    return TimedRequest(
        **fields,
        routes=costs.routes,
        servers=costs.servers,
        serial=costs.serial,
        send_once=costs.send_once,
    )


def _check_routes(costs: GraphCosts) -> None:
    for j, row in enumerate(costs.routes):
        for k, route in enumerate(row):
            if len(set(route or ())) < len(route or ()):
                raise ValueError(f"routes[{j}][{k}] = {route}: takes a link twice")


class Operation(NamedTuple):
    """A task or one hop of a transfer.

    Attributes:
      key: what it is.
      resource: the number of the processor or link; None where it waits for none.
      duration: the field of the request that holds its seconds, and where in it; None where
        nothing joins two places, so that it never ends.
      released: the task before whose release it cannot start, if any.
      after: operations that have to be done before, with the link whose start-up delay follows.
    """

    key: Key
    resource: int | None
    duration: tuple[str, tuple[int, int]] | None
    released: int | None
    after: list[tuple[Key, int | None]]

    def seconds(self, request: TimedRequest) -> float:
        """How long it takes, in the unit of the request."""
        if self.duration is None:
            return math.inf
        field, index = self.duration
        return float(getattr(request, field)[index])


def operations(
    request: TimedRequest, place: Sequence[int], order: Iterable[int]
) -> list[Operation]:
    """What a decision makes run and move, in the order in which a dispatcher books it."""
    steps: list[Operation] = []
    booked: set[Key] = set()
    position: dict[int, int] = {}

    def move(
        kind: str,
        name: tuple[int, int],
        row: int,
        route: Route,
        after: list[tuple[Key, int | None]],
        released: int | None = None,
    ) -> list[tuple[Key, int | None]]:
        """Books the hops of row `row` of a field, each once; gives what waits for the data."""
        for link in (-1,) if route is None else route:
            key = (kind, *name, link)
            if key not in booked:
                booked.add(key)
                serial = link >= 0 and request.serial[link]
                duration = (kind, (row, link)) if link >= 0 else None
                resource = request.on_link(name[0], link) if serial else None
                steps.append(Operation(key, resource, duration, released, after))
            after, released = [(key, link if link >= 0 else None)], None
        return after

    for v in map(int, order):
        here = int(place[v])
        after: list[tuple[Key, int | None]] = []
        if request.sends_input[v] and here != 0:
            after += move("input", (v, v), v, request.routes[0][here], [], v)
        for u, edge in sorted(request.edges_into[v], key=lambda pair: position[pair[0]]):
            ready: list[tuple[Key, int | None]] = [(("task", u, 0, 0), None)]
            if request.sends_data[edge] and place[u] != here:
                # The hops of a result that is sent once are the same for all readers.
                name = (u, u if request.send_once else v)
                ready = move("data", name, edge, request.routes[place[u]][here], ready)
            after += ready
        waits = request.seconds[v, here] > 0 and request.servers[here] is not None
        key = ("task", v, 0, 0)
        server = int(request.processor[v, here]) if waits else None
        steps.append(Operation(key, server, ("seconds", (v, here)), v, after))
        position[v] = len(position)
        if request.sends_output[v] and here != 0:
            move("output", (v, v), v, request.routes[here][0], [(key, None)])
    return steps


class Times(NamedTuple):
    """When operations start and finish, by key, and when all of each user is done and home."""

    start: dict[Key, float]
    finish: dict[Key, float]
    completion: list[float]

    @property
    def makespan(self) -> float:
        """When everything is done and home."""
        return max(self.completion)


def run(request: TimedRequest, sequence: Sequence[Operation]) -> Times:
    """Starts every operation as soon as its sequence allows: each takes the server free first.

    Args:
      request: gives the durations.
      sequence: operations, each after those that it waits for.
    """
    free: dict[int, list[float]] = {}
    start: dict[Key, float] = {}
    finish: dict[Key, float] = {}
    completion = [0.0] * request.num_users
    startup, user = request.startup.tolist(), request.user.tolist()
    for step in sequence:
        begin = 0.0 if step.released is None else float(request.release[step.released])
        for key, link in step.after:
            begin = max(begin, finish[key] + (0.0 if link is None else startup[key[1]][link]))
        seconds = step.seconds(request)
        if step.resource is not None:
            servers = request.capacity(step.resource) or 1
            queue = free.setdefault(step.resource, [0.0] * servers)
            first = min(range(len(queue)), key=queue.__getitem__)
            begin = max(begin, queue[first])
            queue[first] = begin + seconds
        start[step.key], finish[step.key] = begin, begin + seconds
        kind, task, _, link = step.key
        arrival = startup[task][link] if kind == "output" and link >= 0 else 0.0
        completion[user[task]] = max(completion[user[task]], finish[step.key] + arrival)
    return Times(start, finish, completion)


class Plan(NamedTuple):
    """Places, and operations in the sequence in which they take resources, with their times."""

    place: list[int]
    sequence: list[Operation]
    times: Times


def schedule_of(request: TimedRequest, plan: Plan) -> Schedule:
    """A plan as a schedule, float64."""
    place, times = plan.place, plan.times
    num_tasks = len(place)
    tasks = [("task", v, 0, 0) for v in range(num_tasks)]
    start = np.array([times.start[key] for key in tasks])
    # Tasks are numbered so that ties by number keep dependencies.
    order = np.argsort(start, kind="stable").astype(np.int32)
    num_hops = max([len(route or ()) for row in request.routes for route in row])
    shape = (num_tasks, num_hops)
    hops = {
        kind: np.full((2, num_tasks, *shape) if kind == "data" else (2, *shape), np.nan)
        for kind in ("input", "data", "output")
    }
    # Where a hop stands: at its number on the route, and that of a result that is sent once at the
    # first task, in the order, whose route has it.
    stands: dict[Key, tuple[int, ...]] = {}
    for v in map(int, order):
        here = place[v]
        moves: list[tuple[str, int, int, int, int, tuple[int, ...]]]
        moves = [("input", v, v, 0, here, (v,)), ("output", v, v, here, 0, (v,))]
        for u, _ in request.edges_into[v]:
            name = u if request.send_once else v
            moves.append(("data", u, name, place[u], here, (u, v)))
        for kind, u, name, origin, target, row in moves:
            for hop, link in enumerate(request.routes[origin][target] or ()):
                stands.setdefault((kind, u, name, link), (*row, hop))
    for step in plan.sequence:
        if step.key in stands:
            at = stands[step.key]
            hops[step.key[0]][(0, *at)] = times.start[step.key]
            hops[step.key[0]][(1, *at)] = times.finish[step.key]
    return Schedule(
        makespan=np.asarray(times.makespan),
        start=start,
        finish=np.array([times.finish[key] for key in tasks]),
        place=np.asarray(place, np.int8),
        order=order,
        completion=np.array(times.completion),
        transfers=Transfers(*hops["input"], *hops["data"], *hops["output"]),
    )


def heads_and_tails(request: TimedRequest) -> tuple[np.ndarray, np.ndarray]:
    """What no schedule is faster than, for each task at each place, were resources without limit.

    Returns:
      Heads `[N, K]`, seconds before its start, and tails `[N, K]`, seconds from its start until all
      that depends on it is done and home; `inf` where it cannot be.
    """

    def ways(name: str) -> np.ndarray:
        sends = getattr(request, f"sends_{name}")[:, None, None]
        return np.where(sends, request.ways(request.lags(name)), 0.0)

    tasks = np.arange(len(request.release))
    head = request.release[:, None] + ways("input")[:, 0]
    tail = ways("output")[:, :, 0]
    data = ways("data")
    for v in tasks:
        for u, edge in request.edges_into[v]:
            ready = (head[u] + request.seconds[u])[:, None]
            head[v] = np.maximum(head[v], (ready + data[edge]).min(0))
    for v in reversed(tasks):
        for w, edge in request.edges_from[v]:
            tail[v] = np.maximum(tail[v], (data[edge] + tail[w]).min(1))
        tail[v] += request.seconds[v]
    return head, tail


RESOLUTION = 40
"""A unit is at most the makespan of a known schedule / 2^39."""


def in_units(request: TimedRequest, bound: float) -> tuple[TimedRequest, float]:
    """The request in whole units and the seconds of a unit; `inf` as bound asks for a safe one."""
    if bound == math.inf:
        bound = longest(request)
    unit = math.ldexp(1.0, math.frexp(bound)[1] - RESOLUTION)
    scaled = request.in_units(unit)
    whole = np.concatenate([getattr(scaled, name).ravel() for name in _DURATIONS])
    common = np.gcd.reduce(whole[whole < 2.0 ** (RESOLUTION + 1)].astype(np.int64))
    if common > 1:
        unit *= int(common)
        scaled = request.in_units(unit)
    return scaled, unit


def longest(request: TimedRequest) -> float:
    """At least the makespan of every schedule without needless waiting."""

    def finite(seconds: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(seconds), seconds, 0.0)

    delays = sum(
        finite(request.lags(name)[getattr(request, f"sends_{name}")]).sum()
        for name in ("input", "data", "output")
    )
    return float(request.release.max() + finite(request.seconds).max(-1).sum() + delays)


def rounding(
    request: TimedRequest, scaled: TimedRequest, unit: float, sequence: Iterable[Operation]
) -> float:
    """Seconds that rounding down took from a schedule, at most."""
    error = float((request.release - scaled.release * unit).max())
    startup = float((request.startup - scaled.startup * unit).max(initial=0.0))
    for step in sequence:
        error += step.seconds(request) - step.seconds(scaled) * unit
        error += 0.0 if step.key[0] == "task" else startup
    return error
