"""Which tasks of a placed model make one part: the largest that neither waits nor keeps waiting."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs.decision import check_decision
from offload_jax.graphs.task_graph import topological_order
from offload_jax.models.model import Model, Tensors


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


def parts_of(
    model: Model, place: Any, num_places: int, order: Any | None = None
) -> tuple[Part, ...]:
    """Parts of a placed model, in an order in which they can run.

    Two tasks are in one part if they have the same place, wait for the same results from other
    places, and have the same results waited for there: in the first place the inputs of the model
    are, and its outputs are waited for. So a part begins as soon as any of its tasks could, and
    hands on nothing later than alone. No circle comes of this: along every edge tasks wait
    for more or are waited for by fewer.

    Args:
      model: N tasks.
      place: int `[N]`, the place of each task.
      num_places: K.
      order: a permutation of the tasks in which each follows what it needs, as `solve` returns it;
        None is their own. Parts come in the order of their first tasks, as far as they can.

    Returns:
      The parts. A task without nodes, which is an input that several read, is in none.

    Raises:
      ValueError: place or order are not as above.
    """
    graph = model.graph
    order = np.arange(graph.num_tasks) if order is None else order
    place, order = check_decision(graph.dense()[0], num_places, place, order)
    if place.ndim > 1 or order.ndim > 1:
        raise ValueError(
            f"place, order: must be one decision, got shapes {place.shape}, {order.shape}"
        )
    place, order = place.tolist(), order.tolist()
    waits, serves = _crossings(model, place)
    groups: dict[Any, list[int]] = defaultdict(list)
    for task in order:
        if model.nodes[task]:
            groups[place[task], waits[task], serves[task]].append(task)
    tasks = [*groups.values()]
    number = {task: group for group, members in enumerate(tasks) for task in members}
    needs: list[dict[str, None]] = [dict.fromkeys(_inputs(model, group)) for group in tasks]
    makes: list[dict[str, None]] = [dict.fromkeys(_outputs(model, group)) for group in tasks]
    between = set()
    for (u, v), tensors in zip(graph.edges.tolist(), model.tensors, strict=True):
        if number.get(u) != number[v]:
            needs[number[v]].update(dict.fromkeys(tensors))
            if u in number:
                makes[number[u]].update(dict.fromkeys(tensors))
                between.add((number[u], number[v]))
    pairs = np.array(sorted(between), np.int64).reshape(-1, 2)
    sequence = topological_order(pairs, [str(group) for group in range(len(tasks))])
    new = {group: index for index, group in enumerate(sequence)}
    return tuple(
        Part(
            place[tasks[group][0]],
            tuple(tasks[group]),
            tuple(needs[group]),
            tuple(makes[group]),
            tuple(sorted(new[u] for u, v in between if v == group)),
        )
        for group in sequence
    )


def _inputs(model: Model, tasks: Iterable[int]) -> Iterable[str]:
    return (name for task in tasks for name in model.inputs[task])


def _outputs(model: Model, tasks: Iterable[int]) -> Iterable[str]:
    return (name for task in tasks for name in model.outputs[task])


def _crossings(model: Model, place: Sequence[int]) -> tuple[list[frozenset], list[frozenset]]:
    """What each task waits for from other places, and what of it or behind it others wait for."""
    edges = model.graph.edges.tolist()
    waits: list[frozenset] = [
        frozenset(names if where else ()) for names, where in zip(model.inputs, place, strict=True)
    ]
    for u, v in sorted(edges, key=lambda edge: edge[1]):
        waits[v] |= waits[u] if place[u] == place[v] else {u}
    serves: list[frozenset] = [
        frozenset([task] if names and place[task] else ())
        for task, names in enumerate(model.outputs)
    ]
    for u, v in sorted(edges, key=lambda edge: -edge[0]):
        serves[u] |= serves[v] if place[u] == place[v] else {u}
    return waits, serves
