"""Layers as plain NumPy loops, and hand-written tables of the published networks."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Conv:
    """One convolution of a published network; `size` is the height and width of its input."""

    size: int
    in_features: int
    out_features: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def out_size(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def outputs(self) -> int:
        return self.out_features * self.out_size**2

    @property
    def macs(self) -> int:
        """Multiply-adds with the padding, as papers count them."""
        return self.outputs * self.kernel**2 * self.in_features // self.groups

    @property
    def real_macs(self) -> int:
        """Multiply-adds that touch a pixel and not the padding."""
        hits = sum(
            0 <= out * self.stride + tap - self.padding < self.size
            for out in range(self.out_size)
            for tap in range(self.kernel)
        )
        return hits**2 * self.out_features * self.in_features // self.groups


VGG16_CONVS = {
    "conv1_1": Conv(224, 3, 64, 3, padding=1),
    "conv1_2": Conv(224, 64, 64, 3, padding=1),
    "conv2_1": Conv(112, 64, 128, 3, padding=1),
    "conv2_2": Conv(112, 128, 128, 3, padding=1),
    "conv3_1": Conv(56, 128, 256, 3, padding=1),
    "conv3_2": Conv(56, 256, 256, 3, padding=1),
    "conv3_3": Conv(56, 256, 256, 3, padding=1),
    "conv4_1": Conv(28, 256, 512, 3, padding=1),
    "conv4_2": Conv(28, 512, 512, 3, padding=1),
    "conv4_3": Conv(28, 512, 512, 3, padding=1),
    "conv5_1": Conv(14, 512, 512, 3, padding=1),
    "conv5_2": Conv(14, 512, 512, 3, padding=1),
    "conv5_3": Conv(14, 512, 512, 3, padding=1),
}
VGG16_DENSE = {"fc6": (25088, 4096), "fc7": (4096, 4096), "fc8": (4096, 1000)}

ALEXNET_CONVS = {
    "conv1": Conv(224, 3, 64, 11, stride=4, padding=2),
    "conv2": Conv(27, 64, 192, 5, padding=2),
    "conv3": Conv(13, 192, 384, 3, padding=1),
    "conv4": Conv(13, 384, 256, 3, padding=1),
    "conv5": Conv(13, 256, 256, 3, padding=1),
}
ALEXNET_DENSE = {"fc6": (9216, 4096), "fc7": (4096, 4096), "fc8": (4096, 1000)}


def resnet18_convs() -> list[Conv]:
    convs = [
        Conv(224, 3, 64, 7, stride=2, padding=3),
        *[Conv(56, 64, 64, 3, padding=1)] * 4,
    ]
    for size, features in ((56, 64), (28, 128), (14, 256)):
        convs += [
            Conv(size, features, 2 * features, 3, stride=2, padding=1),
            Conv(size, features, 2 * features, 1, stride=2),
            *[Conv(size // 2, 2 * features, 2 * features, 3, padding=1)] * 3,
        ]
    return convs


def resnet50_convs() -> list[Conv]:
    convs = [Conv(224, 3, 64, 7, stride=2, padding=3)]
    size, in_features = 56, 64
    for features, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        convs += [
            Conv(size, in_features, features, 1),
            Conv(size, features, features, 3, stride=stride, padding=1),
            Conv(size // stride, features, 4 * features, 1),
            Conv(size, in_features, 4 * features, 1, stride=stride),
        ]
        size //= stride
        in_features = 4 * features
        convs += (depth - 1) * [
            Conv(size, in_features, features, 1),
            Conv(size, features, features, 3, padding=1),
            Conv(size, features, in_features, 1),
        ]
    return convs


def mobilenet_v2_convs() -> list[Conv]:
    convs = [
        Conv(224, 3, 32, 3, stride=2, padding=1),
        Conv(112, 32, 32, 3, padding=1, groups=32),
        Conv(112, 32, 16, 1),
    ]
    size, in_features = 112, 16
    for features, strides in (
        (24, (2, 1)),
        (32, (2, 1, 1)),
        (64, (2, 1, 1, 1)),
        (96, (1, 1, 1)),
        (160, (2, 1, 1)),
        (320, (1,)),
    ):
        for stride in strides:
            hidden = 6 * in_features
            convs += [
                Conv(size, in_features, hidden, 1),
                Conv(size, hidden, hidden, 3, stride=stride, padding=1, groups=hidden),
                Conv(size // stride, hidden, features, 1),
            ]
            size //= stride
            in_features = features
    return [*convs, Conv(7, 320, 1280, 1)]


def googlenet_convs() -> list[Conv]:
    """torchvision's network: 3x3 kernels where Szegedy et al. 2015 have 5x5."""
    convs = [
        Conv(224, 3, 64, 7, stride=2, padding=3),
        Conv(56, 64, 64, 1),
        Conv(56, 64, 192, 3, padding=1),
    ]
    in_features = 192
    for size, direct, reduce_2, conv_2, reduce_3, conv_3, projection in (
        (28, 64, 96, 128, 16, 32, 32),
        (28, 128, 128, 192, 32, 96, 64),
        (14, 192, 96, 208, 16, 48, 64),
        (14, 160, 112, 224, 24, 64, 64),
        (14, 128, 128, 256, 24, 64, 64),
        (14, 112, 144, 288, 32, 64, 64),
        (14, 256, 160, 320, 32, 128, 128),
        (7, 256, 160, 320, 32, 128, 128),
        (7, 384, 192, 384, 48, 128, 128),
    ):
        convs += [
            Conv(size, in_features, direct, 1),
            Conv(size, in_features, reduce_2, 1),
            Conv(size, reduce_2, conv_2, 3, padding=1),
            Conv(size, in_features, reduce_3, 1),
            Conv(size, reduce_3, conv_3, 3, padding=1),
            Conv(size, in_features, projection, 1),
        ]
        in_features = direct + conv_2 + conv_3 + projection
    return convs


def convolve(
    x: np.ndarray, kernel: np.ndarray, *, stride: int, padding: int, groups: int = 1
) -> np.ndarray:
    """Convolution of one image `[H, W, C]` with a kernel `[k, k, C / groups, F]`."""
    size, _, in_group, features = kernel.shape
    padded = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    height, width = ((side - size) // stride + 1 for side in padded.shape[:2])
    out = np.zeros((height, width, features))
    for row in range(height):
        for column in range(width):
            window = padded[row * stride :, column * stride :][:size, :size]
            for feature in range(features):
                group = feature // (features // groups)
                channels = slice(group * in_group, (group + 1) * in_group)
                out[row, column, feature] = np.sum(window[..., channels] * kernel[..., feature])
    return out


def max_pool(x: np.ndarray, *, window: int, stride: int, padding: int) -> np.ndarray:
    """Max pooling of one image `[H, W, C]`."""
    sides = (padding, padding)
    padded = np.pad(x, (sides, sides, (0, 0)), constant_values=-np.inf)
    height, width = ((side - window) // stride + 1 for side in padded.shape[:2])
    return np.array(
        [
            [
                padded[row * stride :, column * stride :][:window, :window].max(axis=(0, 1))
                for column in range(width)
            ]
            for row in range(height)
        ]
    )
