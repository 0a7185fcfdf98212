"""Whatever can be planned, from files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.chains.task_profile import FLOPS_PER_CYCLE, TaskProfile
from offload_jax.files import json_entry, json_number, parse_json, read_text
from offload_jax.graphs.files.measured import read_measured
from offload_jax.graphs.files.read import read as read_graph
from offload_jax.measured import measured_rows, read_measured_task
from offload_jax.models import read_onnx

_RATES = ("device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth")


def read_task(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, int] | None = None,
    reference_speed: float = 1e9,
) -> Any:
    """Reads a model, a task graph, a measured table or a chain, by suffix and content.

    A chain in JSON is an object with the fields of a `ChainProblem`, `cycles` and `data`, without
    batch dimensions; the two speeds and two bandwidths all or none of them.

    Args:
      path: an ONNX file, a .csv or .json that `read_measured_task` or `graphs.read_measured` takes,
        a chain in .json, or a file that `graphs.read` takes.
      shapes: as for `models.read_onnx`.
      reference_speed: as for `graphs.read`.

    Returns:
      What `plan` takes: a `Model`, `MeasuredTask`, `MeasuredGraph`, `TaskGraph`, `ChainProblem` or,
      of a chain without speeds, `TaskProfile`.

    Raises:
      OSError: the file cannot be read.
      ValueError: as the reader of that kind of file does.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return read_onnx(path, shapes=shapes)
    if shapes:
        raise ValueError(f"{path}: shapes are for .onnx files")
    if suffix == ".csv":
        _, rows = measured_rows(path)
        return read_measured_task(path) if rows[0].needs is None else read_measured(path)
    if suffix == ".json":
        content = _object(path)
        if "subtasks" in content:
            return read_measured_task(path)
        if "cycles" in content:
            try:
                return _chain(path.stem, content)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
    return read_graph(path, reference_speed=reference_speed)


def _object(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_text(path))
    except ValueError as error:
        where = "" if str(error).startswith(str(path)) else f"{path}: "
        raise ValueError(f"{where}{error}") from None
    return content if isinstance(content, dict) else {}


def _chain(name: str, content: dict[str, Any]) -> ChainProblem | TaskProfile:
    for key in content:
        if key not in ("name", "cycles", "data", *_RATES):
            raise ValueError(f"unknown entry {key!r} of a chain")
    cycles, data = (json_entry(content, key, list, "chain") for key in ("cycles", "data"))
    given = [key for key in _RATES if key in content]
    rates = [json_number(content, key, "chain") for key in (_RATES if given else ())]
    problem = ChainProblem(cycles, data, *(rates or [1.0] * len(_RATES)))
    validate(problem)
    if problem.batch_shape:
        raise ValueError(f"must be one chain, got a batch {problem.batch_shape}")
    if given:
        return problem
    names = tuple(map(str, range(problem.num_subtasks)))
    flops = FLOPS_PER_CYCLE * np.asarray(problem.cycles)
    return TaskProfile(str(content.get("name", name)), names, flops, np.asarray(problem.data))
