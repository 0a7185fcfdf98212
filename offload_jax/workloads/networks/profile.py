"""Profiles of real networks: what each stage computes and what it hands on.

Operations are counted by XLA's cost analysis of the lowered, not yet compiled program, on abstract
arguments: nothing is compiled, run or allocated. XLA counts

- 2 operations for every multiply-add of a convolution that touches real data. Products with the
  zero padding are left out, so the count is below 2 * (published multiply-adds), which include
  them: by 3 % for VGG16 at 224 pixels.
- 1 operation for each elementwise one (bias, normalisation, activation, residual sum) and for each
  comparison of a max pooling. Normalisation is counted as its own layer, not folded into the
  convolution before it.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from offload_jax.chains.problem import ChainProblem
from offload_jax.validation import FINITE, ArrayLike, as_float64, check_positive, require
from offload_jax.workloads.networks.layers import StageChain

FLOPS_PER_CYCLE = 2.0


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


def profile_network(
    build: Callable[..., StageChain],
    *,
    image_shape: tuple[int, int, int] = (224, 224, 3),
    input_bytes: float | None = None,
) -> TaskProfile:
    """Profiles one image through a network, stage by stage.

    The network computes in float32 and what passes between stages is sent as it is, uncompressed.
    What enters the task is what the camera delivers, so `data[0]` is by default the uint8 image,
    one byte a pixel and channel (150 528 bytes at 224 pixels), which the first stage converts.

    Args:
      build: makes the network from the keyword argument `rngs`, such as `vgg16` or
        `functools.partial(vgg16, num_classes=10)`. It is only traced: no parameter is allocated.
      image_shape: height, width and channels of the image.
      input_bytes: `data[0]`; None is the uint8 image. Give 4 * H * W * 3 for a float32 tensor, or
        the size of a compressed image.

    Returns:
      The profile, with the result the logits in float32.

    Raises:
      ValueError: `input_bytes` is negative or not finite.
      RuntimeError: this version or backend of JAX has no cost analysis.
    """
    chain = abstract_network(build)
    activations: Any = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    flops, data = [], [math.prod(image_shape) if input_bytes is None else input_bytes]
    for stage in chain.stages:
        stage_flops, activations = _count(stage, activations)
        flops.append(stage_flops)
        data.append(activations.size * activations.dtype.itemsize)
    return TaskProfile(
        name=chain.name,
        stage_names=chain.stage_names,
        flops=np.asarray(flops, np.float64),
        data=np.asarray(data, np.float64),
    )


def abstract_network(build: Callable[..., StageChain]) -> StageChain:
    """Builds a network whose parameters have shapes but no values.

    Args:
      build: makes the network from the keyword argument `rngs`.

    Returns:
      The network with `jax.ShapeDtypeStruct` parameters.
    """
    return nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0)))


def _count(stage: nnx.Module, inputs: Any) -> tuple[float, Any]:
    graph, state = nnx.split(stage)
    lowered = jax.jit(lambda state, x: nnx.merge(graph, state)(x)).lower(state, inputs)
    outputs = jax.tree.map(lambda out: jax.ShapeDtypeStruct(out.shape, out.dtype), lowered.out_info)
    return xla_flops(lowered), outputs


def xla_flops(lowered: Any) -> float:
    """The operations of a program, counted as the head of this file says.

    Args:
      lowered: what `jax.jit(function).lower(...)` gives.

    Returns:
      Floating-point operations of one run.

    Raises:
      RuntimeError: this version or backend of JAX has no cost analysis.
    """
    analysis = lowered.cost_analysis()
    # Some versions of JAX return one dictionary a computation, and XLA leaves out what is zero.
    if isinstance(analysis, (list, tuple)) and len(analysis) == 1:
        analysis = analysis[0]
    if not isinstance(analysis, Mapping):
        raise RuntimeError(f"XLA gave no cost analysis of the lowered program, but {analysis!r}")
    flops = float(analysis.get("flops", 0.0))
    if not 0 <= flops < math.inf:
        raise RuntimeError(f"XLA could not count the operations of the program: flops = {flops}")
    return flops
