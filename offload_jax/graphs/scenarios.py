"""Distributions of task graphs, as data: layered random graphs as daggen draws them."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from offload_jax.graphs.problem import GraphProblem
from offload_jax.sampling import Range, check_ranges, check_request, draw
from offload_jax.validation import check_integer


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Layered graphs of N tasks; every quantity uniform in its range, all independent.

    The width of a graph is w = round(exp(f ln N)). Layers have between max(1, floor(w / 2)) and
    floor(1.5 w) tasks, the last one what is left. A task needs each task of the layer before with
    probability `density`, and at least one of them.

    Attributes:
      name: what reports and manifests call it.
      num_tasks: N.
      fatness: values of f, one drawn for each graph.
      density: values of the density, one drawn for each graph.
      cycles: CPU cycles of a task.
      data: bytes of an edge.
      input: bytes of the input of a task of the first layer.
      output: bytes of the output of a task that no other needs.
      device_speed, edge_speed: cycles per second.
      device_edge_bandwidth, edge_cloud_bandwidth: bytes per second.
      edge_servers: CPUs of the edge.
    """

    name: str
    num_tasks: int
    fatness: tuple[float, ...] = (0.3, 0.5, 0.7)
    density: tuple[float, ...] = (0.3, 0.5, 0.7)
    cycles: Range = (0.0, 2000e6)
    data: Range = (0.0, 2e6)
    input: Range = (0.0, 5e6)
    output: Range = (0.0, 1e6)
    device_speed: Range = (100e6, 1000e6)
    edge_speed: Range = (500e6, 5000e6)
    device_edge_bandwidth: Range = (0.25e6, 4e6)
    edge_cloud_bandwidth: Range = (0.25e6, 6e6)
    edge_servers: int = 1

    def __post_init__(self) -> None:
        for name in ("num_tasks", "edge_servers"):
            check_integer(name, getattr(self, name))
        for name in ("fatness", "density"):
            values = getattr(self, name)
            if not values or not all(0 <= value <= 1 for value in values):
                raise ValueError(f"{name} = {values}: needs values between 0 and 1")
        check_ranges(self, [field.name for field in dataclasses.fields(self)[4:-1]])


LAYERED = Scenario("layered-20", 20)
"""Twenty tasks; `dataclasses.replace` or `layered` for other sizes."""


def layered(num_tasks: int) -> Scenario:
    """The scenario with another number of tasks."""
    return dataclasses.replace(LAYERED, name=f"layered-{num_tasks}", num_tasks=num_tasks)


def sample(key: Array, scenario: Scenario, num: int) -> GraphProblem:
    """Draws independent requests.

    Args:
      key: a JAX random key; the same key gives the same requests.
      scenario: the distribution.
      num: how many, at least 0.

    Returns:
      A `GraphProblem` with batch shape `[num]`.

    Raises:
      ValueError: `num` is negative or no integer, or the others are of another class.
    """
    check_request(key, scenario, Scenario, num)
    num_tasks = scenario.num_tasks
    graph_key, *keys = jax.random.split(key, 9)
    depends = _depends(graph_key, scenario, num)
    tasks = (num_tasks,)
    axes = {"cycles": tasks, "data": (*tasks, num_tasks), "input": tasks, "output": tasks}
    rates = "device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth"
    drawn = draw(keys, scenario, num, (*axes, *rates), axes)
    drawn["data"] = jnp.where(depends, drawn["data"], 0.0)
    drawn["input"] = jnp.where(depends.any(axis=-2), 0.0, drawn["input"])
    drawn["output"] = jnp.where(depends.any(axis=-1), 0.0, drawn["output"])
    return GraphProblem(**drawn, depends=depends, edge_servers=scenario.edge_servers)


def _depends(key: Array, scenario: Scenario, num: int) -> Bool[Array, "num N N"]:
    num_tasks = scenario.num_tasks
    fatness_key, density_key, size_key, edge_key = jax.random.split(key, 4)
    fatness = jax.random.choice(fatness_key, jnp.asarray(scenario.fatness), (num, 1))
    width = jnp.round(jnp.exp(fatness * math.log(num_tasks)))
    low, high = jnp.maximum(1.0, jnp.floor(width / 2)), jnp.floor(1.5 * width)
    size = low + jnp.floor(jax.random.uniform(size_key, (num, num_tasks)) * (high - low + 1))
    size = jnp.minimum(size, high)
    task = jnp.arange(num_tasks)
    layer = jnp.sum(jnp.cumsum(size, axis=-1)[:, None] <= task[None, :, None], axis=-1)
    before = layer[:, :, None] + 1 == layer[:, None]
    density = jax.random.choice(density_key, jnp.asarray(scenario.density), (num, 1, 1))
    drawn = jax.random.uniform(edge_key, (num, num_tasks, num_tasks))
    # The smallest draw of a column is the edge that is there in any case.
    smallest = jnp.min(jnp.where(before, drawn, 2.0), axis=-2, keepdims=True)
    return before & ((drawn < density) | (drawn == smallest))
