"""Batches of concrete requests by the compiled loops, a row after the other on every core.

The functions take and give arrays as their namesakes in JAX do, but compute in float64 and compile
nothing for a new size.
"""

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.graphs._numba.list_scheduling import plan
from offload_jax.graphs._numba.ranks import empty_last, pair_costs
from offload_jax.graphs._numba.rules import greedy as greedy_request
from offload_jax.graphs._numba.rules import only_allowed
from offload_jax.graphs._numba.rules import rank_order as rank_request
from offload_jax.graphs._numba.simulator import compiled, inner, new_state, reset, run_task
from offload_jax.graphs._numba.ways import paths
from offload_jax.graphs.costs import AXES, GraphCosts
from offload_jax.graphs.decision import Decision, Schedule
from offload_jax.graphs.request import Request, static_arrays

# Below so many tasks in all, threads cost more than they save.
_LEAST_THREADED = 2000


class Rows(NamedTuple):
    """Requests as `Request`, but with a leading axis, of length 1 where they share a field.

    Attributes:
      predecessors: int32 `[R, N, D]`.
      data: `[R, N, D]`.
    """

    seconds: np.ndarray
    predecessors: np.ndarray
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


@inner
def request_at(rows, r):
    """The request of a row."""
    lists = rows.predecessors[min(r, rows.predecessors.shape[0] - 1)]
    data = rows.data[min(r, rows.data.shape[0] - 1)]
    num_tasks, width = lists.shape
    first_edge = np.zeros(num_tasks + 1, np.int64)
    for v in range(num_tasks):
        first_edge[v + 1] = first_edge[v]
        for d in range(width):
            if lists[v, d] >= 0:
                first_edge[v + 1] += 1
    source = np.empty(first_edge[num_tasks], np.int64)
    size = np.empty(first_edge[num_tasks])
    edge = 0
    for v in range(num_tasks):
        for d in range(width):
            if lists[v, d] >= 0:
                source[edge], size[edge] = lists[v, d], data[v, d]
                edge += 1
    return Request(
        rows.seconds[min(r, rows.seconds.shape[0] - 1)],
        first_edge,
        source,
        size,
        rows.input[min(r, rows.input.shape[0] - 1)],
        rows.output[min(r, rows.output.shape[0] - 1)],
        rows.release[min(r, rows.release.shape[0] - 1)],
        rows.user[min(r, rows.user.shape[0] - 1)],
        rows.seconds_per_byte[min(r, rows.seconds_per_byte.shape[0] - 1)],
        rows.startup[min(r, rows.startup.shape[0] - 1)],
        rows.first_hop,
        rows.hops,
        rows.serial,
        rows.send_once,
        rows.first_link,
        rows.link_step,
        rows.servers,
        rows.first_server,
        rows.own_place,
        rows.own_ways,
        rows.num_users,
    )


@compiled
def _simulate_rows(rows, shared, first, last, place, order, completion, start, finish):
    """Writes starts, finishes and when users are served of the rows `first` to `last`."""
    request = request_at(rows, first)
    state = new_state(request)
    for r in range(first, last):
        if not shared:
            request = request_at(rows, r)
        reset(state)
        for i in range(order.shape[1]):
            task = order[r, i]
            state.position[task] = i
            _, begin, back = run_task(request, state, task, np.int64(place[r, task]))
            start[r, task] = begin
            finish[r, task] = state.finish[task]
            user = request.user[task]
            completion[r, user] = max(completion[r, user], max(back, state.finish[task]))


@compiled
def _greedy_rows(rows, place, order, first, last):
    """Writes the decisions of `greedy`."""
    for r in range(first, last):
        place[r], order[r] = greedy_request(request_at(rows, r))


@compiled
def _planned_rows(rows, method, place, order, first, last):
    """Writes the decisions of `plan`."""
    for r in range(first, last):
        place[r], order[r], _ = plan(request_at(rows, r), method)


@compiled
def _filled_rows(rows, place, order, first, last):
    """Writes orders, and into `place`, which holds what is wanted, what may be."""
    for r in range(first, last):
        request = request_at(rows, r)
        places, tasks = place[r], rank_request(request)
        only_allowed(request, places)
        empty_last(request, places, tasks)
        order[r] = tasks


@compiled
def _bound_rows(rows, bound, first, last):
    """Writes the longest paths."""
    for r in range(first, last):
        request = request_at(rows, r)
        rate, delay = pair_costs(request)
        _, _, through, _, _ = paths(request, rate, delay)
        bound[r] = through.max()


