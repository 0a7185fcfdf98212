"""Perceptrons that give logits for several choices, or action values: pure functions.

`modules` makes their parameters; deciding needs JAX alone.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SHARING = ("separate", "shared")
ACTIVATIONS = {"relu": jax.nn.relu, "gelu": jax.nn.gelu}


def perceptron(
    params: Any,
    inputs: Float[Array, "*batch features"],
    *,
    activation: str = "relu",
    residual: bool = False,
) -> Float[Array, "*batch outputs"]:
    """Fully connected layers with nonlinear units between them.

    Args:
      params: `{"layer_0": {"kernel": [inputs, outputs], "bias": [outputs]}, "layer_1": ...}`.
      inputs: leading dimensions free.
      activation: one of `ACTIVATIONS`.
      residual: add the input of a hidden layer to its output where their widths agree.
    """
    last = len(params) - 1
    hidden = inputs
    for i in range(last):
        output = ACTIVATIONS[activation](_linear(params[f"layer_{i}"], hidden))
        same_width = output.shape[-1] == hidden.shape[-1]
        hidden = hidden + output if residual and same_width else output
    return _linear(params[f"layer_{last}"], hidden)


def _linear(layer: Any, inputs: Array) -> Array:
    return jnp.dot(inputs, layer["kernel"]) + layer["bias"].reshape(*(1,) * (inputs.ndim - 1), -1)


def separate_networks(
    params: Any, inputs: Float[Array, "*batch features"], **layers: Any
) -> Float[Array, "*batch N K"]:
    """One perceptron for each choice, parameters stacked along a leading axis."""

    # The axis of choices stays in front inside: one batched product per layer.
    def one(network: Any) -> Array:
        return perceptron(network, inputs, **layers)

    return jnp.moveaxis(jax.vmap(one)(params["networks"]), 0, -2)


def shared_trunk(
    params: Any, inputs: Float[Array, "*batch features"], num_choices: int, **layers: Any
) -> Float[Array, "*batch N K"]:
    """One perceptron whose outputs are the logits of all choices."""
    outputs = perceptron(params["trunk"], inputs, **layers)
    return outputs.reshape(*outputs.shape[:-1], num_choices, -1)


def duelling(
    params: Any, inputs: Float[Array, "*batch features"]
) -> Float[Array, "*batch actions"]:
    """Value of the state plus advantage of each action (Wang et al. 2016).

    One trunk computes the state's features; one matrix product gives the advantages of all
    actions and the value together.
    """
    outputs = perceptron(params["trunk"], inputs)
    value, advantage = outputs[..., :1], outputs[..., 1:]
    # Centred, so that value and advantage are each determined.
    return value + advantage - jnp.mean(advantage, axis=-1, keepdims=True)
