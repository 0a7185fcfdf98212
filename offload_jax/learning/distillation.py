"""Knowledge distillation: softened labels of a teacher, and variations of few real requests."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from offload_jax.chains.imitation_network import ImitationConfig, log_probabilities
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.symmetry import reverse
from offload_jax.learning.imitation import Examples, Transform

Labeller = Callable[[ChainProblem], Float[Array, "*batch A K"]]
"""From requests to target probabilities."""


def soften(
    log_probability: Float[Array, "*batch K"], temperature: float
) -> Float[Array, "*batch K"]:
    """Softened labels q_i = p_i^(1/T) / sum_j p_j^(1/T) (section 4).

    Works on logarithms, so that probabilities too small for a float, and exact zeros (`-inf`), give
    finite results.

    Args:
      log_probability: `[..., K]` log-probabilities of the teacher, or unnormalised ones.
      temperature: T >= 1; at 1 the labels stay as they are.

    Raises:
      ValueError: T is below 1.
    """
    if not temperature >= 1:
        raise ValueError(f"temperature = {temperature}: must be at least 1")
    return jax.nn.softmax(log_probability / temperature, axis=-1)


def soft_labels(teacher: LearnedPolicy, temperature: float) -> Labeller:
    """A labeller that asks a teacher and softens its answer."""
    if not isinstance(teacher.config, ImitationConfig):
        raise ValueError(
            f"teacher: needs probabilities of places, got a {type(teacher.config).__name__}"
        )
    config, params = teacher.config, teacher.params

    def label(problem: ChainProblem) -> Array:
        return soften(log_probabilities(config, params, problem), temperature)

    return label


@dataclasses.dataclass(frozen=True)
class Variations:
    """How real requests are varied for a teacher to label.

    Attributes:
      recombine: take cycles, data, speeds and bandwidths each from another real request.
      spread: cycles and data of a request are stretched away from, or towards, their mean over
        all subtasks of that request, by a factor drawn from [0, spread] (cut at 0).
      resize: cycles, data, speeds and bandwidths are multiplied by factors whose logarithms are
        uniform in [-log resize, log resize].
      reverse: run half of the chains backwards.
    """

    recombine: bool = True
    spread: float = 2.0
    resize: float = 1.5
    reverse: bool = True

    def __call__(self, key: jax.Array, problem: ChainProblem) -> ChainProblem:
        """Varied requests, as many as in `problem`, batch shape `[n]`."""
        (num,) = problem.batch_shape
        names = [field.name for field in dataclasses.fields(ChainProblem)]
        varied = {}
        for index, name in enumerate(names):
            pick, stretch, size = jax.random.split(jax.random.fold_in(key, index), 3)
            value = getattr(problem, name)
            if self.recombine:
                value = value[jax.random.randint(pick, (num,), 0, num)]
            shape = (num,) + (1,) * (value.ndim - 1)
            if value.ndim == 2 and self.spread:
                mean = jnp.mean(value, axis=-1, keepdims=True)
                factor = jax.random.uniform(stretch, shape, maxval=self.spread)
                value = jnp.maximum(mean + factor * (value - mean), 0.0)
            factor = jax.random.uniform(size, shape, minval=-1.0) * jnp.log(self.resize)
            varied[name] = value * jnp.exp(factor)
        result = ChainProblem(**varied)
        if not self.reverse:
            return result
        flip = jax.random.bernoulli(jax.random.fold_in(key, len(names)), 0.5, (num, 1))
        return mirrored(flip, result)


def mirrored(flip: Array, problem: ChainProblem) -> ChainProblem:
    """Reverses the chains where `flip` `[n, 1]` is set."""
    back = reverse(problem)
    return dataclasses.replace(
        problem,
        cycles=jnp.where(flip, back.cycles, problem.cycles),
        data=jnp.where(flip, back.data, problem.data),
    )


def label_variations(label: Labeller, vary: Variations) -> Transform:
    """Replaces each batch by variations of it, labelled by a teacher."""

    def transform(key: jax.Array, examples: Examples) -> Examples:
        problem = vary(key, examples.problem)
        return Examples(problem, jax.lax.stop_gradient(label(problem)))

    return transform


def mirror(key: jax.Array, examples: Examples) -> Examples:
    """Reverses half of the chains together with their labels."""
    (num,) = examples.problem.batch_shape
    flip = jax.random.bernoulli(key, 0.5, (num, 1))
    target = jnp.where(flip[..., None], jnp.flip(examples.target, axis=-2), examples.target)
    return Examples(mirrored(flip, examples.problem), target)
