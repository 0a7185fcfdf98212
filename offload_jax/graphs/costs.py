"""`GraphCosts`: what every solver for task graphs works on, and what fills it."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.batching import Batched, lift
from offload_jax.graphs.predecessors import predecessor_lists
from offload_jax.graphs.problem import (
    ONE_RESULT,
    GraphProblem,
    as_integer_array,
    check_axes,
    check_integers,
    check_users,
    data_on_edges,
    users_of,
    validate,
)
from offload_jax.validation import (
    COST,
    FINITE,
    Array,
    ArrayLike,
    as_float_array,
    check_class,
    check_integer,
    check_kind,
    check_values,
    is_for_host,
    is_traced,
    require,
)

_COSTS = ("seconds", "seconds_per_byte")
Route = tuple[int, ...] | None
"""Numbers of the links that lead from one place to another, in order; None where nothing does."""

AXES: dict[str, tuple[str, ...]] = {
    "seconds": ("N", "K"),
    "predecessors": ("N", "D"),
    "data": ("N", "D"),
    "input": ("N",),
    "output": ("N",),
    "release": ("N",),
    "user": ("N",),
    "seconds_per_byte": ("R",),
    "startup": ("R",),
}


_INTEGERS = ("predecessors", "user")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class GraphCosts(Batched):
    """A task graph on K places joined by L one-way links; what every solver works on.

    Leading dimensions are free and broadcast. Routes, servers and the kind of links are the same
    for the whole batch. Place 0 is the device of the user that a task belongs to. Of several users
    each has places and links of its own, alike but for their speeds, and shares the others.

    Attributes:
      seconds: `[..., N, K]` running time of each task at each place; `inf` forbids the place.
      predecessors: int `[..., N, D]` the tasks that each task needs, ascending and all of lower
        number; -1 where there is none. `predecessor_lists` makes them of square arrays.
      data: `[..., N, D]` bytes from each of them; 0 bytes still order the two.
      input: `[..., N]` bytes that place 0 holds and the task needs before it starts.
      output: `[..., N]` bytes of the task's result that must reach place 0.
      release: `[..., N]` seconds before which the task and its input are not there.
      user: int `[..., N]` whom each task belongs to; edges join tasks of one user.
      seconds_per_byte: `[..., R]` of each link, link after link; a link in `own_links` has an entry
        for each user, one after the other. `inf` is a link that is down.
      startup: `[..., R]` seconds that follow a transfer without occupying the link; not paid for
        0 bytes.
      routes: `routes[j][k]`, the links from place j to place k; empty where j = k.
      servers: how many tasks each of the K places runs at a time; None is any number.
      serial: for each of the L links, whether it carries one transfer at a time.
      send_once: whether all bytes from a task are one result, equal for all that need it, that
        crosses each link at most once.
      num_users: U, the same for the batch.
      own_places: for each of the K places whether every user has one; by default place 0.
      own_links: for each of the L links whether every user has one; by default none.
    """

    seconds: Array
    predecessors: Array
    data: Array
    input: Array
    output: Array
    release: Array
    user: Array
    seconds_per_byte: Array
    startup: Array
    routes: tuple[tuple[Route, ...], ...] = dataclasses.field(metadata={"static": True})
    servers: tuple[int | None, ...] = dataclasses.field(metadata={"static": True})
    serial: tuple[bool, ...] = dataclasses.field(metadata={"static": True})
    send_once: bool = dataclasses.field(metadata={"static": True})
    num_users: int = dataclasses.field(metadata={"static": True})
    own_places: tuple[bool, ...] = dataclasses.field(metadata={"static": True})
    own_links: tuple[bool, ...] = dataclasses.field(metadata={"static": True})

    own_axes: ClassVar[dict[str, int]] = {name: len(tail) for name, tail in AXES.items()}

    def __init__(
        self,
        seconds: ArrayLike,
        predecessors: ArrayLike,
        data: ArrayLike,
        input: ArrayLike,
        output: ArrayLike,
        release: ArrayLike,
        seconds_per_byte: ArrayLike,
        startup: ArrayLike,
        routes: Sequence[Sequence[Route]],
        servers: Sequence[int | None],
        serial: Sequence[bool],
        send_once: bool = False,
        user: ArrayLike = 0,
        num_users: int = 1,
        own_places: Sequence[bool] | None = None,
        own_links: Sequence[bool] | None = None,
    ) -> None:
        given = locals()
        for name in AXES:
            convert = as_integer_array if name in _INTEGERS else as_float_array
            object.__setattr__(self, name, convert(name, given[name]))
        user_of_task = users_of(self.user, np.shape(self.seconds)[-2:-1], num_users)
        object.__setattr__(self, "user", user_of_task)
        for name in ("servers", "serial"):
            check_class(name, given[name], Iterable)
        if own_places is None:
            own_places = [place == 0 for place, _ in enumerate(servers)]
        if own_links is None:
            own_links = [False for _ in serial]
        try:
            fixed = tuple(tuple(None if r is None else tuple(r) for r in row) for row in routes)
        except TypeError:
            raise ValueError("routes: must be rows of routes, each links or None") from None
        object.__setattr__(self, "routes", fixed)
        object.__setattr__(self, "servers", tuple(servers))
        object.__setattr__(self, "serial", tuple(serial))
        object.__setattr__(self, "send_once", send_once)
        object.__setattr__(self, "num_users", num_users)
        object.__setattr__(self, "own_places", tuple(own_places))
        object.__setattr__(self, "own_links", tuple(own_links))

    @property
    def num_tasks(self) -> int:
        """N, the number of tasks."""
        return np.shape(self.seconds)[-2]

    @property
    def num_places(self) -> int:
        """K, the number of places."""
        return np.shape(self.seconds)[-1]


# Links of a `GraphProblem`: device to edge and back, edge to cloud and back.
_ROUTES: tuple[tuple[Route, ...], ...] = (((), (0,), (0, 2)), ((1,), (), (2,)), ((3, 1), (3,), ()))


def graph_costs(problem: GraphProblem, *, library: ModuleType = jnp) -> GraphCosts:
    """The costs of a problem: one CPU on each device, `edge_servers` at the edge, a free cloud.

    Each of the four links (device to edge, edge to device, edge to cloud, cloud to edge) carries
    one transfer at a time at full rate; what goes between device and cloud takes both hops. Works
    inside `jit` and `vmap`.

    Args:
      problem: leading dimensions free.
      library: `jax.numpy`, or `numpy` for float64 on the host.

    Returns:
      Costs of the same batch shape, K = 3 places and L = 4 links, without start-up delays. Links 0
      and 1, between device and edge, are there for each user unless all share them.
    """
    dtype = np.float64 if library is np else None

    def array(value: Any) -> Any:
        return library.asarray(value, dtype=dtype)

    cycles = array(problem.cycles)
    rank = len(problem.batch_shape) + 1

    def seconds(speed: Any) -> Any:
        return lift(cycles, rank) / lift(speed, rank)

    several = problem.num_users > 1
    user = problem.user if several else library.zeros(problem.num_tasks, np.int32)
    own_radio = several and not problem.shared_radio

    edge = seconds(array(problem.edge_speed)[..., None])
    speed = array(problem.device_speed)
    device = seconds(values_of_users(speed, user, library) if several else speed[..., None])
    places = library.broadcast_arrays(device, edge, library.zeros((1,) * rank, device.dtype))
    rates = []
    for own, bandwidth in (
        (own_radio, problem.device_edge_bandwidth),
        (False, problem.edge_cloud_bandwidth),
    ):
        bandwidth = array(bandwidth)
        bandwidth = bandwidth if own else bandwidth[..., None]
        alive = bandwidth > 0
        rates += [library.where(alive, 1.0 / library.where(alive, bandwidth, 1.0), math.inf)] * 2
    if own_radio:
        batch = np.broadcast_shapes(*(rate.shape[:-1] for rate in rates))
        rates = [library.broadcast_to(rate, (*batch, rate.shape[-1])) for rate in rates]
    else:
        rates = list(library.broadcast_arrays(*rates))
    release = array(problem.release)
    predecessors, data = predecessor_lists(problem.depends, array(problem.data))
    return GraphCosts(
        seconds=library.stack(places, -1),
        predecessors=predecessors,
        data=data,
        input=array(problem.input),
        output=array(problem.output),
        release=library.broadcast_to(release, (*release.shape[:-1], problem.num_tasks)),
        seconds_per_byte=library.concatenate(rates, -1),
        startup=np.zeros(sum(rate.shape[-1] for rate in rates), np.float32),
        routes=_ROUTES,
        servers=(1, problem.edge_servers, None),
        serial=(True,) * 4,
        send_once=problem.send_once,
        user=user,
        num_users=problem.num_users,
        own_links=(own_radio, own_radio, False, False),
    )


def copies(own: Sequence[bool], num_users: int) -> list[int]:
    """How many there are of each place or link: one, or one for each user."""
    return [num_users if mine else 1 for mine in own]


def own_ways(
    routes: Sequence[Sequence[Route]], own_links: Sequence[bool], num_users: int
) -> tuple[bool, ...]:
    """For each place whether every user has links of its own on all the way there from place 0."""
    several = num_users > 1
    return tuple(several and all(own_links[link] for link in route or ()) for route in routes[0])


def values_of_users(values: Any, user: Any, library: ModuleType = np) -> Any:
    """`[..., N]` what each task has of `[..., U]`, by the user `[..., N]` that it belongs to."""
    batch = np.broadcast_shapes(np.shape(values)[:-1], np.shape(user)[:-1])
    wide = library.broadcast_to(values, (*batch, np.shape(values)[-1]))
    tasks = library.broadcast_to(user, (*batch, np.shape(user)[-1]))
    return library.take_along_axis(wide, tasks, axis=-1)


def as_costs(source: GraphProblem | GraphCosts, *, library: ModuleType | None = None) -> GraphCosts:
    """The costs of a problem, by default made on the host if they can be; costs as they are."""
    if isinstance(source, GraphCosts):
        return source
    return graph_costs(source, library=library or (np if is_for_host(source) else jnp))


def check_source(source: GraphProblem | GraphCosts) -> None:
    """Validates a problem or costs; while tracing, what can be.

    Raises:
      ValueError: names the field, the rule and the first bad index.
    """
    check_class("problem", source, GraphProblem, GraphCosts)
    if isinstance(source, GraphCosts):
        validate_costs(source)
    else:
        validate(source)


def validate_costs(costs: GraphCosts) -> None:
    """Checks shapes, values, routes and servers.

    Raises:
      ValueError: names the field, the rule, the first bad index and its value.
    """
    for name in AXES:
        check_kind(name, getattr(costs, name))
    for name in _INTEGERS:
        check_integers(name, getattr(costs, name))
    check_integer("num_users", costs.num_users)
    _require_flags("own_links", costs.own_links, len(costs.serial))
    check_axes(costs, AXES, {"R": sum(copies(costs.own_links, costs.num_users))})
    num_places = costs.num_places
    if len(costs.servers) != num_places:
        raise ValueError(f"servers: needs {num_places} entries, got {len(costs.servers)}")
    for place, number in enumerate(costs.servers):
        if number is not None:
            check_integer(f"servers[{place}]", number)
    _require_flags("own_places", costs.own_places, num_places)
    if len(costs.routes) != num_places or any(len(row) != num_places for row in costs.routes):
        raise ValueError(f"routes: needs {num_places} rows of {num_places} routes")
    for j, row in enumerate(costs.routes):
        for k, route in enumerate(row):
            if j == k and route != ():
                raise ValueError(f"routes[{j}][{k}] = {route}: staying uses no link, it must be ()")
            if j != k and route == ():
                raise ValueError(
                    f"routes[{j}][{k}] = (): needs a link, or None where there is none"
                )
            for link in route or ():
                if link not in range(len(costs.serial)):
                    raise ValueError(f"routes[{j}][{k}]: unknown link {link}")
    check_class("send_once", costs.send_once, bool, np.bool_)
    _validate_lists(costs.predecessors, costs.num_tasks)
    fields = {name: getattr(costs, name) for name in AXES if name not in _INTEGERS}
    fields["data"] = data_on_edges(costs.predecessors >= 0, costs.data)
    check_values(fields, dict.fromkeys(fields, FINITE) | dict.fromkeys(_COSTS, COST))
    check_users(costs.user, costs.num_users)
    if costs.num_users > 1 and not is_traced(costs.user, costs.predecessors):
        _require_one_user(np.asarray(costs.predecessors), np.asarray(costs.user))
    if costs.send_once and not is_traced(costs.predecessors, costs.data):
        _require_one_result(np.asarray(costs.predecessors), np.asarray(costs.data))


def _require_flags(name: str, flags: tuple[bool, ...], number: int) -> None:
    if len(flags) != number or not all(isinstance(flag, (bool, np.bool_)) for flag in flags):
        raise ValueError(f"{name}: needs {number} booleans, got {flags}")


def _require_one_user(lists: np.ndarray, user: np.ndarray) -> None:
    """Refuses edges between tasks of different users."""
    batch = np.broadcast_shapes(lists.shape[:-2], user.shape[:-1])
    lists = np.broadcast_to(lists, (*batch, *lists.shape[-2:]))
    user = np.broadcast_to(user, (*batch, *user.shape[-1:]))[..., None]
    needed = np.take_along_axis(np.broadcast_to(user, lists.shape), np.maximum(lists, 0), -2)
    good = (lists < 0) | (needed == user)
    require("predecessors", lists, good, "edges must join tasks of one user")


def _validate_lists(lists: Any, num_tasks: int) -> None:
    """Refuses lists that do not ascend or name a task that is not before, and so every cycle."""
    if is_traced(lists):
        return
    lists = np.asarray(lists)
    highest = np.maximum.accumulate(lists, -1)
    before = np.concatenate([np.full_like(lists[..., :1], -1), highest[..., :-1]], -1)
    good = (lists == -1) | ((lists > before) & (lists < np.arange(num_tasks)[:, None]))
    require(
        "predecessors",
        lists,
        good,
        "must be tasks of lower number than the one that needs them, ascending, or -1 for none",
    )


def _require_one_result(lists: np.ndarray, data: np.ndarray) -> None:
    """Refuses bytes that are not the same for all readers of a task."""
    lists, data = np.broadcast_arrays(lists, data)
    row, _, _ = edge = np.nonzero(lists.reshape(-1, *lists.shape[-2:]) >= 0)
    sent = data.reshape(-1, *lists.shape[-2:])[edge]
    writer = row * lists.shape[-2] + lists.reshape(-1, *lists.shape[-2:])[edge]
    _, first, result = np.unique(writer, return_index=True, return_inverse=True)
    good = np.ones((math.prod(lists.shape[:-2]), *lists.shape[-2:]), bool)
    good[edge] = sent == sent[first][result]
    require("data", data, good.reshape(data.shape), ONE_RESULT)
