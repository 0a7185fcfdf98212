"""Costs of a task graph on a network: any number of places, servers and links."""

import math
from collections.abc import Mapping

import numpy as np

from offload_jax.graphs.costs import GraphCosts, Route, values_of_users
from offload_jax.graphs.predecessors import edge_lists
from offload_jax.graphs.problem import as_integer_array, check_users
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.network import Network
from offload_jax.validation import (
    COST,
    ArrayLike,
    as_array,
    as_float64,
    check_class,
    check_integer,
    check_known,
    require,
)


def network_costs(
    task: TaskGraph,
    network: Network,
    *,
    seconds: Mapping[str, ArrayLike] | None = None,
    release: ArrayLike = 0.0,
    user: ArrayLike = 0,
    num_users: int = 1,
    shared_radio: bool = False,
) -> GraphCosts:
    """Writes a task graph on a network as what solvers work on, in float64 on the host.

    Every link of the network becomes two, one for each direction. A place runs as many tasks at a
    time as its processor has servers; at infinite speed tasks take no time, and so need none.

    All data between two places takes one route: the one that is fastest, round trips included, for
    as many bytes as the graph moves at a time on average (over its inputs, edges and outputs that
    are not 0), among equals the one of fewest hops. Half a round trip follows each hop without
    occupying the link.

    Of several users each has the first place and the links that touch it; they share the rest. The
    last axis of all arrays in the network is then theirs: U values or one, of what they share one.

    Args:
      task: cycles and bytes.
      network: places and links; speeds and bandwidths may be arrays `[...]` that broadcast, of
        several users `[..., U]` or `[..., 1]`.
      seconds: `[..., N]` measured seconds of each task by the name of a place, `inf` where it
        cannot run; at places that have none, tasks run their cycles at the place's speed.
      release: `[..., N]` seconds before which a task and its input are not there.
      user: int `[N]` whom each task belongs to; edges join tasks of one user.
      num_users: U.
      shared_radio: whether users share the links that touch the first place, too.

    Returns:
      Costs with the batch shape of the network, without the axis of users. Their `routes` say which
      way data takes: number 2i is `network.links[i]` from its source to its target, 2i + 1 the same
      back.

    Raises:
      ValueError: rows of the batch, or users, would take different routes, solve those apart; what
        users share has several values; or the device
        computes for free, or seconds are those of a place that is not there, not one for each
        task, negative or NaN.
    """
    check_class("task", task, TaskGraph)
    check_class("network", network, Network)
    check_class("seconds", seconds, Mapping, type(None))
    measured = _measured(seconds or {}, task, network)
    if network.place_names[0] not in measured:
        network.require_device_speed("a task graph")
    num_places = len(network.places)
    check_integer("num_users", num_users)
    check_class("shared_radio", shared_radio, bool, np.bool_)
    user = np.asarray(_of_each_task("user", as_integer_array("user", user), task))
    check_users(user, num_users)
    times = []
    for k, place in enumerate(network.places):
        speed = of_users(f"speed of {place.name!r}", place.speed, num_users, own=k == 0)
        times.append(measured.get(place.name, task.cycles / values_of_users(speed, user)))
    hops = list(network.hops())
    own = [not shared_radio and num_users > 1 and 0 in (h.source, h.target) for h in hops]
    bandwidth, startup = (
        _stacked(
            [
                of_users(f"{name} of a link", getattr(hop, name), num_users, own=mine)
                for hop, mine in zip(hops, own, strict=True)
            ]
        )
        for name in ("bandwidth", "round_trip_time")
    )
    startup = startup / 2
    rate = np.full_like(bandwidth, math.inf)
    np.divide(1.0, bandwidth, out=rate, where=bandwidth > 0)
    sizes = np.concatenate([task.input, task.data, task.output])
    mean = sizes.mean(where=sizes > 0) if sizes.any() else 1.0
    ends = [(hop.source, hop.target) for hop in hops]
    predecessors, data = edge_lists(task.edges, task.data, task.num_tasks)
    return GraphCosts(
        seconds=np.stack(np.broadcast_arrays(*times), axis=-1),
        predecessors=predecessors,
        data=data,
        input=task.input,
        output=task.output,
        release=_of_each_task("release", release, task),
        seconds_per_byte=_entries(rate, own),
        startup=_entries(startup, own),
        routes=_routes(ends, mean * rate + startup, num_places),
        servers=tuple(place.servers for place in network.places),
        serial=tuple(link.serial for link in network.links for _ in range(2)),
        send_once=task.send_once,
        user=user,
        num_users=num_users,
        own_links=own,
    )


