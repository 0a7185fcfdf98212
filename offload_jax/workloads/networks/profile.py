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

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from offload_jax.chains.task_profile import TaskProfile
from offload_jax.workloads.networks.layers import StageChain


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
