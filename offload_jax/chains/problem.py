"""The chain offloading problem: a task cut into subtasks, two processors and two links."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from offload_jax.batching import Batched
from offload_jax.network import Place
from offload_jax.validation import (
    BANDWIDTH,
    FINITE,
    POSITIVE,
    Array,
    ArrayLike,
    as_float_array,
    broadcast_shapes,
    check_class,
    check_kind,
    check_values,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class ChainProblem(Batched):
    """One offloading request S, or a batch of them (Chen et al. 2020, section 3.2).

    Lists, Python numbers and anything else NumPy can convert are accepted. Leading batch
    dimensions are free and broadcast against each other by NumPy's rules, so one task can be
    paired with a thousand bandwidths without copying it.

    Attributes:
      cycles: `[..., A]` CPU cycles of each subtask (epsilon_t).
      data: `[..., A + 1]` bytes between subtasks (d_t): `data[0]` enters the task, `data[A]` is
        its result.
      device_speed: `[...]` cycles per second of the device (p1).
      edge_speed: `[...]` cycles per second of the edge server (p2).
      device_edge_bandwidth: `[...]` bytes per second between device and edge (b1); 0 is a link
        that is down.
      edge_cloud_bandwidth: `[...]` bytes per second between edge and cloud (b2); 0 is a link that
        is down.
    """

    cycles: Array
    data: Array
    device_speed: Array
    edge_speed: Array
    device_edge_bandwidth: Array
    edge_cloud_bandwidth: Array

    own_axes: ClassVar[dict[str, int]] = {
        "cycles": 1,
        "data": 1,
        "device_speed": 0,
        "edge_speed": 0,
        "device_edge_bandwidth": 0,
        "edge_cloud_bandwidth": 0,
    }
    taken_by: ClassVar[str] = "oj.solve, oj.latency and oj.energy"

    def __init__(
        self,
        cycles: ArrayLike,
        data: ArrayLike,
        device_speed: ArrayLike,
        edge_speed: ArrayLike,
        device_edge_bandwidth: ArrayLike,
        edge_cloud_bandwidth: ArrayLike,
    ) -> None:
        fields = cycles, data, device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
        for name, value in zip(self.own_axes, fields, strict=True):
            object.__setattr__(self, name, as_float_array(name, value))

    @property
    def num_subtasks(self) -> int:
        """A, the number of subtasks."""
        return self.cycles.shape[-1]

    @property
    def num_places(self) -> int:
        """K, the number of places: device, edge and cloud."""
        return len(Place)

    def subtask(self, t: int) -> "ChainProblem":
        """The chain cut down to subtask t and the data before and after it."""
        return dataclasses.replace(
            self, cycles=self.cycles[..., t : t + 1], data=self.data[..., t : t + 2]
        )

    def part(self, first: Any, length: int) -> "ChainProblem":
        """The chain cut down to so many subtasks from `first` on, which may be traced."""
        cut = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=first, axis=-1)
        cycles = cut(jnp.asarray(self.cycles), slice_size=length)
        data = cut(jnp.asarray(self.data), slice_size=length + 1)
        return dataclasses.replace(self, cycles=cycles, data=data)


RULES = {
    "cycles": FINITE,
    "data": FINITE,
    "device_speed": POSITIVE,
    "edge_speed": POSITIVE,
    "device_edge_bandwidth": BANDWIDTH,
    "edge_cloud_bandwidth": BANDWIDTH,
}


def validate(problem: ChainProblem) -> None:
    """Checks the shapes and values of a problem, or of every problem of a batch.

    Args:
      problem: the problem, with concrete arrays. Under `jit` or `vmap` values are unknown and
        cannot be checked: validate before.

    Raises:
      ValueError: names the field, the rule, the first bad index and its value.
    """
    validate_shapes(problem)
    check_values(vars(problem), RULES)


def validate_shapes(problem: ChainProblem) -> None:
    """The part of `validate` that needs no values and so also works while tracing."""
    check_class("problem", problem, ChainProblem)
    for name, value in vars(problem).items():
        check_kind(name, value)
    for name, needed in (("cycles", "A"), ("data", "A + 1")):
        if getattr(problem, name).ndim == 0:
            raise ValueError(f"{name}: needs a last axis of {needed} subtask values, got a scalar")
    num_subtasks = problem.num_subtasks
    if num_subtasks == 0:
        raise ValueError("cycles: a chain needs at least one subtask, got A = 0")
    if problem.data.shape[-1] != num_subtasks + 1:
        raise ValueError(
            f"data: last axis must be A + 1 = {num_subtasks + 1} for A = {num_subtasks} subtasks,"
            f" got {problem.data.shape[-1]}"
        )
    broadcast_shapes(problem.batch_shapes)
