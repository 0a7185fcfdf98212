"""What can be planned: models, task graphs, chains, profiles and measured tables, in one form."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from offload_jax.chains.network_costs import ProfiledTask
from offload_jax.chains.problem import ChainProblem
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.files.measured import MeasuredGraph
from offload_jax.graphs.network_costs import network_costs
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.measured import MeasuredTask
from offload_jax.models.model import Model
from offload_jax.network import FLOPS_PER_CYCLE, Link, Network, Processor
from offload_jax.validation import check_class, check_known


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is planned.

    Attributes:
      name: of the whole.
      graph: N layers; a chain as a graph in which each needs the one before it.
      is_chain: whether it is one.
      seconds: `[N]` measured seconds by name of a place.
      memory: `[N]` bytes of weights, None where they are not known.
      tensors: names of what passes over each edge of the graph.
      inputs: names of the inputs that each layer reads.
      outputs: names of what each layer sends home.
      file: the model file.
      shapes: the lengths that were given for its open dimensions.
    """

    name: str
    graph: TaskGraph
    is_chain: bool = False
    seconds: Mapping[str, np.ndarray] | None = None
    memory: np.ndarray | None = None
    tensors: Sequence[tuple[str, ...]] | None = None
    inputs: Sequence[tuple[str, ...]] | None = None
    outputs: Sequence[tuple[str, ...]] | None = None
    file: str | None = None
    shapes: Mapping[str, int] | None = None


def costs_of(what: Any, network: Any) -> tuple[Task, Network, GraphCosts]:
    """What is planned, where, and what that costs.

    Raises:
      ValueError: what or network is nothing of the kind, or a batch; or the one does not fit the
        other.
    """
    if network is None and not isinstance(what, ChainProblem):
        raise ValueError("network: needed, for only a ChainProblem has one of its own")
    if network is None:
        network = _network_of(what)
    check_class("network", network, Network)
    task = _as_task(what, network)
    costs = network_costs(task.graph, network, seconds=task.seconds)
    if costs.batch_shape:
        raise ValueError(f"network: one at a time, got a batch {costs.batch_shape}")
    return task, network, costs


def _as_task(what: Any, network: Network) -> Task:
    """Whatever can be planned on a network as a `Task`.

    Raises:
      ValueError: it is nothing of the kind, a batch, or lacks measured times of a place.
    """
    if isinstance(what, Model):
        return Task(
            what.name,
            what.graph,
            seconds=_at_places(what.seconds, network),
            memory=what.memory,
            tensors=what.tensors,
            inputs=what.inputs,
            outputs=what.outputs,
            file=str(what.path),
            shapes=what.shapes,
        )
    if isinstance(what, TaskGraph):
        return Task("graph", what)
    if isinstance(what, MeasuredGraph):
        for name in network.place_names:
            check_known(what.name, name, what.seconds, "place ")
        return Task(what.name, what.graph, seconds=_at_places(what.seconds, network))
    if isinstance(what, MeasuredTask):
        seconds = {name: what.seconds_at(name) for name in network.place_names}
        cycles = np.zeros(what.num_subtasks)
        return Task(what.name, _path(what.subtask_names, cycles, what.data), True, seconds)
    if isinstance(what, ChainProblem):
        if what.batch_shape:
            raise ValueError(f"plan: one request at a time, got a batch {what.batch_shape}")
        names = [str(number) for number in range(what.num_subtasks)]
        return Task("chain", _path(names, np.asarray(what.cycles), np.asarray(what.data)), True)
    if isinstance(what, ProfiledTask):
        names = getattr(what, "stage_names", [str(number) for number in range(len(what.flops))])
        path = _path(names, what.flops / FLOPS_PER_CYCLE, what.data)
        name, memory = getattr(what, "name", "chain"), getattr(what, "memory", None)
        tensors = getattr(what, "tensors", None)
        if tensors is None:
            return Task(name, path, True, memory=memory)
        none: list[tuple[str, ...]] = [()] * (len(what.flops) - 1)
        ends = [tensors[0], *none], [*none, tensors[-1]]
        return Task(name, path, True, None, memory, tensors[1:-1], *ends)
    kind = type(what).__name__
    raise ValueError(
        "plan: takes a Model, TaskGraph, ChainProblem, MeasuredGraph, MeasuredTask or a profile of"
        " a chain,"
        f" got {kind}"
    )


def _at_places(seconds: Mapping[str, np.ndarray], network: Network) -> dict[str, np.ndarray]:
    """Those of the network's places."""
    return {name: seconds[name] for name in network.place_names if name in seconds}


def _network_of(problem: ChainProblem) -> Network:
    """The paper's three places with the speeds and bandwidths of a problem."""
    speeds = float(problem.device_speed), float(problem.edge_speed), math.inf
    places = [Processor(*one) for one in zip(("device", "edge", "cloud"), speeds, strict=True)]
    links = [
        Link("device", "edge", float(problem.device_edge_bandwidth)),
        Link("edge", "cloud", float(problem.edge_cloud_bandwidth)),
    ]
    return Network(places, links)


def _path(names: Sequence[str], cycles: np.ndarray, data: np.ndarray) -> TaskGraph:
    number = len(names)
    taken: dict[str, int] = {}
    unique = []
    for name in names:
        taken[name] = taken.get(name, 0) + 1
        unique.append(name if taken[name] == 1 else f"{name} #{taken[name]}")
    ends = np.zeros((2, number))
    ends[0, 0], ends[1, -1] = data[0], data[-1]
    return TaskGraph(
        names=tuple(unique),
        cycles=cycles,
        edges=np.stack([np.arange(number - 1), np.arange(1, number)], 1),
        data=data[1:-1],
        input=ends[0],
        output=ends[1],
    )
