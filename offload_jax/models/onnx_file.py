"""ONNX files: nodes in an order in which they can run, and the tensors that files bring."""

import itertools
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from offload_jax.extras import needs
from offload_jax.graphs.task_graph import topological_order

with needs("models"):
    import onnx
    import onnx.inliner
    from google.protobuf.message import DecodeError

# Values of larger tensors cannot be shapes.
_LONGEST_SHAPE = 1024
_OWN_DOMAINS = ("", "ai.onnx")
_BITS = {"BOOL": 8, "DOUBLE": 64, "FLOAT": 32}


class Tensor(NamedTuple):
    """Its shape and how much it takes."""

    shape: tuple[int, ...]
    num_bytes: int


class LabelledNode(NamedTuple):
    """A node, and a name that no other has."""

    label: str
    node: Any


def load(path: Path) -> Any:
    """The content of a file, with functions written out and without the values of weights.

    Raises:
      ValueError: it is no ONNX model.
    """
    try:
        file = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise ValueError("is no ONNX model, or a truncated one") from None
    if not (file.graph.node and file.opset_import):
        raise ValueError("is no ONNX model, or one without nodes or operator sets")
    # Text that is not UTF-8 comes as bytes.
    named = ((*node.input, *node.output, node.name, node.op_type) for node in file.graph.node)
    if any(isinstance(name, bytes) for names in named for name in names):
        raise ValueError("is damaged: a name in it is not UTF-8")
    if file.functions:
        file = onnx.inliner.inline_local_functions(file)
    absent = set()
    for tensor in file.graph.initializer:
        is_long = math.prod(tensor.dims) > _LONGEST_SHAPE
        location = next((e.value for e in tensor.external_data if e.key == "location"), None)
        if location is None and is_long:
            tensor.ClearField("raw_data")  # or inference would copy it, time and again
        elif location is not None and not (path.parent / location).is_file():
            absent.add(location)
        elif location is not None and not is_long:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
            tensor.data_location = onnx.TensorProto.DEFAULT
    if absent:
        names = ", ".join(sorted(absent))
        warnings.warn(f"{path}: weights in {names} are not there, and not needed", stacklevel=4)
    return file


def initial_tensors(graph: Any) -> dict[str, Tensor]:
    """What a graph brings with it, by name."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {sparse.values.name: sparse.values for sparse in graph.sparse_initializer}
    return {name: tensor_of(value.data_type, value.dims) for name, value in tensors.items()}


def tensor_of(kind: int, shape: Iterable[int]) -> Tensor:
    """A tensor of one of ONNX's element types.

    Raises:
      ValueError: elements of that type have no fixed size.
    """
    name = onnx.TensorProto.DataType.Name(kind)
    digits = re.search(r"\d+", name)  # as of INT64, and of FLOAT8E4M3FN
    bits = int(digits.group()) if digits else _BITS.get(name)
    if bits is None:
        raise ValueError(f"tensors of type {name} have no known size")
    shape = tuple(shape)
    return Tensor(shape, math.ceil(math.prod(shape) * bits / 8))


def sort_nodes(graph: Any) -> list[LabelledNode]:
    """Puts each node behind those that it needs, in the graph itself, too.

    A node without a name gets the one that ONNX Runtime gives it: its operator and its number, for
    which constants do not count.

    Raises:
      ValueError: names the node that reads what nothing makes, those that make the same, or those
        of a cycle.
    """
    labels = unique(node.name or first_result(node) or node.op_type for node in graph.node)
    maker: dict[str, int] = {}
    for number, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if maker.setdefault(name, number) != number:
                both = f"{labels[maker[name]]!r} and {labels[number]!r}"
                raise ValueError(f"nodes {both} make the same tensor, {name!r}")
    given = {value.name for value in graph.input} | initial_tensors(graph).keys()
    pairs = []
    for number, node in enumerate(graph.node):
        for name in reads(node):
            if name in maker:
                pairs.append((maker[name], number))
            elif name not in given:
                raise ValueError(f"node {labels[number]!r} reads {name!r}, which nothing makes")
    for number, node in enumerate(node for node in graph.node if node.op_type != "Constant"):
        node.name = node.name or f"{node.op_type}_{number}"
    order = topological_order(np.array(pairs, np.int64).reshape(-1, 2), labels)
    copies = [onnx.NodeProto.FromString(graph.node[n].SerializeToString()) for n in order]
    del graph.node[:]
    graph.node.extend(copies)
    ordered = zip(order, graph.node, strict=True)
    return [LabelledNode(labels[number], node) for number, node in ordered]


def unique(names: Iterable[str]) -> list[str]:
    """The names, the second "a" as "a_2"."""
    taken: set[str] = set()
    found = []
    for name in names:
        numbered = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        found.append(next(new for new in numbered if new not in taken))
        taken.add(found[-1])
    return found


def first_result(node: Any) -> str:
    """The name of the first tensor that a node makes."""
    return next(filter(None, node.output), "")


def reads(node: Any) -> Iterator[str]:
    """The tensors that a node needs, also those that its subgraphs take from around it."""
    yield from filter(None, node.input)
    for graph in subgraphs(node):
        inside = {value.name for value in graph.input} | initial_tensors(graph).keys()
        inside |= {name for inner in graph.node for name in inner.output}
        needed = itertools.chain.from_iterable(reads(inner) for inner in graph.node)
        results = (value.name for value in graph.output)
        yield from (name for name in itertools.chain(needed, results) if name not in inside)


def subgraphs(node: Any) -> list[Any]:
    """The branches or the body of a node."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def attributes(node: Any) -> Mapping[str, Any]:
    """What a node is told beside its inputs."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def operator(node: Any) -> str:
    """The operator, with its domain unless that is ONNX's own."""
    return node.op_type if is_standard(node) else f"{node.domain}.{node.op_type}"


def is_standard(node: Any) -> bool:
    """Whether ONNX itself defines the operator."""
    return node.domain in _OWN_DOMAINS
