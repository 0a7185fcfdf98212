"""Which solver a plan comes from."""

from offload_jax.graphs.at_once import AtOnce, at_once
from offload_jax.graphs.costs import GraphCosts
from offload_jax.plans.task import Task


def find(task: Task, costs: GraphCosts, time_limit: float | None) -> AtOnce:
    return at_once(costs)
