"""New requests from real ones: recombined, stretched, resized, reversed."""

import dataclasses

import jax
import jax.numpy as jnp

from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.symmetry import reverse


def recombine(key: jax.Array, problem: ChainProblem, num: int) -> ChainProblem:
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


@dataclasses.dataclass(frozen=True)
class Variations:
    """How real requests are varied for a teacher to answer.

    Attributes:
      recombine: whether to `recombine` them first.
      spread: cycles and data of a request are stretched away from, or towards, their mean over
        all subtasks of that request, by a factor drawn from [0, spread] (cut at 0).
      rescale: cycles, data, speeds and bandwidths are multiplied by factors whose logarithms are
        uniform in [-log rescale, log rescale].
      reverse: run half of the chains backwards.
    """

    recombine: bool = True
    spread: float = 2.0
    rescale: float = 1.5
    reverse: bool = True

    def __call__(self, key: jax.Array, problem: ChainProblem) -> ChainProblem:
        """Varied requests, as many as in `problem`, batch shape `[n]`."""
        (num,) = problem.batch_shape
        pick, flip, *keys = jax.random.split(key, 2 + len(dataclasses.fields(problem)))
        if self.recombine:
            problem = recombine(pick, problem, num)
        varied = {}
        for field, field_key in zip(dataclasses.fields(problem), keys, strict=True):
            stretch, scale = jax.random.split(field_key)
            value = getattr(problem, field.name)
            shape = (num,) + (1,) * (value.ndim - 1)
            if value.ndim == 2 and self.spread:
                mean = jnp.mean(value, axis=-1, keepdims=True)
                factor = jax.random.uniform(stretch, shape, maxval=self.spread)
                value = jnp.maximum(mean + factor * (value - mean), 0.0)
            factor = jax.random.uniform(scale, shape, minval=-1.0) * jnp.log(self.rescale)
            varied[field.name] = value * jnp.exp(factor)
        result = ChainProblem(**varied)
        return _reverse_half(flip, result) if self.reverse else result


def _reverse_half(key: jax.Array, problem: ChainProblem) -> ChainProblem:
    """Reverses half of the chains `[n]`, drawn at random."""
    (num,) = problem.batch_shape
    flipped = jax.random.bernoulli(key, 0.5, (num,))
    back = reverse(problem)
    return dataclasses.replace(
        problem,
        cycles=jnp.where(flipped[:, None], back.cycles, problem.cycles),
        data=jnp.where(flipped[:, None], back.data, problem.data),
    )
