"""ONNX files as models; see `models.read_onnx`."""

import itertools
import math
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.task_profile import FLOPS_PER_CYCLE
from offload_jax.extras import needs
from offload_jax.graphs.task_graph import TaskGraph, topological_order
from offload_jax.models import operations
from offload_jax.models.model import Model, Node
from offload_jax.validation import check_class, check_integer

with needs("models"):
    import onnx
    import onnx.inliner
    from google.protobuf.message import DecodeError

# Values of larger tensors cannot be shapes.
_LONGEST_SHAPE = 1024
_OWN_DOMAINS = ("", "ai.onnx")
_BITS = {"BOOL": 8, "DOUBLE": 64, "FLOAT": 32}
_MOST_LISTED = 8


class _Tensor(NamedTuple):
    shape: tuple[int, ...]
    num_bytes: float


def read(path: str | os.PathLike[str], shapes: Mapping[str, int]) -> Model:
    """Reads a model; see `models.read_onnx`."""
    check_class("shapes", shapes, Mapping)
    for name, length in shapes.items():
        check_integer(f"shapes[{name!r}]", length)
    path = Path(path)
    try:
        file = _load(path)
        initial = _initial_values(file.graph)
        nodes = _sorted_nodes(file.graph, initial)
        return _Reader(file, initial, nodes, shapes).model(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _load(path: Path) -> Any:
    try:
        file = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise ValueError("is no ONNX model, or a truncated one") from None
    if not (file.graph.node and file.opset_import):
        raise ValueError("is no ONNX model, or one without nodes or operator sets")
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
        warnings.warn(
            f"{path}: {_listed(sorted(absent))} with its weights is not there, and not needed",
            stacklevel=4,
        )
    return file


def _initial_values(graph: Any) -> dict[str, _Tensor]:
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {sparse.values.name: sparse.values for sparse in graph.sparse_initializer}
    return {name: _tensor(tensor.data_type, tensor.dims) for name, tensor in tensors.items()}


def _sorted_nodes(graph: Any, initial: Mapping[str, _Tensor]) -> list[tuple[str, Any]]:
    """The nodes, each after those that it needs, with names of their own."""
    labels = _unique(node.name or _first_result(node) or node.op_type for node in graph.node)
    maker: dict[str, int] = {}
    for number, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if maker.setdefault(name, number) != number:
                other = labels[maker[name]]
                raise ValueError(f"nodes {other!r} and {labels[number]!r} both make {name!r}")
    given = initial.keys() | {value.name for value in graph.input}
    pairs = []
    for number, node in enumerate(graph.node):
        for name in _reads(node):
            if name in maker:
                pairs.append((maker[name], number))
            elif name not in given:
                raise ValueError(f"node {labels[number]!r} reads {name!r}, which nothing makes")
    order = topological_order(np.array(pairs, np.int64).reshape(-1, 2), labels)
    ordered = [graph.node[number] for number in order]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)
    return [(labels[number], node) for number, node in zip(order, graph.node, strict=True)]


def _unique(names: Iterable[str]) -> list[str]:
    """The names, the second "a" as "a_2"."""
    taken: set[str] = set()
    found = []
    for name in names:
        numbered = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        found.append(next(new for new in numbered if new not in taken))
        taken.add(found[-1])
    return found


def _first_result(node: Any) -> str:
    return next(filter(None, node.output), "")


def _subgraphs(node: Any) -> list[Any]:
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _reads(node: Any) -> Iterator[str]:
    """The tensors that a node needs, also those that its subgraphs take from around it."""
    yield from filter(None, node.input)
    for graph in _subgraphs(node):
        inside = {value.name for value in [*graph.input, *graph.initializer]}
        inside |= {name for inner in graph.node for name in inner.output}
        needed = itertools.chain.from_iterable(_reads(inner) for inner in graph.node)
        results = (value.name for value in graph.output)
        yield from (name for name in itertools.chain(needed, results) if name not in inside)


def _tensor(kind: int, shape: Iterable[int]) -> _Tensor:
    name = onnx.TensorProto.DataType.Name(kind)
    digits = re.search(r"\d+", name)
    bits = int(digits.group()) if digits else _BITS.get(name)
    if bits is None:
        raise ValueError(f"tensors of type {name} have no known size")
    shape = tuple(shape)
    return _Tensor(shape, math.ceil(math.prod(shape) * bits / 8))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


