"""Requests that arrive over time, compiled: a stream after the other on every core, in float64."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs._flow.row import Row, row_or_none
from offload_jax.graphs._numba import network
from offload_jax.graphs._numba.rollout import new_player, play_from
from offload_jax.graphs._numba.rows import on_all_cores, request_at, rows_of
from offload_jax.graphs._numba.rules import greedy_from
from offload_jax.graphs._numba.simulator import (
    book,
    compiled,
    inner,
    link_of,
    new_state,
    plain,
    servers_of,
)
from offload_jax.graphs._numba.spending import new_scratch, spend
from offload_jax.graphs._numba.stream_search import searcher
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.request import Request, static_arrays, unpack_rows


class Machine(NamedTuple):
    """Which entries of links and servers are whose; see `Request`.

    Attributes:
      num_entries: int, of links.
    """

    first_link: np.ndarray
    link_step: np.ndarray
    servers: np.ndarray
    first_server: np.ndarray
    own_place: np.ndarray
    num_entries: int


class Served(NamedTuple):
    """What loops write, a row for each request.

    Attributes:
      place, order: int `[B R, N]`; those of a policy that decides on requests alone are there
        before.
      sojourn: `[B R]`.
      place_seconds: `[B R, K]` that it is served at each place.
      link_seconds: `[B R, L]` that it takes each link.
    """

    place: np.ndarray
    order: np.ndarray
    sojourn: np.ndarray
    place_seconds: np.ndarray
    link_seconds: np.ndarray


@plain
def arrive(machine, state, free, busy, now, user):
    """Makes `state` what a request of a user finds, in seconds from now on.

    Args:
      free, busy: when entries of links and servers of all users are free.
    """
    for link in range(machine.first_link.size):
        state.free[link] = max(free[link_of(machine, link, user)] - now, 0.0)
    server = 0
    for place in range(machine.servers.size):
        first, last = servers_of(machine, place, user)
        for s in range(first, last):
            state.busy[server] = max(busy[s] - now, 0.0)
            server += 1
    for u in range(state.crossed.shape[0]):
        for link in range(state.crossed.shape[1]):
            state.crossed[u, link] = -1.0


@plain
def _leave(machine, state, free, busy, now, user):
    """Writes down what `state` has become."""
    for link in range(machine.first_link.size):
        free[link_of(machine, link, user)] = now + state.free[link]
    server = 0
    for place in range(machine.servers.size):
        first, last = servers_of(machine, place, user)
        for s in range(first, last):
            busy[s] = now + state.busy[server]
            server += 1


@inner
def _serve(request, machine, state, free, busy, now, user, served, i):
    """Books a request as it was decided; one that would never be home books nothing."""
    place = served.place[i]
    arrive(machine, state, free, busy, now, user)
    served.sojourn[i] = book(request, state, place, served.order[i])
    if served.sojourn[i] < np.inf:
        _leave(machine, state, free, busy, now, user)
        reader, moved, seconds, crossed, spent = new_scratch(request)
        per_byte = request.seconds_per_byte
        spend(
            request, place, request.seconds, per_byte, request.serial, reader, moved, seconds,
            crossed, spent,
        )  # fmt: skip
        for k in range(seconds.shape[1]):
            served.place_seconds[i, k] = seconds[0, k]
        for link in range(moved.size):
            if moved[link] > 0.0:
                served.link_seconds[i, link] = moved[link] * per_byte[link]


@compiled
def serve_at(request, machine, state, free, busy, now, user, served, i):
    """`_serve`, for callers from Python."""
    _serve(request, machine, state, free, busy, now, user, served, i)


@compiled
def new_machine(machine, request):
    """When entries and servers are free, all at once, and a state for requests."""
    servers = machine.first_server[machine.servers.size]
    return np.zeros(machine.num_entries), np.zeros(servers), new_state(request)


@compiled
def _rule_streams(rows, machine, arrivals, user, with_greedy, served, first, last):
    """Serves streams, deciding by `greedy` or as is written."""
    num = arrivals.shape[1]
    for b in range(first, last):
        free, busy, state = new_machine(machine, request_at(rows, b * num))
        for r in range(num):
            i, now = b * num + r, arrivals[b, r]
            request = request_at(rows, i)
            if with_greedy:
                arrive(machine, state, free, busy, now, user[b, r])
                served.place[i], served.order[i] = greedy_from(request, state)
            _serve(request, machine, state, free, busy, now, user[b, r], served, i)


@compiled
def _learned_streams(
    rows, machine, arrivals, user, weights, first_weight, widths, served, first, last
):
    """Serves streams, deciding by a network."""
    num = arrivals.shape[1]
    silence = np.zeros((served.place.shape[1], served.place_seconds.shape[1] + 1))
    for b in range(first, last):
        free, busy, state = new_machine(machine, request_at(rows, b * num))
        for r in range(num):
            i, now = b * num + r, arrivals[b, r]
            request = request_at(rows, i)
            player = new_player(request, weights, first_weight, widths)
            arrive(machine, player.state, free, busy, now, user[b, r])
            served.place[i], served.order[i], _ = play_from(request, player, silence)
            _serve(request, machine, state, free, busy, now, user[b, r], served, i)


def serve(
    costs: GraphCosts,
    owned: GraphCosts,
    batch: tuple[int, ...],
    arrivals: np.ndarray,
    user: np.ndarray,
    *,
    policy: Any = None,
    decision: Any = None,
    search: tuple[int | None, float | None, int] | None = None,
) -> Served:
    """Serves streams.

    Args:
      costs: of requests, leading dimensions that broadcast to `[..., R]`.
      owned: the same of all users, of which only what is static is read.
      batch: `[..., R]`.
      arrivals, user: `[B, R]`.
      policy: a learned one; without it `decision` if given, else `search`, else greedy.
      decision: place and order `[..., R, N]`.
      search: simulations, seconds and seed.
    """
    num_streams, num_requests = arrivals.shape
    shape = num_streams * num_requests, costs.num_tasks
    arrivals, user = np.array(arrivals, np.float64), np.array(user, np.int64)
    machine = _machine(owned)
    place, order = np.zeros((2, *shape), np.int64)
    if decision is not None:
        for into, part in zip((place, order), decision, strict=True):
            into[:] = np.broadcast_to(part, (*batch, shape[1])).reshape(shape)
    served = Served(
        place,
        order,
        np.zeros(shape[0]),
        np.zeros((shape[0], costs.num_places)),
        np.zeros((shape[0], len(costs.serial))),
    )
    if search is not None:
        seconds = np.broadcast_to(costs.seconds, (*batch, *np.shape(costs.seconds)[-2:]))
        requests = list(unpack_rows(dataclasses.replace(costs, seconds=seconds)))
        _searched_streams(
            requests, row_or_none(costs.routes), machine, arrivals, user, searcher(*search), served
        )
        return served
    rows = rows_of(costs, batch)
    if policy is not None:
        weights = network.pack(policy.config, policy.params)
        part = functools.partial(_learned_streams, rows, machine, arrivals, user, *weights, served)
    else:
        greedy = decision is None
        part = functools.partial(_rule_streams, rows, machine, arrivals, user, greedy, served)
    on_all_cores(part, num_streams, num_requests * shape[1])
    return served


def _searched_streams(
    requests: Sequence[Request],
    row: Row | None,
    machine: Machine,
    arrivals: np.ndarray,
    user: np.ndarray,
    search: Callable[..., tuple[np.ndarray, np.ndarray]],
    served: Served,
) -> None:
    num = arrivals.shape[1]

    def one(b: int) -> None:
        free, busy, state = new_machine(machine, requests[b * num])
        for r in range(num):
            i = b * num + r
            at = requests[i], machine, state, free, busy, arrivals[b, r], user[b, r]
            arrive_at(*at[1:])
            served.place[i], served.order[i] = search(requests[i], row, state, i)
            serve_at(*at, served, i)

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(len(arrivals))))


@compiled
def arrive_at(machine, state, free, busy, now, user):
    """`arrive`, for callers from Python."""
    arrive(machine, state, free, busy, now, user)


def _machine(costs: GraphCosts) -> Machine:
    _, _, _, _, first_link, link_step, servers, first_server, own_place, *_ = static_arrays(costs)
    entries = len(link_step) + (costs.num_users - 1) * link_step.sum()
    return Machine(first_link, link_step, servers, first_server, own_place, int(entries))
