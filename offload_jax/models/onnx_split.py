"""A placed model as one ONNX file for each part, and a plan that says what goes where and when."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.extras import needs
from offload_jax.files import new_folder
from offload_jax.models import onnx_file
from offload_jax.models.model import Model
from offload_jax.models.onnx_graph import Reader
from offload_jax.models.onnx_shapes import listed
from offload_jax.models.parts import PLAN, Part, parts_of
from offload_jax.validation import as_names

with needs("models"):
    import onnx
    import onnx.utils


def split(
    model: Model, place: Any, names: Sequence[str], folder: Path, order: Any | None
) -> tuple[Part, ...]:
    """Writes parts and plan; see `models.split`."""
    names = as_names("names", names)
    parts = parts_of(model, place, len(names), order)
    try:
        writer = _Writer(model)
        # What depends on no input, some part has to give.
        first = parts[0]._replace(makes=(*parts[0].makes, *writer.constant_outputs))
        parts = (first, *parts[1:])
        width = len(str(len(parts) - 1))
        files = [f"{n:0{width}}-{_plain(names[part.place])}.onnx" for n, part in enumerate(parts)]
        with new_folder(folder) as temporary:
            for part, file in zip(parts, files, strict=True):
                writer.write(part, temporary / file)
            text = json.dumps(_plan(writer, parts, names, files), indent=1, ensure_ascii=False)
            (temporary / PLAN).write_text(text + "\n", encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{model.path}: {error}") from None
    return parts


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


class _Writer:
    """Extracts parts of one file.

    Attributes:
      model: the model.
      inputs: names of its inputs.
      outputs: names of its outputs.
      constant_outputs: those that depend on no input.
      described: gives type, shape and bytes of a tensor.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        # Weights are put in part by part: onnx copies what it extracts from.
        whole = onnx.load_model(model.path, load_external_data=False)
        self._weights = {tensor.name: tensor for tensor in whole.graph.initializer}
        self._require_weights()
        reader = Reader(onnx_file.load(model.path), model.shapes)
        graph = reader.file.graph
        if graph.sparse_initializer:
            raise ValueError("has sparse weights, which onnx does not extract")
        graph.ClearField("quantization_annotation")  # refused as well, and computes nothing
        self.inputs, self.outputs = reader.inputs, reader.outputs
        made = {name for _, node in reader.tasks for name in node.output}
        self.constant_outputs = [n for n in self.outputs if n not in made.union(self.inputs)]
        self.described = reader.described
        self._tasks = {onnx_file.first_result(node) for _, node in reader.tasks}
        self._num_inputs = {}
        for node in graph.node:
            _freeze_shape(node, reader.values)
            # Extraction sees what subgraphs read only among the inputs; there it is meanwhile.
            self._num_inputs[onnx_file.first_result(node)] = len(node.input)
            node.input.extend(set(onnx_file.reads(node)) - set(node.input))
        self._extractor = onnx.utils.Extractor(reader.file)

    def _require_weights(self) -> None:
        places = {
            entry.value
            for tensor in self._weights.values()
            for entry in tensor.external_data
            if entry.key == "location"
        }
        if absent := sorted(p for p in places if not (self.model.path.parent / p).is_file()):
            raise ValueError(
                f"weights in {listed(absent)} are not there, so no part can be written"
            )

    def write(self, part: Part, path: Path) -> None:
        """Writes one part; weights that stand beside the whole get a file beside the part.

        Raises:
          ValueError: it would have to compute what another part does.
        """
        file = self._extractor.extract_model([*part.needs], [*part.makes])
        own = {node.results[0] for task in part.tasks for node in self.model.nodes[task]}
        for node in file.graph.node:
            first = onnx_file.first_result(node)
            if first in self._tasks - own:
                raise ValueError(
                    f"the length of what node {node.name!r} makes is known to"
                    " no other part before it runs; keep what reads it and it at one place"
                )
            del node.input[self._num_inputs[first] :]
        for tensor in file.graph.initializer:
            tensor.CopyFrom(self._weights[tensor.name])
        apart = any(map(onnx.external_data_helper.uses_external_data, file.graph.initializer))
        onnx.external_data_helper.load_external_data_for_model(file, str(self.model.path.parent))
        onnx.save_model(file, path, save_as_external_data=apart, location=f"{path.name}.data")


def _freeze_shape(node: Any, values: Mapping[str, Any]) -> None:
    """Makes a constant of a node that asks for a shape, if that is known.

    A part then needs no tensor for its shape alone, which a plan does not send.
    """
    if node.op_type not in ("Shape", "Size") or node.input[0] not in values:
        return
    kind = values[node.input[0]].type.tensor_type
    if kind.HasField("shape") and all(one.HasField("dim_value") for one in kind.shape.dim):
        lengths = [dimension.dim_value for dimension in kind.shape.dim]
        told = onnx_file.attributes(node)
        found = lengths[told.get("start") : told.get("end")]
        value = np.array(found if node.op_type == "Shape" else math.prod(lengths), np.int64)
        constant = onnx.numpy_helper.from_array(value)
        node.CopyFrom(
            onnx.helper.make_node("Constant", [], node.output, name=node.name, value=constant)
        )


def _plan(
    writer: "_Writer", parts: Sequence[Part], names: Sequence[str], files: Sequence[str]
) -> dict[str, Any]:
    """What `parts.json` says; docs/models.md explains it."""
    source = dict.fromkeys(writer.inputs, names[0])
    readers: dict[str, dict[str, None]] = defaultdict(dict)
    for part in parts:
        source |= dict.fromkeys(part.makes, names[part.place])
        for tensor in part.needs:
            readers[tensor][names[part.place]] = None
    for tensor in writer.outputs:
        readers[tensor][names[0]] = None
    return {
        "model": str(writer.model.path),
        "places": [*names],
        "inputs": writer.inputs,
        "outputs": writer.outputs,
        "parts": [
            {
                "file": file,
                "place": names[part.place],
                "after": [files[number] for number in part.after],
                "needs": [*part.needs],
                "makes": [*part.makes],
                "tasks": [writer.model.graph.names[task] for task in part.tasks],
            }
            for part, file in zip(parts, files, strict=True)
        ],
        "tensors": {
            name: {**writer.described(name), "from": place, "to": [*readers[name]]}
            for name, place in source.items()
        },
    }
