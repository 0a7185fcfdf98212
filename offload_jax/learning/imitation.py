"""Imitation: a network learns from examples, in shuffled batches, whatever a family makes of them.

The loop knows neither what an example is nor what the loss is. A family gives both as an
`Imitation`, so that exact labels, a teacher's softened answers and labels that the learning network
finds for itself are the same training. Examples of several shapes are groups that take turns.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
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


class Group(NamedTuple):
    """Examples of one shape.

    Attributes:
      examples: a pytree of arrays with the same first axis.
      imitation: what becomes of them.
      batch_size: how many a step takes; a remainder is left out of an epoch, another one each time.
    """

    examples: Any
    imitation: Imitation
    batch_size: int


@dataclasses.dataclass(frozen=True)
class _Algorithm:
    recipe: ImitationRecipe
    imitations: tuple[Imitation, ...]
    batch_sizes: tuple[int, ...]

    def epoch(
        self, data: Any, state: loop.TrainState, key: jax.Array
    ) -> tuple[loop.TrainState, dict[str, Array]]:
        """As many rounds, a step of each group in turn, as the smallest group has batches."""
        parts = list(zip(data, self.imitations, self.batch_sizes, strict=True))
        rounds = min(num_examples(examples) // size for examples, _, size in parts)
        order_key, step_key = jax.random.split(key)

        def drawn(number: int, num: int, size: int) -> Array:
            order = jax.random.permutation(jax.random.fold_in(order_key, number), num)
            return order[: rounds * size].reshape(rounds, size)

        def step(state: loop.TrainState, inputs: Any) -> tuple[loop.TrainState, Array]:
            indices, keys = inputs
            losses = []
            for index, key, (examples, imitation, _) in zip(indices, keys, parts, strict=True):
                made = imitation.batch(state.params, examples, devices.spread(index), key)
                loss = functools.partial(_loss, imitation, devices.spread(made))
                state, value = loop.descend(
                    self.recipe, state, loss, steps_per_epoch=rounds * len(parts)
                )
                losses.append(value)
            return state, jnp.stack(losses)

        indices = [drawn(i, num_examples(each), size) for i, (each, _, size) in enumerate(parts)]
        keys = jax.random.split(step_key, (rounds, len(parts)))
        state, losses = jax.lax.scan(step, state, (indices, keys))
        return state, {"loss": losses.ravel()}


def _loss(imitation: Imitation, batch: Any, params: Any) -> Float[Array, ""]:
    return imitation.loss(params, batch)


def num_examples(examples: Any) -> int:
    """Length of the first axis of every leaf."""
    return jax.tree.leaves(examples)[0].shape[0]


def train(
    groups: Sequence[Group],
    *,
    model: ModelConfig,
    recipe: ImitationRecipe,
    config: Mapping[str, Any],
    params: Any = None,
    **options: Any,
) -> Any:
    """Trains a network on examples.

    Args:
      groups: what it learns from.
      model: the network, for its initial parameters.
      recipe: how, but for the batch sizes, which are those of the groups.
      config: stored beside the weights, see `loop.run`.
      params: to begin with; None for fresh ones.
      **options: `checkpoint`, `checkpoint_every` and `on_epoch` of `loop.run`.

    Returns:
      The trained parameters.

    Raises:
      ValueError: fewer examples than a batch, or a batch that the devices cannot share evenly.
      loop.TrainingDiverged: the loss is not finite.
    """
    for examples, _, batch_size in groups:
        num = num_examples(examples)
        if not 0 < batch_size <= num:
            raise ValueError(f"batch_size = {batch_size}: there are only {num} examples")
        devices.check_batch_size(batch_size)
    key = jax.random.key(recipe.seed)
    if params is None:
        params = initialize(model, jax.random.fold_in(key, 0))
    data, imitations, sizes = zip(*groups, strict=True)
    return loop.run(
        _Algorithm(recipe, imitations, sizes),
        data,
        loop.start(recipe, params),
        key=jax.random.fold_in(key, 1),
        config=config,
        **options,
    )
