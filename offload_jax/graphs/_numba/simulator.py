"""The simulator as loops over one request, compiled by numba, in float64.

Functions that only read and write arrays are compiled without numba's reference counting (`plain`):
it would count every array at every call, which takes four times as long as the simulation itself.
They cannot allocate, so what they write on comes from outside.

What takes numba long is avoided: wrappers for callers in Python where there are none, NumPy's
sorts, arithmetic on and indexing by arrays, and number literals as arguments, which are types of
their own.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from offload_jax.compiled import njit

_OPTIONS: Any = {"cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}
compiled = njit(**_OPTIONS)
# For callers that are compiled themselves.
inner = njit(**_OPTIONS, no_cpython_wrapper=True)
plain = njit(**_OPTIONS, no_cpython_wrapper=True, _nrt=False)
# With fused multiplications and additions, as XLA has them.
fused = njit(**_OPTIONS, no_cpython_wrapper=True, _nrt=False, fastmath={"contract"})


class State(NamedTuple):
    """What the machine writes on.

    Attributes:
      free: `[R]` when each link is free.
      busy: `[S]` until when each server is busy.
      finish: `[N]` when each task is done.
      position: int `[N]` where each task stands in the order.
      place: int `[N]` where each task ran.
      crossed: `[N, L]` when a result that is sent once came out of a link, -1 where it has not
        crossed it; `[1, L]` if unused.
      edges: int `[N]` scratch.
    """

    free: np.ndarray
    busy: np.ndarray
    finish: np.ndarray
    position: np.ndarray
    place: np.ndarray
    crossed: np.ndarray
    edges: np.ndarray


@inner
def new_state(request):
    num_tasks, num_places = request.seconds.shape
    return State(
        np.zeros(request.startup.size),
        np.zeros(request.first_server[num_places]),
        np.zeros(num_tasks),
        np.zeros(num_tasks, np.int64),
        np.zeros(num_tasks, np.int64),
        np.full((num_tasks if request.send_once else 1, request.serial.size), -1.0),
        np.zeros(num_tasks, np.int64),
    )


@plain
def reset(state):
    for link in range(state.free.size):
        state.free[link] = 0.0
    for server in range(state.busy.size):
        state.busy[server] = 0.0
    for u in range(state.crossed.shape[0]):
        for link in range(state.crossed.shape[1]):
            state.crossed[u, link] = -1.0


@plain
def link_of(request, link, user):
    """The entry of a link that a user's data takes."""
    return request.first_link[link] + request.link_step[link] * user


@plain
def servers_of(request, place, user):
    """The first server of a place that runs a user's tasks, and where they end."""
    first = request.first_server[place]
    first += request.own_place[place] * request.servers[place] * user
    return first, first + request.servers[place]


@plain
def _hop(request, state, link, user, here, num_bytes):
    """Books a hop of what is there at `here`; gives when it has come out of the link."""
    entry = link_of(request, link, user)
    moving = num_bytes * request.seconds_per_byte[entry]
    end = here + moving
    if request.serial[link]:
        end = max(here, state.free[entry]) + moving
        state.free[entry] = end
    return end + request.startup[entry]


@plain
def _move(request, state, user, begin, num_bytes, pair):
    """Books the hops of a transfer between two places; gives when the data is there."""
    first, last = request.first_hop[pair], request.first_hop[pair + 1]
    here = begin if first < last else math.inf
    for h in range(first, last):
        here = _hop(request, state, request.hops[h], user, here, num_bytes)
    return here


@plain
def _move_once(request, state, user, task, num_bytes, pair):
    """Books the hops that a task's result has not made yet; gives when it is there."""
    first, last = request.first_hop[pair], request.first_hop[pair + 1]
    here = state.finish[task] if first < last else math.inf
    for h in range(first, last):
        link = request.hops[h]
        if state.crossed[task, link] < 0.0:
            state.crossed[task, link] = _hop(request, state, link, user, here, num_bytes)
        here = state.crossed[task, link]
    return here


