"""What a plan has to keep to: places that layers may have, memory of places, a deadline."""

import dataclasses
import fnmatch
import math
import numbers
from collections.abc import Mapping, Sequence

import numpy as np

from offload_jax.graphs.costs import GraphCosts
from offload_jax.network import Network
from offload_jax.plans.task import Task
from offload_jax.side_constraints import SideConstraints
from offload_jax.validation import as_names, check_class, check_known, check_positive


def keep_to_allowed(
    task: Task, network: Network, costs: GraphCosts, allowed: Mapping[str, Sequence[str]]
) -> GraphCosts:
    """Forbids all places but those allowed.

    Args:
      task: whose layers are named.
      network: whose places are named.
      costs: of the two.
      allowed: names of places by the name of a layer, or by a pattern with * and ? for several.

    Raises:
      ValueError: an unknown layer or place, or none is left to a layer.
    """
    check_class("allowed", allowed, Mapping)
    seconds = np.array(costs.seconds)
    for pattern, names in allowed.items():
        places = as_names(f"allowed[{pattern!r}]", names)
        for name in places:
            check_known(f"allowed[{pattern!r}]", name, network.place_names, "place ")
        layers = [v for v, name in enumerate(task.graph.names) if _matches(name, pattern)]
        if not layers:
            raise ValueError(f"allowed: no layer of {task.name} has the name {pattern!r}")
        other = [k for k, name in enumerate(network.place_names) if name not in places]
        seconds[np.ix_(layers, other)] = math.inf
        for layer in layers:
            if not (seconds[layer] < math.inf).any():
                raise ValueError(f"allowed: leaves no place to layer {task.graph.names[layer]!r}")
    return dataclasses.replace(costs, seconds=seconds)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


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
            min(_or_infinite(place.memory), (max_memory or {}).get(place.name, math.inf))
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


def _or_infinite(value: float | None) -> float:
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


def check_latency(latency: float, max_latency: float | None) -> None:
    """Refuses a decision that takes too long.

    Raises:
      ValueError: it does.
    """
    if max_latency is not None and latency > max_latency:
        raise ValueError(
            f"max_latency = {max_latency:.4g} s: the fastest plan found takes {latency:.4g} s"
        )