def simulate(costs: GraphCosts, place: Any, order: Any) -> Schedule:
    """The schedules of decisions, without transfers."""
    shapes = costs.batch_shape, np.shape(place)[:-1], np.shape(order)[:-1]
    batch = np.broadcast_shapes(*shapes)
    rows, num_tasks = rows_of(costs, batch), costs.num_tasks
    place, order = (np.broadcast_to(part, (*batch, num_tasks)) for part in (place, order))
    places, orders = (np.array(part.reshape(-1, num_tasks), np.int64) for part in (place, order))
    completion = np.zeros((len(places), costs.num_users))
    start, finish = np.zeros((2, *places.shape))
    shared = all(len(getattr(rows, name)) == 1 for name in AXES)

    def part(first: int, last: int) -> None:
        _simulate_rows(rows, shared, first, last, places, orders, completion, start, finish)

    on_all_cores(part, len(places), num_tasks)
    return Schedule(
        _as_float(costs, completion.max(-1), batch),
        _as_float(costs, start, batch),
        _as_float(costs, finish, batch),
        _as_integers(place, np.int8),
        _as_integers(order),
        _as_float(costs, completion, batch),
    )


def greedy(costs: GraphCosts) -> Decision:
    """See `_jax.rules.greedy`."""
    return decided(costs, np.zeros(costs.num_tasks), _greedy_rows)


def planned(costs: GraphCosts, method: int) -> Decision:
    """The decisions of HEFT, CPOP or PEFT."""
    return decided(costs, np.zeros(costs.num_tasks), _planned_rows, method)


def filled(costs: GraphCosts, place: Any) -> Decision:
    """See `_jax.rules.filled`."""
    return decided(costs, place, _filled_rows)


def rank_order(costs: GraphCosts) -> Any:
    """See `_jax.rules.rank_order`."""
    return filled(costs, np.zeros(costs.num_tasks)).order


def lower_bound(costs: GraphCosts) -> Array:
    """See `_jax.lower_bound.lower_bound`."""
    batch = costs.batch_shape
    rows, bound = rows_of(costs, batch), np.zeros(math.prod(batch))
    on_all_cores(functools.partial(_bound_rows, rows, bound), len(bound), costs.num_tasks)
    # No bound may rise by rounding, neither by that of the sums nor by that to JAX's precision.
    eps = np.finfo(jnp.result_type(costs.seconds, jnp.float32)).eps
    return _as_float(costs, bound * (1 - 8 * costs.num_tasks * np.finfo(float).eps - eps), batch)


def decided(costs: GraphCosts, place: Any, loop: Callable[..., None], *options: Any) -> Decision:
    """What a loop writes; places are there before."""
    shape = (*costs.batch_shape, costs.num_tasks)
    rows = rows_of(costs, shape[:-1])
    places = np.array(np.broadcast_to(place, shape).reshape(-1, shape[-1]), np.int64)
    orders = np.zeros_like(places)
    part = functools.partial(loop, rows, *options, places, orders)
    on_all_cores(part, len(places), shape[-1])
    return Decision(
        _as_integers(places.reshape(shape), np.int8), _as_integers(orders.reshape(shape))
    )


def _as_integers(values: np.ndarray, dtype: Any = np.int32) -> Array:
    # To make an array in JAX would be another program for each shape.
    return jax.device_put(values.astype(dtype))


def _as_float(costs: GraphCosts, values: np.ndarray, batch: tuple[int, ...]) -> Array:
    """Values by row in the precision that JAX gives them."""
    with np.errstate(over="ignore"):
        narrow = values.astype(jnp.result_type(costs.seconds, jnp.float32))
    return jax.device_put(narrow.reshape((*batch, *values.shape[1:])))


def rows_of(costs: GraphCosts, batch: tuple[int, ...]) -> Rows:
    def flat(name: str) -> np.ndarray:
        value = np.asarray(getattr(costs, name))
        own, tail = value.shape[: value.ndim - len(AXES[name])], value.shape[-len(AXES[name]) :]
        if math.prod(own) != 1:
            own, value = batch, np.broadcast_to(value, (*batch, *tail))
        dtype = {"predecessors": np.int32, "user": np.int64}.get(name, np.float64)
        # A copy: numba compiles again for an array that is a read-only view.
        return np.array(value.reshape(math.prod(own), *tail), dtype, order="C")

    fields: Any = *map(flat, AXES), *static_arrays(costs)
    return Rows(*fields)


def on_all_cores(part: Callable[[int, int], Any], num_rows: int, num_tasks: int) -> None:
    """Calls a function on the rows from `first` to `last`, in parts if they are many."""
    workers = os.cpu_count() or 1
    if workers == 1 or num_rows * num_tasks < _LEAST_THREADED:
        if num_rows:
            part(0, num_rows)
        return
    ends = np.linspace(0, num_rows, min(num_rows, 4 * workers) + 1).astype(int).tolist()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, ends[:-1], ends[1:]))
