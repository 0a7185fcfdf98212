"""The network of a learned policy for task graphs: a priority of each task, a score of each place.

Both are small perceptrons that are shared by all tasks and all places, so that one set of
parameters fits graphs of any size on any number of places, however they are numbered.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from offload_jax.graphs._jax.observation import Observation
from offload_jax.graphs._jax.task_features import TaskFeatures
from offload_jax.validation import check_integer


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

    network: ClassVar[str] = "graph_policy"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            least = 0 if field.name == "rounds" else 1
            check_integer(field.name, getattr(self, field.name), least=least)

    def build(self, rngs: Any) -> Any:
        """A Flax module that holds fresh parameters; only training needs Flax."""
        from offload_jax.graphs._jax.initial_parameters import GraphModule

        return GraphModule(rngs, **dataclasses.asdict(self))


def _times(kernel: Array, inputs: Array) -> Array:
    """`[F, H]` and `[F, ..., B]` to `[H, ..., B]`."""
    flat = inputs.reshape(len(inputs), -1)
    return (kernel.T @ flat).reshape(-1, *inputs.shape[1:])


def _layer(layer: Any, inputs: Array) -> Array:
    total = _times(layer["kernel"], inputs)
    return total + layer["bias"].reshape(-1, *(1,) * (total.ndim - 1))


def embed_tasks(params: Any, features: TaskFeatures) -> Float[Array, "F N R"]:
    """Task embeddings: features of each task, and messages from its neighbours in the graph."""
    task = features.task
    if "message_in" not in params:
        return task
    num_tasks = task.shape[1]

    def exchange(messages: Array) -> tuple[Array, Array]:
        """A quarter of the sums `[M, N, R]` of those of readers and of those of needed tasks."""

        def task_by_task(v: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
            readers, needed = sums
            quarter = jnp.where(features.needs.of(v) >= 0, 0.25, 0.0).astype(messages.dtype)[None]
            own = jnp.sum(quarter * messages, axis=1)
            return readers + quarter * messages[:, v][:, None], needed.at[:, v].set(own)

        zero = jnp.zeros_like(messages)
        return jax.lax.fori_loop(0, num_tasks, task_by_task, (zero, zero))

    messages = jax.nn.relu(_layer(params["message_in"], task))
    for i in range(sum(name.startswith("message_") for name in params) - 1):
        readers, needed = exchange(messages)
        messages = messages + jax.nn.relu(
            _layer(params[f"message_{i}"], jnp.concatenate([messages, readers, needed]))
        )
    return jnp.concatenate([task, messages])


def place_logits(params: Any, observation: Observation, embedding: Array) -> Float[Array, "K ..."]:
    """Unnormalised log-probabilities of the places of a task.

    Args:
      params: of a `GraphPolicyConfig`.
      observation: `[F, K, B]` and `[F, B]`; B may be several axes.
      embedding: `[F, B]` what `embed_tasks` gave for the task.
    """
    of_task = _layer(params["task_in"], jnp.concatenate([observation.step, embedding]))
    hidden = jax.nn.relu(
        _times(params["place_in"]["kernel"], observation.places) + of_task[:, None]
    )
    mean = _layer(params["mean_middle"], jnp.mean(hidden, axis=1))
    second = jax.nn.relu(_times(params["place_middle"]["kernel"], hidden) + mean[:, None])
    total = _times(params["place_out"]["kernel"], second)
    total = total + _times(params["place_skip"], observation.places)
    return jnp.where(observation.allowed, total[0], -1e9)


def priorities(params: Any, embedding: Array) -> Float[Array, "N R"]:
    """How urgent each task is, before anything is booked, from what `embed_tasks` gave."""
    hidden = jax.nn.relu(_layer(params["order_in"], embedding))
    hidden = jax.nn.relu(_layer(params["order_middle"], hidden))
    total = _times(params["order_out"]["kernel"], hidden) + _times(params["order_skip"], embedding)
    return total[0]
