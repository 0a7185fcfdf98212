"""Requests that arrive over time in JAX: one scan over requests, streams beside each other.

Queues are kept as seconds from the last arrival on, so that long streams lose no precision.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.batching import lift
from offload_jax.graphs._jax.platform import Platform, platform_of
from offload_jax.graphs._jax.ranks import by_decreasing, mean_costs, upward_ranks
from offload_jax.graphs._jax.rows import in_order, tasks_by_position
from offload_jax.graphs._jax.rules import greedy_places
from offload_jax.graphs._jax.simulator import Candidates, Queues, State, empty_queues, run
from offload_jax.graphs._jax.users import row_of, with_row
from offload_jax.graphs.costs import AXES, GraphCosts
from offload_jax.validation import is_traced


class Served(NamedTuple):
    """A row for each request; see `_numba.stream.Served`."""

    place: Array
    order: Array
    sojourn: Array
    place_seconds: Array
    link_seconds: Array


def later(queues: Queues, seconds: Array) -> Queues:
    """What is left of queues after some seconds `[B]`."""
    return jax.tree.map(lambda left: jnp.maximum(left - lift(seconds, left.ndim), 0), queues)


def found_by(queues: Queues, user: Array) -> Queues:
    """Those of the users `[B]`, as a machine of one user has them."""
    return jax.tree.map(lambda left: row_of(left, user)[None], queues)


def left_by(queues: Queues, user: Array, keep: Array, after: Queues) -> Queues:
    """All queues once those of the users have become `after`, in rows that `keep` it."""

    def replaced(old: Array, new: Array) -> Array:
        return jnp.where(lift(keep, old.ndim), with_row(old, user, new[0]), old)

    return jax.tree.map(replaced, queues, after)


def serve(
    costs: GraphCosts,
    owned: GraphCosts,
    batch: tuple[int, ...],
    arrivals: Any,
    user: Any,
    *,
    policy: Any = None,
    decision: tuple[Any, Any] | None = None,
) -> Served:
    """Serves streams; see `_numba.stream.serve`."""
    # In the precision of the arrivals: between late ones there is little.
    library = jnp if is_traced(arrivals) else np
    gaps = library.diff(arrivals, axis=-1, prepend=arrivals[:, :1])
    params = None if policy is None else policy.params
    static = {"platform": platform_of(costs), "owners": platform_of(owned), "batch": batch}
    return _serve(costs, gaps, user, params, decision, **static)


@functools.partial(jax.jit, static_argnames=("platform", "owners", "batch"))
def _serve(
    costs: GraphCosts,
    gaps: Array,
    user: Array,
    params: Any,
    decision: tuple[Array, Array] | None,
    *,
    platform: Platform,
    owners: Platform,
    batch: tuple[int, ...],
) -> Served:
    rows, num = gaps.shape

    def by_request(value: Any, tail: int) -> Array:
        """`[..., R, *tail]` as `[R, B, *tail]`."""
        own = value.shape[value.ndim - tail :]
        wide = jnp.broadcast_to(value, (*batch, *own)).reshape(rows, num, *own)
        return wide.swapaxes(0, 1)

    fields: dict[str, Any] = {
        name: by_request(getattr(costs, name), len(axes)) for name, axes in AXES.items()
    }
    told = None if decision is None else [by_request(part, 1) for part in decision]
    dtype = jnp.result_type(costs.seconds, jnp.float32)

    def decide(costs: GraphCosts, found: Queues) -> tuple[Array, Array]:
        if params is not None:
            return _most_probable(platform, rows, costs, params, found)
        means = mean_costs(costs, platform)
        order = by_decreasing(upward_ranks(means))
        return greedy_places(platform, rows, costs, order, means, found), order

    def step(queues: Queues, x: tuple) -> tuple[Queues, Served]:
        costs, gap, user, told = x
        queues = later(queues, gap)
        found = found_by(queues, user)
        place, order = decide(costs, found) if told is None else told
        sojourn, after = _book(platform, rows, costs, place, order, found)
        possible = sojourn < jnp.inf
        used = [jnp.where(possible[:, None], part, 0) for part in _usage(platform, costs, place)]
        return left_by(queues, user, possible, after), Served(place, order, sojourn, *used)

    start = empty_queues(owners, rows, dtype)
    xs = dataclasses.replace(costs, **fields), gaps.T.astype(dtype), user.T, told
    _, served = jax.lax.scan(step, start, xs)
    return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1).reshape(-1, *leaf.shape[2:]), served)


def _most_probable(
    platform: Platform, rows: int, costs: GraphCosts, params: Any, found: Queues
) -> tuple[Array, Array]:
    """Places and order `[rows, N]` by a network, which only those need who have one."""
    from offload_jax.graphs._jax.network import embed_tasks, priorities
    from offload_jax.graphs._jax.policy import sample_schedule
    from offload_jax.graphs._jax.task_features import task_features

    features = task_features(platform, rows, costs)
    embedding = embed_tasks(params, features)
    urgency = priorities(params, embedding)
    sampled = sample_schedule(
        platform, rows, costs, params, features, embedding, urgency, queues=found
    )
    return sampled.place, sampled.order


def _book(
    platform: Platform, rows: int, costs: GraphCosts, place: Array, order: Array, found: Queues
) -> tuple[Array, Queues]:
    """Seconds `[rows]` until decisions are carried out, and the queues after them."""

    def obey(last: Array, state: State, candidates: Candidates, place: Array) -> tuple:
        del state
        (back,), (finish,) = candidates.back, candidates.finish
        return jnp.maximum(last, jnp.maximum(back, finish)), place, None

    tasks = tasks_by_position(costs, order, rows)
    told = in_order(place.astype(jnp.int32), order, rows)
    zero = jnp.zeros(rows, tasks.seconds.dtype)
    makespan, state, _, _ = run(platform, tasks, obey, zero, told, queues=found, told=told)
    return makespan, Queues(state.free, state.busy)


def _usage(platform: Platform, costs: GraphCosts, place: Array) -> tuple[Array, Array]:
    """Seconds that rows of requests take each place `[B, K]` and each link `[B, L]`."""
    there = jax.nn.one_hot(place, platform.num_places, dtype=bool)
    seconds = jnp.where(there, costs.seconds, 0).sum(-2)
    needed = jnp.maximum(costs.predecessors, 0)
    shape = needed.shape
    origin = jnp.take_along_axis(jnp.broadcast_to(place[..., None], shape), needed, axis=-2)
    there_is = costs.predecessors >= 0
    moved = []
    for link, _ in enumerate(platform.serial):
        on = jnp.asarray([[link in (route or ()) for route in row] for row in platform.routes])
        size = jnp.where(on[0, place], costs.input, 0) + jnp.where(on[place, 0], costs.output, 0)
        crosses = on[origin, place[..., None]] & there_is
        if platform.send_once:
            # The first reader beyond the link of each result pays for all.
            flat = jnp.where(crosses, needed, -1).reshape(len(place), -1)
            same = flat[:, :, None] == flat[:, None, :]
            earlier = np.tril(np.ones(same.shape[-2:], bool), -1)[None]
            first = ~(same & earlier).any(-1).reshape(shape)
            crosses = crosses & first
        size = size.sum(-1) + jnp.where(crosses, costs.data, 0).sum((-2, -1))
        rate = costs.seconds_per_byte[..., link]
        moved.append(jnp.where(size > 0, size * rate, 0))
    links = jnp.stack(moved, -1) if moved else jnp.zeros((len(place), 0), seconds.dtype)
    return seconds, links
