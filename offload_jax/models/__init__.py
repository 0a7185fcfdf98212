"""Networks from model files: what each node computes, what passes between nodes, what each holds.

    model = oj.models.read_onnx("model.onnx", shapes={"batch": 1})
    problem = model.graph.to_problem(1e9, 2e10, 1.25e6, 6e6)

docs/models.md goes from a network in PyTorch to a decision.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from offload_jax.models.model import Model, ModelChain, Node
from offload_jax.validation import check_class, check_integer

__all__ = ["Model", "ModelChain", "Node", "read_onnx"]


def read_onnx(path: str | os.PathLike[str], *, shapes: Mapping[str, int] | None = None) -> Model:
    """Reads an ONNX file as a task graph.

    Shapes are inferred from those of the inputs. What depends on no value of an input (weights,
    shapes, and what is computed from these) is no task but belongs to the nodes that read it, as
    their memory; what no output needs is left out. A node with subgraphs is one task: of `If` the
    dearer branch counts, of `Loop` and `Scan` the body so often as it runs, if that is a constant.

    Weights are never read: those that lie in other files need not be there, which a warning says.
    A warning also names operators of unknown cost, which count one operation for each element of
    their result.

    Args:
      path: the file.
      shapes: the lengths of dimensions that the file leaves open, by their names; one without a
        name is called after its input and place, as in "image[0]".

    Returns:
      The model.

    Raises:
      ImportError: the package `onnx` is not installed.
      OSError: the file cannot be read.
      ValueError: naming the file, and the node or dimension: it is no ONNX model or a truncated
        one, dimensions are missing in `shapes` or unknown to the model, shapes contradict each
        other or depend on values, nodes form a cycle, or nothing depends on an input.
    """
    from offload_jax.models import onnx_graph

    shapes = {} if shapes is None else shapes
    check_class("shapes", shapes, Mapping)
    for name, length in shapes.items():
        check_integer(f"shapes[{name!r}]", length)
    return onnx_graph.read(Path(path), shapes)
