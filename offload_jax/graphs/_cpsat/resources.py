"""Processors and links in the integer model: no more at a time than they take."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from offload_jax.extras import needs

with needs("cpsat"):
    from ortools.sat.python import cp_model

Literal = Any
"""A Boolean of the model or its negation, or True."""


class Use(NamedTuple):
    """An interval on a resource.

    Attributes:
      interval: when.
      seconds: how long.
      present: whether it is there.
      head, tail: what is before and after it at least.
      done: when all is done that it belongs to.
    """

    interval: cp_model.IntervalVar
    seconds: int
    present: Literal
    head: int
    tail: int
    done: cp_model.IntVar


def share(
    model: cp_model.CpModel, capacity: int, uses: list[Use], ends: Sequence[cp_model.IntVar]
) -> None:
    """Lets no more uses happen at a time than a resource takes, and bounds when all is done.

    Args:
      model: is added to.
      capacity: how many the resource takes at a time.
      uses: of the resource.
      ends: when everything is done, and then, if there are several, when that of each user is.
    """
    if capacity >= len(uses):
        return
    intervals = [use.interval for use in uses]
    if capacity == 1:
        model.add_no_overlap(intervals)
    else:
        model.add_cumulative(intervals, [1] * len(uses), capacity)
        if capacity == 2:  # with more, copies cost more than they teach
            _add_servers(model, capacity, uses)
    _add_load(model, capacity, ends[0], uses)
    for end in ends[1:]:
        _add_load(model, capacity, end, [use for use in uses if use.done.index == end.index])


def _add_load(
    model: cp_model.CpModel, capacity: int, end: cp_model.IntVar, uses: list[Use]
) -> None:
    if not uses:
        return
    around = min(use.head for use in uses) + min(use.tail for use in uses)
    load = sum(use.seconds * use.present for use in uses)
    # Around what runs here there is nothing if nothing runs here.
    busy = any_of(model, [use.present for use in uses])
    model.add(capacity * end >= capacity * around * busy + load)


def _add_servers(model: cp_model.CpModel, capacity: int, uses: list[Use]) -> None:
    """Says which of the equal servers runs what, so that each has an order to learn about.

    The i-th use takes one of the first i servers, since it does not matter which is which.
    """
    queues: list[list[cp_model.IntervalVar]] = [[] for _ in range(capacity)]
    for i, use in enumerate(uses):
        served = [model.new_bool_var("served") for _ in queues[: i + 1]]
        model.add(sum(served) == use.present)
        for queue, by in zip(queues, served, strict=False):
            start: Any = use.interval.start_expr()
            queue.append(model.new_optional_fixed_size_interval_var(start, use.seconds, by, ""))
    for queue in queues:
        model.add_no_overlap(queue)


def any_of(model: cp_model.CpModel, literals: list[Literal]) -> Literal:
    """Whether any of them holds."""
    if len(literals) == 1 or any(literal is True for literal in literals):
        return literals[0] if len(literals) == 1 else True
    result = model.new_bool_var("any")
    model.add_bool_or([*literals, ~result])
    for literal in literals:
        model.add_implication(literal, result)
    return result
