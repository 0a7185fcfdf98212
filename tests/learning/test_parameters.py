"""Modules as pure functions: parameters, their shapes, and calls inside any transformation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from offload_jax.learning import parameters


@dataclasses.dataclass(frozen=True)
class Linear:
    """A linear layer; `tag` makes it another configuration."""

    tag: str

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Linear(2, 3, rngs=rngs)


@pytest.mark.parametrize(
    ("name", "transform"),
    [
        ("jit", jax.jit),
        ("grad", lambda f: jax.grad(lambda p, x: jnp.sum(f(p, x)))),
        ("vmap", lambda f: jax.vmap(f, (None, 0))),
        ("scan", lambda f: lambda p, x: jax.lax.scan(lambda c, y: (c, f(p, y)), 0, x)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_first_call_may_be_inside_any_transformation(name, transform) -> None:
    config = Linear(name)
    params = parameters.initialize(Linear("other"), jax.random.key(0))
    inputs = jnp.arange(8.0).reshape(4, 2)
    with jax.checking_leaks():
        transform(lambda p, x: parameters.apply(config, p, x))(params, inputs)
    expected = np.asarray(inputs) @ np.asarray(params["kernel"]) + np.asarray(params["bias"])[None]
    np.testing.assert_allclose(parameters.apply(config, params, inputs), expected, rtol=1e-5)


def test_shapes_are_known_without_computing() -> None:
    config = Linear("shapes")
    assert parameters.num_parameters(config) == 9
    shapes = parameters.abstract_parameters(config)
    assert {name: leaf.shape for name, leaf in shapes.items()} == {"kernel": (2, 3), "bias": (3,)}
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in shapes.values())
