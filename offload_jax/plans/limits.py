"""What a plan has to keep to: places that layers may have, memory of places, a deadline."""

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence

import numpy as np

from offload_jax.graphs.costs import GraphCosts
from offload_jax.network import Network
from offload_jax.plans.plan import UNITS, Total
from offload_jax.plans.task import Task
from offload_jax.side_constraints import RELATIVE_TOLERANCE, SideConstraints, allowed_places
from offload_jax.validation import check_class, check_known, check_positive


def keep_to_allowed(
    task: Task, network: Network, costs: GraphCosts, allowed: Mapping[str, Sequence[str]]
) -> GraphCosts:
    """Forbids all places but those allowed, see `allowed_places`.

    Raises:
      ValueError: an unknown layer or place, or none is left to a layer.
    """
    names = task.graph.names
    free = allowed_places(names, network.place_names, allowed)
    seconds = np.where(free, np.asarray(costs.seconds), math.inf)
    for name, row in zip(names, seconds, strict=True):
        if not (row < math.inf).any():
            raise ValueError(f"allowed: leaves no place to {name!r}")
    return dataclasses.replace(costs, seconds=seconds)


def memory_limits(
    task: Task, network: Network, max_memory: Mapping[str, float] | None
) -> np.ndarray:
    """`[K]` bytes for weights at each place, `inf` without a limit.

    Args:
      task: what has to fit.
      network: its places may have limits.
      max_memory: further ones by place.

    Raises:
      ValueError: an unknown place, a limit that is no number of at least 0, limits for a task whose
        weights are not known, or too little memory for all of them.
    """
    check_class("max_memory", max_memory, Mapping, type(None))
    for name, most in (max_memory or {}).items():
        check_known("max_memory", name, network.place_names, "place ")
        if not (isinstance(most, numbers.Real) and most >= 0):
            raise ValueError(f"max_memory[{name!r}] = {most!r:.60}: must be a number, at least 0")
    limits = np.array(
        [
            min(or_infinite(place.memory), (max_memory or {}).get(place.name, math.inf))
            for place in network.places
        ]
    )
    if max_memory and task.memory is None:
        raise ValueError(f"max_memory: nothing is known of the weights of {task.name}")
    if task.memory is not None and (
        task.memory.sum() > limits.sum() or task.memory.max() > limits.max()
    ):
        raise ValueError(
            f"memory: the weights of {task.name}, {task.memory.sum():.4g} bytes, fit nowhere:"
            f" places have {', '.join(f'{most:.4g}' for most in limits)}"
        )
    return limits


def or_infinite(value: float | None) -> float:
    """What None leaves free."""
    return math.inf if value is None else value


def fits(task: Task, place: np.ndarray, limits: np.ndarray) -> bool:
    """Whether the weights of what runs at each place keep within its limit `[K]`."""
    if task.memory is None:
        return True
    used = np.bincount(place, task.memory, len(limits))
    return bool((used <= limits).all())


def side_constraints(task: Task, limits: np.ndarray) -> SideConstraints | None:
    """The limits that there are, as solvers take them."""
    limited = {place: most for place, most in enumerate(limits.tolist()) if most < math.inf}
    if task.memory is None or not limited:
        return None
    return SideConstraints(memory=task.memory, max_memory=limited)


def check_positive_or_none(name: str, value: float | None) -> None:
    """Refuses what is neither None nor a finite number above 0."""
    if value is not None:
        check_positive(name, value)


def check_total(total: Total, **limits: float | None) -> None:
    """Refuses a decision that takes too much.

    Args:
      total: of the decision.
      limits: the most of a quantity, by its name.

    Raises:
      ValueError: it does.
    """
    for name, most in limits.items():
        spent = getattr(total, name)
        if most is not None and not spent <= most * (1 + RELATIVE_TOLERANCE):
            unit = UNITS[name]
            raise ValueError(
                f"max_{name} = {most:.4g} {unit}: the best plan found takes {spent:.4g} {unit}"
            )
