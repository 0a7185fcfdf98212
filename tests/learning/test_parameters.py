"""Parameters as plain arrays: what a module makes, and their shapes inside any transformation."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from offload_jax.learning import parameters


@dataclasses.dataclass(frozen=True)
class Linear:
    """A linear layer; `tag` makes it another configuration."""

    tag: str

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Linear(2, 3, rngs=rngs)


def test_parameters_are_those_of_the_module() -> None:
    params = parameters.initialize(Linear("made"), jax.random.key(3))
    module = nnx.Linear(2, 3, rngs=nnx.Rngs(jax.random.key(3)))
    assert params.keys() == {"kernel", "bias"}
    assert jnp.array_equal(params["kernel"], module.kernel[...])
    other = parameters.initialize(Linear("made"), jax.random.key(4))
    assert not jnp.array_equal(params["kernel"], other["kernel"])


def test_shapes_are_known_without_computing() -> None:
    config = Linear("shapes")
    assert parameters.num_parameters(config) == 9
    shapes = parameters.abstract_parameters(config)
    assert {name: leaf.shape for name, leaf in shapes.items()} == {"kernel": (2, 3), "bias": (3,)}
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in shapes.values())


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad], ids=lambda f: f.__name__)
def test_a_first_count_may_be_inside_any_transformation(transform) -> None:
    config = Linear(transform.__name__)
    counted = transform(lambda x: jnp.sum(x) * parameters.num_parameters(config))
    with jax.checking_leaks():
        counted(jnp.ones(1) if transform is jax.vmap else 1.0)
    assert parameters.num_parameters(config) == 9
