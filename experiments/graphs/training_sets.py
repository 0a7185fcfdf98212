"""The graphs that policies are trained on, in groups of similar sizes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import offload_jax as oj
from experiments.graphs import real_graphs
from offload_jax import workloads
from offload_jax.batching import broadcast_batch
from offload_jax.graphs.problem import AXES
from offload_jax.graphs.training import share_of_batch

# Cycles a second, times as fast as the device, and bytes a second, drawn evenly by logarithm.
_DEVICE_SPEED, _EDGE_TIMES, _BANDWIDTH = (100e6, 2000e6), (0.5, 20.0), (0.1e6, 20e6)


@dataclasses.dataclass(frozen=True)
class Ground:
    """Training graphs of a group, which are filled up to the same size.

    Attributes:
      sizes: numbers of tasks; of one user, where there are several.
      servers: of the edge.
      users: who share it.
      networks: whether graphs are those of networks, fused to at most so many tasks, over any links
        and processors, and not random ones.
    """

    sizes: tuple[int, ...]
    servers: int = 1
    users: int = 1
    networks: bool = False


def training_requests(
    grounds: tuple[Ground, ...], num: int, seed: int
) -> list[oj.graphs.GraphProblem]:
    """At least `num` requests of each group, of larger graphs fewer, as they are in a batch."""
    key = jax.random.fold_in(jax.random.key(seed), 3)
    keys = (jax.random.fold_in(key, number) for number in range(len(grounds)))
    return [_requests(ground, num, key) for ground, key in zip(grounds, keys, strict=True)]


def _requests(ground: Ground, num: int, key: jax.Array) -> oj.graphs.GraphProblem:
    num = share_of_batch(num, ground.users * max(ground.sizes))
    if ground.networks:
        parts = _networks(ground, num, key)
    else:
        each = -(-num // len(ground.sizes))
        parts = [_layered(ground, n, each, jax.random.fold_in(key, n)) for n in ground.sizes]
    num_tasks = max(part.num_tasks for part in parts)
    parts = [filled(part, num_tasks) for part in parts]
    fields: dict[str, Any] = {
        name: jnp.concatenate([jnp.asarray(getattr(part, name)) for part in parts]) for name in AXES
    }
    return dataclasses.replace(parts[0], **fields)


def _layered(ground: Ground, num_tasks: int, num: int, key: jax.Array) -> oj.graphs.GraphProblem:
    scenario = oj.graphs.scenarios.layered(num_tasks)
    scenario = dataclasses.replace(scenario, edge_servers=ground.servers)
    drawn = oj.graphs.scenarios.sample(key, scenario, num * ground.users)
    if ground.users == 1:
        return drawn
    mine = [drawn[i * num : (i + 1) * num] for i in range(ground.users)]
    shared = {name: getattr(mine[0], name) for name in ("edge_speed", "edge_cloud_bandwidth")}
    return oj.graphs.merge([dataclasses.replace(one, **shared) for one in mine])


def _networks(ground: Ground, num: int, key: jax.Array) -> list[oj.graphs.GraphProblem]:
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    graphs = [
        workloads.profile_graph(network, max_tasks=size)
        for network in real_graphs.NETWORKS.values()
        for size in ground.sizes
    ]
    each = -(-num // len(graphs))

    def drawn(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), each))

    parts = []
    for graph in graphs:
        device = drawn(*_DEVICE_SPEED)
        rates = device, device * drawn(*_EDGE_TIMES), drawn(*_BANDWIDTH), drawn(*_BANDWIDTH)
        parts.append(broadcast_batch(graph.to_problem(*rates)))
    return parts


def filled(problem: oj.graphs.GraphProblem, num_tasks: int) -> oj.graphs.GraphProblem:
    """The same requests with empty tasks up to a number, so that other sizes share a program."""
    num_empty = num_tasks - problem.cycles.shape[-1]
    fields: dict[str, Any] = {}
    own_axes = {"cycles": 1, "data": 2, "depends": 2, "input": 1, "output": 1, "user": 1}
    for name, own in own_axes.items():
        value = jnp.asarray(getattr(problem, name))
        if name == "user":
            value = jnp.broadcast_to(value, np.shape(problem.cycles))
        widths = [(0, 0)] * (value.ndim - own) + [(0, num_empty)] * own
        fields[name] = jnp.pad(value, widths)
    nothing = jnp.zeros_like(fields["cycles"])
    return dataclasses.replace(problem, **fields, release=nothing)
