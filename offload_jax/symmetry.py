"""Transformations of a request that transform its optimal decision in a known way."""

import dataclasses

import jax.numpy as jnp

from offload_jax.problem import ChainProblem


def reverse(problem: ChainProblem) -> ChainProblem:
    """The chain run backwards; the optimal decision is reversed and its latency unchanged.

    Holds because transfer times do not depend on the direction and both ends are the device. It
    does not hold for energy, where sending and receiving differ.
    """
    return dataclasses.replace(
        problem,
        cycles=jnp.flip(jnp.asarray(problem.cycles), axis=-1),
        data=jnp.flip(jnp.asarray(problem.data), axis=-1),
    )
