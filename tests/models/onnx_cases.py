"""Small ONNX models."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

import offload_jax as oj

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
Shape = Sequence[int | str | None]


def weights(**shapes: Sequence[int]) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        helper.make_tensor(name, TensorProto.FLOAT, shape, rng.standard_normal(shape).ravel())
        for name, shape in shapes.items()
    ]


def value(name: str, shape: Shape | None, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Iterable[Any],
    inputs: Mapping[str, Shape] | Sequence[Any],
    outputs: Iterable[str],
    initializers: Sequence[Any] = (),
    **options: Any,
) -> Any:
    if isinstance(inputs, Mapping):
        inputs = [value(name, shape) for name, shape in inputs.items()]
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([*nodes], "test", inputs, results, initializers)
    domains = {node.domain for node in graph.node} - {""}
    opsets = [helper.make_opsetid("", 23), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, **options)


def write(folder: Path, content: Any) -> Path:
    path = folder / "test.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def read(folder: Path, content: Any, **options: Any) -> oj.models.Model:
    return oj.models.read_onnx(write(folder, content), **options)


node = helper.make_node


def diamond() -> Any:
    """Two heads of one body; one of them has two results, and nobody needs the last node."""
    return model(
        [
            node("MatMul", ["x", "w"], ["body"], name="body"),
            node("Relu", ["body"], ["left"], name="head"),
            node("Split", ["body"], ["top", "bottom"], name="head", num_outputs=2, axis=0),
            node("MatMul", ["left", "w"], ["a"]),
            node("Add", ["top", "a"], ["b"], name="sum"),
            node("Concat", ["b", "bottom"], ["y"], axis=0),
            node("Sigmoid", ["y"], ["unused"]),
        ],
        {"x": (4, 8)},
        ["y", "a"],
        weights(w=(8, 8)),
    )


def branch(name: str, nodes: Sequence[Any], initializers: Sequence[Any] = ()) -> Any:
    result = value(nodes[-1].output[0], None)
    return helper.make_graph([*nodes], name, [], [result], initializers)
