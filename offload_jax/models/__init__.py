"""Networks from model files: what each node computes, what passes between nodes, what each holds.

    model = oj.models.read_onnx("model.onnx", shapes={"batch": 1})
    problem = model.graph.to_problem(1e9, 2e10, 1.25e6, 6e6)

docs/models.md goes from a network in PyTorch to a decision.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offload_jax.models import profile
from offload_jax.models.checked import Check, Difference
from offload_jax.models.model import Model, ModelChain, Node
from offload_jax.models.parts import Part
from offload_jax.models.profile import Profile
from offload_jax.validation import (
    FINITE,
    as_float64,
    check_class,
    check_integer,
    check_positive,
    require,
)

__all__ = [
    "Check",
    "Difference",
    "Model",
    "ModelChain",
    "Node",
    "Part",
    "Profile",
    "check",
    "measure",
    "read_onnx",
    "read_profile",
    "split",
]


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


def read_profile(
    path: str | os.PathLike[str], *, whole: float | str | os.PathLike[str] | None = None
) -> Profile:
    """Reads how long the nodes of a model take on some machine.

    A `.json` file is a profile as ONNX Runtime writes it, of one run or many, by
    `onnxruntime_perf_test -o 0 -p FILE` or `enable_profiling` without optimising the graph: merged
    nodes have no times of their own. Of each node the median over the runs counts; what
    runs in a subgraph is part of the node that has it. A `.csv` file has the header
    `node,milliseconds` and a row for each node; a row `*` is a run of the whole model.

    Args:
      path: the file.
      whole: a run of the whole model as it is used, which `Model.measured` scales to: seconds, or
        another profile of ONNX Runtime, whose median run counts.

    Returns:
      The profile.

    Raises:
      OSError: a file cannot be read.
      ValueError: naming the file, and the line or event: it is no profile.
    """
    if isinstance(whole, str | os.PathLike):
        return profile.read(Path(path), Path(whole))
    if whole is not None:
        check_positive("whole", whole)
    return profile.read(Path(path), whole)


def measure(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, int] | None = None,
    num_runs: int = 20,
    threads: int = 0,
    pause: float = 0.0,
    optimized: bool = True,
) -> Profile:
    """Measures a model on this machine with ONNX Runtime, on random inputs.

    The nodes are profiled without optimising the graph, the whole is timed without a profiler, as
    it will run; medians count, after as many runs to warm up as a tenth of those.

    Args:
      path: the ONNX file, with its weights.
      shapes: the lengths of open dimensions, as for `read_onnx`.
      num_runs: how often nodes and whole run.
      threads: how many an operator may use; 0 is one for each core.
      pause: seconds between two runs. A machine that is asked now and then finds its caches cold,
        and one that does other work too lets those go first who have waited.
      optimized: time the whole with all optimisations of the graph, as ONNX Runtime runs it by
        default. They speed up some nodes far more than others, which one factor for all does not
        show.

    Returns:
      The profile; `save` writes it for another machine.

    Raises:
      ImportError: the packages `onnx` and `onnxruntime` are not installed.
      OSError: the file cannot be read.
      ValueError: as for `read_onnx`.
      RuntimeError: naming the file that ONNX Runtime refuses, and why.
    """
    from offload_jax.models import onnx_measure

    check_integer("num_runs", num_runs)
    check_integer("threads", threads, least=0)
    require("pause", pause, FINITE.holds(as_float64("pause", pause)), FINITE.wording)
    given = dict(shapes or {})
    return onnx_measure.measure(Path(path), given, num_runs, threads, pause, optimized)


def split(
    model: Model,
    place: Any,
    place_names: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    order: Any | None = None,
) -> tuple[Part, ...]:
    """Writes a placed model as ONNX files, one for each part, and `parts.json`.

    A part is as much as a place can run in one go without waiting for anything in the middle, and
    without having anybody wait for what is ready. A part that reads constants brings them, also
    where several parts read the same. Shapes that inference knows are constants.

    `parts.json` lists the parts in an order in which they can run: file, place, tasks, the parts
    that come before it (`after`), and the tensors that it needs and makes. Under `tensors` are
    type, shape and bytes of each that is an input, an output or passes between parts, the place
    that it comes from and those that it goes to. The first place has the inputs and gets the
    outputs.

    Args:
      model: of `read_onnx`, or fused; its file is read again.
      place: int `[N]`, the place of each task.
      place_names: the names of all places, as `Network.place_names`.
      folder: not there yet, or empty; it is there with all files or not at all.
      order: `[N]` the tasks in an order in which they can run, as `oj.graphs.solve` gives it; None
        is the model's own.

    Returns:
      The parts, in the order of `parts.json`.

    Raises:
      ImportError: the package `onnx` is not installed.
      FileExistsError: the folder is there and not empty.
      OSError: the model cannot be read, or the folder not written.
      ValueError: place or order are no decision for the model; or, naming the file, weights are
        not there or sparse, or a part needs a length that only another part's results have.
    """
    from offload_jax.models import onnx_split

    check_class("model", model, Model)
    return onnx_split.split(model, place, place_names, Path(folder), order)


def check(
    folder: str | os.PathLike[str],
    inputs: Mapping[str, Any] | None = None,
    *,
    whole: str | os.PathLike[str] | None = None,
    optimized: bool = False,
) -> Check:
    """Runs a model and its parts with ONNX Runtime on this machine and compares the outputs.

    Args:
      folder: of `split`.
      inputs: by name; None draws standard normal numbers, and zeros and ones for integers.
      whole: the file of the model, if it is no longer where `split` found it.
      optimized: let ONNX Runtime optimise whole and parts, as it does by default. It then may
        merge or lay out operators in a part otherwise than in the whole, and round otherwise; where
        it computes what is written, results are equal to the last bit.

    Returns:
      Whether all outputs are equal to the last bit; else how far they are apart, and the first
      tensor between parts that differs, with its operator.

    Raises:
      ImportError: the packages `onnx` and `onnxruntime` are not installed.
      FileNotFoundError: the model or a part is not there.
      ValueError: the plan is damaged, or inputs are not those of the model.
      RuntimeError: naming the file that ONNX Runtime refuses, and why.
    """
    from offload_jax.models import onnx_run

    return onnx_run.check(Path(folder), inputs, None if whole is None else Path(whole), optimized)
