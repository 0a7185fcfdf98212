"""Flax modules that hold fresh parameters of the networks; what is done with them: `networks`."""

from typing import Any

from offload_jax.extras import needs

with needs("learn"):
    from flax import nnx


class MultilayerPerceptron(nnx.Module):
    """Layers `layer_0` to `layer_n`."""

    def __init__(self, sizes: tuple[int, ...], outputs: int, rngs: nnx.Rngs) -> None:
        last = len(sizes) - 1
        for i, (inner, outer) in enumerate(zip(sizes, (*sizes[1:], outputs), strict=True)):
            # A small last layer starts every choice near the uniform distribution.
            initializer = nnx.initializers.variance_scaling(
                0.1 if i == last else 2.0, "fan_in", "normal"
            )
            layer = nnx.Linear(inner, outer, kernel_init=initializer, rngs=rngs)
            setattr(self, f"layer_{i}", layer)


class SeparateNetworks(nnx.Module):
    """Parameters of `networks.separate_networks`, stacked along a leading axis."""

    def __init__(
        self, sizes: tuple[int, ...], num_choices: int, num_options: int, rngs: nnx.Rngs
    ) -> None:
        @nnx.split_rngs(splits=num_choices)
        @nnx.vmap(in_axes=0, out_axes=0)
        def create(rngs: nnx.Rngs) -> MultilayerPerceptron:
            return MultilayerPerceptron(sizes, num_options, rngs)

        self.networks: Any = create(rngs)


class Trunk(nnx.Module):
    """Parameters of `networks.shared_trunk` and `networks.duelling`."""

    def __init__(self, sizes: tuple[int, ...], outputs: int, rngs: nnx.Rngs) -> None:
        self.trunk = MultilayerPerceptron(sizes, outputs, rngs)
