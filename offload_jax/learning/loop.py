"""The loop that every training runs in: epochs under `jit`, checkpoints, a stop on NaN, metrics.

An algorithm is a frozen dataclass of configurations with an `epoch` method, see `Algorithm`; the
gradient step, its schedule and the running average of the weights are here, for all of them.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from offload_jax.extras import needs
from offload_jax.learning import checkpoints, devices

with needs("learn"):
    import optax

OnEpoch = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with the number of epochs done and the means of its metrics."""


class TrainingDiverged(FloatingPointError):
    """The loss is no longer finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every training has to be told; algorithms and families add fields of their own.

    Attributes:
      num_epochs: how many.
      learning_rate: peak of the cosine schedule.
      warmup_steps: steps until the peak.
      weight_decay: of AdamW.
      average_decay: of the running average of the weights that the policy uses; 0 for none.
      seed: of initial weights and everything random.
    """

    num_epochs: int
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.0
    average_decay: float = 0.0
    seed: int = 0


class TrainState(NamedTuple):
    """What training carries from step to step, a pytree of arrays of which no two share memory.

    Attributes:
      params: parameters that are being optimised.
      averaged: their running average, what the policy uses.
      optimizer: state of the optax optimiser.
      step: gradient steps done.
      extra: what else an algorithm carries, say a replay buffer.
    """

    params: Any
    averaged: Any
    optimizer: Any
    step: Int[Array, ""]
    extra: Any = ()


@runtime_checkable
class Algorithm(Protocol):
    """What `run` repeats: hashable and compared by value, such as a frozen dataclass.

    Two trainings whose algorithms are equal, seeds apart, are compiled once.

    Attributes:
      recipe: the recipe.
    """

    recipe: Any

    def epoch(
        self, data: Any, state: TrainState, key: jax.Array
    ) -> tuple[TrainState, dict[str, Array]]:
        """One epoch, traced: the next state and metrics `[steps]`, among them "loss"."""


def start(recipe: Recipe, params: Any, extra: Any = ()) -> TrainState:
    """The state before the first step."""
    # Params and average are donated together, so neither may alias the other.
    return TrainState(
        params,
        jax.tree.map(jnp.copy, params),
        _optimizer(recipe, 1).init(params),
        jnp.zeros((), jnp.int32),
        extra,
    )


def descend(
    recipe: Recipe,
    state: TrainState,
    loss: Callable[[Any], Float[Array, ""]],
    *,
    steps_per_epoch: int,
) -> tuple[TrainState, Float[Array, ""]]:
    """One gradient step of AdamW on `loss`, a function of the parameters.

    Returns:
      The next state, `extra` as it was, and the loss before the step.
    """
    value, gradient = jax.value_and_grad(loss)(state.params)
    optimizer = _optimizer(recipe, steps_per_epoch * recipe.num_epochs)
    update, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, update)
    averaged = average(state.averaged, params, decay=recipe.average_decay, step=state.step)
    return TrainState(params, averaged, optimizer_state, state.step + 1, state.extra), value


def _optimizer(recipe: Recipe, num_steps: int) -> optax.GradientTransformation:
    schedule = learning_rate_schedule(
        recipe.learning_rate, warmup_steps=recipe.warmup_steps, num_steps=num_steps
    )
    return optax.adamw(schedule, weight_decay=recipe.weight_decay)


def learning_rate_schedule(peak: float, *, warmup_steps: int, num_steps: int) -> optax.Schedule:
    """Linear warm-up, then a cosine to 0 at the last step."""
    warmup_steps = min(warmup_steps, num_steps // 10)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0 if warmup_steps else peak, peak, warmup_steps),
            optax.cosine_decay_schedule(peak, max(1, num_steps - warmup_steps)),
        ],
        [warmup_steps],
    )


