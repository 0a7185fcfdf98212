"""Decisions about task graphs, the schedules they give, and what solvers return."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from offload_jax.summary import summarize
from offload_jax.validation import Array, broadcast_shapes, is_traced, require


class Decision(NamedTuple):
    """Where every task runs, and in which order tasks take processors and links.

    Attributes:
      place: int8 `[..., N]` the place of each task.
      order: int32 `[..., N]` a permutation of the tasks in which each follows what it needs.
    """

    place: Int8[Array, "*batch N"]
    order: Int[Array, "*batch N"]

    def __repr__(self) -> str:
        return summarize(self)


OnSolution = Callable[[float, float, Decision], object]
"""What is called with cost, lower bound and decision when a better one is found."""


class Transfers(NamedTuple):
    """Start and finish of every hop, H hops at most; NaN where none is.

    Attributes:
      input_start, input_finish: `[..., N, H]` from place 0 to the task's place.
      data_start, data_finish: `[..., N, N, H]` from task u's place to task v's at [u, v].
      output_start, output_finish: `[..., N, H]` from the task's place to place 0.
    """

    input_start: Float[Array, "*batch N H"]
    input_finish: Float[Array, "*batch N H"]
    data_start: Float[Array, "*batch N N H"]
    data_finish: Float[Array, "*batch N N H"]
    output_start: Float[Array, "*batch N H"]
    output_finish: Float[Array, "*batch N H"]

    def __repr__(self) -> str:
        return summarize(self)


class Schedule(NamedTuple):
    """What a decision gives.

    Attributes:
      makespan: `[...]` seconds until all tasks are done and all outputs are home.
      start: `[..., N]` seconds at which each task starts.
      finish: `[..., N]` seconds at which it is done.
      place: int8 `[..., N]` where it runs.
      order: int32 `[..., N]` the order in which tasks took processors and links.
      completion: `[..., U]` seconds until the tasks of each user are done and their outputs home; 0
        of one without tasks.
      transfers: every hop of every transfer, if asked for.
    """

    makespan: Float[Array, "*batch"]
    start: Float[Array, "*batch N"]
    finish: Float[Array, "*batch N"]
    place: Int8[Array, "*batch N"]
    order: Int[Array, "*batch N"]
    completion: Float[Array, "*batch U"]
    transfers: Transfers | None = None

    def __repr__(self) -> str:
        return summarize(self)


class GraphSolution(NamedTuple):
    """What a solver found.

    Attributes:
      place: int8 `[..., N]` the place of each task.
      order: int32 `[..., N]` the order of the tasks.
      cost: `[...]` seconds; of "cpsat" the makespan of its own schedule, of every other method that
        of `simulate` for `place` and `order`.
      lower_bound: `[...]` seconds; no schedule is faster.
      optimal: bool `[...]` True only where `cost` is proven to be the least of all schedules.
      schedule: the solver's own, where it is not what `simulate` gives.
    """

    place: Int8[Array, "*batch N"]
    order: Int[Array, "*batch N"]
    cost: Float[Array, "*batch"]
    lower_bound: Float[Array, "*batch"]
    optimal: Bool[Array, "*batch"]
    schedule: Schedule | None = None

    def __repr__(self) -> str:
        return summarize(self)


Decided = Decision | Schedule | GraphSolution
"""What has place and order."""


def decision_of(name: str, value: object) -> Decision:
    """Place and order of a decision, or of a schedule or solution, which have both.

    Raises:
      ValueError: it is nothing of the kind; says so of `name`.
    """
    if not isinstance(value, Decided):
        kind = type(value).__name__
        raise ValueError(f"{name}: must be a Decision, Schedule or GraphSolution, got {kind}")
    return Decision(value.place, value.order)


def as_integers(name: str, value: Any) -> Any:
    """Refuses what holds no integers."""
    if isinstance(value, (list, range)) or type(value) is tuple:
        value = np.asarray(value)
    if not jnp.issubdtype(getattr(value, "dtype", object), jnp.integer):
        kind = f"dtype {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
        raise ValueError(f"{name}: must hold integers, got {kind}")
    return value


def check_decision(lists: Array, num_places: int, place: Any, order: Any) -> tuple[Array, Array]:
    """Refuses a decision that cannot be carried out; while tracing, one of the wrong shape.

    Args:
      lists: int `[..., N, D]`, the predecessors of each task.
      num_places: K.
      place, order: `[..., N]`.

    Returns:
      Place and order as arrays.

    Raises:
      ValueError: names the field, the rule and the first bad index.
    """
    place, order = as_integers("place", place), as_integers("order", order)
    num_tasks = np.shape(lists)[-2]
    for name, value in (("place", place), ("order", order)):
        if np.ndim(value) == 0 or np.shape(value)[-1] != num_tasks:
            raise ValueError(f"{name}: last axis must be N = {num_tasks}, got {np.shape(value)}")
    shapes = {"predecessors": np.shape(lists)[:-2], "place": np.shape(place)[:-1]}
    broadcast_shapes(shapes | {"order": np.shape(order)[:-1]})
    if is_traced(lists, place, order):
        return place, order
    place, order, lists = np.asarray(place), np.asarray(order), np.asarray(lists)
    known = (place >= 0) & (place < num_places)
    require("place", place, known, f"places are 0..{num_places - 1}")
    known = (order >= 0) & (order < num_tasks)
    require("order", order, known, f"tasks are 0..{num_tasks - 1}")
    position = np.full(order.shape, -1)
    np.put_along_axis(position, order, np.arange(num_tasks), -1)
    if (position < 0).any():
        *row, task = (int(i) for i in np.argwhere(position < 0)[0])
        raise ValueError(f"order{row or ''}: task {task} is missing, another one is there twice")
    batch = np.broadcast_shapes(position.shape[:-1], lists.shape[:-2])
    position = np.broadcast_to(position, (*batch, num_tasks))
    lists = np.broadcast_to(lists, (*batch, *lists.shape[-2:]))
    needed = np.take_along_axis(position, np.maximum(lists, 0).reshape(*batch, -1), -1)
    wrong = (lists >= 0) & (needed.reshape(lists.shape) > position[..., None])
    if wrong.any():
        *row, task, slot = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"order{row or ''}: task {task} stands before task {lists[(*row, task, slot)]},"
            " which it needs"
        )
    return place, order
