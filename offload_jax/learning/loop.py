"""The loop around a jitted epoch: resume, checkpoints, a stop on NaN, metrics."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from offload_jax.learning import checkpoints

OnEpoch = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with the number of epochs done and the means of its metrics."""


class TrainingDiverged(FloatingPointError):
    """The loss is no longer finite."""


class TrainState(NamedTuple):
    """What training carries from step to step.

    Attributes:
      params: parameters that are being optimised.
      averaged: their running average, what the policy uses.
      optimizer: state of the optax optimiser.
      extra: what else an algorithm carries (a replay buffer, a target network).
    """

    params: Any
    averaged: Any
    optimizer: Any
    extra: Any = ()


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


def run(
    state: TrainState,
    epoch: Callable[[TrainState, jax.Array], tuple[TrainState, dict[str, jax.Array]]],
    *,
    num_epochs: int,
    key: jax.Array,
    config: Mapping[str, Any],
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    on_epoch: OnEpoch | None = None,
) -> TrainState:
    """Runs epochs, from the newest checkpoint on if there is one.

    The key of epoch e is `fold_in(key, e)` and nothing else is random, so that training that was
    killed and started again ends with the same weights, bit for bit.

    Args:
      state: the state before the first epoch.
      epoch: a jitted function of state and key; gives the next state and per-step metrics
        `[steps]`, among them "loss".
      num_epochs: epochs in total.
      key: JAX random key of the whole training.
      config: what is stored beside the weights; a checkpoint with another one is refused.
      checkpoint: folder for checkpoints, None for none.
      checkpoint_every: epochs between checkpoints; the last epoch always writes one.
      on_epoch: receives the means of the metrics.

    Returns:
      The state after the last epoch.

    Raises:
      TrainingDiverged: names epoch and step of the first loss that is not finite. The checkpoint
        of the last good epoch that wrote one is kept.
      checkpoints.CheckpointError: the folder holds something else, or another configuration.
    """
    done = 0
    if checkpoint is not None:
        found = checkpoints.resume(checkpoint, state, config=config)
        if found is not None:
            state, done = found
    for number in range(done, num_epochs):
        start = time.perf_counter()
        state, metrics = epoch(state, jax.random.fold_in(key, number))
        host = {name: np.asarray(value) for name, value in metrics.items()}
        _stop_if_not_finite(host["loss"], number, checkpoint)
        last = number + 1 == num_epochs
        if checkpoint is not None and (last or (number + 1) % checkpoint_every == 0):
            checkpoints.save(
                checkpoint, state, params=state.averaged, config=config, epoch=number + 1
            )
        if on_epoch is not None:
            means = {name: float(np.mean(value)) for name, value in host.items()}
            on_epoch(number + 1, {**means, "seconds": time.perf_counter() - start})
    return state


def _stop_if_not_finite(losses: np.ndarray, epoch: int, checkpoint: Path | None) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if not len(bad):
        return
    step = epoch * len(losses) + int(bad[0])
    kept = "" if checkpoint is None else f"; the last good checkpoint in {checkpoint} is kept"
    raise TrainingDiverged(
        f"loss is {losses[bad[0]]} at step {step} (epoch {epoch}, step {int(bad[0])} of it){kept}"
    )


def average(old: Any, new: Any, *, decay: float, step: jax.Array) -> Any:
    """Running average of parameters; forgets the start faster than `decay` while it is young."""
    if decay == 0.0:
        # A copy: the two are donated together and may not share buffers.
        return jax.tree.map(jnp.copy, new)
    decay_now = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, b: decay_now * a + (1.0 - decay_now) * b, old, new)
