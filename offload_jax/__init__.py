"""Exact and learned decisions about where parts of a program run: device, edge or cloud.

Chains of subtasks are here; task graphs, whose tasks share processors and links, are in `graphs`.
"""

from offload_jax import datasets, envs, export, graphs, models, plot, single, workloads
from offload_jax.chains import metrics, policies, scenarios
from offload_jax.chains.costs import ChainCosts, chain_costs
from offload_jax.chains.evaluation import energy, evaluate, latency, period
from offload_jax.chains.network_costs import network_costs
from offload_jax.chains.pareto import (
    ParetoFront,
    ParetoFronts,
    PeriodFront,
    pareto_front,
    pareto_front_of_costs,
    pareto_fronts,
    period_front,
)
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.chains.resize import Resized, resize, resize_with_segments
from offload_jax.chains.solve import solve
from offload_jax.graphs.objectives import MAX_LATENCY, MEAN_LATENCY
from offload_jax.measured import MeasuredTask, read_measured_task
from offload_jax.network import Link, Network, Place, Processor
from offload_jax.network_file import read_network
from offload_jax.objectives import ENERGY, LATENCY, PERIOD, Objective, Period, PowerModel
from offload_jax.plans import Plan, plan
from offload_jax.side_constraints import SideConstraints, allowed_places
from offload_jax.solution import Solution

__all__ = [
    "ENERGY",
    "LATENCY",
    "MAX_LATENCY",
    "MEAN_LATENCY",
    "PERIOD",
    "ChainCosts",
    "ChainProblem",
    "Link",
    "MeasuredTask",
    "Network",
    "Objective",
    "ParetoFront",
    "ParetoFronts",
    "Period",
    "PeriodFront",
    "Place",
    "Plan",
    "PowerModel",
    "Processor",
    "Resized",
    "SideConstraints",
    "Solution",
    "allowed_places",
    "chain_costs",
    "datasets",
    "energy",
    "envs",
    "evaluate",
    "export",
    "graphs",
    "latency",
    "metrics",
    "models",
    "network_costs",
    "pareto_front",
    "pareto_front_of_costs",
    "pareto_fronts",
    "period",
    "period_front",
    "plan",
    "plot",
    "policies",
    "read_measured_task",
    "read_network",
    "resize",
    "resize_with_segments",
    "scenarios",
    "single",
    "solve",
    "validate",
    "workloads",
]
