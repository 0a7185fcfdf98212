"""GoogLeNet (Inception v1, Szegedy et al. 2015) as a chain of inception modules that branch inside.

It is the network that torchvision publishes under that name, with the 6 624 904 parameters and 1.50
G multiply-adds listed there. It differs from the paper's Table 1 in three things: batch
normalisation in place of biases and of local response normalisation, 3x3 kernels where the paper
has 5x5, and a 2x2 window in the last pooling. The auxiliary classifiers, which only training uses,
are left out.
"""

import functools

import jax
import jax.numpy as jnp
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

# Features of the 1x1 branch, of the reduction and convolution of the second and of the third
# branch, and of the projection after the pooling.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# Windows of the poolings that follow a module; their stride is 2.
_POOLING_AFTER = {"3b": ("pool3", 3), "4e": ("pool4", 2)}


class Inception(nnx.Module):
    """Four branches over one input, their features side by side."""

    def __init__(self, in_features: int, features: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        """Builds the module.

        Args:
          in_features: features of the input.
          features: of the 1x1 branch, of the reduction and the convolution of the second and of
            the third branch, and of the projection after the pooling.
          rngs: keys of the initial parameters.
        """
        direct, reduce_2, conv_2, reduce_3, conv_3, projection = features
        convolution = functools.partial(Convolution, rngs=rngs)
        self.branch1 = convolution(in_features, direct, kernel=1)
        reduced = convolution(in_features, reduce_2, kernel=1)
        self.branch2 = nnx.List([reduced, convolution(reduce_2, conv_2, kernel=3)])
        reduced = convolution(in_features, reduce_3, kernel=1)
        self.branch3 = nnx.List([reduced, convolution(reduce_3, conv_3, kernel=3)])
        pooled = MaxPool(window=3, stride=1, padding=1)
        self.branch4 = nnx.List([pooled, convolution(in_features, projection, kernel=1)])
        self.out_features = direct + conv_2 + conv_3 + projection

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, in_features]` to `[B, H, W, out_features]`."""
        branches = ([self.branch1], self.branch2, self.branch3, self.branch4)
        return jnp.concatenate([in_turn(branch, x) for branch in branches], axis=-1)


class CeilMaxPool(MaxPool):
    """Max pooling whose last window may reach over the end, as Caffe's does."""

    def sides(self, x: jax.Array) -> list[tuple[int, int]]:
        """As far past the end as the last window needs."""
        return [(0, (self.window - side) % self.stride) for side in x.shape[1:3]]


def googlenet(*, num_classes: int = 1000, width: float = 1.0, rngs: nnx.Rngs) -> StageChain:
    """Builds GoogLeNet; works on images of at least 15 pixels.

    Args:
      num_classes: number of logits.
      width: factor on all layer widths.
      rngs: keys of the initial parameters.

    Returns:
      A chain of 18 stages: 3 convolutions, 4 poolings and 9 inception modules in the published
      order, average pooling, classifier. At the defaults it has 6 624 904 parameters.
    """
    stem = scaled(64, width)
    features = scaled(192, width)
    stages: list[tuple[str, nnx.Module]] = [
        ("conv1", Convolution(3, stem, kernel=7, stride=2, rngs=rngs)),
        ("pool1", CeilMaxPool(window=3, stride=2)),
        ("conv2", Convolution(stem, stem, kernel=1, rngs=rngs)),
        ("conv3", Convolution(stem, features, kernel=3, rngs=rngs)),
        ("pool2", CeilMaxPool(window=3, stride=2)),
    ]
    for name, published in _MODULES.items():
        module = Inception(features, tuple(scaled(f, width) for f in published), rngs=rngs)
        stages.append((f"inception{name}", module))
        features = module.out_features
        if name in _POOLING_AFTER:
            pooling, window = _POOLING_AFTER[name]
            stages.append((pooling, CeilMaxPool(window=window, stride=2)))
    stages += [
        ("average", GlobalAveragePool()),
        ("classifier", FullyConnected(features, num_classes, activation=None, rngs=rngs)),
    ]
    return StageChain("googlenet", stages)
