"""ONNX Runtime: sessions, inputs, and whole and parts side by side."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.extras import needs
from offload_jax.files import json_entry, parse_json, read_text
from offload_jax.models.checked import Check, Difference
from offload_jax.models.parts import PLAN

with needs("models-run"):
    import onnx
    import onnxruntime

_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"
_ERRORS_ONLY = 3


def session(
    model: Path | bytes,
    *,
    optimized: bool,
    threads: int = 0,
    profile: Path | None = None,
    weights: Path | None = None,
) -> Any:
    """A session on the CPU.

    Args:
      model: a file, or the content of one.
      optimized: with the optimisations of the graph that ONNX Runtime makes by default, or none.
      threads: for one operator; 0 is one for each core.
      profile: how the names of the files begin that profiles are written to; None makes none.
      weights: the folder of weights that are not in the content.
    """
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    )
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if weights is not None:
        options.add_session_config_entry(_FOLDER_OF_WEIGHTS, str(weights))
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def random_inputs(described: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Standard normal numbers; 0 and 1 where elements are integers or truth values.

    Args:
      described: "type" and "shape" of each input.
    """
    rng = np.random.default_rng(0)
    found = {}
    for name, tensor in described.items():
        dtype, shape = np.dtype(tensor["type"]), tensor["shape"]
        is_small = dtype.kind in "biu"
        numbers = rng.integers(0, 2, shape) if is_small else rng.standard_normal(shape)
        found[name] = np.asarray(numbers).astype(dtype)
    return found


def read_plan(folder: Path) -> dict[str, Any]:
    """What `parts.json` in a folder of parts says.

    Raises:
      ValueError: it is none, or damaged.
      OSError: it cannot be read.
    """
    path = folder / PLAN
    try:
        plan = parse_json(read_text(path))
        for key, kind in {"model": str, "inputs": list, "outputs": list, "tensors": dict}.items():
            json_entry(plan, key, kind, "the plan")
        for part in json_entry(plan, "parts", list, "the plan"):
            for key, kind in {"file": str, "place": str, "needs": list, "makes": list}.items():
                json_entry(part, key, kind, "a part")
        for name in [*plan["inputs"], *(name for part in plan["parts"] for name in part["makes"])]:
            tensor = json_entry(plan["tensors"], name, dict, "tensors")
            tensor["shape"] = [int(n) for n in json_entry(tensor, "shape", list, name)]
            json_entry(tensor, "type", str, name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return plan


def check(
    folder: Path, inputs: Mapping[str, Any] | None, whole: Path | None, optimized: bool
) -> Check:
    """Runs whole and parts; see `models.check`."""
    plan = read_plan(folder)
    path = Path(plan["model"]) if whole is None else whole
    if not path.is_file():
        raise FileNotFoundError(f"{folder / PLAN}: the whole is not at {path}; whole= says where")
    tensors, outputs = plan["tensors"], tuple(plan["outputs"])
    held = _checked(plan, inputs)
    expected = _run(path, outputs, held, optimized=optimized)
    made_in: dict[str, Path] = {}
    made = dict(held)
    for part in plan["parts"]:
        needed = {name: made[name] for name in part["needs"]}
        made |= _run(folder / part["file"], part["makes"], needed, optimized=optimized)
        made_in |= dict.fromkeys(part["makes"], folder / part["file"])
    differing = _differences(outputs, made, expected, made_in)
    first = None
    if differing:
        crossing = [name for name in tensors if name in made_in]
        known = _run(path, crossing, held, optimized=optimized, extra=True)
        first = next(iter(_differences(crossing, made, known, made_in)), None)
    return Check(len(plan["parts"]), outputs, tuple(differing), first)


def _checked(plan: Mapping[str, Any], inputs: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Inputs of the types and shapes that a plan says, random ones if there are none."""
    described = {name: plan["tensors"][name] for name in plan["inputs"]}
    if inputs is None:
        return random_inputs(described)
    if inputs.keys() != described.keys():
        raise ValueError(f"inputs: must be {', '.join(described)}, got {', '.join(inputs)}")
    found = {name: np.asarray(value) for name, value in inputs.items()}
    for name, tensor in described.items():
        if found[name].dtype != tensor["type"] or [*found[name].shape] != tensor["shape"]:
            raise ValueError(
                f"inputs[{name!r}]: must be {tensor['type']} of shape {tuple(tensor['shape'])}, got"
                f" {found[name].dtype} of shape {found[name].shape}"
            )
    return found


def _run(
    path: Path,
    outputs: Sequence[str],
    inputs: Mapping[str, np.ndarray],
    *,
    optimized: bool,
    extra: bool = False,
) -> dict[str, np.ndarray]:
    """Results by name; with `extra` also of tensors that are no outputs of the file."""
    with refusals(path):
        if extra:
            file = onnx.load_model(path, load_external_data=False)
            there = {value.name for value in file.graph.output}
            file.graph.output.extend(onnx.ValueInfoProto(name=n) for n in outputs if n not in there)
            running = session(file.SerializeToString(), optimized=optimized, weights=path.parent)
        else:
            running = session(path, optimized=optimized)
        return dict(zip(outputs, running.run([*outputs], dict(inputs)), strict=True))


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Around what ONNX Runtime does with a file.

    Raises:
      RuntimeError: names the file and what ONNX Runtime says, in a line.
    """
    try:
        yield
    except Exception as error:  # it has many of its own
        raise RuntimeError(f"{path}: ONNX Runtime: {' '.join(str(error).split())}") from error


def _differences(
    names: Iterable[str],
    found: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    made_in: Mapping[str, Path],
) -> list[Difference]:
    differences = []
    for name in names:
        a, b = found[name], expected[name]
        same = a.dtype == b.dtype and a.shape == b.shape
        if same and a.tobytes() == b.tobytes():
            continue
        wide = b.astype(np.float64)
        apart = np.abs(a.astype(np.float64) - wide).max() if same else np.nan
        file = made_in[name]
        differences.append(
            Difference(
                name, _operator(file, name), file.name, float(apart), float(np.abs(wide).max())
            )
        )
    return differences


def _operator(path: Path, tensor: str) -> str:
    """What makes a tensor in a file."""
    nodes = onnx.load_model(path, load_external_data=False).graph.node
    return next(node.op_type for node in nodes if tensor in node.output)
