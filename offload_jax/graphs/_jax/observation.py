"""What a learned policy sees at every step of the simulator; see `task_features`."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.rows import in_order
from offload_jax.graphs._jax.simulator import Candidates, State, Tasks, seen_by
from offload_jax.graphs._jax.task_features import TaskFeatures, bounded
from offload_jax.graphs._jax.users import row_of, with_row
from offload_jax.graphs.columns import LEAST_OWN, PLACE, STEP


class StepFeatures(NamedTuple):
    """The per-step slice of `TaskFeatures`, reordered from task number to booking position.

    Attributes:
      position: int `[N]`.
      user: int `[N, B]`, None where there is one.
      tail: `[N, K, B]`.
      seconds: `[N, K, B]` running times; 0 where they are `inf`.
      left: `[N, K, B]` running time of this task and all after it; where every user has a place or
        ways there of its own, here and below of the user's.
      to_fetch: `[N, K, B]` seconds of moving the inputs of all after it.
      to_return: `[N, K, B]` seconds of moving the outputs of all after it.
      live: `[N, K, B]`.
      empty: `[N, B]`.
      sent: `[N, B]`.
      extra, agreed_tail, agreed_sent: `[N, K, B]` of `Beliefs`.
      agreed_left: `[N, K, B]` running time of all after it that `Beliefs` have at a place.
    """

    position: Array
    user: Array | None
    tail: Array
    seconds: Array
    left: Array
    to_fetch: Array
    to_return: Array
    live: Array
    empty: Array
    sent: Array
    extra: Array
    agreed_tail: Array
    agreed_sent: Array
    agreed_left: Array


def step_features(
    platform: Platform, features: TaskFeatures, tasks: Tasks, order: Array, rows: int
) -> StepFeatures:
    """What is known of tasks in the order `[rows, N]` in which they are booked."""

    def sorted_by_position(values: Array) -> Array:
        """`[N, *tail, R]` by task to `[N, *tail, rows]` by position."""
        return in_order(jnp.moveaxis(values, -1, 0), order, rows)

    def after(values: Array) -> Array:
        values = sorted_by_position(values)
        values = jnp.where(jnp.isfinite(values), values, 0.0)
        return _from_here_on(platform, values, tasks.user, platform.own_ways) - values

    seconds = jnp.where(jnp.isfinite(tasks.seconds), tasks.seconds, 0.0)
    agreed = sorted_by_position(features.agreed_seconds)
    return StepFeatures(
        jnp.arange(order.shape[1]),
        tasks.user,
        sorted_by_position(features.tail),
        seconds,
        _from_here_on(platform, seconds, tasks.user, platform.own_places),
        after(features.input_seconds),
        after(features.output_seconds),
        sorted_by_position(features.live),
        sorted_by_position(features.empty),
        sorted_by_position(features.sent),
        sorted_by_position(features.agreed.extra),
        sorted_by_position(features.agreed.tail),
        sorted_by_position(features.agreed.sent),
        _from_here_on(platform, agreed, tasks.user, platform.own_places) - agreed,
    )


def _from_here_on(
    platform: Platform, values: Array, user: Array | None, own: tuple[bool, ...]
) -> Array:
    """Sums `[N, K, B]` over positions from each on; at places that are `own`, of the same user."""
    total = jnp.cumsum(values[::-1], axis=0)[::-1]
    if user is None or not any(own):
        return total

    def add(sums: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        value, user = x
        row = row_of(sums, user) + value
        return with_row(sums, user, row), row

    none = jnp.zeros((platform.num_users, *values.shape[1:]), values.dtype)
    _, of_user = jax.lax.scan(add, none, (values, user), reverse=True)
    return jnp.where(np.array(own)[None, :, None], of_user, total)


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
    resident: tuple[Array, ...],
    reads: Array,
    state: State,
    candidates: Candidates,
    now: StepFeatures,
) -> Observation:
    """What is seen of the task that is to be placed.

    Args:
      platform, features: of B rows.
      resident: for each place `[N, B]` bytes that lie there for the task of each position.
      reads: what `by_reader` gives of it.
      state, candidates: of the machine.
      now: the row of `StepFeatures`.
    """
    places = range(platform.num_places)
    state = seen_by(state, now.user)
    # What else the readers of this task need, and how long it takes to get it to a place.
    beside = jnp.stack([jnp.sum(jnp.where(reads >= 0, each, 0.0), axis=0) for each in resident])
    finish, back = jnp.stack(candidates.finish), jnp.stack(candidates.back)
    ready, start = jnp.stack(candidates.ready), jnp.stack(candidates.start)

    def least_of(values: Array) -> Array:
        found = jnp.min(jnp.where(now.live, values, jnp.inf), axis=0, keepdims=True)
        return jnp.where(jnp.isfinite(found), found, 0.0)

    first, through = least_of(finish), finish + now.tail
    least = least_of(through)
    idle = jnp.concatenate([queue[:1] if len(queue) else first for queue in state.busy])
    servers = np.array([math.inf if number is None else number for number in platform.servers])
    work, agreed_work = (
        each / servers.astype(first.dtype)[:, None] for each in (now.left, now.agreed_left)
    )
    free = functools.reduce(jnp.add, state.free, jnp.zeros(()))
    free_after = [functools.reduce(jnp.add, after, jnp.zeros(())) for after in candidates.free]
    into = [[platform.routes[j][k] for j in places if j != k] for k in places]
    out = [[platform.routes[k][j] for j in places if j != k] for k in places]
    unit = features.unit[None]
    tables = features.rates, features.far, features.single_place_seconds
    rates, far, single_place = (row_of(table, now.user) for table in tables)

    def row(values: Sequence[Array]) -> Array:
        return jnp.stack([jnp.broadcast_to(value, finish.shape[1:]) for value in values])

    def largest(values: Array, among: Array) -> Array:
        return jnp.max(jnp.where(among, values, 0.0), axis=0, keepdims=True)

    columns = {
        "ready": ready - first,
        "start": start - first,
        "finish": finish - first,
        "back": back - first,
        "beside_least": through - least,
        "tail": now.tail,
        "seconds": now.seconds,
        "wait": start - ready,
        "idle": idle - first,
        "work_left": work,
        "drained": idle + work - first,
        "link_seconds": row(free_after) - row([free]),
        "inbound": row([_latest(state.free, routes) for routes in into]) - first,
        "outbound": row([_latest(state.free, routes) for routes in out]) - first,
        "sibling_bytes": beside * unit,
        "sibling_fetch": row([_fetching(beside, rates, k) for k in places]),
        "resident": jnp.stack([each[now.position] for each in resident]) * unit,
        "inputs_left": now.to_fetch,
        "outputs_left": now.to_return,
        "single_place": single_place,
        "drained_home": idle + work + now.to_return - least,
        "extra": now.extra,
        "agreed_tail": now.agreed_tail,
        "agreed_sent": now.agreed_sent,
        "agreed_left": agreed_work,
        "agreed_drained": idle + agreed_work - first,
        "agreed_through": finish + now.agreed_tail - least,
        "sent_far": now.sent[None] * far / jnp.maximum(unit, 1e-30),
    }
    scale = lift(features.scale, 3)
    own = jnp.mean(now.seconds, axis=0, keepdims=True) + now.sent[None] + LEAST_OWN * scale[0]
    agreed_through = finish + now.agreed_tail
    gaps = {
        "finish_gap": finish - first,
        "through_gap": through - least,
        "agreed_gap": agreed_through - least_of(agreed_through),
        "extra_gap": now.extra,
        "wait_gap": start - ready,
    }
    step = {
        "first": first,
        "least": least,
        "sent": now.sent[None],
        "spread_through": largest(through, now.live) - least,
        "spread_finish": largest(finish, now.live & jnp.isfinite(finish)) - first,
    }
    columns = {name: column / scale[0] for name, column in columns.items()}
    for name, gap in gaps.items():
        more = jnp.maximum(gap, 0.0)  # Dead places may be earlier.
        columns[name] = jnp.where(jnp.isfinite(gap), more / (more + own), 1.0)
    return Observation(
        bounded(jnp.stack([columns[name] for name in PLACE])),
        bounded(jnp.concatenate([step[name] for name in STEP]) / scale[0]),
        now.live,
    )


def _latest(free: tuple[Array, ...], routes: list) -> Array:
    """When the links of routes are free, the last of each, in the mean."""
    times = [functools.reduce(jnp.maximum, [free[i] for i in route]) for route in routes if route]
    return sum(times) / len(times) if times else jnp.zeros(())


def _fetching(num_bytes: Array, rates: Array, k: int) -> Array:
    """Seconds of moving bytes `[K, B]` from all other places to place k."""
    ways = ((num_bytes[j], rates[j, k]) for j in range(len(rates)) if j != k)
    return sum((jnp.where(n > 0, n * rate, 0.0) for n, rate in ways), jnp.zeros(()))


def nowhere(tasks: Tasks) -> tuple[Array, ...]:
    """The bytes that `observe` looks at before anything is booked.

    An array of two axes for each place: XLA makes no vector code of three and broadcasts.
    """
    num_tasks, num_places, rows = tasks.seconds.shape
    return (jnp.zeros((num_tasks, rows), tasks.seconds.dtype),) * num_places


def deliver(resident: tuple[Array, ...], reads: Array, place: Array) -> tuple[Array, ...]:
    """The same once a task has been placed that hands on the bytes `reads` `[N, B]`."""
    num_bytes = jnp.maximum(reads, 0.0)
    return tuple(
        each + jnp.where((place == k)[None], num_bytes, 0.0) for k, each in enumerate(resident)
    )


def by_reader(tasks: Tasks, position: Array) -> Array:
    """What the task in each position gets from the one in `position`, `[N, B]`; -1 for nothing."""
    source, data = tasks.source, tasks.data
    if source is None:
        return data[:, position]

    def put(d: Array, found: Array) -> Array:
        return jnp.where(source[:, d] == position, data[:, d], found)

    return jax.lax.fori_loop(0, source.shape[1], put, jnp.full_like(data[:, 0], -1))
