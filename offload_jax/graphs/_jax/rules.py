"""Rules that decide with the machine in view, in JAX: greedy, one place, perturbed greedy."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.graphs._jax.few_shapes import by_loops, in_few_shapes
from offload_jax.graphs._jax.platform import Platform, platform_of
from offload_jax.graphs._jax.ranks import Means, by_decreasing, is_empty, mean_costs, upward_ranks
from offload_jax.graphs._jax.rows import by_task, in_order, over_rows, tasks_by_position
from offload_jax.graphs._jax.simulate import simulate_rows
from offload_jax.graphs._jax.simulator import Candidates, Queues, State, run
from offload_jax.graphs._jax.task_features import task_features
from offload_jax.graphs._jax.ways import batch_last, needs_of
from offload_jax.graphs.costs import GraphCosts, as_costs
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.problem import GraphProblem
from offload_jax.validation import ArrayLike

# Standard deviations of the logarithms of what `perturbed` multiplies.
RANK_NOISE, RATE_NOISE = 0.5, 0.7
# Draws for the data that a task needs; with more to fetch they repeat.
_EDGE_NOISE = 8


Source = GraphProblem | GraphCosts


def rank_order(source: Source) -> Array:
    """int32 `[..., N]` the tasks by decreasing upward rank."""
    costs = as_costs(source)
    if by_loops(costs):
        from offload_jax.graphs._numba import rows

        return rows.rank_order(costs)
    return in_few_shapes(lambda costs: _rank_order(costs, platform=platform_of(costs)), costs)


@functools.partial(jax.jit, static_argnames="platform")
def _rank_order(costs: GraphCosts, *, platform: Platform) -> Array:
    def order(rows: int, costs: GraphCosts) -> Array:
        order = by_decreasing(upward_ranks(mean_costs(costs, platform)))
        return jnp.broadcast_to(order, (rows, order.shape[1]))

    return over_rows(order, costs)


def nearly_cut(costs: GraphCosts) -> Decision:
    """The places that `beliefs` say, by decreasing upward rank."""
    platform = platform_of(costs)

    def places(rows: int, costs: GraphCosts) -> Array:
        return task_features(platform, rows, costs).agreed.place.T

    return filled(costs, over_rows(places, costs))


def greedy(source: Source) -> Decision:
    """By decreasing upward rank, each task to the place where it is done first.

    Done is when its output is home, if it has one. Contention is that of `simulate`; ties go to the
    lowest place.
    """
    costs = as_costs(source)
    if by_loops(costs):
        from offload_jax.graphs._numba import rows

        return rows.greedy(costs)
    return in_few_shapes(lambda costs: _greedy(costs, platform=platform_of(costs)), costs)


@functools.partial(jax.jit, static_argnames="platform")
def _greedy(costs: GraphCosts, *, platform: Platform) -> Decision:
    def decide(rows: int, costs: GraphCosts) -> Decision:
        means = mean_costs(costs, platform)
        order = by_decreasing(upward_ranks(means))
        return Decision(greedy_places(platform, rows, costs, order, means), order)

    return typed(over_rows(decide, costs), costs)


def greedy_places(
    platform: Platform,
    rows: int,
    costs: GraphCosts,
    order: Array,
    means: Means,
    queues: Queues | None = None,
) -> Array:
    """Places `[rows, N]`, task after task in the given order, behind the queues if there are any.

    Only places with a live route from and to the device are looked at, so that a dead link
    leaves everything there.
    """
    usable = jnp.broadcast_to(means.live, (costs.num_tasks, *means.live.shape[1:]))
    live = in_order(jnp.moveaxis(usable, -1, 0), order, rows)

    def earliest(memory: tuple, state: State, candidates: Candidates, live: Array) -> tuple:
        del state
        best, place = jnp.full(rows, jnp.inf), jnp.zeros(rows, jnp.int32)
        for k, back in enumerate(candidates.back):
            earlier = live[k] & (back < best)
            place = jnp.where(earlier, k, place)
            best = jnp.where(earlier, back, best)
        return memory, place, None

    tasks = tasks_by_position(costs, order, rows, means.needs)
    _, state, _, _ = run(platform, tasks, earliest, (), live, queues=queues)
    return by_task(state.place, order)


def typed(decision: Any, costs: GraphCosts) -> Decision:
    """Place and order of a decision or schedule, for every row and in the types of results."""
    shape = (*costs.batch_shape, costs.num_tasks)
    place = jnp.broadcast_to(decision.place, shape).astype(jnp.int8)
    return Decision(place, jnp.broadcast_to(decision.order, shape).astype(jnp.int32))


def filled(source: Source, place: Any) -> Decision:
    """Every task at the place `[..., N]` wanted for it, by decreasing upward rank.

    What the place forbids runs at the first place that allows it; empty tasks are at place 0.
    """
    costs = as_costs(source)
    if by_loops(costs, place):
        from offload_jax.graphs._numba import rows

        return rows.filled(costs, place)
    return in_few_shapes(
        lambda costs, place: _filled(costs, place, platform=platform_of(costs)), costs, place
    )


@functools.partial(jax.jit, static_argnames="platform")
def _filled(costs: GraphCosts, place: Array, *, platform: Platform) -> Decision:
    return Decision(place_filled(costs, place), _rank_order(costs, platform=platform))


def random(costs: GraphCosts, key: Array) -> Decision:
    """Uniform places; the order is that of ranks over random running times."""
    shape = (*costs.batch_shape, costs.num_tasks)
    place_key, order_key = jax.random.split(key)
    platform = platform_of(costs)
    place = jax.random.randint(place_key, shape, 0, costs.num_places, jnp.int8)
    seconds = jax.random.exponential(order_key, shape)

    def order(rows: int, costs: GraphCosts, seconds: Array) -> Array:
        means = mean_costs(costs, platform)
        means = means._replace(
            seconds=seconds, moving=0 * means.moving, returning=0 * means.returning
        )
        return by_decreasing(upward_ranks(means))

    orders = over_rows(order, costs, seconds)
    return Decision(place_filled(costs, place), orders)


def place_filled(costs: GraphCosts, place: Array) -> Array:
    """int8 `[..., N]`: the places of `filled`."""

    def fill(rows: int, costs: GraphCosts, place: Array) -> Array:
        allowed = costs.seconds < jnp.inf
        there = jax.nn.one_hot(place, costs.num_places, dtype=bool)
        place = jnp.where((allowed & there).any(-1), place, jnp.argmax(allowed, -1))
        filled = jnp.where(is_empty(costs, needs_of(costs)), 0, place).astype(jnp.int8)
        return jnp.broadcast_to(filled, (rows, costs.num_tasks))

    return over_rows(fill, costs, place)


def perturbed(source: Source, key: Array, num: int) -> tuple[Decision, Any]:
    """The best of `greedy` and of `num - 1` greedy decisions about noisy copies of the request.

    Copy i multiplies w and c of the rank by log-normal noise of `RANK_NOISE`, and every second one
    the rates of processors and links that greedy decides by by noise of `RATE_NOISE`. All are
    simulated on the request as it is. Copy i depends on `fold_in(key, i)` alone, so the result gets
    no worse with `num`.

    Args:
      source: problem or costs, leading dimensions free.
      key: JAX random key.
      num: copies, at least 1.

    Returns:
      The decision of least makespan, the first among equals, and its makespan `[...]`.
    """
    if num < 1:
        raise ValueError(f"num = {num}: must be at least 1")
    return in_few_shapes(
        lambda costs: _perturbed(costs, key, num, platform=platform_of(costs)), as_costs(source)
    )


@functools.partial(jax.jit, static_argnames="platform")
def _perturbed(
    costs: GraphCosts, key: Array, num: ArrayLike, *, platform: Platform
) -> tuple[Decision, Any]:
    batch = costs.batch_shape

    def decide(rows: int, costs: GraphCosts, row: Array) -> tuple[Decision, Any]:
        means = mean_costs(costs, platform)

        def attempt(i: Array) -> tuple[Decision, Any]:
            keys = jax.vmap(lambda r: jax.random.fold_in(jax.random.fold_in(key, i), r))(row[:, 0])
            noisy, world = _copy(costs, means, keys, i)
            order = by_decreasing(upward_ranks(noisy))
            place = greedy_places(platform, rows, world, order, means)
            makespan = simulate_rows(platform, False, rows, costs, place, order).makespan
            return Decision(place, jnp.broadcast_to(order, place.shape)), makespan

        def better(i: Array, best: tuple[Decision, Array]) -> tuple[Decision, Any]:
            found, makespan = attempt(i)
            wins = makespan < best[1]
            decision = jax.tree.map(lambda a, b: jnp.where(wins[:, None], a, b), found, best[0])
            return decision, jnp.where(wins, makespan, best[1])

        return jax.lax.fori_loop(1, num, better, attempt(jnp.zeros((), jnp.int32)))

    numbers = jnp.arange(math.prod(batch), dtype=jnp.int32).reshape(*batch, 1)
    decision, makespan = over_rows(decide, costs, numbers)
    return typed(decision, costs), makespan


def _copy(costs: GraphCosts, means: Means, keys: Array, number: Array) -> tuple[Means, GraphCosts]:
    """Copy `number` of the rows: what the rank is computed from, and what greedy sees."""
    rank_scale = jnp.where(number > 0, RANK_NOISE, 0.0)
    rate_scale = jnp.where((number > 0) & (number % 2 == 0), RATE_NOISE, 0.0)

    def noise(which: int, shape: tuple[int, ...], scale: Array) -> Array:
        def draw(key: Array) -> Array:
            return jax.random.normal(jax.random.fold_in(key, which), shape, jnp.float32)

        return jnp.exp(scale * jax.vmap(draw)(keys))

    num_tasks, num_places = costs.num_tasks, costs.num_places
    num_links = costs.seconds_per_byte.shape[-1]
    # By which of the tasks that a task needs, so that it does not matter how long lists are.
    which = (jnp.cumsum(means.needs.data >= 0, axis=1) - 1) % _EDGE_NOISE
    drawn = batch_last(noise(1, (num_tasks, _EDGE_NOISE), rank_scale))
    which = jnp.broadcast_to(which, (*which.shape[:2], drawn.shape[-1]))
    noisy = means._replace(
        seconds=means.seconds * noise(0, (num_tasks,), rank_scale),
        moving=means.moving * jnp.take_along_axis(drawn, which, 1),
    )
    world = dataclasses.replace(
        costs,
        seconds=costs.seconds * noise(2, (1, num_places), rate_scale),
        seconds_per_byte=costs.seconds_per_byte * noise(3, (num_links,), rate_scale),
    )
    return noisy, world
