"""VGG16 (Simonyan & Zisserman 2015, configuration D) as a chain of its layers."""

from flax import nnx

from offload_jax.workloads.networks.layers import (
    Convolution,
    FullyConnected,
    MaxPool,
    StageChain,
    scaled,
)

# Features and number of 3x3 convolutions of each block; a 2x2 pooling follows each.
_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_CLASSIFIER_FEATURES = 4096


def vgg16(
    *,
    num_classes: int = 1000,
    image_size: int = 224,
    width: float = 1.0,
    rngs: nnx.Rngs,
) -> StageChain:
    """Builds VGG16: 13 convolutions, 5 poolings and 3 fully connected layers, a stage each.

    Args:
      num_classes: number of logits.
      image_size: height and width of the images, in pixels, at least 32; it fixes the size of the
        first fully connected layer.
      width: factor on all layer widths.
      rngs: keys of the initial parameters.

    Returns:
      A chain of 21 stages; at the defaults it has 138 357 544 parameters.

    Raises:
      ValueError: the image is too small for five poolings.
    """
    if image_size < 32:
        raise ValueError(f"image_size: VGG16 needs at least 32 pixels, got {image_size}")
    stages: list[tuple[str, nnx.Module]] = []
    features = 3
    for block, (block_features, depth) in enumerate(_BLOCKS, start=1):
        for layer in range(1, depth + 1):
            out_features = scaled(block_features, width)
            convolution = Convolution(features, out_features, kernel=3, batch_norm=False, rngs=rngs)
            stages.append((f"conv{block}_{layer}", convolution))
            features = out_features
        stages.append((f"pool{block}", MaxPool(window=2, stride=2)))
    hidden = scaled(_CLASSIFIER_FEATURES, width)
    flat = features * (image_size // 32) ** 2
    stages += [
        ("fc6", FullyConnected(flat, hidden, rngs=rngs)),
        ("fc7", FullyConnected(hidden, hidden, rngs=rngs)),
        ("fc8", FullyConnected(hidden, num_classes, activation=None, rngs=rngs)),
    ]
    return StageChain("vgg16", stages)