def average(old: Any, new: Any, *, decay: float, step: Int[Array, ""]) -> Any:
    """Running average of parameters; forgets the start faster than `decay` while it is young.

    Args:
      old: the average so far.
      new: the parameters after the step.
      decay: share of the old average that is kept in the long run.
      step: steps done before this one; after n of them at most (1 + n) / (10 + n) is kept.
    """
    if decay == 0.0:
        # A copy: the two are donated together and may not share buffers.
        return jax.tree.map(jnp.copy, new)
    decay_now = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, b: decay_now * a + (1.0 - decay_now) * b, old, new)


@functools.partial(jax.jit, static_argnames="algorithm", donate_argnames="state")
def _epoch(
    algorithm: Algorithm, data: Any, state: TrainState, key: jax.Array
) -> tuple[TrainState, dict[str, Array]]:
    return devices.replicated(algorithm.epoch(data, state, key))


def run(
    algorithm: Any,
    data: Any,
    state: TrainState,
    *,
    key: jax.Array,
    config: Mapping[str, Any],
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    on_epoch: OnEpoch | None = None,
) -> Any:
    """Runs epochs, from the newest checkpoint on if there is one.

    The key of epoch e is `fold_in(key, e)` and nothing else is random, so that training that was
    killed and started again ends with the same weights, bit for bit.

    Where JAX has several devices, of one process or of many, they share each batch: see
    `learning.devices`. Sums are then taken in another order, so weights agree up to rounding.

    Args:
      algorithm: an `Algorithm`.
      data: arrays that it learns from, a pytree.
      state: the state before the first epoch; given away, as `jax.jit` donates it.
      key: JAX random key of the whole training.
      config: what is stored beside the weights, dataclasses and JSON types: enough to rebuild the
        policy, and whatever else identifies the training; a checkpoint with another one is refused.
      checkpoint: folder for checkpoints, None for none.
      checkpoint_every: epochs between checkpoints; the last epoch always writes one.
      on_epoch: receives the means of the metrics.

    Returns:
      The running average of the parameters after the last epoch.

    Raises:
      TrainingDiverged: names epoch and step of the first loss that is not finite. The checkpoint
        of the last good epoch that wrote one is kept.
      checkpoints.CheckpointError: the folder holds something else, or another configuration.
      BlockingIOError: another training is writing to the folder.
    """
    num_epochs = algorithm.recipe.num_epochs
    # Another seed is the same program.
    unseeded = dataclasses.replace(algorithm.recipe, seed=0)
    algorithm = dataclasses.replace(algorithm, recipe=unseeded)
    mesh = devices.training_mesh()
    written = checkpoint if devices.writes() else None
    with checkpoints.training_folder(written, config) as folder, devices.active(mesh):
        state, done = devices.from_writer(folder.resume(state))
        state, data = devices.everywhere(mesh, (state, data))
        for number in range(int(done), num_epochs):
            began = time.perf_counter()
            state, metrics = _epoch(algorithm, data, state, jax.random.fold_in(key, number))
            host = {name: np.asarray(value) for name, value in metrics.items()}
            _stop_if_not_finite(host["loss"], number, checkpoint)
            if number + 1 == num_epochs or (number + 1) % checkpoint_every == 0:
                saved = devices.on_host(mesh, state)
                folder.save(saved, params=saved.averaged, epoch=number + 1)
            if on_epoch is not None:
                means = {name: float(np.mean(value)) for name, value in host.items()}
                on_epoch(number + 1, {**means, "seconds": time.perf_counter() - began})
    return devices.here(mesh, state.averaged)


def _stop_if_not_finite(losses: np.ndarray, epoch: int, checkpoint: Path | None) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if not len(bad):
        return
    step = epoch * len(losses) + int(bad[0])
    kept = "" if checkpoint is None else f"; the last good checkpoint in {checkpoint} is kept"
    raise TrainingDiverged(
        f"loss is {losses[bad[0]]} at step {step} (epoch {epoch}, step {int(bad[0])} of it){kept}"
    )