def of_users(what: str, value: ArrayLike, num_users: int, *, own: bool) -> np.ndarray:
    """`[..., U]` of a value of a network, which of one user has no such axis.

    Raises:
      ValueError: it does not have one value, nor one for each user who has this of their own.
    """
    array = np.asarray(value, np.float64)
    if num_users == 1 or not array.ndim:
        array = array[..., None]
    if array.shape[-1] not in ((1, num_users) if own else (1,)):
        wanted = f"1 or {num_users}, a value for each user" if own else "1, for users share it"
        raise ValueError(f"{what}: last axis must be {wanted}, got shape {array.shape}")
    return np.broadcast_to(array, (*array.shape[:-1], num_users))


def _entries(values: np.ndarray, own: list[bool]) -> np.ndarray:
    """`[..., R]` of `[..., U, L]`: of links that users share, that of the first."""
    parts = [values[..., : None if mine else 1, link] for link, mine in enumerate(own)]
    return np.concatenate(parts, -1) if parts else np.zeros(0)


def _measured(
    seconds: Mapping[str, ArrayLike], task: TaskGraph, network: Network
) -> dict[str, np.ndarray]:
    """Seconds by place, checked."""
    checked = {}
    for name, values in seconds.items():
        what = f"seconds[{name!r}]"
        check_known("seconds", name, network.place_names, "place ")
        array = as_float64(what, values)
        if array.shape[-1:] != (task.num_tasks,):
            raise ValueError(
                f"{what}: must have one value for each of {task.num_tasks} tasks,"
                f" got shape {array.shape}"
            )
        require(what, array, COST.holds(array), COST.wording)
        checked[name] = array
    return checked


def _of_each_task(name: str, given: ArrayLike, task: TaskGraph) -> np.ndarray:
    """`[..., N]` of that or of one value for all tasks."""
    value = as_array(name, given)
    shape = value.shape
    if shape and shape[-1] not in (1, task.num_tasks):
        raise ValueError(
            f"{name}: must be one value or one for each of {task.num_tasks} tasks,"
            f" got shape {shape}"
        )
    return np.broadcast_to(value, (*shape[:-1], task.num_tasks))


def _stacked(values: list[ArrayLike]) -> np.ndarray:
    """`[..., U, len(values)]`."""
    if not values:
        return np.zeros((1, 0))
    return np.stack(np.broadcast_arrays(*(np.asarray(v, np.float64) for v in values)), axis=-1)


def _routes(
    ends: list[tuple[int, int]], seconds: np.ndarray, num_places: int
) -> tuple[tuple[Route, ...], ...]:
    """Routes that are the same for all rows of `seconds` `[..., L]`, what each hop takes."""
    rows = seconds.reshape(-1, len(ends)) if seconds.size else np.zeros((1, len(ends)))
    routes = _routes_of_row(ends, rows[0], num_places)
    for number, row in enumerate(rows[1:], 1):
        if _routes_of_row(ends, row, num_places) != routes:
            raise ValueError(
                f"network: row {number} of the batch has other routes than row 0; routes are the"
                " same for a batch, so make costs for each apart"
            )
    return routes


def _routes_of_row(
    ends: list[tuple[int, int]], seconds: np.ndarray, num_places: int
) -> tuple[tuple[Route, ...], ...]:
    """Floyd and Warshall's all-pairs shortest paths by (dead hops, seconds, hops)."""
    best: list[list[tuple[int, float, int, Route]]] = [
        [(0, 0.0, 0, ()) if j == k else (num_places, 0.0, 0, None) for k in range(num_places)]
        for j in range(num_places)
    ]
    for link, (j, k) in enumerate(ends):
        dead = int(seconds[link] == math.inf)
        best[j][k] = min(best[j][k], (dead, 0.0 if dead else float(seconds[link]), 1, (link,)))
    for middle in range(num_places):
        for j in range(num_places):
            for k in range(num_places):
                first, second = best[j][middle], best[middle][k]
                if first[3] is None or second[3] is None or middle in (j, k):
                    continue
                detour = (first[0] + second[0], first[1] + second[1], first[2] + second[2])
                if detour < best[j][k][:3]:
                    best[j][k] = (*detour, first[3] + second[3])
    return tuple(tuple(entry[3] for entry in row) for row in best)
