"""Deep imitation learning: a network learns decisions that someone else has labelled."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from offload_jax.chains.imitation_network import ImitationConfig, logits
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.problem import ChainProblem, broadcast_batch
from offload_jax.learning import losses
from offload_jax.learning.loop import OnEpoch, TrainState, average, learning_rate_schedule, run
from offload_jax.learning.parameters import initialize
from offload_jax.network import Place


class Examples(NamedTuple):
    """Requests and what to decide about them.

    Attributes:
      problem: batch shape `[n]`.
      target: `[n, A, 3]` probabilities of the places; one-hot for exact labels, softened
        probabilities for distillation.
    """

    problem: ChainProblem
    target: Any


Transform = Callable[[jax.Array, Examples], Examples]
"""From a key and a batch of examples to the batch to learn from; traced into the training step."""


@dataclasses.dataclass(frozen=True)
class ImitationTraining:
    """How an imitation network is trained.

    Attributes:
      num_epochs: passes over the examples.
      batch_size: examples a step; a remainder is left out of an epoch, another one each time.
      learning_rate: peak of the cosine schedule.
      warmup_steps: steps until the peak.
      weight_decay: of AdamW.
      average_decay: of the running average of the weights that the policy uses; 0 for none.
      temperature: of the learning network, see `losses.cross_entropy`.
      cross_entropy_weight: weight of the cross-entropy.
      expected_cost_weight: weight of `losses.log_expected_cost`.
      recombined: requests without labels that are added to each step, see `recombined`; only
        their expected cost is looked at, which the cost formula gives.
      seed: of initial weights, order and augmentation.
    """

    num_epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.0
    average_decay: float = 0.0
    temperature: float = 1.0
    cross_entropy_weight: float = 1.0
    expected_cost_weight: float = 0.0
    recombined: int = 0
    seed: int = 0


def one_hot(decision: Any) -> Array:
    """Targets `[..., A, 3]` from exact labels `[..., A]`."""
    return jax.nn.one_hot(decision, len(Place), dtype=jnp.float32)


def loss(
    model: ImitationConfig, training: ImitationTraining, params: Any, examples: Examples
) -> Array:
    """Mean loss of a batch, in the weights of `training`."""
    output = logits(model, params, examples.problem)
    total = jnp.zeros(output.shape[:-2])
    if training.cross_entropy_weight:
        total += training.cross_entropy_weight * losses.cross_entropy(
            output, examples.target, temperature=training.temperature
        )
    if training.expected_cost_weight:
        total += training.expected_cost_weight * losses.log_expected_cost(
            output, examples.problem, model.objective
        )
    return jnp.mean(total)


def recombined(key: jax.Array, problem: ChainProblem, num: int) -> ChainProblem:
    """Requests whose cycles, data, speeds and bandwidths come from different real requests.

    Where these are independent, as in the scenarios, the result has the same distribution.

    Args:
      key: JAX random key.
      problem: real requests, batch shape `[n]`.
      num: how many to make.
    """
    leaves, structure = jax.tree.flatten(problem)
    keys = jax.random.split(key, len(leaves))
    picked = [
        leaf[jax.random.randint(k, (num,), 0, leaf.shape[0])]
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, picked)


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
    """Trains a network on labelled requests (sections 3.3 and 4).

    Args:
      examples: requests and targets.
      model: the network.
      training: the recipe.
      transform: changes each batch before it is learnt from: symmetries, variations labelled by a
        teacher, a fresh stream.
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
    examples = Examples(
        jax.tree.map(jnp.asarray, broadcast_batch(examples.problem)),
        jnp.asarray(examples.target, jnp.float32),
    )
    (num,) = examples.problem.batch_shape
    steps = num // training.batch_size
    if steps == 0:
        raise ValueError(f"batch_size = {training.batch_size}: there are only {num} examples")
    shape = (num, model.num_subtasks, len(Place))
    if examples.target.shape != shape:
        raise ValueError(f"target: needs shape {shape}, got {examples.target.shape}")
    optimizer, epoch = _compiled(model, dataclasses.replace(training, seed=0), transform, num)
    key = jax.random.key(training.seed)
    params = initialize(model, jax.random.fold_in(key, 0))
    # `extra` counts the steps. Both sets of parameters are donated, so neither may alias.
    state = TrainState(
        params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros((), jnp.int32)
    )
    state = run(
        state,
        functools.partial(epoch, examples),
        num_epochs=training.num_epochs,
        key=jax.random.fold_in(key, 1),
        config={
            "model": model,
            "training": training,
            "data": {"description": description, "examples": num},
        },
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        on_epoch=on_epoch,
    )
    return LearnedPolicy(model, state.averaged)


@functools.lru_cache(maxsize=8)
def _compiled(
    model: ImitationConfig, training: ImitationTraining, transform: Transform | None, num: int
) -> tuple[optax.GradientTransformation, Callable[..., tuple[TrainState, dict[str, Array]]]]:
    """Optimiser and jitted epoch; kept, so that another seed does not compile again."""
    steps = num // training.batch_size
    optimizer = optax.adamw(
        learning_rate_schedule(
            training.learning_rate,
            warmup_steps=training.warmup_steps,
            num_steps=steps * training.num_epochs,
        ),
        weight_decay=training.weight_decay,
    )

    def step(examples: Examples, state: TrainState, inputs: tuple) -> tuple[TrainState, Array]:
        index, key = inputs
        keys = jax.random.split(key)
        batch = jax.tree.map(lambda leaf: leaf[index], examples)
        if transform is not None:
            batch = transform(keys[0], batch)

        unlabelled = recombined(keys[1], examples.problem, training.recombined)

        def objective(params: Any) -> Array:
            value = loss(model, training, params, batch)
            if training.recombined:
                output = logits(model, params, unlabelled)
                expected = losses.log_expected_cost(output, unlabelled, model.objective)
                value += training.expected_cost_weight * jnp.mean(expected)
            return value

        value, gradient = jax.value_and_grad(objective)(state.params)
        update, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, update)
        averaged = average(state.averaged, params, decay=training.average_decay, step=state.extra)
        return TrainState(params, averaged, optimizer_state, state.extra + 1), value

    @functools.partial(jax.jit, donate_argnums=(1,))
    def epoch(
        examples: Examples, state: TrainState, key: jax.Array
    ) -> tuple[TrainState, dict[str, Array]]:
        order_key, step_key = jax.random.split(key)
        order = jax.random.permutation(order_key, num)[: steps * training.batch_size]
        inputs = order.reshape(steps, -1), jax.random.split(step_key, steps)
        state, values = jax.lax.scan(functools.partial(step, examples), state, inputs)
        return state, {"loss": values}

    return optimizer, epoch
