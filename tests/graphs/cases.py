"""Task graphs that the tests of several modules share, and what turns them into the library's.

"Exact" graphs have small integers and halves for all their numbers, so that float32 makes no error
and ties are everywhere; "rough" ones have plain random numbers, rounded to float32.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import offload_jax as oj
from tests import oracle


class Layout(NamedTuple):
    """What is static about costs: as in `oracle.Graph`."""

    routes: tuple
    servers: tuple
    serial: tuple
    send_once: bool = False


PAPER = Layout(oracle.PAPER_ROUTES, (1, 1, None), (True,) * 4)
# Two hops and three; links that never contend; places of every size; pairs that nothing joins.
_MESH = (
    ((), (0,), (0, 2), (4,)),
    ((1,), (), (2,), (1, 4)),
    ((3, 1), (3,), (), (3, 1, 4)),
    ((5,), (5, 0), (6,), ()),
)
_BROKEN_MESH = (_MESH[0], ((1,), (), (2,), None), _MESH[2], ((5,), None, (6,), ()))
LAYOUTS = {
    "paper": PAPER,
    "two servers, sent once": PAPER._replace(servers=(1, 2, None), send_once=True),
    "four places": Layout(_MESH, (1, 2, None, 3), (True, True, True, False, True, True, False)),
    "pairs apart": Layout(_BROKEN_MESH, (1, 2, None, 3), (True,) * 7),
    "four places, sent once": Layout(_MESH, (None, 1, 2, 1), (True,) * 7, send_once=True),
    "two places, no contention": Layout((((), (0,)), ((1,), ())), (1, 1), (False, False)),
    "one place": Layout((((),),), (1,), ()),
}
NUM_TASKS = 5
BATCH = 48


def in_a_row(order: Sequence[int], *, send_once: bool = False, servers: int = 1) -> Layout:
    """Places joined to neighbours in `order`: link 2 i leads on from the i-th, 2 i + 1 back."""
    position = {place: i for i, place in enumerate(order)}

    def route(j: int, k: int) -> tuple[int, ...]:
        here, there = position[j], position[k]
        return tuple(
            [2 * i for i in range(here, there)] + [2 * i + 1 for i in range(there, here)][::-1]
        )

    places = range(len(order))
    routes = tuple(tuple(route(j, k) for k in places) for j in places)
    return Layout(routes, (servers,) * len(order), (True,) * (2 * len(order) - 2), send_once)


def random_graph(
    rng: np.random.Generator,
    layout: Layout,
    num_tasks: int = NUM_TASKS,
    *,
    exact: bool = True,
    alive: bool = False,
) -> oracle.Graph:
    """With releases and empty tasks; exact ones, too, with dead links and forbidden places.

    Alive: no link is dead, no place forbidden.
    """
    places, links = len(layout.servers), len(layout.serial)

    def draw(values: list[float], high: float, *shape: int) -> np.ndarray:
        if exact:
            return rng.choice(values, shape).astype(float)
        return rng.uniform(0.1 * high, high, shape).astype(np.float32).astype(float)

    def sizes(*shape: int) -> np.ndarray:
        """A third of the bytes are 0 either way."""
        return draw([1, 2, 3, 4], 4, *shape) * (rng.random(shape) < 0.67)

    depends = np.triu(rng.random((num_tasks, num_tasks)) < rng.choice([0.2, 0.5, 0.8]), 1)
    data = sizes(num_tasks, num_tasks)
    if layout.send_once:
        data[:] = sizes(num_tasks, 1)
    seconds = draw([0, 1, 2, 4, 8], 8, num_tasks, places)
    release = draw([0, 0, 0, 2, 5], 5, num_tasks) * (rng.random() < 0.5)
    inputs, outputs = sizes(num_tasks), sizes(num_tasks)
    per_byte, startup = draw([0.5, 1, 1, 2], 2, links), draw([0, 0, 0.5, 1], 1, links)
    if exact:
        per_byte[rng.random(links) < 0.05] = 0.0
        if not alive:
            seconds[rng.random(seconds.shape) < 0.04] = math.inf
            per_byte[rng.random(links) < 0.08] = math.inf
    empty = rng.random(num_tasks) < rng.choice([0.0, 0.4])
    depends[empty] = depends[:, empty] = False
    seconds[empty] = 0.0
    inputs[empty] = outputs[empty] = release[empty] = 0.0
    return oracle.Graph(
        seconds=tuple(map(tuple, seconds.tolist())),
        edges={(int(u), int(v)): float(data[u, v]) for u, v in np.argwhere(depends)},
        input=tuple(inputs.tolist()),
        output=tuple(outputs.tolist()),
        release=tuple(release.tolist()),
        seconds_per_byte=tuple(per_byte.tolist()),
        startup=tuple(startup.tolist()),
        routes=layout.routes,
        servers=layout.servers,
        serial=layout.serial,
        send_once=layout.send_once,
    )


def several_users(
    rng: np.random.Generator,
    layout: Layout,
    num_users: int,
    num_tasks: int = 3,
    *,
    shared: bool = False,
    **options: Any,
) -> oracle.Graph:
    """Graphs of several users on places of which they share all but place 0, numbered anew.

    Links that touch place 0 are each user's own, unless they share them. Tasks are mixed.
    """
    users = [random_graph(rng, layout, num_tasks, **options) for _ in range(num_users)]
    near = {route[0] for row in layout.routes[:1] for route in row if route}
    near |= {row[0][-1] for row in layout.routes if row[0]}
    own = tuple(link in near and not shared for link in range(len(layout.serial)))
    turns = rng.permutation(np.repeat(np.arange(num_users), num_tasks)).tolist()
    numbers = [[v for v, user in enumerate(turns) if user == i] for i in range(num_users)]
    nth = [turns[:v].count(user) for v, user in enumerate(turns)]

    def tasks(name: str) -> tuple:
        return tuple(getattr(users[i], name)[n] for i, n in zip(turns, nth, strict=True))

    def links(name: str) -> tuple:
        return tuple(
            value
            for link, values in enumerate(zip(*(getattr(u, name) for u in users), strict=True))
            for value in (values if own[link] else values[:1])
        )

    return users[0]._replace(
        edges={
            (numbers[i][u], numbers[i][v]): size
            for i, one in enumerate(users)
            for (u, v), size in one.edges.items()
        },
        **{name: tasks(name) for name in ("seconds", "input", "output", "release")},
        **{name: links(name) for name in ("seconds_per_byte", "startup")},
        user=tuple(turns),
        users=num_users,
        own_places=tuple(k == 0 for k, _ in enumerate(layout.servers)),
        own_links=own,
    )


def padded(graph: oracle.Graph, num_tasks: int = NUM_TASKS) -> oracle.Graph:
    """With empty tasks after its own: graphs of few tasks then share the programs of others."""
    more = num_tasks - len(graph.tasks)
    return graph._replace(
        seconds=graph.seconds + ((0.0,) * len(graph.servers),) * more,
        **{name: getattr(graph, name) + (0.0,) * more for name in ("input", "output", "release")},
    )


def random_order(rng: np.random.Generator, graph: oracle.Graph) -> list[int]:
    """A random one in which each task follows what it needs."""
    order: list[int] = []
    while len(order) < len(graph.tasks):
        ready = [v for v in graph.tasks if v not in order and set(graph.needs(v)) <= set(order)]
        order.append(int(rng.choice(ready)))
    return order


def random_decision(rng: np.random.Generator, graph: oracle.Graph) -> tuple[list[int], list[int]]:
    """Any places, in any order that respects the edges."""
    return rng.integers(0, len(graph.servers), len(graph.tasks)).tolist(), random_order(rng, graph)


def as_matrices(graph: oracle.Graph) -> tuple[np.ndarray, np.ndarray]:
    """`depends` and `data`; what is not on an edge must not be read, so it is NaN there."""
    number = len(graph.seconds)
    depends, data = np.zeros((number, number), bool), np.full((number, number), math.nan)
    for (u, v), num_bytes in graph.edges.items():
        depends[u, v], data[u, v] = True, num_bytes
    return depends, data


_PLAIN = ("seconds", "input", "output", "release", "seconds_per_byte", "startup")
_ARRAYS = (*_PLAIN, "predecessors", "data", "user")


def as_costs(graphs: list[oracle.Graph] | oracle.Graph) -> oj.graphs.GraphCosts:
    """One graph, or graphs of one layout as a batch, in float32."""
    if isinstance(graphs, oracle.Graph):
        batch = as_costs([graphs])
        fields = {name: getattr(batch, name)[0] for name in _ARRAYS}
        return oj.graphs.GraphCosts(**fields, **_static(graphs))
    depends, data = zip(*map(as_matrices, graphs), strict=True)
    fields = {name: np.array([getattr(graph, name) for graph in graphs]) for name in _PLAIN}
    lists = oj.graphs.predecessor_lists(np.stack(depends), np.stack(data))
    fields |= dict(zip(("predecessors", "data"), lists, strict=True))
    fields["user"] = np.array([[graph.user_of(v) for v in graph.tasks] for graph in graphs])
    fields = {n: v.astype(np.float32) if v.dtype == float else v for n, v in fields.items()}
    return oj.graphs.GraphCosts(**fields, **_static(graphs[0]))


def _static(graph: oracle.Graph) -> dict[str, Any]:
    static = {name: getattr(graph, name) for name in Layout._fields}
    if graph.users == 1:
        return static
    owned = {name: getattr(graph, name) for name in ("own_places", "own_links")}
    return static | owned | {"num_users": graph.users}


class Request(NamedTuple):
    """The numbers of one `GraphProblem`, as `oracle.three_places` takes them."""

    cycles: list
    edges: dict
    input: list
    output: list
    p1: float
    p2: float
    b1: float
    b2: float
    edge_servers: int = 1
    release: list | None = None
    send_once: bool = False


def random_request(
    rng: np.random.Generator, num_tasks: int = NUM_TASKS, *, exact: bool = True, **static: Any
) -> Request:
    """Rough: numbers of the size of the scenario's. Exact: small integers, dead links."""
    depends = np.triu(rng.random((num_tasks, num_tasks)) < 0.5, 1)
    once = static.get("send_once", False)
    if exact:
        shape = (num_tasks, 1) if once else (num_tasks, num_tasks)
        data = np.broadcast_to(rng.integers(0, 5, shape), depends.shape)
        cycles = 4 * rng.integers(0, 5, num_tasks)
        inputs, outputs = rng.integers(0, 4, (2, num_tasks))
        p1, p2 = 1.0, float(rng.choice([1, 2, 4]))
        b1, b2 = rng.choice([0, 1, 1, 2, 2, 4], 2).tolist()
    else:
        single = np.float32
        shape = (num_tasks, 1) if once else (num_tasks, num_tasks)
        data = np.broadcast_to(rng.uniform(1e4, 2e6, shape).astype(single), depends.shape)
        cycles = rng.uniform(1e7, 2e9, num_tasks).astype(single)
        inputs = rng.uniform(1e4, 5e6, num_tasks).astype(single) * ~depends.any(0)
        outputs = rng.uniform(1e4, 1e6, num_tasks).astype(single) * ~depends.any(1)
        p1, p2 = float(single(rng.uniform(1e8, 1e9))), float(single(rng.uniform(5e8, 5e9)))
        b1, b2 = rng.uniform(2.5e5, 5e6, 2).astype(single).tolist()
    edges = {(int(u), int(v)): float(data[u, v]) for u, v in np.argwhere(depends)}
    return Request(
        cycles.tolist(), edges, inputs.tolist(), outputs.tolist(), p1, p2, float(b1), float(b2),
        **static,
    )  # fmt: skip


