"""ONNX files as models; see `models.read_onnx`."""

import itertools
import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.chains.task_profile import FLOPS_PER_CYCLE
from offload_jax.extras import needs
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.models import onnx_file, operations
from offload_jax.models.model import Model, Node, Tensors
from offload_jax.models.onnx_file import LabelledNode, Tensor, reads, subgraphs
from offload_jax.models.onnx_shapes import Shapes, fix_inputs, infer, listed, measure, values

with needs("models"):
    import onnx


def read(path: Path, shapes: Mapping[str, int]) -> Model:
    """Reads a model; see `models.read_onnx`."""
    try:
        reader = Reader(onnx_file.load(path), shapes)
        model = reader.model(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if reader.unknown:
        warnings.warn(
            f"{path}: operators of unknown cost count one operation for each element of their"
            f" result: {listed(reader.unknown)}",
            stacklevel=3,
        )
    return model


class Reader:
    """Makes a model of a file.

    Attributes:
      file: the content, with all shapes that can be told and nodes in a topological order.
      values: tensors with the types that the file has for them, by name.
      inputs: names of the model's inputs.
      outputs: names of its outputs.
      tasks: the nodes that are tasks.
      tensors: what they read and make.
      unknown: operators without a rule for their cost, in the order of their nodes.
    """

    def __init__(self, file: Any, given: Mapping[str, int]) -> None:
        initial = onnx_file.initial_tensors(file.graph)
        inputs = [value for value in file.graph.input if value.name not in initial]
        if not inputs:
            raise ValueError("the model has no inputs")
        nodes = onnx_file.sort_nodes(file.graph)
        self._shapes, self._given = Shapes(given), given
        fix_inputs(inputs, self._shapes)
        self.inputs = [value.name for value in inputs]
        self.outputs = [value.name for value in file.graph.output]
        self.file = infer(file)
        graph = self.file.graph
        self.values = {value.name: value for value in values(graph)}
        # Nodes as inference leaves them: in their subgraphs there are shapes.
        nodes = [LabelledNode(n.label, node) for n, node in zip(nodes, graph.node, strict=True)]
        self.tasks = self._needed(self._live(nodes))
        self.tensors = measure(initial, graph, self.tasks, self._shapes)
        self._shapes.require_all()
        self._shapes.refuse_others()
        self.unknown: dict[str, None] = {}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def _live(self, nodes: Iterable[LabelledNode]) -> list[LabelledNode]:
        """The nodes that depend on a value of an input; all shapes are known."""
        known, live = set(self.inputs), []
        for label, node in nodes:
            if node.op_type not in ("Shape", "Size") and not known.isdisjoint(reads(node)):
                known.update(filter(None, node.output))
                live.append(LabelledNode(label, node))
        return live

    def _needed(self, nodes: Sequence[LabelledNode]) -> list[LabelledNode]:
        """The nodes that an output depends on."""
        wanted, needed = set(self.outputs), []
        for label, node in reversed(nodes):
            if not wanted.isdisjoint(node.output):
                wanted.update(reads(node))
                needed.append(LabelledNode(label, node))
        if not needed:
            raise ValueError("no output depends on an input")
        return needed[::-1]

    def described(self, name: str) -> dict[str, Any]:
        """Type, as NumPy names it, shape and bytes of a tensor."""
        value = self.values[name]
        kind = value.type.tensor_type.elem_type
        shape = Shapes(self._given).of(value, f"tensor {name!r}")
        return {
            "type": onnx.helper.tensor_dtype_to_np_dtype(kind).name,
            "shape": [*shape],
            "bytes": onnx_file.tensor_of(kind, shape).num_bytes,
        }

    def model(self, path: Path) -> Model:
        """The tasks, their work and what passes between them."""
        nodes = [node for _, node in self.tasks]
        needed = [dict.fromkeys(reads(node)) for node in nodes]
        count = Counter(itertools.chain.from_iterable(needed))
        # An input that several nodes read is a task, so that it is sent once.
        shared = [tensor for tensor in self.inputs if count[tensor] > 1]
        alone = {*self.inputs} - {*shared}
        made: list[Tensors] = [(tensor,) for tensor in shared]
        inputs = [*made, *(tuple(t for t in tensors if t in alone) for tensors in needed)]
        made += [tuple(filter(None, node.output)) for node in nodes]
        wanted = {*self.outputs} - {*shared}
        outputs = [tuple(t for t in tensors if t in wanted) for tensors in made]
        maker = {tensor: task for task, tensors in enumerate(made) for tensor in tensors}
        carried: dict[tuple[int, int], list[str]] = defaultdict(list)
        for task, tensors in enumerate(needed, len(shared)):
            for tensor in tensors.keys() & maker.keys():
                carried[maker[tensor], task].append(tensor)
        edges = sorted(carried)
        result = self._bytes([t for t in tensors if count[t]] for tensors in made)
        idle = np.zeros(len(shared))
        flops = np.append(idle, [self._flops(node, self.tensors) for node in nodes])
        graph = TaskGraph(
            names=tuple(onnx_file.unique([*shared, *(label for label, _ in self.tasks)])),
            cycles=flops / FLOPS_PER_CYCLE,
            edges=np.array(edges, np.int64).reshape(-1, 2),
            data=np.array([result[u] for u, _ in edges]),
            input=self._bytes(inputs),
            output=self._bytes(outputs),
            send_once=True,
        )
        return Model(
            name=path.stem,
            graph=graph,
            flops=flops,
            memory=np.append(idle, self._memory()),
            nodes=(*(() for _ in shared), *((_described(node),) for node in nodes)),
            tensors=tuple(tuple(sorted(carried[edge])) for edge in edges),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            path=path.absolute(),
            shapes=dict(self._given),
        )

    def _bytes(self, groups: Iterable[Iterable[str]]) -> np.ndarray:
        sums = [sum(self.tensors[name].num_bytes for name in names) for names in groups]
        return np.array(sums, np.float64)

    def _memory(self) -> np.ndarray:
        """Bytes of what each task reads that no task makes, for the first that reads it."""
        counted = {*self.inputs, *(name for _, node in self.tasks for name in node.output)}
        memory = []
        for _, node in self.tasks:
            new = {*reads(node)} - counted
            counted |= new
            inside = (onnx_file.initial_tensors(graph).values() for graph in subgraphs(node))
            tensors = itertools.chain((self.tensors[name] for name in new), *inside)
            memory.append(sum(tensor.num_bytes for tensor in tensors))
        return np.array(memory, np.float64)

    def _flops(self, node: Any, tensors: Mapping[str, Tensor]) -> float:
        inputs = [tensors[name].shape if name else None for name in node.input]
        outputs = [tensors[name].shape if name in tensors else None for name in node.output]
        found = None
        if subgraphs(node):
            found = self._flops_inside(node, inputs, tensors)
        elif onnx_file.is_standard(node):
            attributes = onnx_file.attributes(node)
            try:
                found = operations.flops(node.op_type, inputs, outputs, attributes)
            except (AttributeError, IndexError, KeyError, TypeError):
                raise ValueError(
                    f"node {node.name!r}: inputs or attributes are not those of {node.op_type}"
                ) from None
        if found is None:
            self.unknown[onnx_file.operator(node)] = None
            found = sum(math.prod(shape) for shape in outputs if shape is not None)
        return float(found)

    def _flops_inside(
        self, node: Any, inputs: Sequence[operations.Shape | None], tensors: Mapping[str, Tensor]
    ) -> float | None:
        """Of a node with subgraphs; None if shapes in them or the number of rounds are open."""
        costs = []
        for graph in subgraphs(node):
            nodes = [LabelledNode(inner.name, inner) for inner in graph.node]
            shapes = Shapes(self._given)
            try:
                own = onnx_file.initial_tensors(graph)
                inside = measure({**tensors, **own}, graph, nodes, shapes)
            except ValueError:
                return None
            if shapes.missing:
                return None
            costs.append(sum(self._flops(inner, inside) for inner in graph.node))
        if node.op_type == "If":
            return max(costs)
        rounds = self._rounds(node, inputs)
        return None if rounds is None else rounds * costs[0]

    def _rounds(self, node: Any, inputs: Sequence[operations.Shape | None]) -> int | None:
        if node.op_type == "Scan":
            attributes = onnx_file.attributes(node)
            scanned = inputs[-attributes["num_scan_inputs"]] or ()
            return scanned[attributes.get("scan_input_axes", [0])[0]]
        if node.op_type == "Loop" and node.input[0] in self._constants:
            return int(onnx.numpy_helper.to_array(self._constants[node.input[0]]).item())
        return None


def _described(node: Any) -> Node:
    return Node(node.name, onnx_file.operator(node), tuple(filter(None, node.output)))
