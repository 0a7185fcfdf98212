"""Exact and learned decisions about where the subtasks of a chain run: device, edge or cloud."""

from offload_jax import metrics, policies, scenarios
from offload_jax.costs import (
    ENERGY,
    LATENCY,
    ChainCosts,
    Objective,
    PowerModel,
    chain_costs,
    energy,
    evaluate,
    latency,
)
from offload_jax.problem import ChainProblem, Place, validate
from offload_jax.solvers import Solution, solve

__all__ = [
    "ENERGY",
    "LATENCY",
    "ChainCosts",
    "ChainProblem",
    "Objective",
    "Place",
    "PowerModel",
    "Solution",
    "chain_costs",
    "energy",
    "evaluate",
    "latency",
    "metrics",
    "policies",
    "scenarios",
    "solve",
    "validate",
]
