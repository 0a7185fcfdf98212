"""The student that comes with the package: weights as `.npz`, read with NumPy alone."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from offload_jax import configs
from offload_jax.graphs.graph_network import GraphPolicyConfig
from offload_jax.graphs.learned import LearnedGraphPolicy

STUDENT = Path(__file__).parent / "student.npz"
_CONFIG, _SEPARATOR = "config", "/"


def write(policy: LearnedGraphPolicy, path: Path) -> None:
    """Writes configuration and parameters, in half the size that float32 takes.

    Float16 is enough: what it rounds away is far below what training leaves uncertain.
    """
    arrays = dict(_flatten(policy.params))
    config = json.dumps(configs.as_data(policy.config))
    np.savez_compressed(path, **{n: v.astype(np.float16) for n, v in arrays.items()}, config=config)


def read(path: Path = STUDENT) -> LearnedGraphPolicy:
    """The policy that `write` wrote."""
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
    return LearnedGraphPolicy(GraphPolicyConfig(**fields), params)


def _flatten(params: dict[str, Any], prefix: str = "") -> Any:
    for name, value in params.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}{_SEPARATOR}")
        else:
            yield prefix + name, np.asarray(value)
