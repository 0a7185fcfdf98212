"""Task graphs: tasks that need each other's results, on processors and links that they share.

import offload_jax as oj

problem = oj.graphs.scenarios.sample(key, oj.graphs.scenarios.LAYERED, 1000)
solution = oj.graphs.solve(problem, method="greedy")
schedule = oj.graphs.simulate(problem, solution.place, solution.order)
"""

from offload_jax.graphs import metrics, policies, scenarios
from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs._jax.simulate import simulate
from offload_jax.graphs.costs import GraphCosts, graph_costs, validate_costs
from offload_jax.graphs.decision import Decision, GraphSolution, Schedule, Transfers
from offload_jax.graphs.energy import energy
from offload_jax.graphs.files.measured import MeasuredGraph, read_measured
from offload_jax.graphs.files.read import read
from offload_jax.graphs.fuse import fuse
from offload_jax.graphs.network_costs import network_costs
from offload_jax.graphs.objectives import (
    MAX_LATENCY,
    MEAN_LATENCY,
    SERIAL_LATENCY,
    Prices,
    UserLatency,
    energy_prices,
    network_prices,
)
from offload_jax.graphs.pareto import GraphFront, GraphPeriodFront, pareto_front, period_front
from offload_jax.graphs.period import period
from offload_jax.graphs.predecessors import predecessor_lists
from offload_jax.graphs.problem import GraphProblem, validate
from offload_jax.graphs.solve import solve
from offload_jax.graphs.stream import Interval, Sojourns, Stream, poisson_arrivals, stream
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.graphs.users import merge, split, user_latency

__all__ = [
    "MAX_LATENCY",
    "MEAN_LATENCY",
    "SERIAL_LATENCY",
    "Decision",
    "GraphCosts",
    "GraphFront",
    "GraphPeriodFront",
    "GraphProblem",
    "GraphSolution",
    "Interval",
    "MeasuredGraph",
    "Prices",
    "Schedule",
    "Sojourns",
    "Stream",
    "TaskGraph",
    "Transfers",
    "UserLatency",
    "energy",
    "energy_prices",
    "fuse",
    "graph_costs",
    "lower_bound",
    "merge",
    "metrics",
    "network_costs",
    "network_prices",
    "pareto_front",
    "period",
    "period_front",
    "poisson_arrivals",
    "policies",
    "predecessor_lists",
    "read",
    "read_measured",
    "scenarios",
    "simulate",
    "solve",
    "split",
    "stream",
    "user_latency",
    "validate",
    "validate_costs",
]
