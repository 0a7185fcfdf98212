"""Single requests as the plain arrays that compiled loops take."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from offload_jax.batching import broadcast_batch
from offload_jax.graphs.costs import AXES, GraphCosts, own_ways


class Request(NamedTuple):
    """Costs of one request in float64, the graph as lists of edges by reader.

    Attributes:
      seconds: `[N, K]`.
      first_edge: int `[N + 1]`; the edges into task v are `first_edge[v] : first_edge[v + 1]`.
      source: int `[M]` the task that each edge comes from, increasing for one reader.
      data: `[M]` bytes.
      input, output, release: `[N]`.
      user: int `[N]`.
      seconds_per_byte, startup: `[R]`, entries of links.
      first_hop: int `[K K + 1]`; from place j to k lead `first_hop[j K + k]` and what follows.
      hops: int `[H]` links.
      serial: bool `[L]`.
      send_once: bool.
      first_link: int `[L]` the entry of each link, for user 0 if every user has one.
      link_step: int `[L]` 1 if every user has one, else 0: that of user i is i steps on.
      servers: int `[K]` tasks at a time at each place; 0 is any number.
      first_server: int `[K + 1]` among all servers of all places, likewise for user 0; the last
        one is how many there are.
      own_place: int `[K]` 1 if every user has one, else 0.
      own_ways: int `[K]` 1 if every user has links of its own on the way there, else 0.
      num_users: int.
    """

    seconds: np.ndarray
    first_edge: np.ndarray
    source: np.ndarray
    data: np.ndarray
    input: np.ndarray
    output: np.ndarray
    release: np.ndarray
    user: np.ndarray
    seconds_per_byte: np.ndarray
    startup: np.ndarray
    first_hop: np.ndarray
    hops: np.ndarray
    serial: np.ndarray
    send_once: bool
    first_link: np.ndarray
    link_step: np.ndarray
    servers: np.ndarray
    first_server: np.ndarray
    own_place: np.ndarray
    own_ways: np.ndarray
    num_users: int


def unpack_rows(costs: GraphCosts) -> Iterator[Request]:
    """The requests of a batch, one by one; concrete costs."""
    size = math.prod(costs.batch_shape)
    wide = broadcast_batch(costs)
    fields = {}
    for name, axes in AXES.items():
        value = np.asarray(getattr(wide, name))
        fields[name] = value.reshape(size, *value.shape[value.ndim - len(axes) :])
    static = static_arrays(costs)
    for row in range(size):
        one = {name: value[row] for name, value in fields.items()}
        reader, slot = np.nonzero(one["predecessors"] >= 0)
        yield Request(
            _float64(one["seconds"]),
            _starts(np.bincount(reader, minlength=costs.num_tasks)),
            one["predecessors"][reader, slot].astype(np.int64),
            _float64(one["data"][reader, slot]),
            _float64(one["input"]),
            _float64(one["output"]),
            _float64(one["release"]),
            np.array(one["user"], np.int64, order="C"),
            _float64(one["seconds_per_byte"]),
            _float64(one["startup"]),
            *static,
        )


def static_arrays(costs: GraphCosts) -> tuple[Any, ...]:
    """What is the same for all rows: `first_hop` and the fields of `Request` that follow it."""
    routes = [list(route or ()) for row in costs.routes for route in row]
    servers = np.array([number or 0 for number in costs.servers], np.int64)
    several = costs.num_users > 1
    own_link, own_place = (
        np.array(own, np.int64) * several for own in (costs.own_links, costs.own_places)
    )
    others = costs.num_users - 1
    return (
        _starts([len(route) for route in routes]),
        np.array([link for route in routes for link in route], np.int64),
        np.array(costs.serial, bool),
        bool(costs.send_once),
        _starts(1 + others * own_link)[:-1],
        own_link,
        servers,
        _starts(servers * (1 + others * own_place)),
        own_place,
        np.array(own_ways(costs.routes, costs.own_links, costs.num_users), np.int64),
        int(costs.num_users),
    )


def link_entries(request: Request) -> np.ndarray:
    """int `[U, L]` the entry of each link that the data of each user take."""
    return request.first_link + request.link_step * np.arange(request.num_users)[:, None]


def processors(request: Request) -> np.ndarray:
    """int `[U, K]` what each place is for each user, in a list of all processors."""
    copies = 1 + request.own_place * (request.num_users - 1)
    first = np.cumsum(copies) - copies
    return first + request.own_place * np.arange(request.num_users)[:, None]


def _starts(lengths: list[int] | np.ndarray) -> np.ndarray:
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _float64(values: np.ndarray) -> np.ndarray:
    """A copy: numba compiles again for an array that is a read-only view."""
    return np.array(values, np.float64, order="C")