@plain
def run_task(request, state, task, target):
    """Books a task at a place, and all that has to move for it.

    Its position must have been written; all that it needs must have been booked.

    Returns:
      When all that it needs is there, when it starts and when its output is home.
    """
    num_places, user = request.seconds.shape[1], request.user[task]
    ready = request.release[task]
    if request.input[task] > 0.0 and target > 0:
        ready = _move(request, state, user, ready, request.input[task], target)
    # What it needs arrives in the order in which that was booked.
    first = request.first_edge[task]
    count = request.first_edge[task + 1] - first
    for i in range(count):
        edge = first + i
        position = state.position[request.source[edge]]
        while i > 0 and state.position[request.source[state.edges[i - 1]]] > position:
            state.edges[i] = state.edges[i - 1]
            i -= 1
        state.edges[i] = edge
    for i in range(count):
        edge = state.edges[i]
        num_bytes = request.data[edge]
        u = request.source[edge]
        origin = state.place[u]
        arrived = state.finish[u]
        if num_bytes > 0.0 and origin != target:
            pair = origin * num_places + target
            if not request.send_once:
                arrived = _move(request, state, user, arrived, num_bytes, pair)
            else:
                arrived = _move_once(request, state, user, u, num_bytes, pair)
        if arrived > ready:
            ready = arrived
    duration = request.seconds[task, target]
    start = ready
    first, last = servers_of(request, target, user)
    if duration > 0.0 and last > first:
        server = first
        for s in range(first + 1, last):
            if state.busy[s] < state.busy[server]:
                server = s
        if state.busy[server] > start:
            start = state.busy[server]
        state.busy[server] = start + duration
    finish = start + duration
    state.finish[task] = finish
    state.place[task] = target
    if request.output[task] > 0.0 and target > 0:
        pair = target * num_places
        return ready, start, _move(request, state, user, finish, request.output[task], pair)
    return ready, start, finish


@plain
def copy_queues(request, source, target, task):
    """Copies what booking a task changes."""
    for link in range(source.free.size):
        target.free[link] = source.free[link]
    for server in range(source.busy.size):
        target.busy[server] = source.busy[server]
    if request.send_once:
        for e in range(request.first_edge[task], request.first_edge[task + 1]):
            u = request.source[e]
            for link in range(source.crossed.shape[1]):
                target.crossed[u, link] = source.crossed[u, link]


@plain
def simulate(request, state, place, order):
    """The makespan of a decision; `state.finish` holds when each task is done."""
    reset(state)
    return book(request, state, place, order)


@plain
def book(request, state, place, order):
    """The same, from where the machine stands."""
    makespan = 0.0
    for i in range(order.size):
        task = order[i]
        state.position[task] = i
        _, _, back = run_task(request, state, task, place[task])
        makespan = max(makespan, max(back, state.finish[task]))
    return makespan


@inner
def waited(completion, share, since, largest):
    """The latency of users who are served at `[U]`: see `Goal`; `inf` if one never is."""
    latest, mean = -math.inf, 0.0
    for user in range(completion.size):
        seconds = completion[user] - since[user]
        latest = max(latest, seconds)
        mean += share[user] * seconds
    return latest if largest or latest == math.inf else mean


@compiled
def makespan_of(request, place, order):
    """The makespan of a decision, for callers from Python."""
    return simulate(request, new_state(request), place, order)


@inner
def readers(request):
    """int `[N + 1]` and twice `[M]`: first, reader, edge.

    `reader[first[u] : first[u + 1]]` are the tasks that need task u, `edge` at the same places the
    edges between the two.
    """
    num_tasks = request.seconds.shape[0]
    first = np.zeros(num_tasks + 1, np.int64)
    for u in request.source:
        first[u + 1] += 1
    for u in range(num_tasks):
        first[u + 1] += first[u]
    reader, edge = np.empty(request.source.size, np.int64), np.empty(request.source.size, np.int64)
    filled = first.copy()
    for v in range(num_tasks):
        for e in range(request.first_edge[v], request.first_edge[v + 1]):
            u = request.source[e]
            reader[filled[u]], edge[filled[u]] = v, e
            filled[u] += 1
    return first, reader, edge
