"""Loads of processors and links, and the period of a stream, under given places."""

from typing import Any

import numpy as np
from jaxtyping import Float64

from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import as_integers
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.request import Request, link_entries, unpack_rows
from offload_jax.validation import broadcast_shapes, is_traced, require


def period(problem: GraphProblem | GraphCosts, place: Any) -> Float64[np.ndarray, "*batch"]:
    """Seconds between the results of a stream of equal requests under given places.

    That is the largest load of any resource by one request: the seconds of a processor over its
    servers, or those of a serial link, where a result that is sent once crosses each link once; of
    several users each has loads of their own on what is theirs. No
    order of the tasks changes it, and the machine reaches it where requests may overlap.

    Args:
      problem: problem or costs, leading dimensions free; concrete.
      place: `[..., N]` integers in 0..K-1; leading dimensions broadcast with the problem's.

    Returns:
      `[...]` seconds in float64, `inf` where a task cannot run or data cannot pass.

    Raises:
      ValueError: the problem is invalid or traced, or places do not fit it.
    """
    if is_traced(problem, place):
        raise ValueError("period: works on the host and cannot be traced")
    check_source(problem)
    costs = as_costs(problem, library=np)
    place = check_place(place, costs)
    shape = np.broadcast_shapes(costs.batch_shape, place.shape[:-1])
    requests = list(unpack_rows(costs))
    row = np.arange(len(requests)).reshape(costs.batch_shape)
    places = np.broadcast_to(place, (*shape, costs.num_tasks)).reshape(-1, costs.num_tasks)
    rows = zip(np.broadcast_to(row, shape).ravel(), places, strict=True)
    return np.array([period_of(requests[row], one) for row, one in rows]).reshape(shape)


def check_place(place: Any, costs: GraphCosts) -> np.ndarray:
    """Places int `[..., N]` of concrete costs.

    Raises:
      ValueError: they are none of these costs.
    """
    place = np.asarray(as_integers("place", place))
    if place.ndim == 0 or place.shape[-1] != costs.num_tasks:
        raise ValueError(f"place: last axis must be N = {costs.num_tasks}, got {place.shape}")
    broadcast_shapes({"problem": costs.batch_shape, "place": place.shape[:-1]})
    known = (place >= 0) & (place < costs.num_places)
    require("place", place, known, f"places are 0..{costs.num_places - 1}")
    return place.astype(np.int64)


def period_of(request: Request, place: np.ndarray) -> float:
    """The period of one request with places int `[N]`."""
    tasks = np.arange(len(place))
    if np.isinf(request.seconds[tasks, place]).any():
        return np.inf
    crossing, lost = bytes_over_links(request, place)
    # 0 bytes cross dead links, too.
    crossed = crossing > 0
    busy = crossing[crossed] * request.seconds_per_byte[crossed]
    if lost or np.isinf(busy).any():
        return np.inf
    computing = sums_at_places(request, place, request.seconds[tasks, place])
    servers = request.servers
    shares = computing[:, servers > 0] / servers[servers > 0]
    serial = serial_entries(request)[crossed]
    return float(max(shares.max(initial=0.0), busy[serial].max(initial=0.0)))


def sums_at_places(request: Request, place: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`[U, K]` sums of values `[N]` by place int `[N]`, in row 0 where users share it."""
    num_users, num_places = request.num_users, request.seconds.shape[1]
    at = request.own_place[place] * request.user * num_places + place
    return np.bincount(at, values, num_users * num_places).reshape(num_users, num_places)


def serial_entries(request: Request) -> np.ndarray:
    """bool `[R]` which entries of links carry one transfer at a time."""
    serial = np.zeros(len(request.startup), bool)
    serial[link_entries(request)] = request.serial
    return serial


def links_crossed(request: Request) -> np.ndarray:
    """bool `[K K, L]` which links the way from place j to place k, row j K + k, takes."""
    num_pairs = request.seconds.shape[1] ** 2
    crosses = np.zeros((num_pairs, len(request.serial)), bool)
    crosses[np.repeat(np.arange(num_pairs), np.diff(request.first_hop)), request.hops] = True
    return crosses


def bytes_over_links(request: Request, place: np.ndarray) -> tuple[np.ndarray, bool]:
    """Bytes `[R]` that cross each link for one request, and whether some have no way at all."""
    num_places, num_links = request.seconds.shape[1], len(request.serial)
    pair, first = np.arange(num_places * num_places), request.first_hop
    crosses = links_crossed(request)
    apart = pair // num_places != pair % num_places
    no_way = apart & (np.diff(first) == 0)
    reader = np.repeat(np.arange(len(place)), np.diff(request.first_edge))
    edge = place[request.source] * num_places + place[reader]
    moved = request.data > 0
    if request.send_once:
        sent = np.zeros((len(place), num_links), bool)
        np.logical_or.at(sent, request.source[moved], crosses[edge[moved]])
        size = np.zeros(len(place))
        size[request.source[moved]] = request.data[moved]
        by_task = size[:, None] * sent
    else:
        by_task = np.zeros((len(place), num_links))
        np.add.at(by_task, request.source[moved], request.data[moved, None] * crosses[edge[moved]])
    lost = no_way[edge[moved]].any()
    fetched, returned = place, place * num_places
    for pairs, sizes in ((fetched, request.input), (returned, request.output)):
        by_task += sizes[:, None] * crosses[pairs]
        lost |= (no_way[pairs] & (sizes > 0)).any()
    total = np.zeros(len(request.startup))
    np.add.at(total, link_entries(request)[request.user], by_task)
    return total, bool(lost)
