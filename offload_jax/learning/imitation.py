"""Imitation: a network learns from examples, in shuffled batches, whatever a family makes of them.

The loop knows neither what an example is nor what the loss is. A family gives both as an
`Imitation`, so that exact labels, a teacher's softened answers and labels that the learning network
finds for itself are the same training.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, Int

from offload_jax.learning import devices, loop
from offload_jax.learning.parameters import ModelConfig, initialize


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImitationRecipe(loop.Recipe):
    """How a network is trained on examples.

    Attributes:
      batch_size: examples a step; a remainder is left out of an epoch, another one each time.
    """

    batch_size: int


@runtime_checkable
class Imitation(Protocol):
    """What a family supplies: hashable and compared by value, such as a frozen dataclass."""

    def batch(self, params: Any, examples: Any, index: Int[Array, " batch"], key: jax.Array) -> Any:
        """What a step learns from, any pytree; not differentiated.

        Args:
          params: of the learning network as it is, for labels that come from itself.
          examples: all of them.
          index: which ones are this step's.
          key: for augmentation and whatever else is random.
        """

    def loss(self, params: Any, batch: Any) -> Float[Array, ""]:
        """The mean loss of what `batch` gave."""


@dataclasses.dataclass(frozen=True)
class _Algorithm:
    recipe: ImitationRecipe
    imitation: Imitation

    def epoch(
        self, examples: Any, state: loop.TrainState, key: jax.Array
    ) -> tuple[loop.TrainState, dict[str, Array]]:
        num = num_examples(examples)
        steps = num // self.recipe.batch_size

        def step(state: loop.TrainState, inputs: Any) -> tuple[loop.TrainState, Array]:
            index, key = devices.spread(inputs[0]), inputs[1]
            batch = devices.spread(self.imitation.batch(state.params, examples, index, key))
            return loop.descend(
                self.recipe,
                state,
                lambda params: self.imitation.loss(params, batch),
                steps_per_epoch=steps,
            )

        order_key, step_key = jax.random.split(key)
        order = jax.random.permutation(order_key, num)[: steps * self.recipe.batch_size]
        inputs = order.reshape(steps, -1), jax.random.split(step_key, steps)
        state, losses = jax.lax.scan(step, state, inputs)
        return state, {"loss": losses}


def num_examples(examples: Any) -> int:
    """Length of the first axis of every leaf."""
    return jax.tree.leaves(examples)[0].shape[0]


def train(
    examples: Any,
    imitation: Imitation,
    *,
    model: ModelConfig,
    recipe: ImitationRecipe,
    config: Mapping[str, Any],
    **options: Any,
) -> Any:
    """Trains a network on examples.

    Args:
      examples: a pytree of arrays with the same first axis.
      imitation: what becomes of them.
      model: the network, for its initial parameters.
      recipe: how.
      config: stored beside the weights, see `loop.run`.
      **options: `checkpoint`, `checkpoint_every` and `on_epoch` of `loop.run`.

    Returns:
      The trained parameters.

    Raises:
      ValueError: fewer examples than a batch, or a batch that the devices cannot share evenly.
      loop.TrainingDiverged: the loss is not finite.
    """
    num = num_examples(examples)
    if not 0 < recipe.batch_size <= num:
        raise ValueError(f"batch_size = {recipe.batch_size}: there are only {num} examples")
    devices.check_batch_size(recipe.batch_size)
    key = jax.random.key(recipe.seed)
    return loop.run(
        _Algorithm(recipe, imitation),
        examples,
        loop.start(recipe, initialize(model, jax.random.fold_in(key, 0))),
        key=jax.random.fold_in(key, 1),
        config=config,
        **options,
    )
