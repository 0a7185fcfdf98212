"""Double duelling deep Q-learning on offloading requests (the paper's DRL baseline).

One episode is one step: the state is a request, the action a whole decision out of 3^A, the reward
minus its latency, and the episode ends. So the target of a transition is its reward; the double-Q
target is there in full, with discount 0.

The reward is minus the logarithm of the latency over the latency of everything on the device, cut
at `reward_floor`. For one request this is a monotone function of minus the latency, so the best
action is the same, and values have the same size for all requests. The literal minus latency has no
finite mean on requests whose bandwidth may be arbitrarily near 0.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from offload_jax.chains.costs import evaluate_terms, problem_terms
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.problem import ChainProblem, broadcast_batch
from offload_jax.chains.q_network import QNetworkConfig, action_values, decision_of
from offload_jax.learning.loop import OnEpoch, TrainState, average, learning_rate_schedule, run
from offload_jax.learning.parameters import initialize
from offload_jax.objectives import LATENCY, Objective


@dataclasses.dataclass(frozen=True)
class DqnTraining:
    """How a Q-network is trained.

    Attributes:
      num_epochs: epochs of `steps_per_epoch` gradient steps.
      steps_per_epoch: gradient steps an epoch.
      actors: requests that are decided, and transitions stored, per gradient step.
      batch_size: transitions a gradient step, drawn uniformly from the replay buffer.
      replay_size: transitions kept.
      target_every: gradient steps between copies of the network to the target network.
      discount: of the next state's value; 0 for one-step episodes.
      learning_rate: peak of the cosine schedule.
      warmup_steps: steps until the peak.
      weight_decay: of AdamW.
      average_decay: of the running average of the weights that the policy uses.
      epsilon_start: share of random actions at the first step.
      epsilon_end: share of random actions from `exploration` on.
      exploration: share of all steps over which epsilon falls, linearly.
      reward_floor: least reward.
      seed: of initial weights, requests, actions and replay.
    """

    num_epochs: int
    steps_per_epoch: int = 200
    actors: int = 256
    batch_size: int = 512
    replay_size: int = 100_000
    target_every: int = 200
    discount: float = 0.0
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.0
    average_decay: float = 0.99
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    exploration: float = 0.5
    reward_floor: float = -4.0
    seed: int = 0


class Replay(NamedTuple):
    """A ring buffer of one-step transitions.

    Attributes:
      request: `[replay_size]` index of the request among the training requests.
      action: `[replay_size]` lexicographic number of the decision.
      reward: `[replay_size]`.
    """

    request: Any
    action: Any
    reward: Any


class Learner(NamedTuple):
    """What deep Q-learning carries besides parameters and optimiser.

    Attributes:
      target: parameters of the target network.
      replay: past transitions.
      step: gradient steps done.
    """

    target: Any
    replay: Replay
    step: Any


def double_q_target(
    reward: Float[Array, "*batch"],
    discount: Float[Array, "*batch"] | float,
    next_online: Float[Array, "*batch actions"],
    next_target: Float[Array, "*batch actions"],
) -> Float[Array, "*batch"]:
    """reward + discount * Q_target(next, argmax_a Q_online(next, a)) (van Hasselt et al. 2016).

    Args:
      reward: of the transition.
      discount: 0 where the episode ends.
      next_online: action values of the next state by the network that learns.
      next_target: the same by the target network.
    """
    chosen = jnp.argmax(next_online, axis=-1, keepdims=True)
    value = jnp.take_along_axis(next_target, chosen, axis=-1)[..., 0]
    return reward + discount * value


def reward_of(
    problem: ChainProblem,
    decision: Int[Array, "*batch A"],
    *,
    floor: float,
    objective: Objective = LATENCY,
) -> Float[Array, "*batch"]:
    """Minus log of the cost over the all-on-device cost, at least `floor`."""
    terms = problem_terms(problem, objective)
    local = jnp.maximum(jnp.sum(terms.execution[0], axis=0), 1e-30)
    ratio = jnp.clip(evaluate_terms(terms, decision) / local, jnp.exp(-10.0), jnp.exp(-floor))
    return -jnp.log(ratio)


def epsilon_at(training: DqnTraining, step: Any) -> Array:
    """Share of random actions at a gradient step."""
    total = training.num_epochs * training.steps_per_epoch
    fraction = jnp.clip(step / jnp.maximum(1.0, training.exploration * total), 0.0, 1.0)
    return training.epsilon_start + fraction * (training.epsilon_end - training.epsilon_start)


def train_dqn(
    problem: ChainProblem,
    *,
    model: QNetworkConfig,
    training: DqnTraining,
    description: str = "",
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    on_epoch: OnEpoch | None = None,
) -> LearnedPolicy:
    """Trains a Q-network by trial and error on requests; no labels.

    Args:
      problem: training requests, batch shape `[n]`.
      model: the network.
      training: the recipe.
      description: of the requests, stored with the weights.
      checkpoint: folder to write to and to resume from.
      checkpoint_every: epochs between checkpoints.
      on_epoch: receives "loss", and "reward", the mean reward of the actions tried.

    Returns:
      The greedy policy of the trained network.

    Raises:
      TrainingDiverged: the loss is not finite.
    """
    problem = jax.tree.map(jnp.asarray, broadcast_batch(problem))
    (num,) = problem.batch_shape
    optimizer, epoch = _compiled(model, dataclasses.replace(training, seed=0), num)
    key = jax.random.key(training.seed)
    state = initial_state(model, training, optimizer, jax.random.fold_in(key, 0))
    state = run(
        state,
        functools.partial(epoch, problem),
        num_epochs=training.num_epochs,
        key=jax.random.fold_in(key, 1),
        config={
            "model": model,
            "training": training,
            "data": {"description": description, "requests": num},
        },
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_epoch=on_epoch,
    )
    return LearnedPolicy(model, state.averaged)


def select_replay(replay: Replay, index: Array) -> Replay:
    """Transitions at the given slots."""
    return jax.tree.map(lambda leaf: leaf[index], replay)


def initial_state(
    model: QNetworkConfig,
    training: DqnTraining,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
) -> TrainState:
    """Fresh networks and an empty replay buffer; no two parts share memory."""
    params = initialize(model, key)
    size = (training.replay_size,)
    replay = Replay(jnp.zeros(size, jnp.int32), jnp.zeros(size, jnp.int32), jnp.zeros(size))
    target = jax.tree.map(jnp.copy, params)
    learner = Learner(target, replay, jnp.zeros((), jnp.int32))
    return TrainState(params, jax.tree.map(jnp.copy, params), optimizer.init(params), learner)


@functools.lru_cache(maxsize=8)
def _compiled(
    model: QNetworkConfig, training: DqnTraining, num: int
) -> tuple[optax.GradientTransformation, Callable[..., tuple[TrainState, dict[str, Array]]]]:
    """Optimiser and jitted epoch; kept, so that another seed does not compile again."""
    optimizer = optax.adamw(
        learning_rate_schedule(
            training.learning_rate,
            warmup_steps=training.warmup_steps,
            num_steps=training.num_epochs * training.steps_per_epoch,
        ),
        weight_decay=training.weight_decay,
    )

    def select(problem: ChainProblem, index: Array) -> ChainProblem:
        return jax.tree.map(lambda leaf: leaf[index], problem)

    def act(params: Any, problem: ChainProblem, key: jax.Array, step: Array) -> Replay:
        """Decides random requests epsilon-greedily."""
        request_key, random_key, explore_key = jax.random.split(key, 3)
        shape = (training.actors,)
        request = jax.random.randint(request_key, shape, 0, num)
        states = select(problem, request)
        best = jnp.argmax(action_values(model, params, states), axis=-1)
        anything = jax.random.randint(random_key, shape, 0, model.num_actions)
        explore = jax.random.uniform(explore_key, shape) < epsilon_at(training, step)
        action = jnp.where(explore, anything, best).astype(jnp.int32)
        decision = decision_of(action, model.num_subtasks)
        reward = reward_of(states, decision, floor=training.reward_floor, objective=model.objective)
        return Replay(request, action, reward)

    def step(
        problem: ChainProblem, state: TrainState, key: jax.Array
    ) -> tuple[TrainState, dict[str, Array]]:
        learner: Learner = state.extra
        act_key, replay_key = jax.random.split(key)
        seen = act(state.params, problem, act_key, learner.step)
        slots = (learner.step * training.actors + jnp.arange(training.actors)) % (
            training.replay_size
        )
        replay = jax.tree.map(lambda old, new: old.at[slots].set(new), learner.replay, seen)
        filled = jnp.minimum((learner.step + 1) * training.actors, training.replay_size)
        drawn = jax.random.randint(replay_key, (training.batch_size,), 0, filled)
        batch = select_replay(replay, drawn)
        states = select(problem, batch.request)
        if training.discount:
            # The next state of a chain of requests would be another request; with the paper's
            # one-step episodes there is none, and its value is not even computed.
            following = select(problem, (batch.request + 1) % num)
            target = double_q_target(
                batch.reward,
                training.discount,
                action_values(model, state.params, following),
                action_values(model, learner.target, following),
            )
        else:
            target = batch.reward

        def objective(params: Any) -> Array:
            values = action_values(model, params, states)
            taken = jnp.take_along_axis(values, batch.action[:, None], axis=-1)[:, 0]
            return jnp.mean(optax.huber_loss(taken, jax.lax.stop_gradient(target)))

        value, gradient = jax.value_and_grad(objective)(state.params)
        update, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, update)
        averaged = average(state.averaged, params, decay=training.average_decay, step=learner.step)
        done = learner.step + 1
        copy = done % training.target_every == 0
        target_params = jax.tree.map(
            lambda new, old: jnp.where(copy, new, old), params, learner.target
        )
        following_state = TrainState(
            params, averaged, optimizer_state, Learner(target_params, replay, done)
        )
        return following_state, {"loss": value, "reward": jnp.mean(seen.reward)}

    @functools.partial(jax.jit, donate_argnums=(1,))
    def epoch(
        problem: ChainProblem, state: TrainState, key: jax.Array
    ) -> tuple[TrainState, dict[str, Array]]:
        keys = jax.random.split(key, training.steps_per_epoch)
        return jax.lax.scan(functools.partial(step, problem), state, keys)

    return optimizer, epoch
