"""Graphs of networks have the published operations, the network's branches and its tensors."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from offload_jax import workloads
from offload_jax.graphs.fuse import fuse
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.workloads.networks.layers import StageChain
from tests.workloads.networks import layer_oracle
from tests.workloads.networks.layer_oracle import Conv


@functools.cache
def _graph(build: Callable[..., StageChain]) -> TaskGraph:
    return workloads.profile_graph(build)


def _flops(graph: TaskGraph) -> dict[str, float]:
    flops = graph.cycles * workloads.FLOPS_PER_CYCLE
    return dict(zip(graph.names, flops.tolist(), strict=True))


def _edges(graph: TaskGraph) -> dict[tuple[str, str], float]:
    return {
        (graph.names[u], graph.names[v]): float(size)
        for (u, v), size in zip(graph.edges, graph.data, strict=True)
    }


@pytest.mark.parametrize(
    ("build", "convs", "dense", "published_gmacs"),
    [
        (workloads.googlenet, layer_oracle.googlenet_convs(), 1024 * 1000, 1.498),
        (workloads.resnet50, layer_oracle.resnet50_convs(), 2048 * 1000, 4.09),
    ],
    ids=["googlenet", "resnet50"],
)
def test_operations_are_the_published_ones(
    build: Callable[..., StageChain], convs: list[Conv], dense: int, published_gmacs: float
) -> None:
    flops = _flops(_graph(build))
    counted = sorted(value for name, value in flops.items() if "/conv" in name)
    np.testing.assert_array_equal(counted, sorted(2 * conv.real_macs for conv in convs))
    assert flops["classifier/dot"] == 2 * dense
    padded = dense + sum(conv.macs for conv in convs)
    assert padded / 1e9 == pytest.approx(published_gmacs, rel=1e-3)
    # The total is that of the chain of stages, elementwise operations and all.
    chain = workloads.profile_network(build)
    assert sum(flops.values()) == pytest.approx(chain.flops.sum(), rel=1e-6)
    of_stage = dict.fromkeys(chain.stage_names, 0.0)
    for name, value in flops.items():
        of_stage[name.split("/")[0]] += value
    np.testing.assert_allclose(list(of_stage.values()), chain.flops, rtol=1e-6)


def test_tasks_of_googlenet() -> None:
    graph = _graph(workloads.googlenet)
    edges = _edges(graph)
    names = {name.split("_")[0] for name in graph.names if name.startswith("inception4c")}
    assert names == {
        f"inception4c/{op}" for op in ("conv", "sub", "mul", "add", "max", "concatenate")
    }
    # Four branches read the module's input, and each brings its features to the concatenation.
    source = "inception4b/concatenate"
    readers = {v for u, v in edges if u == source}
    branches = {"inception4c/conv", "inception4c/conv_2", "inception4c/conv_4"}
    assert readers == branches | {"inception4c/max_pool"}
    assert {edges[source, reader] for reader in readers} == {4 * 14 * 14 * 512}
    joined = [size for (_, v), size in edges.items() if v == "inception4c/concatenate"]
    assert sorted(joined) == [4 * 14 * 14 * features for features in (64, 64, 128, 256)]
    # The image comes in at one end and the logits leave at the other.
    assert np.flatnonzero(graph.input).tolist() == [graph.names.index("conv1/conv")]
    assert graph.input.sum() == 224 * 224 * 3
    assert np.flatnonzero(graph.output).tolist() == [graph.num_tasks - 1]
    assert graph.output.sum() == 4 * 1000
    assert graph.send_once


def test_shortcut_of_a_residual_block() -> None:
    edges = _edges(_graph(workloads.resnet50))
    block_input = "block1_1/max_3"
    assert {v for u, v in edges if u == block_input} == {"block1_2/conv", "block1_2/add_4"}
    assert edges[block_input, "block1_2/add_4"] == 4 * 56 * 56 * 256
    assert edges["block1_2/conv", "block1_2/sub"] == 4 * 56 * 56 * 64


@pytest.mark.parametrize("build", [workloads.googlenet, workloads.resnet50])
@pytest.mark.parametrize("max_tasks", [60, 12, 1])
def test_fused_networks(build: Callable[..., StageChain], max_tasks: int) -> None:
    whole = _graph(build)
    graph = fuse(whole, max_tasks)
    assert graph.num_tasks == max_tasks
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert graph.cycles.sum() == whole.cycles.sum()
    assert (graph.input.sum(), graph.output.sum()) == (224 * 224 * 3, 4000)
    # Every task hands on one tensor of the network, and no edge has grown.
    assert set(graph.data.tolist()) <= set(whole.data.tolist())
    # It still branches.
    assert max_tasks == 1 or np.bincount(graph.edges[:, 0]).max() > 1


class _Branches(nnx.Module):
    """Reads the image twice, and a sum of parameters in both branches."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.scale = nnx.Param(jnp.ones((1, 1, 1, 3)))
        self.linear = nnx.Linear(3, 5, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.scale[...] + 1.0
        left = jnp.sum(jnp.transpose((x * scale).reshape(1, 12, 3), (0, 2, 1)), axis=2)
        jnp.exp(left)
        right = jax.checkpoint(lambda y: nnx.relu(y - scale))(x)
        return self.linear(left), jax.lax.slice(right, (0, 0, 0, 0), (1, 2, 4, 3)) * 3.0


@pytest.mark.parametrize("abstract", [True, False])
def test_a_network_of_any_shape(abstract: bool) -> None:
    model = _Branches if abstract else _Branches(rngs=nnx.Rngs(0))
    profile = functools.partial(
        workloads.profile_graph, model, image_shape=(3, 4, 3), input_bytes=17, flops_per_cycle=0.5
    )
    graph = profile()
    pixels = 3 * 4 * 3
    assert _edges(graph) == {
        ("image", "mul"): 17,
        ("image", "sub"): 17,
        # Reshape and transpose belong to the task that reads.
        ("mul", "reduce_sum"): 4 * pixels,
        ("reduce_sum", "dot"): 4 * 3,
        ("sub", "max"): 4 * pixels,
        # A piece of a tensor is a task, after which there is less to send.
        ("max", "slice"): 4 * pixels,
        ("slice", "mul_2"): 4 * 2 * 4 * 3,
    }
    assert dict(zip(graph.names, (graph.cycles / 2).tolist(), strict=True)) == {
        "image": 0,
        "mul": pixels + 3,  # With the sum of parameters, which "sub" reads too.
        "reduce_sum": pixels - 3,
        "dot": 2 * 3 * 5,
        "sub": pixels,
        "max": pixels,
        "slice": 0,
        "mul_2": 2 * 4 * 3,
    }
    assert _values(graph.names, graph.input) == {"image": 17}
    assert _values(graph.names, graph.output) == {"dot": 4 * 5, "mul_2": 4 * 2 * 4 * 3}
    assert profile(max_tasks=2).num_tasks == 2


def _values(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {name: value for name, value in zip(names, values.tolist(), strict=True) if value}


class _Function(nnx.Module):
    def __init__(self, function: Callable[[jax.Array], Any]) -> None:
        self.function = function

    def __call__(self, x: jax.Array) -> Any:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: jax.lax.fori_loop(0, 3, lambda _, y: 2 * y, x), "has a scan"),
        (lambda x: jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: 2 * y, x), "has a while"),
        (lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), "has a cond"),
        (lambda x: (x * 2, jnp.ones(3)), "a result does not depend on the image"),
    ],
)
def test_networks_that_cannot_be_counted(function: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workloads.profile_graph(_Function(function), image_shape=(2, 2, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flops_per_cycle": 0.0}, "flops_per_cycle = 0.0"),
        ({"input_bytes": -1.0}, r"input\[0\] = -1.0.*'mul'"),
        ({"max_tasks": 0}, "max_tasks = 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workloads.profile_graph(_Function(lambda x: 2 * x), image_shape=(2, 2, 1), **arguments)
