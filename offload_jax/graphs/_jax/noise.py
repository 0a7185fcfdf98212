"""The noise that makes samples of a learned policy's decision."""

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.graphs._jax.few_shapes import power_of_two

if TYPE_CHECKING:
    import offload_jax.graphs._numba.best_of

# Tasks: fewer are drawn as so many, since draws of some do not depend on how many there are.
_LEAST_DRAWN = 64
# So many samples are independent of each other; later ones are changes of the best one so far, each
# task's place and urgency with this probability.
_INDEPENDENT, _CHANGED = 16, 0.2
# Before annealing: at most so many samples, one for each of so many simulations. A sample takes as
# long as fifty of them.
_MOST_FIRST, _FOR_EACH_FIRST = 64, 500


def draw(key: Array, shape: tuple[int, ...], *, shared: float, order: float) -> Array:
    """Noise `[N, K + 1, ...]` for the places of each task and, the last one, its urgency.

    Gumbel noise makes a choice by score a sample of the choice's probabilities. What all tasks of a
    schedule share makes them go to a place together, which pays where one alone does not.

    Args:
      key: JAX random key.
      shape: of the result.
      shared: at most so many times the noise of one task is added for all tasks.
      order: factor of the noise of urgency.
    """
    own, common, amount = jax.random.split(key, 3)
    noise = jax.random.gumbel(own, shape)
    _, columns, *rest = shape
    shift = jax.random.gumbel(common, (columns - 1, *rest))
    shift = shared * jax.random.uniform(amount, (1, *rest)) * shift
    return jnp.concatenate([noise[:, :-1] + shift[None], order * noise[:, -1:]], axis=1)


def draw_sample(key: Array, number: Array, num_tasks: int, columns: int) -> tuple[Array, Array]:
    """Noise `[N, K + 1]` of a sample, and where it takes it."""
    first, second = jax.random.split(jax.random.fold_in(key, number))
    noise = draw(first, (num_tasks, columns), shared=4.0, order=2.0)
    place, urgency = jnp.split(jax.random.bernoulli(second, _CHANGED, (num_tasks, 2)), 2, axis=1)
    changed = jnp.concatenate([jnp.repeat(place, columns - 1, axis=1), urgency], axis=1)
    return noise, changed | (number < _INDEPENDENT)


def draws(key: Array, num: int, num_tasks: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of samples 0 to n - 1, `[n, N, K + 1]`, drawn for one of a few sizes."""
    size = power_of_two(max(1, num)), power_of_two(max(_LEAST_DRAWN, num_tasks)), columns
    noise, changed = (np.asarray(drawn)[:num, :num_tasks] for drawn in _draw_samples(key, *size))
    return np.array(noise, np.float64), np.array(changed)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _draw_samples(key: Array, num: int, num_tasks: int, columns: int) -> tuple[Array, Array]:
    draw_one = functools.partial(draw_sample, key, num_tasks=num_tasks, columns=columns)
    return jax.vmap(draw_one)(jnp.arange(num))


def drawn(
    key: Array, num: int | None, num_simulations: int, num_tasks: int, num_places: int
) -> "offload_jax.graphs._numba.best_of.Effort":
    """What the loops spend on a request."""
    from offload_jax.graphs._numba.best_of import Effort

    if num is None:
        num = min(_MOST_FIRST, num_simulations // _FOR_EACH_FIRST)
    noise, changed = draws(key, num, num_tasks, num_places + 1)
    return Effort(noise, changed, num_simulations, int(jax.random.bits(key)))
