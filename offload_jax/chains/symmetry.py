"""Transformations of a request that transform its optimal decision in a known way."""

import dataclasses

import jax.numpy as jnp

from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import Objective


def is_symmetric(objective: Objective) -> bool:
    """Whether `reverse` keeps the cost: all is latency, or sending costs what receiving does."""
    power = objective.power
    return bool(objective.energy_weight == 0 or power.transmit_watts == power.receive_watts)


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
