"""AlexNet (Krizhevsky 2014, the single-tower form) as a chain of its layers."""

import functools

from flax import nnx

from offload_jax.workloads.networks.layers import (
    Convolution,
    FullyConnected,
    MaxPool,
    StageChain,
    scaled,
)

_CLASSIFIER_FEATURES = 4096


def alexnet(
    *,
    num_classes: int = 1000,
    image_size: int = 224,
    width: float = 1.0,
    rngs: nnx.Rngs,
) -> StageChain:
    """Builds AlexNet as torchvision has it: 5 convolutions, 3 poolings, 3 fully connected layers.

    Args:
      num_classes: number of logits.
      image_size: height and width of the images, in pixels, at least 63; it fixes the size of the
        first fully connected layer.
      width: factor on all layer widths.
      rngs: keys of the initial parameters.

    Returns:
      A chain of 11 stages; at the defaults it has 61 100 840 parameters.

    Raises:
      ValueError: the image is too small for the strides of the network.
    """
    if image_size < 63:
        raise ValueError(f"image_size: AlexNet needs at least 63 pixels, got {image_size}")

    convolution = functools.partial(Convolution, batch_norm=False, rngs=rngs)
    c1, c2, c3, c4, c5 = (scaled(features, width) for features in (64, 192, 384, 256, 256))
    hidden = scaled(_CLASSIFIER_FEATURES, width)
    side = (image_size + 4 - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return StageChain(
        "alexnet",
        [
            ("conv1", convolution(3, c1, kernel=11, stride=4, padding=2)),
            ("pool1", MaxPool(window=3, stride=2)),
            ("conv2", convolution(c1, c2, kernel=5, padding=2)),
            ("pool2", MaxPool(window=3, stride=2)),
            ("conv3", convolution(c2, c3, kernel=3, padding=1)),
            ("conv4", convolution(c3, c4, kernel=3, padding=1)),
            ("conv5", convolution(c4, c5, kernel=3, padding=1)),
            ("pool5", MaxPool(window=3, stride=2)),
            ("fc6", FullyConnected(c5 * side**2, hidden, rngs=rngs)),
            ("fc7", FullyConnected(hidden, hidden, rngs=rngs)),
            ("fc8", FullyConnected(hidden, num_classes, activation=None, rngs=rngs)),
        ],
    )
