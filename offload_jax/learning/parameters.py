"""Parameters of a network as a plain pytree of arrays, and the pure function they belong to.

NNX modules carry state; here a module is split once into its static graph and a nested
dictionary of arrays, so that everything above is a pure function under plain `jax.jit`.
"""

import functools
import math
from collections.abc import Hashable
from typing import Any, Protocol, runtime_checkable

import jax
from flax import nnx

Parameters = dict[str, Any]
"""Nested dictionaries of arrays: `{"networks": {"layer_0": {"kernel": ..., "bias": ...}}}`."""


@runtime_checkable
class ModelConfig(Hashable, Protocol):
    """A hashable description from which a module can be built, say a frozen dataclass."""

    def build(self, rngs: nnx.Rngs) -> nnx.Module: ...


@functools.lru_cache
def _graph(config: ModelConfig) -> tuple[Any, Any]:
    # Abstract, so nothing is computed, and no tracer is kept where a first call is inside `jit`.
    module = nnx.eval_shape(lambda: config.build(nnx.Rngs(0)))
    graph, state = nnx.split(module, nnx.Param)
    return graph, nnx.to_pure_dict(state)


def initialize(config: ModelConfig, key: jax.Array) -> Parameters:
    """Fresh parameters of a network, drawn from `key`."""
    _, state = nnx.split(config.build(nnx.Rngs(key)), nnx.Param)
    return nnx.to_pure_dict(state)


def abstract_parameters(config: ModelConfig) -> Parameters:
    """Shapes and types of the parameters, as `jax.ShapeDtypeStruct`."""
    return _graph(config)[1]


def num_parameters(config: ModelConfig) -> int:
    """How many numbers the network has."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_parameters(config)))


def apply(config: ModelConfig, params: Parameters, inputs: jax.Array) -> jax.Array:
    """Outputs of the network, a pure function of parameters and features.

    Args:
      config: the network.
      params: its parameters.
      inputs: `[..., features]`.

    Returns:
      What the module gives: logits or action values, leading dimensions as those of `inputs`.
    """
    return nnx.merge(_graph(config)[0], params)(inputs)
