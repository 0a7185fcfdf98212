"""Deep Q-learning on chains (the paper's DRL baseline).

The state is a request, the action a whole decision out of 3^A, and the episode ends with it. The
paper's opponent is a double duelling deep Q-network; on such episodes its double estimate and its
target network cancel, and a duelling network regressed on rewards is left: see
`learning.deep_q_learning`.

The reward is minus the logarithm of the latency over the latency of everything on the device, cut
at `reward_floor`. For one request this is a monotone function of minus the latency, so the best
action is the same, and values have the same size for all requests. The literal minus latency has no
finite mean on requests whose bandwidth may be arbitrarily near 0.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from offload_jax.batching import broadcast_batch
from offload_jax.chains.costs import problem_terms
from offload_jax.chains.evaluation import evaluate_terms
from offload_jax.chains.exhaustive import unravel
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.q_network import QNetworkConfig, action_values
from offload_jax.learning import deep_q_learning
from offload_jax.learning.loop import OnEpoch
from offload_jax.learning.policies import training_data
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class DqnTraining(deep_q_learning.DeepQRecipe):
    """How a Q-network is trained.

    Attributes:
      reward_floor: least reward.
    """

    reward_floor: float = -4.0


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


@dataclasses.dataclass(frozen=True)
class ChainEnvironment:
    """What `learning.deep_q_learning` is told about chains.

    Attributes:
      model: the network.
      reward_floor: least reward.
    """

    model: QNetworkConfig
    reward_floor: float

    @property
    def num_actions(self) -> int:
        """3^A."""
        return self.model.num_actions

    def action_values(self, params: Any, states: ChainProblem) -> Float[Array, "batch actions"]:
        """What the network expects of every decision."""
        return action_values(self.model, params, states)

    def reward(self, states: ChainProblem, action: Int[Array, " batch"]) -> Float[Array, " batch"]:
        """`reward_of` the decisions with these numbers."""
        decision = unravel(action, self.model.num_subtasks, len(Place))
        return reward_of(states, decision, floor=self.reward_floor, objective=self.model.objective)


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
    params = deep_q_learning.train(
        problem,
        ChainEnvironment(model, training.reward_floor),
        model=model,
        recipe=training,
        config=training_data(model, training, description, requests=num),
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_epoch=on_epoch,
    )
    return LearnedPolicy(model, params)
