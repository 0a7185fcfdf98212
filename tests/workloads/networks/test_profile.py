"""Profiles agree with hand-counted layers and the published operations of each network."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import offload_jax.chains.problem
from offload_jax import workloads
from offload_jax.workloads.networks.layers import Convolution, FullyConnected, StageChain
from tests.workloads.networks import layer_oracle
from tests.workloads.networks.layer_oracle import Conv


@functools.cache
def _profile(build: Callable[..., StageChain]) -> workloads.TaskProfile:
    return workloads.profile_network(build)


def _tiny(*, rngs: nnx.Rngs) -> StageChain:
    return StageChain(
        "tiny",
        [
            ("conv", Convolution(3, 4, kernel=3, batch_norm=False, rngs=rngs)),
            ("fc", FullyConnected(4 * 5 * 6, 10, activation=None, rngs=rngs)),
        ],
    )


TINY_SHAPE = (5, 6, 3)


@pytest.mark.parametrize(
    ("build", "convs", "dense"),
    [
        (workloads.vgg16, layer_oracle.VGG16_CONVS, layer_oracle.VGG16_DENSE),
        (workloads.alexnet, layer_oracle.ALEXNET_CONVS, layer_oracle.ALEXNET_DENSE),
    ],
    ids=["vgg16", "alexnet"],
)
def test_every_layer_equals_its_formula(
    build: Callable[..., StageChain],
    convs: dict[str, Conv],
    dense: dict[str, tuple[int, int]],
) -> None:
    profile = _profile(build)
    flops = dict(zip(profile.stage_names, profile.flops, strict=True))
    data = dict(zip(profile.stage_names, profile.data[1:], strict=True))
    for name, conv in convs.items():
        bias_and_relu = 2 * conv.outputs
        assert flops.pop(name) == pytest.approx(2 * conv.real_macs + bias_and_relu, rel=1e-6)
        assert data[name] == 4 * conv.outputs
    for name, (inputs, outputs) in dense.items():
        assert flops.pop(name) == pytest.approx(2 * inputs * outputs, rel=1e-3)
        assert data[name] == 4 * outputs
    assert all(name.startswith("pool") for name in flops)


@pytest.mark.parametrize(
    ("build", "convs", "dense_macs", "published_gmacs"),
    [
        (
            workloads.alexnet,
            list(layer_oracle.ALEXNET_CONVS.values()),
            sum(i * o for i, o in layer_oracle.ALEXNET_DENSE.values()),
            0.71,
        ),
        (
            workloads.vgg16,
            list(layer_oracle.VGG16_CONVS.values()),
            sum(i * o for i, o in layer_oracle.VGG16_DENSE.values()),
            15.47,
        ),
        (workloads.resnet18, layer_oracle.resnet18_convs(), 512 * 1000, 1.82),
        (workloads.resnet50, layer_oracle.resnet50_convs(), 2048 * 1000, 4.09),
        (workloads.mobilenet_v2, layer_oracle.mobilenet_v2_convs(), 1280 * 1000, 0.30),
    ],
    ids=["alexnet", "vgg16", "resnet18", "resnet50", "mobilenet_v2"],
)
def test_total_operations(
    build: Callable[..., StageChain],
    convs: list[Conv],
    dense_macs: int,
    published_gmacs: float,
) -> None:
    padded = dense_macs + sum(conv.macs for conv in convs)
    assert padded / 1e9 == pytest.approx(published_gmacs, rel=0.01)

    real = dense_macs + sum(conv.real_macs for conv in convs)
    outputs = sum(conv.outputs for conv in convs)
    total = _profile(build).flops.sum()
    # Normalisation, activation and residual sums are a few operations an output.
    assert 2 * real < total < 2 * real + 6 * outputs
    assert total / 2e9 == pytest.approx(published_gmacs, rel=0.08)


@pytest.mark.parametrize("build", [workloads.vgg16, workloads.resnet18, workloads.mobilenet_v2])
def test_stages_add_up_to_the_whole_network(build: Callable[..., StageChain]) -> None:
    graph, state = nnx.split(workloads.abstract_network(build))
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    whole = jax.jit(lambda state, x: nnx.merge(graph, state)(x)).lower(state, images)
    analysis: Any = whole.cost_analysis()
    analysis = analysis[0] if isinstance(analysis, list) else analysis
    assert _profile(build).flops.sum() == pytest.approx(analysis["flops"], rel=1e-5)


@pytest.mark.parametrize(
    ("build", "cut", "num_values"),
    [
        (workloads.vgg16, "pool5", 7 * 7 * 512),
        (workloads.resnet18, "stem", 112 * 112 * 64),
        (workloads.resnet18, "block4_2", 7 * 7 * 512),
        (workloads.resnet50, "block2_4", 28 * 28 * 512),
        (workloads.resnet50, "average", 2048),
        (workloads.mobilenet_v2, "block4_4", 14 * 14 * 64),
        (workloads.mobilenet_v2, "last", 7 * 7 * 1280),
        (workloads.alexnet, "pool5", 6 * 6 * 256),
    ],
)
def test_data_between_stages(build: Callable[..., StageChain], cut: str, num_values: int) -> None:
    profile = _profile(build)
    assert profile.data[profile.stage_names.index(cut) + 1] == 4 * num_values
    assert profile.data[0] == 224 * 224 * 3
    assert profile.data[-1] == 4 * 1000
    assert profile.name == build.__name__
    assert profile.flops.dtype == profile.data.dtype == np.float64


def test_input_bytes_are_a_choice() -> None:
    profile = functools.partial(workloads.profile_network, _tiny, image_shape=TINY_SHAPE)
    np.testing.assert_array_equal(profile().data, [5 * 6 * 3, 4 * 5 * 6 * 4, 4 * 10])
    assert profile(input_bytes=17).data[0] == 17
    with pytest.raises(ValueError, match=r"data\[0\] = -1"):
        profile(input_bytes=-1)


@pytest.mark.parametrize("analysis", [{"flops": 12.0}, [{"flops": 12.0}]], ids=["dict", "list"])
def test_both_forms_of_cost_analysis_are_understood(
    analysis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax.stages.Lowered, "cost_analysis", lambda _: analysis)
    profile = workloads.profile_network(_tiny, image_shape=TINY_SHAPE)
    np.testing.assert_array_equal(profile.flops, [12.0, 12.0])


@pytest.mark.parametrize("analysis", [None, [], {"flops": -1.0}, {"flops": np.nan}])
def test_missing_cost_analysis_is_an_error(analysis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax.stages.Lowered, "cost_analysis", lambda _: analysis)
    with pytest.raises(RuntimeError, match="XLA"):
        workloads.profile_network(_tiny, image_shape=TINY_SHAPE)


def test_problem_counts_cycles_and_broadcasts() -> None:
    profile = workloads.TaskProfile(
        "task", ("a", "b"), flops=np.array([8e9, 2e9]), data=np.array([1e6, 2e6, 4e3])
    )
    bandwidths = np.array([1e6, 2e6, 0.0])
    speeds: dict[str, Any] = {"device_speed": 1e9, "edge_speed": 5e9, "edge_cloud_bandwidth": 3e6}
    problem = profile.to_problem(device_edge_bandwidth=bandwidths, **speeds)
    offload_jax.chains.problem.validate(problem)
    assert problem.batch_shape == (3,)
    assert problem.num_subtasks == profile.num_subtasks == 2
    np.testing.assert_array_equal(problem.cycles, [4e9, 1e9])
    np.testing.assert_array_equal(problem.data, profile.data)
    np.testing.assert_array_equal(problem.device_edge_bandwidth, bandwidths)
    assert (problem.device_speed, problem.edge_speed) == (1e9, 5e9)
    assert problem.edge_cloud_bandwidth == 3e6

    faster = profile.to_problem(device_edge_bandwidth=1e6, flops_per_cycle=8.0, **speeds)
    np.testing.assert_array_equal(faster.cycles, [1e9, 0.25e9])
    assert faster.batch_shape == ()


@pytest.mark.parametrize("flops_per_cycle", [0.0, -1.0, np.inf, np.nan])
def test_problem_refuses_bad_flops_per_cycle(flops_per_cycle: float) -> None:
    profile = workloads.TaskProfile("task", ("a",), flops=np.ones(1), data=np.ones(2))
    with pytest.raises(ValueError, match="flops_per_cycle"):
        profile.to_problem(
            device_speed=1e9,
            edge_speed=1e9,
            device_edge_bandwidth=1e6,
            edge_cloud_bandwidth=1e6,
            flops_per_cycle=flops_per_cycle,
        )


@pytest.mark.parametrize(
    ("stages", "flops", "data", "message"),
    [
        ((), [], [1.0], "stage_names"),
        (("a",), [1.0, 2.0], [1.0, 1.0], r"flops: must have shape \(1,\)"),
        (("a",), [1.0], [1.0], r"data: must have shape \(2,\)"),
        (("a", "b"), [1.0, -2.0], [1.0, 1.0, 1.0], r"flops\[1\] = -2"),
        (("a",), [1.0], [1.0, np.nan], r"data\[1\] = nan"),
    ],
)
def test_profile_refuses_what_is_no_task(
    stages: tuple[str, ...], flops: list[float], data: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        workloads.TaskProfile("task", stages, flops=np.array(flops), data=np.array(data))