def as_problem(requests: list[Request] | Request) -> oj.graphs.GraphProblem:
    """One request, or requests with the same static values as a batch."""
    if isinstance(requests, Request):
        return as_problem([requests])[0]
    depends, data = zip(*(as_matrices(oracle.three_places(*r)) for r in requests), strict=True)

    def stack(name: str) -> np.ndarray:
        return np.array([getattr(request, name) for request in requests], np.float32)

    release = [request.release or [0.0] * len(request.cycles) for request in requests]
    return oj.graphs.GraphProblem(
        cycles=stack("cycles"),
        data=np.stack(data).astype(np.float32),
        depends=np.stack(depends),
        input=stack("input"),
        output=stack("output"),
        device_speed=stack("p1"),
        edge_speed=stack("p2"),
        device_edge_bandwidth=stack("b1"),
        edge_cloud_bandwidth=stack("b2"),
        edge_servers=requests[0].edge_servers,
        release=np.array(release, np.float32),
        send_once=requests[0].send_once,
    )


def as_timetable(graph: oracle.Graph, schedule: Any, row: tuple = ()) -> oracle.Timetable:
    """One schedule of a batch, with its transfers, as the oracle writes it."""
    start, finish = (np.asarray(t, float)[row] for t in (schedule.start, schedule.finish))
    place = np.asarray(schedule.place)[row].tolist()
    listed = {
        name: np.asarray(value, float)[row] for name, value in schedule.transfers._asdict().items()
    }

    def hops(kind: str, index: Any, source: int, target: int) -> tuple:
        begun, over = listed[f"{kind}_start"][index], listed[f"{kind}_finish"][index]
        there = ~np.isnan(begun)
        assert (there == ~np.isnan(over)).all()
        route = graph.routes[source][target] or ()
        assert not there[len(route) :].any()
        # Of a result that is sent once, only the hops that no reader before needed.
        assert there.sum() in (0, len(route)) or (kind == "data" and graph.send_once)
        listed_hops = zip(route, begun.tolist(), over.tolist(), strict=False)
        return tuple(hop for hop, known in zip(listed_hops, there, strict=False) if known)

    transfers: dict[tuple, tuple] = {}
    for v in graph.tasks:
        transfers["input", v] = hops("input", v, 0, place[v])
        transfers["output", v] = hops("output", v, place[v], 0)
    for u, v in graph.edges:
        transfers["data", u, v] = hops("data", (u, v), place[u], place[v])
    return oracle.Timetable(
        tuple(start.tolist()),
        tuple(finish.tolist()),
        tuple(place),
        {name: moved for name, moved in transfers.items() if moved},
        float(np.asarray(schedule.makespan)[row]),
    )
