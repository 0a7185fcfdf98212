"""Deep Q-learning where an episode is one step: a state, an action, a reward, the end.

The value of an action is then the expectation of its reward: there is no next state to look at.
Double Q-learning's target, `reward + discount * Q_target(next, argmax Q_online(next))`, has nothing
after the plus sign, so its second estimate, the target network and the discount cancel exactly, and
none of them is here. What is left of a double duelling deep Q-network is a duelling network that is
regressed on rewards, with epsilon-greedy exploration and a replay buffer.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from offload_jax.extras import needs
from offload_jax.learning import loop
from offload_jax.learning.imitation import num_examples
from offload_jax.learning.parameters import ModelConfig, initialize

with needs("learn"):
    import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepQRecipe(loop.Recipe):
    """How a Q-network is trained.

    Attributes:
      steps_per_epoch: gradient steps an epoch.
      actors: states that are acted on, and transitions stored, per gradient step.
      batch_size: transitions a gradient step, drawn uniformly from the replay buffer.
      replay_size: transitions kept.
      epsilon_start: share of random actions at the first step.
      epsilon_end: share of random actions from `exploration` on.
      exploration: share of all steps over which epsilon falls, linearly.
    """

    steps_per_epoch: int = 200
    actors: int = 256
    batch_size: int = 512
    replay_size: int = 100_000
    average_decay: float = 0.99
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    exploration: float = 0.5


@runtime_checkable
class Environment(Protocol):
    """What a family supplies: hashable and compared by value, such as a frozen dataclass.

    Attributes:
      num_actions: how many there are.
    """

    @property
    def num_actions(self) -> int: ...

    def action_values(self, params: Any, states: Any) -> Float[Array, "batch actions"]:
        """What the network says about states, a pytree cut to the batch."""

    def reward(self, states: Any, action: Int[Array, " batch"]) -> Float[Array, " batch"]:
        """What actions earn."""


class ReplayBuffer(NamedTuple):
    """A ring buffer of one-step transitions.

    Attributes:
      state: `[replay_size]` index of the state among the training states.
      action: `[replay_size]` number of the action.
      reward: `[replay_size]`.
    """

    state: Int[Array, " size"]
    action: Int[Array, " size"]
    reward: Float[Array, " size"]


def epsilon_at(recipe: DeepQRecipe, step: ArrayLike) -> Array:
    """Share of random actions at a gradient step."""
    total = recipe.num_epochs * recipe.steps_per_epoch
    fraction = jnp.clip(step / jnp.maximum(1.0, recipe.exploration * total), 0.0, 1.0)
    return recipe.epsilon_start + fraction * (recipe.epsilon_end - recipe.epsilon_start)


@dataclasses.dataclass(frozen=True)
class _Algorithm:
    recipe: DeepQRecipe
    environment: Environment

    def epoch(
        self, states: Any, state: loop.TrainState, key: jax.Array
    ) -> tuple[loop.TrainState, dict[str, Array]]:
        recipe = self.recipe

        def step(
            state: loop.TrainState, key: jax.Array
        ) -> tuple[loop.TrainState, dict[str, Array]]:
            act_key, replay_key = jax.random.split(key)
            seen = self._act(state, states, act_key)
            slots = (state.step * recipe.actors + jnp.arange(recipe.actors)) % recipe.replay_size
            buffer: ReplayBuffer = jax.tree.map(
                lambda old, new: old.at[slots].set(new), state.extra, seen
            )
            filled = jnp.minimum((state.step + 1) * recipe.actors, recipe.replay_size)
            drawn = jax.random.randint(replay_key, (recipe.batch_size,), 0, filled)
            batch = _select(buffer, drawn)

            def loss(params: Any) -> Array:
                values = self.environment.action_values(params, _select(states, batch.state))
                taken = jnp.take_along_axis(values, batch.action[:, None], axis=-1)[:, 0]
                return jnp.mean(optax.huber_loss(taken, batch.reward))

            state, value = loop.descend(recipe, state, loss, steps_per_epoch=recipe.steps_per_epoch)
            reward = jnp.mean(seen.reward)
            return state._replace(extra=buffer), {"loss": value, "reward": reward}

        return jax.lax.scan(step, state, jax.random.split(key, recipe.steps_per_epoch))

    def _act(self, state: loop.TrainState, states: Any, key: jax.Array) -> ReplayBuffer:
        """Acts epsilon-greedily on states drawn at random."""
        state_key, random_key, explore_key = jax.random.split(key, 3)
        shape = (self.recipe.actors,)
        index = jax.random.randint(state_key, shape, 0, num_examples(states))
        drawn = _select(states, index)
        best = jnp.argmax(self.environment.action_values(state.params, drawn), axis=-1)
        anything = jax.random.randint(random_key, shape, 0, self.environment.num_actions)
        explore = jax.random.uniform(explore_key, shape) < epsilon_at(self.recipe, state.step)
        action = jnp.where(explore, anything, best).astype(jnp.int32)
        return ReplayBuffer(index, action, self.environment.reward(drawn, action))


def _select(tree: Any, index: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def train(
    states: Any,
    environment: Environment,
    *,
    model: ModelConfig,
    recipe: DeepQRecipe,
    config: Mapping[str, Any],
    **options: Any,
) -> Any:
    """Trains a Q-network by trial and error; no labels.

    Args:
      states: a pytree of arrays with the same first axis.
      environment: values and rewards.
      model: the network, for its initial parameters.
      recipe: how.
      config: stored beside the weights, see `loop.run`.
      **options: `checkpoint`, `checkpoint_every` and `on_epoch` of `loop.run`; metrics are
        "loss" and "reward", the mean reward of the actions tried.

    Returns:
      The trained parameters.

    Raises:
      loop.TrainingDiverged: the loss is not finite.
    """
    key = jax.random.key(recipe.seed)
    size = (recipe.replay_size,)
    empty = ReplayBuffer(jnp.zeros(size, jnp.int32), jnp.zeros(size, jnp.int32), jnp.zeros(size))
    return loop.run(
        _Algorithm(recipe, environment),
        states,
        loop.start(recipe, initialize(model, jax.random.fold_in(key, 0)), empty),
        key=jax.random.fold_in(key, 1),
        config=config,
        **options,
    )
