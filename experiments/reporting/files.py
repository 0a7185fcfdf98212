"""Files that appear whole or not at all."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.files import replace_file


def check_writable(folder: Path, flag: str) -> None:
    """Refuses a folder that cannot be made or written to, before anything is computed for it.

    Raises:
      ValueError: names the flag, the folder and the reason.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f"--{flag}={folder}: cannot be written to ({there}: {error.strerror})"
        ) from None


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
