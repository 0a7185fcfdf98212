"""Executions of scientific workflows in WfFormat 1.5 and 1.6 (WfCommons)."""

from collections import defaultdict
from typing import Any

import numpy as np

from offload_jax.files import json_entry, json_number, parse_json
from offload_jax.graphs.task_graph import TaskGraph, topological_order


def parse(text: str, reference_speed: float) -> TaskGraph:
    """Makes a graph of the text of a WfFormat file.

    A task takes the seconds of its execution, whatever number of cores it used. An edge is a pair
    of parent and child; its bytes are the files that the parent writes and the child reads. A file
    that is written only by tasks that are no parents comes from those that precede its reader, as
    if they were. Other files that are read are input, and files nobody reads are output. Every
    edge moves its own bytes.

    Args:
      text: the file.
      reference_speed: cycles per second of the machine that executed the workflow.

    Returns:
      The graph; names are the ids of the tasks.

    Raises:
      ValueError: names the line where it is no JSON, and the task otherwise.
    """
    document = parse_json(text)
    workflow = json_entry(document, "workflow", dict, "the document")
    if "specification" not in workflow:
        raise ValueError(
            f"workflow has no specification, schema {document.get('schemaVersion')}: only 1.5 and"
            " 1.6 are read, and WfFormat has a tool that migrates"
        )
    specification = json_entry(workflow, "specification", dict, "workflow")
    tasks = json_entry(specification, "tasks", list, "workflow.specification")
    names: list[str] = []
    for position, task in enumerate(tasks):
        names.append(json_entry(task, "id", str, f"workflow.specification.tasks[{position}]"))
    number = {name: index for index, name in enumerate(names)}
    if len(number) < len(names):
        twice = next(name for index, name in enumerate(names) if number[name] != index)
        raise ValueError(f"task {twice!r}: is there twice")
    execution = json_entry(workflow, "execution", dict, "workflow")
    seconds = _numbers(execution, "tasks", "runtimeInSeconds", "workflow.execution")
    missing = next((name for name in names if name not in seconds), None)
    if missing is not None:
        raise ValueError(f"task {missing!r}: workflow.execution.tasks has no runtimeInSeconds")

    edges = _declared_edges(tasks, names, number)
    input_bytes, output_bytes = _add_files(specification, tasks, names, edges)
    return TaskGraph.from_edges(
        [seconds[name] * reference_speed for name in names],
        list(edges),
        list(edges.values()),
        input=input_bytes,
        output=output_bytes,
        names=names,
    )


def _declared_edges(
    tasks: list[Any], names: list[str], number: dict[str, int]
) -> dict[tuple[int, int], float]:
    """The pairs of parent and child, as either of them says, without bytes yet."""
    edges: dict[tuple[int, int], float] = {}
    for task, name in zip(tasks, names, strict=True):
        for kind in ("parents", "children"):
            for other in _strings(task, kind, f"task {name!r}"):
                if other not in number:
                    raise ValueError(f"task {name!r}: {kind} has an unknown task {other!r}")
                pair = (number[other], number[name])
                edges[pair if kind == "parents" else pair[::-1]] = 0.0
    return edges


def _add_files(
    specification: Any, tasks: list[Any], names: list[str], edges: dict[tuple[int, int], float]
) -> tuple[list[float], list[float]]:
    """Puts the bytes of files on edges; returns input and output bytes of the tasks."""
    specification = {"files": [], **specification}
    sizes = _numbers(specification, "files", "sizeInBytes", "workflow.specification")
    reads: list[dict[str, float]] = []
    writes: list[dict[str, float]] = []
    writers = defaultdict(list)
    for index, (task, name) in enumerate(zip(tasks, names, strict=True)):
        for kind, into in (("inputFiles", reads), ("outputFiles", writes)):
            listed = _strings({kind: [], **task}, kind, f"task {name!r}")
            unknown = next((file for file in listed if file not in sizes), None)
            if unknown is not None:
                raise ValueError(
                    f"task {name!r}: {kind} has {unknown!r}, of which"
                    " workflow.specification.files has no sizeInBytes"
                )
            into.append({file: sizes[file] for file in listed})
        for file in writes[index]:
            writers[file].append(index)

    pairs = np.array(list(edges), np.int64).reshape(-1, 2)
    position_of = {task: p for p, task in enumerate(topological_order(pairs, names))}
    input_bytes, moved = [0.0] * len(tasks), set()
    for reader, files in enumerate(reads):
        for file, size in files.items():
            others = [task for task in writers[file] if task != reader]
            senders = [task for task in others if (task, reader) in edges] or [
                task for task in others if position_of[task] < position_of[reader]
            ]
            for sender in senders:
                edges[sender, reader] = edges.get((sender, reader), 0.0) + size
                moved.add(file)
            if not senders:
                input_bytes[reader] += size
    output_bytes = [
        sum(size for file, size in files.items() if file not in moved) for files in writes
    ]
    return input_bytes, output_bytes


def _numbers(holder: Any, kind: str, key: str, where: str) -> dict[str, float]:
    """A number of each entry of a list, by the entry's id."""
    numbers: dict[str, float] = {}
    for position, entry in enumerate(json_entry(holder, kind, list, where)):
        name = json_entry(entry, "id", str, f"{where}.{kind}[{position}]")
        value = json_number(entry, key, f"{where}.{kind}[{position}] {name!r}")
        if numbers.setdefault(name, value) != value:
            raise ValueError(
                f"{where}.{kind}: {name!r} is there twice, {key} = {numbers[name]} and {value}"
            )
    return numbers


def _strings(holder: Any, key: str, where: str) -> list[str]:
    values: list[str] = json_entry(holder, key, list, where)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{where}: {key} must hold strings")
    return values
