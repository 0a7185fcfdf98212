"""Shapes of the tensors of an ONNX file, with the dimensions that it leaves open filled in."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from offload_jax.extras import needs
from offload_jax.models.onnx_file import LabelledNode, Tensor, reads, tensor_of

with needs("models"):
    import onnx

_MOST_LISTED = 8


class Shapes:
    """Lengths of open dimensions, and what is missing.

    Attributes:
      missing: names of dimensions without a length, and where they are.
    """

    def __init__(self, given: Mapping[str, int]) -> None:
        self.missing: dict[str, str] = {}
        self._given = given
        self._open: set[str] = set()

    def of(self, value: Any, where: str) -> tuple[int, ...]:
        """The lengths of all dimensions of a value; those that are missing are told as 1.

        Raises:
          ValueError: it is no tensor, or the number of its dimensions is unknown.
        """
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            raise ValueError(f"{where}: the number of its dimensions is not known")
        return tuple(
            self._length(dimension, f"{value.name}[{axis}]", where)
            for axis, dimension in enumerate(kind.shape.dim)
        )

    def _length(self, dimension: Any, place: str, where: str) -> int:
        if dimension.HasField("dim_value") and dimension.dim_value >= 0:
            return int(dimension.dim_value)
        name = dimension.dim_param or place
        self._open.add(name)
        if name not in self._given:
            self.missing[name] = f"{name!r} ({place}, {where})"
        return self._given.get(name, 1)

    def require_all(self) -> None:
        """Raises:
        ValueError: lists the dimensions that are missing.
        """
        if self.missing:
            example = ", ".join(f"{name!r}: 1" for name in [*self.missing][:_MOST_LISTED])
            raise ValueError(
                f"shapes: must give the lengths of {listed(self.missing.values())}, as in"
                f" shapes={{{example}}}"
            )

    def refuse_others(self) -> None:
        """Raises:
        ValueError: lists names of dimensions that are not open.
        """
        if others := [name for name in self._given if name not in self._open]:
            raise ValueError(
                f"shapes: the model has no open dimension {listed(map(repr, others))}, only"
                f" {listed(map(repr, sorted(self._open))) or 'fixed ones'}"
            )


def fix_inputs(inputs: Iterable[Any], shapes: Shapes) -> None:
    """Writes all lengths into the inputs of a model."""
    for value in inputs:
        lengths = shapes.of(value, f"input {value.name!r}")
        for dimension, length in zip(value.type.tensor_type.shape.dim, lengths, strict=True):
            dimension.dim_value = length
    shapes.require_all()


def infer(file: Any) -> Any:
    """The file with all shapes that can be told.

    Raises:
      ValueError: shapes contradict each other, or an operator is unknown or misused.
    """
    try:
        return onnx.shape_inference.infer_shapes(
            file, check_type=True, strict_mode=True, data_prop=True
        )
    except onnx.shape_inference.InferenceError as error:
        raise ValueError(" ".join(str(error).split())) from None


def measure(
    tensors: Mapping[str, Tensor], graph: Any, nodes: Iterable[LabelledNode], shapes: Shapes
) -> dict[str, Tensor]:
    """Shapes and bytes of what nodes read and make.

    Args:
      tensors: those that are known.
      graph: holds the types of the others.
      nodes: in it; of their results the first counts, and the others if any node reads them or they
        are results of the graph.
      shapes: lengths of open dimensions.

    Returns:
      All tensors.

    Raises:
      ValueError: a shape is not known at all.
    """
    nodes, found = list(nodes), dict(tensors)
    types = {value.name: value for value in values(graph)}
    used = {name for _, node in nodes for name in reads(node)}
    used |= {value.name for value in graph.output}
    for label, node in nodes:
        others = (name for name in node.output[1:] if name in used)
        for name in filter(None, itertools.chain(reads(node), node.output[:1], others)):
            if name not in found:
                value = types.get(name, onnx.ValueInfoProto(name=name))
                shape = shapes.of(value, f"node {label!r}, tensor {name!r}")
                found[name] = tensor_of(value.type.tensor_type.elem_type, shape)
    return found


def values(graph: Any) -> Iterator[Any]:
    """Everything in a graph that has a type."""
    return itertools.chain(graph.input, graph.value_info, graph.output)


def listed(names: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    names = [*names]
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more
