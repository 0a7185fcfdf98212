"""One request as operations on resources: what runs and moves, for how long, and after what.

Tasks and hops of transfers are operations; processors and links are resources. A schedule is then
fixed by the sequence in which operations take resources, and heads and tails bound every schedule.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from offload_jax.graphs.costs import GraphCosts, Route
from offload_jax.graphs.decision import Schedule, Transfers

Key = tuple[str, int, int, int]
"""What an operation is: ("task", v, 0, 0), or ("input", v, v, link), ("data", u, v, link) or
("output", v, v, link); where results are sent once, ("data", u, place of the readers, link)."""


@dataclasses.dataclass(frozen=True)
class DenseRequest:
    """One task graph as seconds, float64; `inf` is what cannot be.

    Attributes:
      seconds: `[N, K]` of each task at each place.
      release: `[N]`.
      home: int `[N]`.
      depends: bool `[N, N]`.
      input, data, output: `[N, L]`, `[N, N, L]`, `[N, L]` seconds on each link, if sent over it; 0
        where there are no bytes.
      startup: `[L]` seconds after each hop.
      sends_input, sends_data, sends_output: bool `[N]`, `[N, N]`, `[N]` whether there are bytes.
      routes, servers, serial, send_once: as in `GraphCosts`.
    """

    seconds: np.ndarray
    release: np.ndarray
    home: np.ndarray
    depends: np.ndarray
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

    def in_units(self, unit: float) -> "DenseRequest":
        """Every duration in whole units, rounded down, so that no schedule becomes longer."""
        names = ("seconds", "release", "input", "data", "output", "startup")
        scaled = {name: np.floor(getattr(self, name) / unit) for name in names}
        return dataclasses.replace(self, **scaled)

    def ways(self, hops: np.ndarray) -> np.ndarray:
        """Seconds `[K, K]` from place to place over free links.

        Args:
          hops: `[L]` seconds on each link.
        """
        seconds = hops + self.startup
        return np.array(
            [
                [math.inf if r is None else sum(seconds[link] for link in r) for r in row]
                for row in self.routes
            ]
        )


def dense_requests(costs: GraphCosts) -> list[DenseRequest]:
    """The rows of a batch of costs, as one flat list."""
    for j, row in enumerate(costs.routes):
        for k, route in enumerate(row):
            if len(set(route or ())) < len(route or ()):
                raise ValueError(f"routes[{j}][{k}] = {route}: takes a link twice")
    batch, n, num_places = costs.batch_shape, costs.num_tasks, costs.num_places
    size, num_links = math.prod(batch), len(costs.serial)

    def rows(name: str, *tail: int) -> np.ndarray:
        value = np.asarray(getattr(costs, name))
        if value.dtype.kind == "f":
            value = value.astype(np.float64)
        return np.broadcast_to(value, batch + tail).reshape(size, *tail)

    depends = rows("depends", n, n)
    num_bytes = {"input": rows("input", n), "output": rows("output", n)}
    num_bytes["data"] = np.where(depends, rows("data", n, n), 0.0)
    rate = rows("seconds_per_byte", num_links)

    def moves(name: str) -> np.ndarray:
        amount = num_bytes[name][..., None]
        pace = rate.reshape(size, *(1,) * (amount.ndim - 2), num_links)
        with np.errstate(invalid="ignore"):  # 0 bytes over a dead link
            return np.where(amount > 0, amount * pace, 0.0)

    fields = {
        "seconds": rows("seconds", n, num_places),
        "release": rows("release", n),
        "home": rows("home", n),
        "depends": depends,
        "startup": rows("startup", num_links),
        **{name: moves(name) for name in num_bytes},
        **{f"sends_{name}": value > 0 for name, value in num_bytes.items()},
    }
    return [
        DenseRequest(
            **{name: value[row] for name, value in fields.items()},
            routes=costs.routes,
            servers=costs.servers,
            serial=costs.serial,
            send_once=costs.send_once,
        )
        for row in range(size)
    ]


class Operation(NamedTuple):
    """A task or one hop of a transfer.

    Attributes:
      key: what it is.
      resource: the place k, or K + link; None where it waits for none.
      seconds: how long it takes.
      release: the earliest start.
      after: operations that have to be done before, with the seconds to wait after each.
    """

    key: Key
    resource: int | None
    seconds: float
    release: float
    after: list[tuple[Key, float]]


def operations(
    request: DenseRequest, place: Sequence[int], order: Iterable[int]
) -> list[Operation]:
    """What a decision makes run and move, in the order in which a dispatcher books it."""
    steps: list[Operation] = []
    sent: dict[tuple[int, int], list[tuple[Key, float]]] = {}
    done: list[int] = []
    num_places = len(request.servers)

    def move(
        kind: str,
        u: int,
        v: int,
        hops: np.ndarray,
        route: Route,
        after: list[tuple[Key, float]],
        release: float = 0.0,
    ) -> list[tuple[Key, float]]:
        if route is None:
            release, route = math.inf, ()
            steps.append(Operation((kind, u, v, -1), None, 0.0, release, after))
            return [((kind, u, v, -1), 0.0)]
        for link in route:
            key = (kind, u, v, link)
            resource = num_places + link if request.serial[link] else None
            steps.append(Operation(key, resource, float(hops[link]), release, after))
            after, release = [(key, float(request.startup[link]))], 0.0
        return after

    for v in map(int, order):
        here, home = int(place[v]), int(request.home[v])
        release = float(request.release[v])
        after: list[tuple[Key, float]] = []
        if request.sends_input[v] and here != home:
            route = request.routes[home][here]
            after += move("input", v, v, request.input[v], route, [], release)
        for u in done:
            if not request.depends[u, v]:
                continue
            ready: list[tuple[Key, float]] = [(("task", u, 0, 0), 0.0)]
            if request.sends_data[u, v] and place[u] != here:
                route = request.routes[place[u]][here]
                if not request.send_once:
                    ready = move("data", u, v, request.data[u, v], route, ready)
                elif (u, here) in sent:
                    ready = sent[u, here]
                else:
                    ready = move("data", u, here, request.data[u, v], route, ready)
                    sent[u, here] = ready
            after += ready
        seconds = float(request.seconds[v, here])
        waits = seconds > 0 and request.servers[here] is not None
        key = ("task", v, 0, 0)
        steps.append(Operation(key, here if waits else None, seconds, release, after))
        done.append(v)
        if request.sends_output[v] and here != home:
            route = request.routes[here][home]
            move("output", v, v, request.output[v], route, [(key, 0.0)])
    return steps


class Times(NamedTuple):
    """When operations start and finish, by key, and when everything is done and home."""

    start: dict[Key, float]
    finish: dict[Key, float]
    makespan: float


def run(request: DenseRequest, sequence: Sequence[Operation]) -> Times:
    """Starts every operation as soon as its sequence allows: each takes the server free first.

    Args:
      request: the task graph.
      sequence: operations, each after those that it waits for.
    """
    free: dict[int, list[float]] = {}
    start: dict[Key, float] = {}
    finish: dict[Key, float] = {}
    makespan = 0.0
    num_places = len(request.servers)
    for step in sequence:
        begin = step.release
        for key, wait in step.after:
            begin = max(begin, finish[key] + wait)
        if step.resource is not None:
            servers = request.servers[step.resource] if step.resource < num_places else 1
            queue = free.setdefault(step.resource, [0.0] * (servers or 1))
            first = min(range(len(queue)), key=queue.__getitem__)
            begin = max(begin, queue[first])
            queue[first] = begin + step.seconds
        start[step.key], finish[step.key] = begin, begin + step.seconds
        kind, *_, link = step.key
        arrival = request.startup[link] if kind == "output" and link >= 0 else 0.0
        makespan = max(makespan, finish[step.key] + float(arrival))
    return Times(start, finish, makespan)


def schedule_of(
    request: DenseRequest, place: Sequence[int], sequence: Sequence[Operation]
) -> Schedule:
    """The schedule of a sequence of operations, float64."""
    times = run(request, sequence)
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
    reader: dict[tuple[int, int], int] = {}
    for v in map(int, order):
        for u in map(int, np.flatnonzero(request.sends_data[:, v])):
            reader.setdefault((u, place[v]), v)
    count: dict[tuple[str, int, int], int] = {}
    for step in sequence:
        kind, u, v, link = step.key
        if kind == "task" or link < 0:
            continue
        hop = count.setdefault((kind, u, v), 0)
        count[kind, u, v] += 1
        at: tuple[int, ...] = (u, hop)
        if kind == "data":
            at = (u, reader[u, v] if request.send_once else v, hop)
        hops[kind][(0, *at)] = times.start[step.key]
        hops[kind][(1, *at)] = times.finish[step.key]
    return Schedule(
        makespan=np.asarray(times.makespan),
        start=start,
        finish=np.array([times.finish[key] for key in tasks]),
        place=np.asarray(place, np.int8),
        order=order,
        transfers=Transfers(*hops["input"], *hops["data"], *hops["output"]),
    )


def heads_and_tails(request: DenseRequest) -> tuple[np.ndarray, np.ndarray]:
    """What no schedule is faster than, for each task at each place, were resources without limit.

    Returns:
      Heads `[N, K]`, seconds before its start, and tails `[N, K]`, seconds from its start until all
      that depends on it is done and home; `inf` where it cannot be.
    """
    num_tasks, num_places = request.seconds.shape

    def way(sends: np.bool_, hops: np.ndarray) -> np.ndarray:
        return request.ways(hops) if sends else np.zeros((num_places, num_places))

    head = np.zeros((num_tasks, num_places))
    for v in range(num_tasks):
        head[v] = (
            request.release[v] + way(request.sends_input[v], request.input[v])[request.home[v]]
        )
        for u in np.flatnonzero(request.depends[:, v]):
            ready = (head[u] + request.seconds[u])[:, None]
            data = ready + way(request.sends_data[u, v], request.data[u, v])
            head[v] = np.maximum(head[v], data.min(0))
    tail = np.zeros((num_tasks, num_places))
    for v in reversed(range(num_tasks)):
        tail[v] = way(request.sends_output[v], request.output[v])[:, request.home[v]]
        for w in np.flatnonzero(request.depends[v]):
            after = way(request.sends_data[v, w], request.data[v, w]) + tail[w]
            tail[v] = np.maximum(tail[v], after.min(1))
        tail[v] += request.seconds[v]
    return head, tail


RESOLUTION = 40
"""A unit is at most the makespan of a known schedule / 2^39."""


def in_units(request: DenseRequest, bound: float) -> tuple[DenseRequest, float]:
    """The request in whole units and the seconds of a unit; `inf` as bound asks for a safe one."""
    if bound == math.inf:
        bound = longest(request)
    unit = math.ldexp(1.0, math.frexp(bound)[1] - RESOLUTION)
    scaled = request.in_units(unit)
    times = [scaled.seconds, scaled.release, scaled.startup]
    times += [scaled.input, scaled.data, scaled.output]
    whole = np.concatenate([t.ravel() for t in times])
    common = np.gcd.reduce(whole[whole < 2.0 ** (RESOLUTION + 1)].astype(np.int64))
    if common > 1:
        unit *= int(common)
        scaled = request.in_units(unit)
    return scaled, unit


def longest(request: DenseRequest) -> float:
    """At least the makespan of every schedule without needless waiting."""

    def most(seconds: np.ndarray) -> float:
        return float(np.where(np.isfinite(seconds), seconds, 0.0).max(-1, initial=0.0).sum())

    delays = 0.0
    for hops, sends in (
        (request.input, request.sends_input),
        (request.data, request.sends_data),
        (request.output, request.sends_output),
    ):
        seconds = np.where(sends[..., None], hops + request.startup, 0.0)
        delays += float(np.where(np.isfinite(seconds), seconds, 0.0).sum())
    return float(request.release.max()) + most(request.seconds) + delays


def rounding(
    request: DenseRequest,
    scaled: DenseRequest,
    unit: float,
    place: Sequence[int],
    order: Iterable[int],
) -> float:
    """Seconds that rounding down took from a schedule, at most."""
    error = float((request.release - scaled.release * unit).max())
    startup = float((request.startup - scaled.startup * unit).max(initial=0.0))
    pairs = zip(operations(request, place, order), operations(scaled, place, order), strict=True)
    for exact, whole in pairs:
        error += exact.seconds - whole.seconds * unit
        error += 0.0 if exact.key[0] == "task" else startup
    return error
