"""The network of a learned policy for task graphs: a priority of each task, a score of each place.

Both are small perceptrons that are shared by all tasks and all places, so that one set of
parameters fits graphs of any size on any number of places, however they are numbered.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from offload_jax.graphs.features import (
    BESIDE_LEAST,
    NUM_PLACE,
    NUM_STEP,
    NUM_TASK,
    RANK_SHARE,
    Prepared,
    Seen,
)

# Where learning starts: tasks by upward rank, each where all that follows it may end first.
_RANK_WEIGHT, _BESIDE_LEAST_WEIGHT = 10.0, -15.0


@dataclasses.dataclass(frozen=True)
class GraphPolicyConfig:
    """Everything needed to rebuild the network.

    Attributes:
      hidden: width of the first layer that looks at places.
      second: width of the second.
      order_hidden: width of both layers that look at tasks before anything is booked.
      rounds: how often tasks tell their neighbours in the graph what they know, before that.
      message: numbers in what they tell.
    """

    hidden: int = 48
    second: int = 32
    order_hidden: int = 24
    rounds: int = 0
    message: int = 16

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "rounds" else 1
            if value < least:
                raise ValueError(f"{field.name} = {value}: must be at least {least}")

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """Fresh parameters."""
        return _GraphNetwork(self, rngs)


class _GraphNetwork(nnx.Module):
    """Holds the parameters; `scores` and `priorities` are the functions."""

    def __init__(self, config: GraphPolicyConfig, rngs: nnx.Rngs) -> None:
        def linear(inner: int, outer: int, *, bias: bool = False, gain: float = 2.0) -> nnx.Linear:
            initializer = nnx.initializers.variance_scaling(gain, "fan_in", "normal")
            return nnx.Linear(inner, outer, use_bias=bias, kernel_init=initializer, rngs=rngs)

        known = NUM_TASK + (config.message if config.rounds else 0)
        if config.rounds:
            self.message_in = linear(NUM_TASK, config.message, bias=True)
        for i in range(config.rounds):
            layer = linear(3 * config.message, config.message, bias=True, gain=1.0)
            setattr(self, f"message_{i}", layer)
        self.place_in = linear(NUM_PLACE, config.hidden, gain=1.0)
        self.task_in = linear(NUM_STEP + known, config.hidden, bias=True, gain=1.0)
        self.place_middle = linear(config.hidden, config.second)
        self.mean_middle = linear(config.hidden, config.second, bias=True, gain=1.0)
        self.place_out = linear(config.second, 1, gain=0.05)
        skip = jnp.zeros((NUM_PLACE, 1)).at[BESIDE_LEAST].set(_BESIDE_LEAST_WEIGHT)
        self.place_skip = nnx.Param(skip)
        self.order_in = linear(known, config.order_hidden, bias=True)
        self.order_middle = linear(config.order_hidden, config.order_hidden, bias=True)
        self.order_out = linear(config.order_hidden, 1, gain=0.05)
        self.order_skip = nnx.Param(jnp.zeros((known, 1)).at[RANK_SHARE].set(_RANK_WEIGHT))


def _times(kernel: Array, inputs: Array) -> Array:
    """`[F, H]` and `[F, ..., B]` to `[H, ..., B]`."""
    flat = inputs.reshape(len(inputs), -1)
    return (kernel.T @ flat).reshape(-1, *inputs.shape[1:])


def _layer(layer: Any, inputs: Array) -> Array:
    total = _times(layer["kernel"], inputs)
    return total + layer["bias"].reshape(-1, *(1,) * (total.ndim - 1))


def know(params: Any, prepared: Prepared) -> Float[Array, "F N R"]:
    """What is told of each task, and what it has heard from its neighbours in the graph."""
    task = prepared.task
    if "message_in" not in params:
        return task
    depends = prepared.depends.astype(task.dtype) / 4.0
    heard = jax.nn.relu(_layer(params["message_in"], task))
    for i in range(sum(name.startswith("message_") for name in params) - 1):
        readers = jnp.einsum("uvr,hvr->hur", depends, heard)
        needed = jnp.einsum("uvr,hur->hvr", depends, heard)
        heard = heard + jax.nn.relu(
            _layer(params[f"message_{i}"], jnp.concatenate([heard, readers, needed]))
        )
    return jnp.concatenate([task, heard])


def scores(params: Any, seen: Seen, known: Array) -> Float[Array, "K *batch"]:
    """Unnormalised log-probabilities of the places of a task.

    Args:
      params: of a `GraphPolicyConfig`.
      seen: `[F, K, B]` and `[F, B]`; B may be several axes.
      known: `[F, B]` what `know` gave for the task.
    """
    of_task = _layer(params["task_in"], jnp.concatenate([seen.step, known]))
    hidden = jax.nn.relu(_times(params["place_in"]["kernel"], seen.places) + of_task[:, None])
    mean = _layer(params["mean_middle"], jnp.mean(hidden, axis=1))
    second = jax.nn.relu(_times(params["place_middle"]["kernel"], hidden) + mean[:, None])
    total = _times(params["place_out"]["kernel"], second)
    total = total + _times(params["place_skip"], seen.places)
    return jnp.where(seen.allowed, total[0], -1e9)


def priorities(params: Any, known: Array) -> Float[Array, "N R"]:
    """How urgent each task is, before anything is booked, from what `know` gave."""
    hidden = jax.nn.relu(_layer(params["order_in"], known))
    hidden = jax.nn.relu(_layer(params["order_middle"], hidden))
    total = _times(params["order_out"]["kernel"], hidden) + _times(params["order_skip"], known)
    return total[0]
