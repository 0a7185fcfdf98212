"""What a learned policy sees at every step of the simulator; see `task_features`."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.rows import in_order
from offload_jax.graphs._jax.simulator import Candidates, State, Tasks
from offload_jax.graphs._jax.task_features import TaskFeatures, bounded
from offload_jax.graphs.columns import PLACE, STEP


class StepFeatures(NamedTuple):
    """The per-step slice of `TaskFeatures`, reordered from task number to booking position.

    Attributes:
      task: int `[N, B]` number.
      tail: `[N, K, B]`.
      seconds: `[N, K, B]` running times; 0 where they are `inf`.
      left: `[N, K, B]` running time of this task and all after it.
      to_fetch: `[N, K, B]` seconds of moving the inputs of all after it.
      to_return: `[N, K, B]` seconds of moving the outputs of all after it.
      live: `[N, K, B]`.
      empty: `[N, B]`.
      sent: `[N, B]`.
    """

    task: Array
    tail: Array
    seconds: Array
    left: Array
    to_fetch: Array
    to_return: Array
    live: Array
    empty: Array
    sent: Array


def step_features(features: TaskFeatures, tasks: Tasks, order: Array, rows: int) -> StepFeatures:
    """What is known of tasks in the order `[rows, N]` in which they are booked."""

    def sorted_by_position(values: Array) -> Array:
        """`[N, *tail, R]` by task to `[N, *tail, rows]` by position."""
        return in_order(jnp.moveaxis(values, -1, 0), order, rows)

    seconds = jnp.where(jnp.isfinite(tasks.seconds), tasks.seconds, 0.0)
    return StepFeatures(
        jnp.broadcast_to(order, (rows, order.shape[1])).T,
        sorted_by_position(features.tail),
        seconds,
        _from_here_on(seconds),
        _after(sorted_by_position(features.input_seconds)),
        _after(sorted_by_position(features.output_seconds)),
        sorted_by_position(features.live),
        sorted_by_position(features.empty),
        sorted_by_position(features.sent),
    )


def _from_here_on(values: Array) -> Array:
    return jnp.cumsum(values[::-1], axis=0)[::-1]


def _after(values: Array) -> Array:
    values = jnp.where(jnp.isfinite(values), values, 0.0)
    return _from_here_on(values) - values


class Observation(NamedTuple):
    """What the network gets for one task.

    Attributes:
      places: `[P, K, B]` by `columns.PLACE`.
      step: `[S, B]` by `columns.STEP`.
      allowed: bool `[K, B]`.
    """

    places: Array
    step: Array
    allowed: Array


def observe(
    platform: Platform,
    features: TaskFeatures,
    resident_bytes: Array,
    reads: Array,
    state: State,
    candidates: Candidates,
    now: StepFeatures,
) -> Observation:
    """What is seen of the task that is to be placed.

    Args:
      platform, features: of B rows.
      resident_bytes: `[N, K, B]` bytes for each task that lie at each place.
      reads: what `by_reader` gives of it.
      state, candidates: of the machine.
      now: the row of `StepFeatures`.
    """
    places = range(platform.num_places)
    number, columns = jnp.arange(platform.num_places)[:, None], jnp.arange(now.task.shape[0])
    # What else the readers of this task need, and how long it takes to get it to a place.
    beside = jnp.sum(jnp.where((reads >= 0)[:, None], resident_bytes, 0.0), axis=0)
    finish, back = jnp.stack(candidates.finish), jnp.stack(candidates.back)
    ready, start = jnp.stack(candidates.ready), jnp.stack(candidates.start)
    first = jnp.min(jnp.where(now.live, finish, jnp.inf), axis=0)
    first = jnp.where(jnp.isfinite(first), first, 0.0)
    through = finish + now.tail
    least = jnp.min(jnp.where(now.live, through, jnp.inf), axis=0)
    least = jnp.where(jnp.isfinite(least), least, 0.0)
    free = functools.reduce(jnp.add, state.free, jnp.zeros(()))
    resident = resident_bytes[now.task, number, columns]
    rows = []
    for k in places:
        servers = platform.servers[k]
        idle = state.busy[k][0] if len(state.busy[k]) else first
        work = 0.0 if servers is None else now.left[k] / servers
        into = [platform.routes[j][k] for j in places if j != k and platform.routes[j][k]]
        out = [platform.routes[k][j] for j in places if j != k and platform.routes[k][j]]
        fetching = sum(
            jnp.where(beside[j] > 0, beside[j] * features.rates[j, k], 0.0)
            for j in places
            if j != k
        )
        rows.append(
            {
                "ready": ready[k] - first,
                "start": start[k] - first,
                "finish": finish[k] - first,
                "back": back[k] - first,
                "beside_least": through[k] - least,
                "tail": now.tail[k],
                "seconds": now.seconds[k],
                "wait": start[k] - ready[k],
                "idle": idle - first,
                "work_left": work,
                "drained": idle + work - first,
                "link_seconds": functools.reduce(jnp.add, candidates.free[k], jnp.zeros(())) - free,
                "inbound": _latest(state.free, into) - first,
                "outbound": _latest(state.free, out) - first,
                "sibling_bytes": beside[k] * features.unit,
                "sibling_fetch": fetching + 0.0 * first,
                "resident": resident[k] * features.unit,
                "inputs_left": now.to_fetch[k],
                "outputs_left": now.to_return[k],
                "single_place": features.single_place_seconds[k],
                "drained_home": idle + work + now.to_return[k] - least,
                "sent_far": now.sent * _far(features.rates, k) / jnp.maximum(features.unit, 1e-30),
            }
        )
    by_place = [
        jnp.stack([jnp.broadcast_to(column[name], first.shape) for name in PLACE])
        for column in rows
    ]
    step = {
        "first": first,
        "least": least,
        "sent": now.sent,
        "spread_through": jnp.max(through, axis=0, where=now.live, initial=0.0) - least,
        "spread_finish": jnp.max(jnp.where(now.live & jnp.isfinite(finish), finish, 0.0), axis=0)
        - first,
    }
    scale = lift(features.scale, 3)
    return Observation(
        bounded(jnp.stack(by_place, 1) / scale),
        bounded(jnp.stack([step[name] for name in STEP]) / scale[0]),
        now.live,
    )


def _latest(free: tuple[Array, ...], routes: list) -> Array:
    """When the links of routes are free, the last of each, in the mean."""
    if not routes:
        return jnp.zeros(())
    times = [functools.reduce(jnp.maximum, [free[link] for link in route]) for route in routes]
    return sum(times) / len(times)


def _far(rates: Array, k: int) -> Array:
    """Mean seconds per byte from a place to the others, dead ways left out."""
    num = len(rates)
    others = jnp.stack([rates[k, j] for j in range(num) if j != k or num == 1])
    alive = jnp.isfinite(others)
    return jnp.sum(jnp.where(alive, others, 0.0), 0) / jnp.maximum(jnp.sum(alive, 0), 1)


def deliver(resident_bytes: Array, reads: Array, place: Array) -> Array:
    """`resident_bytes` once a task has been placed that hands on the bytes `reads` `[N, B]`."""
    there = jnp.arange(resident_bytes.shape[1])[:, None] == place[None]
    return resident_bytes + jnp.where(there[None], jnp.maximum(reads, 0.0)[:, None], 0.0)


def by_reader(features: TaskFeatures, task: Array) -> Array:
    """What each of all gets from the tasks `[B]`, in bytes `[N, B]`, -1 where it needs nothing."""
    lists = features.predecessors

    def put(d: Array, found: Array) -> Array:
        return jnp.where(lists[:, d] == task[None], features.data[:, d], found)

    none = jnp.full((len(lists), *task.shape), -1, features.data.dtype)
    return jax.lax.fori_loop(0, lists.shape[1], put, none)
