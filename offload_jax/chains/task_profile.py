"""What each subtask of a chain computes and hands on, before processors and links are known."""

import dataclasses

import numpy as np

from offload_jax.chains.problem import ChainProblem
from offload_jax.network import FLOPS_PER_CYCLE
from offload_jax.validation import FINITE, ArrayLike, as_float64, check_positive, require


@dataclasses.dataclass(frozen=True, eq=False)
class TaskProfile:
    """A task before anything is known of the processors and links it will meet.

    Attributes:
      name: the name of the task.
      stage_names: the A names of its stages.
      flops: `[A]` float64, floating-point operations of each stage.
      data: `[A + 1]` float64, bytes between stages: `data[0]` enters the task, `data[A]` is its
        result.
    """

    name: str
    stage_names: tuple[str, ...]
    flops: np.ndarray
    data: np.ndarray

    def __post_init__(self) -> None:
        num_stages = len(self.stage_names)
        if num_stages == 0:
            raise ValueError("stage_names: a task needs at least one stage")
        for field, length in (("flops", num_stages), ("data", num_stages + 1)):
            values = as_float64(field, getattr(self, field))
            if values.shape != (length,):
                raise ValueError(
                    f"{field}: must have shape ({length},) for {num_stages} stages,"
                    f" got {values.shape}"
                )
            require(field, values, FINITE.holds(values), FINITE.wording)
            object.__setattr__(self, field, values)

    @property
    def num_subtasks(self) -> int:
        """A, the number of stages."""
        return len(self.stage_names)

    def to_problem(
        self,
        *,
        device_speed: ArrayLike,
        edge_speed: ArrayLike,
        device_edge_bandwidth: ArrayLike,
        edge_cloud_bandwidth: ArrayLike,
        flops_per_cycle: float = FLOPS_PER_CYCLE,
    ) -> ChainProblem:
        """The chain problem of running this task on given processors over given links.

        The model counts work in cycles that cost the same number everywhere, so one
        `flops_per_cycle` serves device and edge; a processor that does more in a cycle is given
        a higher speed. The default of 2 is one multiply-add a cycle. Read as a sustained rate,
        it is a quarter of the 8 a cycle that a core with one 128-bit multiply-add unit can reach
        in single precision at best, and it puts the networks of this package at 0.3e9 (MobileNetV2)
        to 15e9 (VGG16) cycles, around the 6e9 of the mean random task of Chen et al. 2020.

        Args:
          device_speed: `[...]` cycles per second of the device.
          edge_speed: `[...]` cycles per second of the edge server.
          device_edge_bandwidth: `[...]` bytes per second between device and edge.
          edge_cloud_bandwidth: `[...]` bytes per second between edge and cloud.
          flops_per_cycle: floating-point operations a processor sustains in a cycle.

        Returns:
          The problem, its batch dimensions those of the arguments; `cycles` is `[A]` and `data`
          `[A + 1]`, and they broadcast.

        Raises:
          ValueError: `flops_per_cycle` is not a finite number greater than 0.
        """
        check_positive("flops_per_cycle", flops_per_cycle)
        return ChainProblem(
            cycles=self.flops / flops_per_cycle,
            data=self.data,
            device_speed=device_speed,
            edge_speed=edge_speed,
            device_edge_bandwidth=device_edge_bandwidth,
            edge_cloud_bandwidth=edge_cloud_bandwidth,
        )
