"""Flax modules: perceptrons that give logits for several choices, or action values."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

SHARING = ("separate", "shared")
ACTIVATIONS = {"relu": nnx.relu, "gelu": nnx.gelu}


class MultilayerPerceptron(nnx.Module):
    """Fully connected layers with nonlinear units between them."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        outputs: int,
        rngs: nnx.Rngs,
        *,
        activation: str = "relu",
        residual: bool = False,
    ) -> None:
        self.num_layers = len(sizes)
        self.activation, self.residual = activation, residual
        last = len(sizes) - 1
        for i, (inner, outer) in enumerate(zip(sizes, (*sizes[1:], outputs), strict=True)):
            # A small last layer starts every choice near the uniform distribution.
            initializer = nnx.initializers.variance_scaling(
                0.1 if i == last else 2.0, "fan_in", "normal"
            )
            layer = nnx.Linear(inner, outer, kernel_init=initializer, rngs=rngs)
            setattr(self, f"layer_{i}", layer)

    def __call__(self, inputs: Array) -> Array:
        hidden = inputs
        for i in range(self.num_layers - 1):
            output = ACTIVATIONS[self.activation](getattr(self, f"layer_{i}")(hidden))
            same_width = output.shape[-1] == hidden.shape[-1]
            hidden = hidden + output if self.residual and same_width else output
        return getattr(self, f"layer_{self.num_layers - 1}")(hidden)


class SeparateNetworks(nnx.Module):
    """One network for each of `num_choices` choices, parameters stacked along a leading axis."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        num_choices: int,
        num_options: int,
        rngs: nnx.Rngs,
        **layers: Any,
    ) -> None:
        @nnx.split_rngs(splits=num_choices)
        @nnx.vmap(in_axes=0, out_axes=0)
        def create(rngs: nnx.Rngs) -> MultilayerPerceptron:
            return MultilayerPerceptron(sizes, num_options, rngs, **layers)

        self.networks = create(rngs)

    def __call__(self, inputs: Float[Array, "*batch features"]) -> Float[Array, "*batch N K"]:
        # The axis of choices stays in front inside: one batched product per layer.
        outputs = nnx.vmap(lambda network, x: network(x), in_axes=(0, None))(self.networks, inputs)
        return jnp.moveaxis(outputs, 0, -2)


class SharedTrunk(nnx.Module):
    """One network whose outputs are the logits of all choices."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        num_choices: int,
        num_options: int,
        rngs: nnx.Rngs,
        **layers: Any,
    ) -> None:
        self.shape = (num_choices, num_options)
        self.trunk = MultilayerPerceptron(sizes, num_choices * num_options, rngs, **layers)

    def __call__(self, inputs: Float[Array, "*batch features"]) -> Float[Array, "*batch N K"]:
        outputs = self.trunk(inputs)
        return outputs.reshape(*outputs.shape[:-1], *self.shape)


class DuellingNetwork(nnx.Module):
    """Value of the state plus advantage of each action (Wang et al. 2016).

    One trunk computes the state's features; one matrix product gives the advantages of all
    actions and the value together.
    """

    def __init__(self, sizes: tuple[int, ...], num_actions: int, rngs: nnx.Rngs) -> None:
        self.trunk = MultilayerPerceptron(sizes, num_actions + 1, rngs)

    def __call__(self, inputs: Float[Array, "*batch features"]) -> Float[Array, "*batch actions"]:
        outputs = self.trunk(inputs)
        value, advantage = outputs[..., :1], outputs[..., 1:]
        # Centred, so that value and advantage are each determined.
        return value + advantage - jnp.mean(advantage, axis=-1, keepdims=True)
