"""MobileNetV2 (Sandler et al. 2018) as a chain of inverted residual blocks."""

import functools

import jax
from flax import nnx

from offload_jax.workloads.networks.layers import (
    Convolution,
    FullyConnected,
    GlobalAveragePool,
    StageChain,
    in_turn,
    scaled,
)

# Table 2 of the paper: expansion factor, features, number of blocks, stride of the first block.
_GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_FEATURES = 32
_LAST_FEATURES = 1280

_convolution = functools.partial(Convolution, activation=jax.nn.relu6)


class InvertedResidual(nnx.Module):
    """1x1 expansion, 3x3 depthwise and 1x1 linear convolution, with a shortcut where shapes agree.

    An expansion factor of 1 has no expansion layer, as in the published network.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        expansion: int,
        stride: int = 1,
        rngs: nnx.Rngs,
    ) -> None:
        hidden = expansion * in_features
        layers = [
            _convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden, rngs=rngs),
            Convolution(hidden, out_features, kernel=1, activation=None, rngs=rngs),
        ]
        if expansion != 1:
            layers.insert(0, _convolution(in_features, hidden, kernel=1, rngs=rngs))
        self.layers = nnx.List(layers)
        self.has_shortcut = stride == 1 and in_features == out_features

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, in_features]` to `[B, H / stride, W / stride, out_features]`."""
        y = in_turn(self.layers, x)
        return x + y if self.has_shortcut else y


def mobilenet_v2(*, num_classes: int = 1000, width: float = 1.0, rngs: nnx.Rngs) -> StageChain:
    """Builds MobileNetV2; works on images of any size.

    Args:
      num_classes: number of logits.
      width: factor on all layer widths. Widths are rounded to whole numbers and not to multiples
        of 8, so other widths than 1 differ slightly from the published ones.
      rngs: keys of the initial parameters.

    Returns:
      A chain of 21 stages: stem, 17 blocks, last convolution, average pooling, classifier. At the
      defaults it has 3 504 872 parameters.
    """
    features = scaled(_STEM_FEATURES, width)
    stages: list[tuple[str, nnx.Module]] = [
        ("stem", _convolution(3, features, kernel=3, stride=2, rngs=rngs))
    ]
    for group, (expansion, group_features, depth, first_stride) in enumerate(_GROUPS, start=1):
        out_features = scaled(group_features, width)
        for index in range(depth):
            block = InvertedResidual(
                features,
                out_features,
                expansion=expansion,
                stride=first_stride if index == 0 else 1,
                rngs=rngs,
            )
            stages.append((f"block{group}_{index + 1}", block))
            features = out_features
    last = scaled(_LAST_FEATURES, width)
    stages += [
        ("last", _convolution(features, last, kernel=1, rngs=rngs)),
        ("average", GlobalAveragePool()),
        ("classifier", FullyConnected(last, num_classes, activation=None, rngs=rngs)),
    ]
    return StageChain("mobilenet_v2", stages)
