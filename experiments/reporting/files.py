"""Files that appear whole or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.datasets.manifest import replace_file


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by a file with this text in one step; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` by this value, which may hold NumPy and JAX arrays."""
    write_text(path, json.dumps(value, indent=1, default=_plain) + "\n")


def as_json(value: Any) -> Any:
    """What reading gives back after `write_json`: lists for tuples and arrays, text for keys."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
