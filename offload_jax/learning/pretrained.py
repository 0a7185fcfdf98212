"""Weights that come with the package: `.npz`, read with NumPy alone."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from offload_jax import configs

_CONFIG, _SEPARATOR = "config", "/"


def write(path: Path, config: Any, params: Any) -> None:
    """Writes configuration and parameters, in half the size that float32 takes.

    Float16 is enough: what it rounds away is far below what training leaves uncertain.

    Args:
      path: the file.
      config: dataclasses and JSON types.
      params: nested dictionaries of arrays.
    """
    arrays = {n: v.astype(np.float16) for n, v in _flatten(params)}
    np.savez_compressed(path, **arrays, config=json.dumps(configs.as_data(config)))


def read(path: Path) -> tuple[dict[str, Any], Any]:
    """What `write` wrote: the configuration in JSON types, the parameters in float32."""
    params: dict[str, Any] = {}
    with np.load(path) as stored:
        fields = json.loads(str(stored[_CONFIG]))
        for name in stored.files:
            if name == _CONFIG:
                continue
            *folders, last = name.split(_SEPARATOR)
            inner = params
            for folder in folders:
                inner = inner.setdefault(folder, {})
            inner[last] = jnp.asarray(stored[name], jnp.float32)
    return fields, params


def _flatten(params: dict[str, Any], prefix: str = "") -> Any:
    for name, value in params.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}{_SEPARATOR}")
        else:
            yield prefix + name, np.asarray(value)
