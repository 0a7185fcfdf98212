"""Decisions without Python: policies as C source and as ONNX models.

    oj.export.c(oj.policies.optimal, "optimal.c")
    oj.export.c(oj.policies.load("runs/reproduce/checkpoints/kd_dil"), "student.c")
    oj.export.c(oj.graphs.policies.student(), "graph_student.c")
    oj.export.onnx(oj.policies.load("runs/reproduce/checkpoints/kd_dil"), "student.onnx")

docs/export.md says how to use what is written.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Policy = Callable[..., Any]


def c(policy: Policy, path: str | os.PathLike[str]) -> None:
    """Writes a policy as one C99 file and its header, which need no library and allocate nothing.

    The stem of `path` names the functions: "optimal.c" has `optimal_decide`. The header states
    arguments, units, places, error codes, the objective and, of a learned policy, the digest of its
    parameters, which is "params_digest" in its checkpoint.

    Args:
      policy: `oj.policies.optimal`, also in a `functools.partial` with an `objective`: the exact
        dynamic program for chains of any length and for tables of costs of any number of places.
        Or a learned policy for chains whose network `oj.single.learned` takes, such as the
        distilled student. Or a learned policy for task graphs: its most probable schedule, for
        requests that are a `GraphProblem`.
      path: ends in ".c", and the stem is a C identifier; the header goes beside it. Both are
        replaced if they exist. Each is written whole or not at all.

    Raises:
      ValueError: the policy cannot be exported, or the path does not name a C file.
      OSError: naming the file that cannot be written.
    """
    from offload_jax.export import sources

    sources.write(policy, _path(path))


def onnx(policy: Policy, path: str | os.PathLike[str]) -> None:
    """Writes a learned policy for chains as an ONNX model.

    Inputs are the fields of `ChainProblem` by name, float32 with one batch dimension: `cycles`
    `[batch, A]`, `data` `[batch, A + 1]` and the four rates `[batch]`, for the A that the network
    was made for. The output `decision` is int8 `[batch, A]`. Values are not validated.

    Args:
      policy: from `oj.policies.load`, an imitation network of any kind.
      path: replaced if it exists; written whole or not at all.

    Raises:
      ImportError: the package `onnx` is not installed.
      ValueError: the policy cannot be exported.
      OSError: naming the file that cannot be written.
    """
    from offload_jax.export import onnx_model

    onnx_model.write(policy, _path(path))


def _path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"path: must be the name of a file, got {type(path).__name__}; the policy goes first"
        )
    return Path(path)
