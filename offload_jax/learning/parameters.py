"""Parameters of a network as a plain pytree of arrays, from the Flax module that makes them.

Deciding needs the arrays alone; making and counting them needs Flax.
"""

import functools
import hashlib
import math
from collections.abc import Hashable
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from offload_jax.extras import needs

Parameters = dict[str, Any]
"""Nested dictionaries of arrays: `{"networks": {"layer_0": {"kernel": ..., "bias": ...}}}`."""


@runtime_checkable
class ModelConfig(Hashable, Protocol):
    """A hashable description from which a module can be built, say a frozen dataclass."""

    def build(self, rngs: Any) -> Any:
        """An `nnx.Module` with fresh parameters."""
        ...


def initialize(config: ModelConfig, key: jax.Array) -> Parameters:
    """Fresh parameters of a network, drawn from `key`."""
    with needs("learn"):
        from flax import nnx

    return nnx.to_pure_dict(nnx.state(config.build(nnx.Rngs(key)), nnx.Param))


@functools.lru_cache
def abstract_parameters(config: ModelConfig) -> Parameters:
    """Shapes and types of the parameters, as `jax.ShapeDtypeStruct`; nothing is computed."""
    with needs("learn"):
        from flax import nnx

    module = nnx.eval_shape(lambda: config.build(nnx.Rngs(0)))
    return nnx.to_pure_dict(nnx.state(module, nnx.Param))


def num_parameters(config: ModelConfig) -> int:
    """How many numbers the network has."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_parameters(config)))


def digest(tree: Any) -> str:
    """SHA-256 over shapes, types and bytes of all leaves: what identifies parameters."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        total.update(f"{array.shape}{array.dtype}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
