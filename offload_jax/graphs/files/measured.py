"""Task graphs whose running times were measured, place by place.

A CSV file as for chains with one more column, the names of what each task needs, separated by
semicolons; the first row is the input, times are in milliseconds.

    subtask,output_bytes,needs,device,edge
    input,150528,,,
    stem,802816,input,12.5,3.1
    left,4000,stem,20,2.5
    right,4000,stem,30,4
    head,40,left;right,1,0.2
"""

import dataclasses
import os
from pathlib import Path

import numpy as np

from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.measured import MeasuredRow, measured_rows


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MeasuredGraph:
    """A task graph and the running time of each of its N tasks at each place.

    Attributes:
      name: of the file, without its suffix.
      graph: the tasks, without cycles; results are sent once.
      seconds: float64 `[N]` by the name of a place, as `network_costs` takes them; `inf` where it
        cannot run a task.
    """

    name: str
    graph: TaskGraph
    seconds: dict[str, np.ndarray]

    def __repr__(self) -> str:
        places = ", ".join(self.seconds)
        return f"MeasuredGraph({self.name!r}, {self.graph.num_tasks} tasks at {places})"


def read_measured(path: str | os.PathLike[str]) -> MeasuredGraph:
    """Reads a measured task graph from a CSV file as above.

    A task that nothing needs sends its result home. An input that several tasks need is a task of
    its own, which takes no time.

    Args:
      path: the file; without a column `needs`, each task needs the one before it.

    Returns:
      The graph.

    Raises:
      ValueError: the file is malformed, a task needs what is not there, nothing needs the input, or
        tasks form a cycle; names the file, the line and the rule.
      OSError: the file cannot be read.
    """
    path = Path(path)
    places, rows = measured_rows(path)
    needs = _needs(rows)
    readers = [name for name, needed in needs.items() if rows[0].name in needed]
    if not readers:
        raise ValueError(f"{rows[0].where}: no subtask needs {rows[0].name!r}, the input")
    # One that several read is sent once, as the result of a task of its own.
    tasks = rows[len(readers) == 1 :]
    holder = rows[0].name if tasks[0] is rows[0] else readers[0]
    size = {row.name: row.num_bytes for row in tasks}
    edges = [(u, v) for v, needed in needs.items() for u in needed if u in size]
    unread = size.keys() - {u for u, _ in edges}
    try:
        graph = TaskGraph.from_edges(
            np.zeros(len(tasks)),
            edges,
            [size[u] for u, _ in edges],
            input=[rows[0].num_bytes if name == holder else 0.0 for name in size],
            output=[size[name] if name in unread else 0.0 for name in size],
            names=[*size],
            send_once=True,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    nothing = (0.0,) * len(places)
    times = {row.name: row.seconds or nothing for row in tasks}
    seconds = np.array([times[name] for name in graph.names])
    return MeasuredGraph(path.stem, graph, dict(zip(places, seconds.T.copy(), strict=True)))


def _needs(rows: list[MeasuredRow]) -> dict[str, list[str]]:
    """What each task needs, by name."""
    names = [row.name for row in rows]
    found: dict[str, list[str]] = {}
    for number, row in enumerate(rows[1:], 1):
        if row.name in names[:number]:
            raise ValueError(f"{row.where}: {row.name!r} is there twice")
        cell = names[number - 1] if row.needs is None else row.needs
        needed = [name.strip() for name in cell.split(";")] if cell else []
        for name in needed:
            if name not in names:
                raise ValueError(f"{row.where}: {row.name!r} needs {name!r}, which is not there")
        found[row.name] = [*dict.fromkeys(needed)]
    return found