class _Reader:
    """Makes a model of a file whose nodes are sorted.

    Attributes:
      inputs: the names of the model's inputs.
      tasks: label and node of each node that is a task.
      unknown: operators without a rule for their cost.
    """

    def __init__(
        self,
        file: Any,
        initial: dict[str, _Tensor],
        nodes: list[tuple[str, Any]],
        shapes: Mapping[str, int],
    ) -> None:
        self._shapes, self._asked = shapes, set[str]()
        self._tensors = dict(initial)
        self.inputs = [value for value in file.graph.input if value.name not in initial]
        self.outputs = [value.name for value in file.graph.output]
        self._fix_inputs()
        self.tasks = self._live(nodes)
        self.unknown: dict[str, None] = {}
        self._infer(file, nodes)
        self._constants = {
            tensor.name: tensor for tensor in file.graph.initializer if tensor.ByteSize() < 2**14
        }

    def _fix_inputs(self) -> None:
        if not self.inputs:
            raise ValueError("the model has no inputs")
        missing = {}
        for value in self.inputs:
            if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField(
                "shape"
            ):
                raise ValueError(f"input {value.name!r} is no tensor with a number of dimensions")
            for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                name = dimension.dim_param or f"{value.name}[{axis}]"
                if dimension.HasField("dim_value") and dimension.dim_value >= 0:
                    continue
                self._asked.add(name)
                if name in self._shapes:
                    dimension.dim_value = self._shapes[name]
                else:
                    missing[name] = f"{name!r} (dimension {axis} of input {value.name!r})"
        self._require(missing)

    def _require(self, missing: Mapping[str, str]) -> None:
        if missing:
            example = ", ".join(f"{name!r}: 1" for name in [*missing][:_MOST_LISTED])
            raise ValueError(
                f"shapes: must give the length of {_listed([*missing.values()])}, as in"
                f" shapes={{{example}}}"
            )

    def _live(self, nodes: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """The nodes that depend on a value of an input and are needed for an output."""
        known = {value.name for value in self.inputs}
        live = []
        for label, node in nodes:
            if node.op_type not in ("Shape", "Size") and not known.isdisjoint(_reads(node)):
                known.update(filter(None, node.output))
                live.append((label, node))
        wanted = set(self.outputs)
        needed = []
        for label, node in reversed(live):
            if not wanted.isdisjoint(node.output):
                wanted.update(_reads(node))
                needed.append((label, node))
        if not needed:
            raise ValueError("no output depends on an input")
        return needed[::-1]

    def _infer(self, file: Any, nodes: list[tuple[str, Any]]) -> None:
        try:
            whole = onnx.shape_inference.infer_shapes(
                file, check_type=True, strict_mode=True, data_prop=True
            )
        except onnx.shape_inference.InferenceError as error:
            raise ValueError(" ".join(str(error).split())) from None
        self._values = {value.name: value for value in _values(whole.graph)}
        # Nodes as inference leaves them: subgraphs have shapes, too.
        inferred = {_first_result(node): node for node in whole.graph.node}
        self.tasks = [(label, inferred[_first_result(node)]) for label, node in self.tasks]
        missing: dict[str, str] = {}
        read = {name for _, node in self.tasks for name in _reads(node)} | {*self.outputs}
        for label, node in self.tasks:
            results = [name for name in node.output[1:] if name in read]
            for name in (*_reads(node), *node.output[:1], *results):
                if name:
                    missing |= self._measure(name, label)
        self._require(missing)
        if unknown := [repr(name) for name in self._shapes if name not in self._asked]:
            asked = _listed(sorted(map(repr, self._asked))) or "none"
            raise ValueError(
                f"shapes: the model leaves no dimension {_listed(unknown)} open, those open are:"
                f" {asked}"
            )

    def _measure(self, name: str, label: str) -> dict[str, str]:
        """Finds a tensor's shape, or the names of dimensions that it needs and where they are."""
        if name in self._tensors:
            return {}
        value = self._values.get(name)
        kind = None if value is None else value.type.tensor_type
        if kind is None or not kind.HasField("shape"):
            raise ValueError(f"node {label!r}: the shape of {name!r} cannot be inferred")
        missing, shape = {}, []
        for axis, dimension in enumerate(kind.shape.dim):
            symbol = dimension.dim_param or f"{name}[{axis}]"
            if dimension.HasField("dim_value"):
                shape.append(dimension.dim_value)
                continue
            self._asked.add(symbol)
            if symbol in self._shapes:
                shape.append(self._shapes[symbol])
            else:
                missing[symbol] = f"{symbol!r} (dimension {axis} of {name!r}, node {label!r})"
        if not missing:
            self._tensors[name] = _tensor(kind.elem_type, shape)
        return missing

    def model(self, path: Path) -> Model:
        """The tasks, their work and what passes between them."""
        readers: dict[str, list[int]] = defaultdict(list)
        for number, (_, node) in enumerate(self.tasks):
            for name in dict.fromkeys(_reads(node)):
                readers[name].append(number)
        names = [value.name for value in self.inputs]
        shared = [name for name in names if len(readers[name]) > 1]
        first = len(shared)
        num_tasks = first + len(self.tasks)
        made = [(name,) for name in shared]
        made += [tuple(filter(None, node.output)) for _, node in self.tasks]
        carried: dict[tuple[int, int], list[str]] = defaultdict(list)
        result = np.zeros(num_tasks)
        for task, tensors in enumerate(made):
            for name in (name for name in tensors if readers[name]):
                result[task] += self._tensors[name].num_bytes
                for reader in readers[name]:
                    carried[task, first + reader].append(name)
        inputs: list[tuple[str, ...]] = [(name,) for name in shared]
        for _, node in self.tasks:
            read = dict.fromkeys(_reads(node))
            inputs.append(tuple(n for n in read if n in names and n not in shared))
        outputs = [tuple(n for n in tensors if n in self.outputs) for tensors in made]
        flops = np.array([0.0] * first + [self._flops(node) for _, node in self.tasks])
        edges = sorted(carried)
        graph = TaskGraph(
            names=tuple(_unique([*shared, *(label for label, _ in self.tasks)])),
            cycles=flops / FLOPS_PER_CYCLE,
            edges=np.array(edges, np.int64).reshape(-1, 2),
            data=np.array([result[u] for u, _ in edges]),
            input=self._bytes(inputs),
            output=self._bytes(outputs),
            send_once=True,
        )
        if self.unknown:
            warnings.warn(
                f"{path}: operators of unknown cost count one operation for each element of their"
                f" result: {_listed([*self.unknown])}",
                stacklevel=4,
            )
        return Model(
            name=path.stem,
            graph=graph,
            flops=flops,
            memory=self._memory(first),
            nodes=((),) * first + tuple((_node(node),) for _, node in self.tasks),
            tensors=tuple(tuple(carried[edge]) for edge in edges),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
        )

    def _bytes(self, tensors: list[tuple[str, ...]]) -> np.ndarray:
        return np.array(
            [sum(self._tensors[name].num_bytes for name in names) for names in tensors], float
        )

    def _memory(self, first: int) -> np.ndarray:
        """What each task reads that no task makes, by tensor, for the first that reads it."""
        counted = {value.name for value in self.inputs}
        counted.update(name for _, node in self.tasks for name in node.output)
        memory = [0.0] * first
        for _, node in self.tasks:
            new = {*_reads(node)} - counted
            counted |= new
            inside = sum(
                tensor.num_bytes
                for graph in _subgraphs(node)
                for tensor in _initial_values(graph).values()
            )
            memory.append(sum(self._tensors[name].num_bytes for name in new) + inside)
        return np.array(memory)

    def _flops(self, node: Any) -> float:
        inputs = [self._tensors[name].shape if name else None for name in node.input]
        known = [self._tensors.get(name) for name in node.output]
        outputs = [tensor.shape if tensor else None for tensor in known]
        found = None
        if _subgraphs(node):
            found = self._flops_inside(node, inputs)
        elif node.domain in _OWN_DOMAINS:
            found = operations.flops(node.op_type, inputs, outputs, _attributes(node))
        if found is None:
            self.unknown[_operator(node)] = None
            found = sum(math.prod(shape) for shape in outputs if shape is not None)
        return float(found)

    def _flops_inside(self, node: Any, inputs: list[tuple[int, ...] | None]) -> float | None:
        """Of a node with subgraphs; None if the shapes in them or the number of rounds are open."""
        graphs = _subgraphs(node)
        try:
            for graph in graphs:
                self._tensors |= _initial_values(graph)
                self._values |= {value.name: value for value in _values(graph)}
                for inner in graph.node:
                    for name in filter(None, (*_reads(inner), *inner.output)):
                        if self._measure(name, inner.name):
                            return None
            costs = [sum(self._flops(inner) for inner in graph.node) for graph in graphs]
        except ValueError:
            return None
        if node.op_type == "If":
            return max(costs)
        rounds = self._rounds(node, inputs)
        return None if rounds is None else rounds * costs[0]

    def _rounds(self, node: Any, inputs: list[tuple[int, ...] | None]) -> int | None:
        if node.op_type == "Scan":
            attributes = _attributes(node)
            scanned = inputs[-attributes["num_scan_inputs"]] or ()
            return scanned[attributes.get("scan_input_axes", [0])[0]]
        if node.op_type == "Loop" and node.input[0] in self._constants:
            return int(onnx.numpy_helper.to_array(self._constants[node.input[0]]).item())
        return None


def _values(graph: Any) -> Iterator[Any]:
    return itertools.chain(graph.input, graph.value_info, graph.output)


def _attributes(node: Any) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _operator(node: Any) -> str:
    domain = "" if node.domain in _OWN_DOMAINS else f"{node.domain}."
    return domain + node.op_type


def _node(node: Any) -> Node:
    return Node(node.name, _operator(node), tuple(filter(None, node.output)))
