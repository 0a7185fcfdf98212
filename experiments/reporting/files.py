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
    """What JSON makes of a value: lists for tuples and arrays, text for keys, None for NaN.

    NaN would be no JSON, and unequal to itself: what is stored would never be the same again.
    """
    text = json.dumps(value, default=_plain)
    return json.loads(text, parse_constant=lambda name: None if name == "NaN" else float(name))


def _plain(value: Any) -> Any:
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
