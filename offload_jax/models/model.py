"""A network from a model file as a task graph, and the way back to its nodes and tensors."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.task_profile import TaskProfile
from offload_jax.graphs.fuse import groups_of, merged
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.models.profile import Profile
from offload_jax.validation import check_class, check_integer

Tensors = tuple[str, ...]


class Node(NamedTuple):
    """A node as the file has it.

    Attributes:
      name: as in the file, where several may share it; of a node without one what ONNX Runtime
        calls it, such as "Relu_3".
      operator: what it computes, with its domain unless that is ONNX's own.
      results: the names of the tensors that it makes, each in no other node.
    """

    name: str
    operator: str
    results: Tensors


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ModelChain(TaskProfile):
    """A network as a chain of stages, between which one result passes.

    Attributes:
      memory: `[A]` float64, bytes of weights and other constants of each stage.
      nodes: of each stage, those it runs.
      tensors: A + 1 times the names of what `data` counts.
    """

    memory: np.ndarray
    nodes: tuple[tuple[Node, ...], ...]
    tensors: tuple[Tensors, ...]

    def __repr__(self) -> str:
        return _described("ModelChain", self.name, "stages", self.flops, self.memory)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A network as a task graph of N tasks and M edges.

    Attributes:
      name: of the file, without its suffix.
      graph: a task for each node, in a topological order; `cycles` are `flops` over
        `FLOPS_PER_CYCLE`, 2. What a node makes is one result, sent once to a place: all of its
        tensors that any task reads. An input that several nodes read is a task without cycles.
      flops: `[N]` float64, floating-point operations of each task.
      memory: `[N]` float64, bytes of weights and other constants that each task reads; what several
        read counts for the first.
      nodes: of each task, the nodes it runs.
      tensors: of each edge, the tensors that its reader needs.
      inputs: of each task, the inputs of the model that `graph.input` counts.
      outputs: of each task, the outputs of the model that `graph.output` counts.
      path: of the file.
      shapes: the lengths that were given for its open dimensions.
      seconds: of each place that was measured, `[N]` float64, what each task takes there.
      scale: of each of these, the time of a whole run over the sum of its nodes, by which
        `seconds` are multiplied; 1 if the profile has no whole run.
    """

    name: str
    graph: TaskGraph
    flops: np.ndarray
    memory: np.ndarray
    nodes: tuple[tuple[Node, ...], ...]
    tensors: tuple[Tensors, ...]
    inputs: tuple[Tensors, ...]
    outputs: tuple[Tensors, ...]
    path: Path
    shapes: Mapping[str, int]
    seconds: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    scale: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        measured = "".join(
            f", {place!r} {seconds.sum():.4g} s (nodes \u00d7 {self.scale[place]:.3g})"
            for place, seconds in self.seconds.items()
        )
        return _described("Model", self.name, "tasks", self.flops, self.memory, measured)

    def measured(self, profiles: Mapping[str, Profile]) -> "Model":
        """The same model with the times of its tasks at places for which there is a profile.

        A task takes what its nodes do together. Nodes one by one take longer than the whole, which
        runtimes optimise, so if a profile says what a run of the whole takes, all times are scaled
        to that sum.

        Args:
          profiles: of each place that was measured, by its name.

        Returns:
          The model with `seconds` and `scale` of these places, too.

        Raises:
          ValueError: names the place and says how many nodes have no time in its profile, and
            which is the first.
        """
        check_class("profiles", profiles, Mapping)
        names = [[node.name for node in nodes] for nodes in self.nodes]
        seconds, scale = {**self.seconds}, {**self.scale}
        for place, profile in profiles.items():
            check_class(f"profiles[{place!r}]", profile, Profile)
            try:
                seconds[place] = profile.of_tasks(names)
            except ValueError as error:
                raise ValueError(f"profile of {place!r}, {error}") from None
            total = float(seconds[place].sum())
            scale[place] = profile.whole / total if profile.whole is not None and total else 1.0
            seconds[place] *= scale[place]
        return dataclasses.replace(self, seconds=seconds, scale=scale)

    def fused(self, max_tasks: int) -> "Model":
        """Merges tasks until at most so many are left, as `oj.graphs.fuse` does.

        Args:
          max_tasks: at least 1.

        Returns:
          The model of merged tasks, itself if it is small enough.

        Raises:
          ValueError: `max_tasks` is below 1.
        """
        check_integer("max_tasks", max_tasks)
        if self.graph.num_tasks <= max_tasks:
            return self
        groups = [sorted(group) for group in groups_of(self.graph, max_tasks)]
        graph = merged(self.graph, groups)
        # The graph has its own order; a merged task has the name of one of its members.
        group_of = {self.graph.names[task]: group for group in groups for task in group}
        groups = [group_of[name] for name in graph.names]
        number = {task: new for new, group in enumerate(groups) for task in group}
        carried: dict[tuple[int, int], list[Tensors]] = defaultdict(list)
        for (u, v), tensors in zip(self.graph.edges.tolist(), self.tensors, strict=True):
            carried[number[u], number[v]].append(tensors)
        return dataclasses.replace(
            self,
            graph=graph,
            flops=_sums(self.flops, groups),
            memory=_sums(self.memory, groups),
            nodes=tuple(_joined(self.nodes, group) for group in groups),
            tensors=tuple(_flat(carried[u, v]) for u, v in graph.edges.tolist()),
            inputs=tuple(_joined(self.inputs, group) for group in groups),
            outputs=tuple(_joined(self.outputs, group) for group in groups),
            seconds={place: _sums(times, groups) for place, times in self.seconds.items()},
        )

    def chain(self) -> ModelChain:
        """Merges what lies between two tasks that everything passes.

        A stage ends where the result of one task is all that later ones need, the inputs of the
        model have been read and no output has been made. Networks with connections over their whole
        length, or with an input that all layers read, are one stage.

        Returns:
          A profile as `oj.network_costs` takes it, or with `to_problem` for the paper's three
          places.
        """
        graph, num_tasks = self.graph, self.graph.num_tasks
        u, v = graph.edges.T
        last = np.arange(num_tasks)
        np.maximum.at(last, u, v)
        starts, ends = np.arange(num_tasks), last
        needed = np.cumsum(_count(starts, num_tasks) - _count(ends, num_tasks))
        unread = np.cumsum((graph.input > 0)[::-1])[::-1]
        made = np.cumsum(graph.output > 0)
        cuts = np.flatnonzero((needed == 1)[:-1] & (unread[1:] == 0) & (made[:-1] == 0))
        groups = [part.tolist() for part in np.split(np.arange(num_tasks), cuts + 1)]
        crossing = [np.flatnonzero((u <= cut) & (cut < v)).tolist() for cut in cuts]
        every = range(num_tasks)
        return ModelChain(
            name=self.name,
            stage_names=tuple(
                graph.names[max(group, key=lambda task: self.flops[task])] for group in groups
            ),
            flops=_sums(self.flops, groups),
            data=np.array(
                [graph.input.sum(), *(graph.data[e[0]] for e in crossing), graph.output.sum()]
            ),
            memory=_sums(self.memory, groups),
            nodes=tuple(_joined(self.nodes, group) for group in groups),
            tensors=(
                _joined(self.inputs, every),
                *(_joined(self.tensors, edges) for edges in crossing),
                _joined(self.outputs, every),
            ),
        )


def _count(tasks: np.ndarray, num_tasks: int) -> np.ndarray:
    return np.bincount(tasks, minlength=num_tasks)


def _sums(values: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([values[[*group]].sum() for group in groups])


def _flat(parts: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    """Everything in the parts, once, in their order."""
    return tuple(dict.fromkeys(item for part in parts for item in part))


def _joined(parts: Sequence[tuple[Any, ...]], numbers: Iterable[int]) -> tuple[Any, ...]:
    return _flat(parts[number] for number in numbers)


def _described(
    kind: str, name: str, parts: str, flops: np.ndarray, memory: np.ndarray, more: str = ""
) -> str:
    return (
        f"{kind}({name!r}, {len(flops)} {parts}, {flops.sum() / 1e9:.4g} GFLOP,"
        f" {memory.sum() / 1e6:.4g} MB of weights{more})"
    )
