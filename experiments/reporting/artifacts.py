"""Result files of experiments: written whole or not at all, and reused while their config holds."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def cached(
    path: Path, config: Mapping[str, Any], compute: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
    """Results under `path` if they were made with this config, else computes and stores them.

    Args:
      path: a JSON file, `{"config": ..., "results": ...}`.
      config: everything the results depend on; JSON types only.
      compute: gives the results, JSON types and NumPy or JAX scalars and arrays.

    Raises:
      ValueError: the file exists and is not a result file; it is left alone.
    """
    config = json.loads(_dumps(dict(config)))
    if path.exists():
        try:
            stored = json.loads(path.read_text())
            if stored["config"] == config:
                return stored["results"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a result file of this project ({error}); move it away"
            ) from None
    results = json.loads(_dumps(dict(compute())))
    write_text(path, _dumps({"config": config, "results": results}))
    return results


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by a file with this text in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _dumps(value: Any) -> str:
    return json.dumps(value, indent=1, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
