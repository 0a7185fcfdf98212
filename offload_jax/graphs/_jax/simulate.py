"""`simulate`: the schedule that a decision gives."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.graphs._jax.few_shapes import by_loops, in_few_shapes
from offload_jax.graphs._jax.platform import Platform, platform_of
from offload_jax.graphs._jax.rows import by_task, in_order, over_rows, tasks_by_position
from offload_jax.graphs._jax.simulator import Candidates, Log, State, chosen, run
from offload_jax.graphs._jax.users import row_of, with_row
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Schedule, Transfers, check_decision
from offload_jax.graphs.problem import GraphProblem
from offload_jax.validation import ArrayLike


def simulate(
    source: GraphProblem | GraphCosts,
    place: ArrayLike,
    order: ArrayLike,
    *,
    transfers: bool = False,
) -> Schedule:
    """The schedule that comes of a decision: what a dispatcher with FIFO queues does.

    Tasks are taken in `order`. For each, first its input, then the data of the tasks that it needs
    (by their order) moves hop by hop, each hop starting when the data is there and the link free;
    then the task starts when all has arrived and a server is free; then its output moves home.
    Processors and links are handed out in that order, without going back into gaps. Nothing waits
    for 0 bytes, and a task of 0 seconds needs no server.

    Works inside `jit` and `vmap`. Thousands of decisions about one request, or one about each of
    thousands of requests, are one call.

    Args:
      source: problem or costs, leading dimensions free.
      place: int `[..., N]` the place of each task.
      order: int `[..., N]` a permutation in which every task follows what it needs.
      transfers: whether to give start and finish of every hop too.

    Returns:
      The schedule, with the broadcast batch shape of all three; `inf` where something never
      happens, since its bytes would have to pass a dead link or no place may run a task.

    Raises:
      ValueError: invalid problem or costs, or a decision that cannot be carried out; names field
        and index. While tracing only shapes are known.
    """
    check_source(source)
    costs = as_costs(source)
    place, order = check_decision(costs.predecessors, costs.num_places, place, order)
    return simulate_costs(costs, place, order, transfers=transfers)


def simulate_costs(
    costs: GraphCosts, place: Any, order: Any, *, transfers: bool = False
) -> Schedule:
    """`simulate` of costs and a decision that were checked."""

    def call(costs: GraphCosts, place: Any, order: Any) -> Schedule:
        return _simulate(costs, place, order, platform=platform_of(costs), transfers=transfers)

    # Transfers have more axes than what is filled up.
    if transfers:
        return call(costs, jnp.asarray(place), jnp.asarray(order))
    if by_loops(costs, place, order):
        from offload_jax.graphs._numba import rows

        return rows.simulate(costs, place, order)
    return in_few_shapes(call, costs, place, order)


@functools.partial(jax.jit, static_argnames=("platform", "transfers"))
def _simulate(
    costs: GraphCosts, place: Array, order: Array, *, platform: Platform, transfers: bool
) -> Schedule:
    function = functools.partial(simulate_rows, platform, transfers)
    schedule = over_rows(
        function, costs, jnp.asarray(place, jnp.int32), jnp.asarray(order, jnp.int32)
    )
    return schedule._replace(place=schedule.place.astype(jnp.int8))


def simulate_rows(
    platform: Platform, transfers: bool, rows: int, costs: GraphCosts, place: Array, order: Array
) -> Schedule:
    """The schedules of rows: costs and decision with one leading axis, of `rows` or of 1."""

    def obey(last: Array, state: State, candidates: Candidates, x: tuple) -> tuple:
        del state
        place, user = x
        back, start = chosen(place, candidates.back), chosen(place, candidates.start)
        finish = chosen(place, candidates.finish)
        served = jnp.maximum(row_of(last, user), jnp.maximum(back, finish))
        return with_row(last, user, served), place, start

    tasks = tasks_by_position(costs, order, rows)
    none = jnp.zeros((platform.num_users, rows), tasks.seconds.dtype)
    told = in_order(place, order, rows)
    completion, state, start, log = run(
        platform, tasks, obey, none, (told, tasks.user), told=told, with_log=transfers
    )
    return Schedule(
        jnp.max(completion, axis=0),
        by_task(start, order),
        by_task(state.finish, order),
        jnp.broadcast_to(place, (rows, costs.num_tasks)),
        jnp.broadcast_to(order, (rows, costs.num_tasks)),
        completion.T,
        None if log is None else _transfers(log, tasks.source, order),
    )


def _transfers(log: Log, source: Array | None, order: Array) -> Transfers:
    def pairs(values: Array) -> Array:
        """`[N, D, H, rows]`, reader first, to `[rows, N, N, H]`, writer first."""
        if source is not None:
            num_tasks, _, num_hops, rows = values.shape
            every = jnp.full((num_tasks, num_tasks, num_hops, rows), jnp.nan, values.dtype)
            reader, hop = jnp.arange(num_tasks)[:, None, None, None], jnp.arange(num_hops)[:, None]
            at = reader, source[:, :, None], hop, jnp.arange(rows)
            values = every.at[at].set(values, mode="drop")
        outer = by_task(values, order)
        return by_task(jnp.moveaxis(outer, 0, -1).swapaxes(0, 1), order)

    return Transfers(
        by_task(log.input.start, order),
        by_task(log.input.finish, order),
        pairs(log.data.start),
        pairs(log.data.finish),
        by_task(log.output.start, order),
        by_task(log.output.finish, order),
    )
