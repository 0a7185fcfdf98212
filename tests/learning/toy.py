"""A family of problems as small as they come: lines through points, and bandits with a best arm."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Linear:
    """A linear layer."""

    outputs: int = 1

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Linear(2, self.outputs, rngs=rngs)

    def apply(self, params, inputs):
        return inputs @ params["kernel"] + params["bias"][None]


@dataclasses.dataclass(frozen=True)
class Regression:
    """Least squares on points and values; its batches are as they come."""

    model: Linear = Linear()

    def batch(self, params, examples, index, key):
        del params, key
        return jax.tree.map(lambda leaf: leaf[index], examples)

    def loss(self, params, batch):
        points, values = batch
        return jnp.mean((self.model.apply(params, points)[:, 0] - values) ** 2)


@dataclasses.dataclass(frozen=True)
class OneBetter(Regression):
    """Learns to answer one more than it does: labels come from the parameters as they are."""

    def batch(self, params, examples, index, key):
        points, _ = super().batch(params, examples, index, key)
        return points, self.model.apply(params, points)[:, 0] + 1.0


@dataclasses.dataclass(frozen=True)
class Bandit:
    """Arm k earns the k-th coordinate of the state."""

    model: Linear = Linear(2)
    num_actions: int = 2

    def action_values(self, params, states):
        return self.model.apply(params, states)

    def reward(self, states, action):
        return jnp.take_along_axis(states, action[:, None], axis=-1)[:, 0]


def points(num: int) -> tuple[jax.Array, jax.Array]:
    """Points in the plane and 3 x - 2 y + 1."""
    where = jax.random.normal(jax.random.key(0), (num, 2))
    return where, where @ jnp.array([3.0, -2.0]) + 1.0
