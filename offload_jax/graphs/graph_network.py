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
    NUM_SUMMARY,
    NUM_TASK,
    RANK_SHARE,
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
    """

    hidden: int = 48
    second: int = 32
    order_hidden: int = 24

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name} = {value}: must be at least 1")

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """Fresh parameters."""
        return _GraphNetwork(self, rngs)


class _GraphNetwork(nnx.Module):
    """Holds the parameters; `scores` and `priorities` are the functions."""

    def __init__(self, config: GraphPolicyConfig, rngs: nnx.Rngs) -> None:
        def linear(inner: int, outer: int, *, bias: bool = False, gain: float = 2.0) -> nnx.Linear:
            initializer = nnx.initializers.variance_scaling(gain, "fan_in", "normal")
            return nnx.Linear(inner, outer, use_bias=bias, kernel_init=initializer, rngs=rngs)

        seen = NUM_STEP + NUM_TASK + NUM_SUMMARY
        known = NUM_TASK + NUM_SUMMARY
        self.place_in = linear(NUM_PLACE, config.hidden, gain=1.0)
        self.task_in = linear(seen, config.hidden, bias=True, gain=1.0)
        self.place_middle = linear(config.hidden, config.second, bias=True)
        self.mean_middle = linear(config.hidden, config.second, gain=1.0)
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


def scores(params: Any, seen: Seen) -> Float[Array, "K B"]:
    """Unnormalised log-probabilities of the places of one task, leading axes last.

    Args:
      params: of a `GraphPolicyConfig`.
      seen: `[F, K, B]` and `[F, B]`; B may be several axes.
    """
    of_task = _times(params["task_in"]["kernel"], seen.task)
    bias = params["task_in"]["bias"]
    of_task = of_task + bias.reshape(-1, *(1,) * (of_task.ndim - 1))
    hidden = jax.nn.relu(_times(params["place_in"]["kernel"], seen.places) + of_task[:, None])
    mean = _times(params["mean_middle"]["kernel"], jnp.mean(hidden, axis=1))
    second = _times(params["place_middle"]["kernel"], hidden) + mean[:, None]
    bias = params["place_middle"]["bias"]
    second = jax.nn.relu(second + bias.reshape(-1, *(1,) * (second.ndim - 1)))
    total = _times(params["place_out"]["kernel"], second) + _times(
        params["place_skip"], seen.places
    )
    return jnp.where(seen.allowed, total[0], -1e9)


def priorities(params: Any, task: Array, summary: Array) -> Float[Array, "N R"]:
    """How urgent each task is, before anything is booked.

    Args:
      params: of a `GraphPolicyConfig`.
      task, summary: as in `Prepared`.
    """
    shape = (NUM_SUMMARY, *task.shape[1:])
    known = jnp.concatenate([task, jnp.broadcast_to(summary[:, None], shape)])

    def layer(name: str, inputs: Array) -> Array:
        bias = params[name]["bias"]
        return jax.nn.relu(_times(params[name]["kernel"], inputs) + bias[:, None, None])

    hidden = layer("order_middle", layer("order_in", known))
    total = _times(params["order_out"]["kernel"], hidden) + _times(params["order_skip"], known)
    return total[0]
