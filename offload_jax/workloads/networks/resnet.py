"""ResNet-18 and ResNet-50 (He et al. 2016) as chains of residual blocks.

A block is one stage because a cut inside it would have to carry the shortcut as well. The stride
of a bottleneck block is in its 3x3 convolution, the "v1.5" form whose 4.09 GMAC are published.
"""

from collections.abc import Sequence

import jax
from flax import nnx

from offload_jax.workloads.networks.layers import (
    Convolution,
    FullyConnected,
    GlobalAveragePool,
    MaxPool,
    StageChain,
    in_turn,
    scaled,
)

_STAGE_FEATURES = (64, 128, 256, 512)
_BOTTLENECK_EXPANSION = 4


class ResidualBlock(nnx.Module):
    """relu(layers(x) + shortcut(x)), the shortcut a 1x1 convolution where shapes differ."""

    def __init__(
        self,
        layers: Sequence[Convolution],
        *,
        in_features: int,
        out_features: int,
        stride: int,
        rngs: nnx.Rngs,
    ) -> None:
        self.layers = nnx.List(layers)
        self.shortcut = (
            Convolution(
                in_features, out_features, kernel=1, stride=stride, activation=None, rngs=rngs
            )
            if stride != 1 or in_features != out_features
            else None
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, in_features]` to `[B, H / stride, W / stride, out_features]`."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return nnx.relu(in_turn(self.layers, x) + shortcut)


def basic_block(
    in_features: int, features: int, *, stride: int = 1, rngs: nnx.Rngs
) -> ResidualBlock:
    """Two 3x3 convolutions, the block of ResNet-18.

    Args:
      in_features: features of the input.
      features: features of both convolutions and of the output.
      stride: stride of the first convolution.
      rngs: keys of the initial parameters.

    Returns:
      The block, `[B, H, W, in_features]` to `[B, H / stride, W / stride, features]`.
    """
    layers = [
        Convolution(in_features, features, kernel=3, stride=stride, rngs=rngs),
        Convolution(features, features, kernel=3, activation=None, rngs=rngs),
    ]
    return ResidualBlock(
        layers, in_features=in_features, out_features=features, stride=stride, rngs=rngs
    )


def bottleneck_block(
    in_features: int, features: int, *, stride: int = 1, rngs: nnx.Rngs
) -> ResidualBlock:
    """1x1, 3x3 and 1x1 convolutions, the block of ResNet-50.

    Args:
      in_features: features of the input.
      features: features of the first two convolutions; the output has four times as many.
      stride: stride of the 3x3 convolution.
      rngs: keys of the initial parameters.

    Returns:
      The block, `[B, H, W, in_features]` to `[B, H / stride, W / stride, 4 * features]`.
    """
    out_features = _BOTTLENECK_EXPANSION * features
    layers = [
        Convolution(in_features, features, kernel=1, rngs=rngs),
        Convolution(features, features, kernel=3, stride=stride, rngs=rngs),
        Convolution(features, out_features, kernel=1, activation=None, rngs=rngs),
    ]
    return ResidualBlock(
        layers, in_features=in_features, out_features=out_features, stride=stride, rngs=rngs
    )


def resnet18(*, num_classes: int = 1000, width: float = 1.0, rngs: nnx.Rngs) -> StageChain:
    """Builds ResNet-18; works on images of any size.

    Args:
      num_classes: number of logits.
      width: factor on all layer widths.
      rngs: keys of the initial parameters.

    Returns:
      A chain of 12 stages: stem, pooling, 8 blocks, average pooling, classifier. At the defaults
      it has 11 689 512 parameters.
    """
    return _resnet("resnet18", (2, 2, 2, 2), num_classes, width=width, bottleneck=False, rngs=rngs)


def resnet50(*, num_classes: int = 1000, width: float = 1.0, rngs: nnx.Rngs) -> StageChain:
    """Builds ResNet-50; works on images of any size.

    Args:
      num_classes: number of logits.
      width: factor on all layer widths.
      rngs: keys of the initial parameters.

    Returns:
      A chain of 20 stages: stem, pooling, 16 blocks, average pooling, classifier. At the defaults
      it has 25 557 032 parameters.
    """
    return _resnet("resnet50", (3, 4, 6, 3), num_classes, width=width, bottleneck=True, rngs=rngs)


def _resnet(
    name: str,
    depths: tuple[int, ...],
    num_classes: int,
    *,
    width: float,
    bottleneck: bool,
    rngs: nnx.Rngs,
) -> StageChain:
    block = bottleneck_block if bottleneck else basic_block
    expansion = _BOTTLENECK_EXPANSION if bottleneck else 1
    in_features = scaled(_STAGE_FEATURES[0], width)
    stages: list[tuple[str, nnx.Module]] = [
        ("stem", Convolution(3, in_features, kernel=7, stride=2, rngs=rngs)),
        ("pool", MaxPool(window=3, stride=2, padding=1)),
    ]
    for group, (stage_features, depth) in enumerate(
        zip(_STAGE_FEATURES, depths, strict=True), start=1
    ):
        features = scaled(stage_features, width)
        for index in range(depth):
            stride = 2 if group > 1 and index == 0 else 1
            stage = block(in_features, features, stride=stride, rngs=rngs)
            stages.append((f"block{group}_{index + 1}", stage))
            in_features = expansion * features
    stages += [
        ("average", GlobalAveragePool()),
        ("classifier", FullyConnected(in_features, num_classes, activation=None, rngs=rngs)),
    ]
    return StageChain(name, stages)
