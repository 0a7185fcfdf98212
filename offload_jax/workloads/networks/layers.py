"""The stages that real networks are cut into, and the chain that applies them in order."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

Activation = Callable[[jax.Array], jax.Array]


class StageChain(nnx.Module):
    """A network as a chain of named stages: a task that can be cut between any two of them.

    Attributes:
      name: the name of the network.
      stage_names: the A names, in order of execution.
      stages: the A modules; each takes the output of the one before it.
    """

    def __init__(self, name: str, stages: Sequence[tuple[str, nnx.Module]]) -> None:
        """Builds the chain.

        Args:
          name: the name of the network.
          stages: (name, module) pairs in order of execution; names must differ.

        Raises:
          ValueError: there is no stage, or two stages share a name.
        """
        names = tuple(stage_name for stage_name, _ in stages)
        if not names:
            raise ValueError(f"{name}: a chain needs at least one stage")
        if len(set(names)) != len(names):
            raise ValueError(f"{name}: stage names must differ, got {names}")
        self.name = name
        self.stage_names = names
        self.stages = nnx.List([module for _, module in stages])

    def __call__(self, images: jax.Array) -> jax.Array:
        """Runs all stages.

        Args:
          images: `[B, H, W, 3]` images.

        Returns:
          `[B, num_classes]` logits.
        """
        return in_turn(self.stages, images)


def in_turn(layers: Any, x: Any) -> Any:
    """What the last of some layers makes of `x`, each taking what the one before it makes."""
    for layer in layers:
        x = layer(x)
    return x


class Convolution(nnx.Module):
    """Convolution, optional batch normalisation with stored statistics, optional activation.

    Padding is symmetric and explicit, `(kernel - 1) // 2` unless given, as in the networks whose
    parameter counts and operations are published; "SAME" would pad strided layers on one side.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kernel: int,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        batch_norm: bool = True,
        activation: Activation | None = nnx.relu,
        rngs: nnx.Rngs,
    ) -> None:
        self.convolution = nnx.Conv(
            in_features,
            out_features,
            (kernel, kernel),
            strides=stride,
            padding=(kernel - 1) // 2 if padding is None else padding,
            feature_group_count=groups,
            use_bias=not batch_norm,
            rngs=rngs,
        )
        self.norm = (
            nnx.BatchNorm(out_features, use_running_average=True, epsilon=1e-5, rngs=rngs)
            if batch_norm
            else None
        )
        self.activation = activation

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, in_features]` to `[B, H', W', out_features]`."""
        x = self.convolution(x)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.activation is None else self.activation(x)


class MaxPool(nnx.Module):
    """Max pooling over square windows."""

    def __init__(self, *, window: int, stride: int, padding: int = 0) -> None:
        self.window = window
        self.stride = stride
        self.padding = padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', C]`."""
        window, strides = (self.window,) * 2, (self.stride,) * 2
        return nnx.max_pool(x, window, strides=strides, padding=self.sides(x))

    def sides(self, x: jax.Array) -> list[tuple[int, int]]:
        """The padding before and behind rows and columns."""
        return [(self.padding, self.padding)] * 2


class GlobalAveragePool(nnx.Module):
    """Mean over all positions of the image."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, C]`."""
        return jnp.mean(x, axis=(1, 2))


class FullyConnected(nnx.Module):
    """Fully connected layer with optional activation; flattens what it is given.

    Dropout, which the published classifiers put before such layers, is the identity at inference
    and has no part here.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: Activation | None = nnx.relu,
        rngs: nnx.Rngs,
    ) -> None:
        self.linear = nnx.Linear(in_features, out_features, rngs=rngs)
        self.activation = activation

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, ...]` of in_features values an image to `[B, out_features]`."""
        x = self.linear(x.reshape(x.shape[0], -1))
        return x if self.activation is None else self.activation(x)


def scaled(features: int, width: float) -> int:
    """The number of features of a layer in a network whose width is scaled.

    Args:
      features: the published number of features.
      width: factor on it; 1 is the published network.

    Returns:
      The nearest whole number, at least 1.
    """
    return max(1, round(features * width))
