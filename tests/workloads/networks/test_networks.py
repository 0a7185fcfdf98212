"""The networks have the published sizes, and their layers compute what NumPy loops compute."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from offload_jax import workloads
from offload_jax.workloads.networks.googlenet import CeilMaxPool, Inception
from offload_jax.workloads.networks.layers import (
    Convolution,
    GlobalAveragePool,
    MaxPool,
    StageChain,
)
from offload_jax.workloads.networks.mobilenet import InvertedResidual
from offload_jax.workloads.networks.resnet import ResidualBlock, basic_block, bottleneck_block
from tests.workloads.networks import layer_oracle

ModuleT = TypeVar("ModuleT", bound=nnx.Module)

NETWORKS = [
    # network, published parameters, stages
    (workloads.alexnet, 61_100_840, 11),
    (workloads.vgg16, 138_357_544, 21),
    (workloads.resnet18, 11_689_512, 12),
    (workloads.resnet50, 25_557_032, 20),
    (workloads.mobilenet_v2, 3_504_872, 21),
    (workloads.googlenet, 6_624_904, 18),
]


def _random(make: Callable[[nnx.Rngs], ModuleT], seed: int) -> ModuleT:
    """A module with random parameters and statistics, none of which a layer could leave out."""
    rng = np.random.default_rng(seed)

    def values(path: Any, leaf: Any) -> Any:
        shape = leaf.shape
        scale = max(1, int(np.prod(shape[:-1])))
        drawn = rng.normal(0, scale**-0.5, shape)
        if jax.tree_util.keystr(path).count("var"):
            drawn = 0.5 + np.abs(drawn)
        return drawn.astype(leaf.dtype)

    graph, state = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    module: ModuleT = nnx.merge(graph, jax.tree_util.tree_map_with_path(values, state))
    return module


def _run(module: Any, x: np.ndarray) -> np.ndarray:
    graph, state = nnx.split(module)
    run = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
    outputs = np.asarray(run(state, jnp.asarray(x, jnp.float32)))
    assert np.isfinite(outputs).all()
    return outputs


def _convolution(layer: Convolution | None, x: np.ndarray, *, stride: int = 1) -> np.ndarray:
    """`layer` on one image; its padding and groups are read off the shapes."""
    assert layer is not None
    kernel = np.asarray(layer.convolution.kernel[...], np.float64)
    y = layer_oracle.convolve(
        x,
        kernel,
        stride=stride,
        padding=kernel.shape[0] // 2,
        groups=x.shape[-1] // kernel.shape[2],
    )
    if layer.norm is None:
        assert layer.convolution.bias is not None
        return np.asarray(y + np.asarray(layer.convolution.bias[...]))
    mean, variance, scale, bias = (
        np.asarray(getattr(layer.norm, name)[...], np.float64)
        for name in ("mean", "var", "scale", "bias")
    )
    return np.asarray((y - mean) / np.sqrt(variance + 1e-5) * scale + bias)


@pytest.mark.parametrize(("build", "parameters", "stages"), NETWORKS)
def test_parameter_count_is_the_published_one(
    build: Callable[..., StageChain], parameters: int, stages: int
) -> None:
    chain = workloads.abstract_network(build)
    leaves = jax.tree.leaves(nnx.state(chain, nnx.Param))
    assert sum(leaf.size for leaf in leaves) == parameters
    assert len(chain.stages) == len(chain.stage_names) == stages


def test_abstract_network_allocates_nothing() -> None:
    leaves = jax.tree.leaves(nnx.state(workloads.abstract_network(workloads.vgg16)))
    assert leaves
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)


@pytest.mark.parametrize(("build", "parameters", "stages"), NETWORKS)
def test_network_maps_a_batch_to_logits(
    build: Callable[..., StageChain], parameters: int, stages: int
) -> None:
    chain = workloads.abstract_network(functools.partial(build, num_classes=7, width=0.5))
    graph, state = nnx.split(chain)
    images = jax.ShapeDtypeStruct((3, 224, 224, 3), jnp.float32)
    logits = jax.eval_shape(lambda state, x: nnx.merge(graph, state)(x), state, images)
    assert (logits.shape, logits.dtype) == ((3, 7), jnp.float32)


def test_stages_one_by_one_equal_the_whole_network() -> None:
    build = functools.partial(workloads.vgg16, num_classes=5, image_size=32, width=1 / 32)
    chain = _random(lambda rngs: build(rngs=rngs), seed=0)
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3))
    activations = images
    for stage in chain.stages:
        activations = _run(stage, activations)
    assert activations.shape == (2, 5)
    assert np.ptp(activations) > 0
    np.testing.assert_allclose(_run(chain, images), activations, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "batch_norm"), [(3, 2, 4, True), (7, 2, 1, False)]
)
def test_convolution_equals_loops(kernel: int, stride: int, groups: int, batch_norm: bool) -> None:
    layer = _random(
        lambda rngs: Convolution(
            4,
            8,
            kernel=kernel,
            stride=stride,
            groups=groups,
            batch_norm=batch_norm,
            activation=None,
            rngs=rngs,
        ),
        seed=0,
    )
    x = np.random.default_rng(1).normal(size=(9, 7, 4))
    expected = _convolution(layer, x, stride=stride)
    np.testing.assert_allclose(_run(layer, x[None])[0], expected, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1])
def test_pooling_equals_loops(padding: int) -> None:
    # All negative, so that a padding with zeros would show.
    x = np.random.default_rng(0).uniform(-2, -1, size=(7, 9, 2))
    pooled = _run(MaxPool(window=3, stride=2, padding=padding), x[None])[0]
    expected = layer_oracle.max_pool(x, window=3, stride=2, padding=padding)
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)
    np.testing.assert_allclose(
        _run(GlobalAveragePool(), x[None])[0], x.mean(axis=(0, 1)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "in_features", "strides", "has_shortcut"),
    [
        (basic_block, 4, (1, 1), False),
        (basic_block, 3, (2, 1), True),
        (bottleneck_block, 16, (1, 1, 1), False),
        (bottleneck_block, 4, (1, 1, 1), True),
        (bottleneck_block, 16, (1, 2, 1), True),
    ],
)
def test_residual_block_equals_loops(
    make: Callable[..., ResidualBlock],
    in_features: int,
    strides: tuple[int, ...],
    has_shortcut: bool,
) -> None:
    stride = max(strides)
    block = _random(lambda rngs: make(in_features, 4, stride=stride, rngs=rngs), seed=2)
    assert (block.shortcut is not None) == has_shortcut
    x = np.random.default_rng(3).normal(size=(6, 6, in_features))
    y = x
    for layer, layer_stride in zip(block.layers, strides, strict=True):
        if layer is not block.layers[0]:
            y = np.maximum(y, 0)
        y = _convolution(layer, y, stride=layer_stride)
    y += _convolution(block.shortcut, x, stride=stride) if has_shortcut else x
    np.testing.assert_allclose(_run(block, x[None])[0], np.maximum(y, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("out_features", "expansion", "stride", "has_shortcut"),
    [(3, 6, 1, True), (4, 6, 1, False), (3, 6, 2, False), (4, 1, 1, False)],
)
def test_inverted_residual_equals_loops(
    out_features: int, expansion: int, stride: int, has_shortcut: bool
) -> None:
    block = _random(
        lambda rngs: InvertedResidual(
            3, out_features, expansion=expansion, stride=stride, rngs=rngs
        ),
        seed=4,
    )
    strides = (stride, 1) if expansion == 1 else (1, stride, 1)
    # Large enough for the upper bound of relu6 to matter.
    x = 20 * np.random.default_rng(5).normal(size=(5, 6, 3))
    y = x
    for layer, layer_stride in zip(block.layers, strides, strict=True):
        if layer is not block.layers[0]:
            y = np.clip(y, 0, 6)
        y = _convolution(layer, y, stride=layer_stride)
    expected = y + x if has_shortcut else y
    np.testing.assert_allclose(_run(block, x[None])[0], expected, rtol=1e-4, atol=1e-4)


def test_inception_equals_loops() -> None:
    module = _random(lambda rngs: Inception(3, (2, 3, 4, 1, 2, 3), rngs=rngs), seed=6)
    x = np.random.default_rng(7).normal(size=(5, 6, 3))

    def branch(layers: Any, x: np.ndarray) -> np.ndarray:
        for layer in layers:
            x = np.maximum(_convolution(layer, x), 0)
        return x

    pooled = layer_oracle.max_pool(x, window=3, stride=1, padding=1)
    expected = [
        branch([module.branch1], x),
        branch(module.branch2, x),
        branch(module.branch3, x),
        branch([module.branch4[1]], pooled),
    ]
    outputs = _run(module, x[None])[0]
    assert outputs.shape == (5, 6, module.out_features)
    np.testing.assert_allclose(outputs, np.concatenate(expected, axis=-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("window", "padding"), [(3, (1, 0)), (2, (0, 1))])
def test_pooling_may_reach_over_the_end(window: int, padding: tuple[int, int]) -> None:
    x = np.random.default_rng(0).uniform(-2, -1, size=(8, 9, 2))
    pooled = _run(CeilMaxPool(window=window, stride=2), x[None])[0]
    filled = np.pad(x, ((0, padding[0]), (0, padding[1]), (0, 0)), constant_values=-np.inf)
    expected = layer_oracle.max_pool(filled, window=window, stride=2, padding=0)
    assert pooled.shape == (4, (9 - window + 1) // 2 + 1, 2)
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "size"), [(workloads.vgg16, 31), (workloads.alexnet, 62)], ids=["vgg16", "alexnet"]
)
def test_too_small_images_are_refused(build: Callable[..., StageChain], size: int) -> None:
    with pytest.raises(ValueError, match=f"image_size.*{size}"):
        build(image_size=size, rngs=nnx.Rngs(0))


def test_chain_refuses_no_stages_and_repeated_names() -> None:
    with pytest.raises(ValueError, match="at least one stage"):
        StageChain("empty", [])
    with pytest.raises(ValueError, match="names must differ"):
        StageChain("twins", [("a", GlobalAveragePool()), ("a", GlobalAveragePool())])
