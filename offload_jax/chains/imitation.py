"""Deep imitation learning on chains: a network learns decisions that someone else has made."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from offload_jax.batching import broadcast_batch
from offload_jax.chains.augmentation import Variations, recombine
from offload_jax.chains.costs import problem_terms, stack_terms
from offload_jax.chains.imitation_network import ImitationConfig, log_probabilities, logits
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.problem import ChainProblem
from offload_jax.learning import imitation, losses
from offload_jax.learning.distillation import soften
from offload_jax.learning.loop import OnEpoch
from offload_jax.learning.policies import training_data
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective


class Examples(NamedTuple):
    """Requests and what to decide about them.

    Attributes:
      problem: batch shape `[n]`.
      target: `[n, A, 3]` probabilities of the places; one-hot for exact labels, softened
        probabilities for distillation.
    """

    problem: ChainProblem
    target: Array


Transform = Callable[[jax.Array, Examples], Examples]
"""From a key and a batch of examples to the batch to learn from; traced into the training step."""

Teacher = Callable[[ChainProblem], Float[Array, "*batch A K"]]
"""From requests to target probabilities."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImitationTraining(imitation.ImitationRecipe):
    """How an imitation network is trained.

    Attributes:
      temperature: of the learning network, see `losses.cross_entropy`.
      cross_entropy_weight: weight of the cross-entropy.
      expected_cost_weight: weight of `log_expected_cost`.
      recombined: requests without targets that are added to each step, see `recombine`; only
        their expected cost is looked at, which the cost formula gives.
    """

    temperature: float = 1.0
    cross_entropy_weight: float = 1.0
    expected_cost_weight: float = 0.0
    recombined: int = 0


def one_hot(decision: Int[ArrayLike, "*batch A"]) -> Float[Array, "*batch A 3"]:
    """Targets from exact labels."""
    return jax.nn.one_hot(decision, len(Place), dtype=jnp.float32)


def log_expected_cost(
    logits: Float[Array, "*batch A 3"], problem: ChainProblem, objective: Objective = LATENCY
) -> Float[Array, "*batch"]:
    """`losses.log_expected_cost` of requests.

    Args:
      logits: of the policy.
      problem: the requests.
      objective: the cost.
    """
    problem = broadcast_batch(problem)
    table = stack_terms(problem_terms(problem, objective), problem.batch_shape)
    execution, transfer = jnp.asarray(table.execution), jnp.asarray(table.transfer)
    return losses.log_expected_cost(logits, execution, transfer)


@dataclasses.dataclass(frozen=True)
class ChainImitation:
    """What `learning.imitation` is told about chains.

    Attributes:
      model: the network.
      training: the recipe.
      transform: see `train_imitation`.
    """

    model: ImitationConfig
    training: ImitationTraining
    transform: Transform | None = None

    def batch(
        self, params: Any, examples: Examples, index: Array, key: jax.Array
    ) -> tuple[Examples, ChainProblem]:
        """Examples as `transform` leaves them, and recombined requests."""
        transform_key, recombine_key = jax.random.split(key)
        chosen = jax.tree.map(lambda leaf: leaf[index], examples)
        if self.transform is not None:
            chosen = self.transform(transform_key, chosen)
        return chosen, recombine(recombine_key, examples.problem, self.training.recombined)

    def loss(self, params: Any, batch: tuple[Examples, ChainProblem]) -> Float[Array, ""]:
        """The mean over examples, and that of the expected cost of recombined requests."""
        training, objective = self.training, self.model.objective
        examples, unlabelled = batch
        output = logits(self.model, params, examples.problem)
        total = jnp.zeros(output.shape[:-2])
        if training.cross_entropy_weight:
            total += training.cross_entropy_weight * losses.cross_entropy(
                output, examples.target, temperature=training.temperature
            )
        if training.expected_cost_weight:
            total += training.expected_cost_weight * log_expected_cost(
                output, examples.problem, objective
            )
        if not training.recombined:
            return jnp.mean(total)
        output = logits(self.model, params, unlabelled)
        expected = log_expected_cost(output, unlabelled, objective)
        return jnp.mean(total) + training.expected_cost_weight * jnp.mean(expected)


def train_imitation(
    examples: Examples,
    *,
    model: ImitationConfig,
    training: ImitationTraining,
    transform: Transform | None = None,
    description: str = "",
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    on_epoch: OnEpoch | None = None,
) -> LearnedPolicy:
    """Trains a network on requests with targets (sections 3.3 and 4).

    Args:
      examples: requests and targets.
      model: the network.
      training: the recipe.
      transform: changes each batch before it is learnt from: symmetries, variations that a teacher
        answers, a fresh stream.
      description: of `transform` and the data, stored with the weights; training is only resumed
        from a checkpoint with the same one.
      checkpoint: folder to write to and to resume from.
      checkpoint_every: epochs between checkpoints.
      on_epoch: receives metrics.

    Returns:
      The trained policy.

    Raises:
      ValueError: examples and network do not fit, or fewer examples than a batch.
      TrainingDiverged: the loss is not finite.
    """
    problem = jax.tree.map(jnp.asarray, broadcast_batch(examples.problem))
    target = jnp.asarray(examples.target, jnp.float32)
    (num,) = problem.batch_shape
    shape = (num, model.num_subtasks, len(Place))
    if target.shape != shape:
        raise ValueError(f"target: needs shape {shape}, got {target.shape}")
    # Another seed is the same program.
    learner = ChainImitation(model, dataclasses.replace(training, seed=0), transform)
    params = imitation.train(
        [imitation.Group(Examples(problem, target), learner, training.batch_size)],
        model=model,
        recipe=training,
        config=training_data(model, training, description, examples=num),
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_epoch=on_epoch,
    )
    return LearnedPolicy(model, params)


def teacher_of(policy: LearnedPolicy, temperature: float) -> Teacher:
    """A teacher that answers with the softened probabilities of a trained policy.

    Args:
      policy: of an imitation network.
      temperature: T >= 1.

    Raises:
      ValueError: the policy has no probabilities of places.
    """
    if not isinstance(policy.config, ImitationConfig):
        raise ValueError(
            f"teacher: needs probabilities of places, got a {type(policy.config).__name__}"
        )
    config, params = policy.config, policy.params

    def answer(problem: ChainProblem) -> Array:
        return soften(log_probabilities(config, params, problem), temperature)

    return answer


def taught(teacher: Teacher, vary: Variations) -> Transform:
    """A `Transform` that replaces each batch by variations of it, answered by a teacher."""

    def transform(key: jax.Array, examples: Examples) -> Examples:
        problem = vary(key, examples.problem)
        return Examples(problem, jax.lax.stop_gradient(teacher(problem)))

    return transform
