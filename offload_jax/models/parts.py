"""Which tasks of a placed model make one part: the largest that neither waits nor keeps waiting."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs.decision import check_decision
from offload_jax.graphs.predecessors import edge_lists
from offload_jax.graphs.task_graph import TaskGraph, topological_order
from offload_jax.models.model import Model, Tensors

PLAN = "parts.json"
"""The file in a folder of parts that says what goes where."""


class Part(NamedTuple):
    """What a place runs in one go.

    Attributes:
      place: its number.
      tasks: in an order in which they can run.
      needs: tensors that are made elsewhere.
      makes: tensors that other parts need, and outputs of the model.
      after: the parts, by number, that make what this one needs.
    """

    place: int
    tasks: tuple[int, ...]
    needs: Tensors
    makes: Tensors
    after: tuple[int, ...]


def groups_of_places(
    graph: TaskGraph, place: Sequence[int], order: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """The tasks of each part of a placed graph, in an order in which parts can run.

    Two tasks are in one part if they have the same place, wait for the same results from other
    places, and have the same results waited for there: in the first place the inputs of the graph
    are, and its outputs are waited for. So a part begins as soon as any of its tasks could, and
    hands on nothing later than alone. No circle comes of this: along every edge tasks wait
    for more or are waited for by fewer.

    Args:
      graph: N tasks.
      place: `[N]`, the place of each task.
      order: the tasks in an order in which they can run; parts come in the order of their first
        tasks, as far as they can.

    Returns:
      The tasks of each part, by `order`.
    """
    waits, serves = _crossings(graph, place)
    keys: dict[Any, list[int]] = defaultdict(list)
    for task in order:
        keys[place[task], waits[task], serves[task]].append(task)
    groups = [*keys.values()]
    number = {task: group for group, tasks in enumerate(groups) for task in tasks}
    pairs = {(number[u], number[v]) for u, v in graph.edges.tolist()}
    between = np.array(sorted(pair for pair in pairs if pair[0] != pair[1]), np.int64)
    names = [graph.names[tasks[0]] for tasks in groups]
    return tuple(tuple(groups[g]) for g in topological_order(between.reshape(-1, 2), names))


def parts_of(
    model: Model, place: Any, num_places: int, order: Any | None = None
) -> tuple[Part, ...]:
    """Parts of a placed model, in an order in which they can run; see `groups_of_places`.

    Args:
      model: N tasks.
      place: int `[N]`, the place of each task.
      num_places: K.
      order: a permutation of the tasks in which each follows what it needs, as `solve` returns it;
        None is their own.

    Returns:
      The parts. An input that several read is a task without nodes, which alone makes no part.

    Raises:
      ValueError: place or order are not as above.
    """
    graph = model.graph
    order = np.arange(graph.num_tasks) if order is None else order
    lists, _ = edge_lists(graph.edges, graph.data, graph.num_tasks)
    place, order = check_decision(lists, num_places, place, order)
    if place.ndim > 1 or order.ndim > 1:
        raise ValueError(
            f"place, order: must be one decision, got shapes {place.shape}, {order.shape}"
        )
    place, order = place.tolist(), order.tolist()
    groups = [
        tasks
        for tasks in groups_of_places(graph, place, order)
        if any(model.nodes[task] for task in tasks)
    ]
    number = {task: part for part, tasks in enumerate(groups) for task in tasks}
    needs = [_named(model.inputs, tasks) for tasks in groups]
    makes = [_named(model.outputs, tasks) for tasks in groups]
    after: list[set[int]] = [set() for _ in groups]
    for (u, v), tensors in zip(graph.edges.tolist(), model.tensors, strict=True):
        if v in number and number.get(u) != number[v]:
            needs[number[v]] |= dict.fromkeys(tensors)
            if model.nodes[u]:
                makes[number[u]] |= dict.fromkeys(tensors)
                after[number[v]].add(number[u])
    return tuple(
        Part(place[tasks[0]], tasks, tuple(needs[n]), tuple(makes[n]), tuple(sorted(after[n])))
        for n, tasks in enumerate(groups)
    )


def _named(tensors: Sequence[Tensors], tasks: Iterable[int]) -> dict[str, None]:
    return dict.fromkeys(name for task in tasks for name in tensors[task])


def _crossings(
    graph: TaskGraph, place: Sequence[int]
) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
    """What each task waits for from other places, and what of it or behind it others wait for.

    Results are the numbers of their tasks; the input of a task is that number's complement.
    """
    edges = graph.edges.tolist()
    tasks = [*zip(place, graph.input.tolist(), graph.output.tolist(), strict=True)]
    waits = [frozenset([~n] if p and given else []) for n, (p, given, _) in enumerate(tasks)]
    serves = [frozenset([n] if p and wanted else []) for n, (p, _, wanted) in enumerate(tasks)]
    for u, v in sorted(edges, key=lambda edge: edge[1]):
        waits[v] |= waits[u] if place[u] == place[v] else {u}
    for u, v in sorted(edges, key=lambda edge: -edge[0]):
        serves[u] |= serves[v] if place[u] == place[v] else {u}
    return waits, serves
