"""Where the tasks of a graph run, as a drawing of the graph in layers."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.task_profile import TaskProfile
from offload_jax.graphs.task_graph import TaskGraph
from offload_jax.measured import MeasuredTask
from offload_jax.models.model import Model
from offload_jax.plot.style import (
    GREY,
    SMALL,
    Axes,
    amount,
    axes_or_new,
    characters,
    legend,
    place_colour,
    place_names,
    shortened,
    size_in_points,
    tint,
)
from offload_jax.validation import as_array, check_class, require

# Points: columns so wide that names fit below tasks, names beside each other, the widest line.
_WIDE, _NAMES_APART, _THICKEST = 46.0, 1.35 * SMALL, 8.0
# Of the height of a lane: where its tasks lie, what they may fill, how far apart they are at most.
_BAND, _WIDE_BAND = (0.7, 0.42, 0.16), (0.45, 0.64, 0.32)
_MOST_SUMS = 8


class _Edges(NamedTuple):
    """Everything that passes: M edges, inputs and outputs.

    Attributes:
      source, target: `[M]` places.
      data: `[M]` bytes; 0 where they are counted on another edge.
      ends: `[M, 2]` from which to which task; N stands for the input, N + 1 for the output.
    """

    source: np.ndarray
    target: np.ndarray
    data: np.ndarray
    ends: np.ndarray

    def where(self, chosen: np.ndarray) -> "_Edges":
        """Those that are chosen by booleans."""
        return _Edges(*(part[chosen] for part in self))


def placement(
    task: TaskGraph | Model | TaskProfile | MeasuredTask | ChainProblem,
    place: Any,
    *,
    places: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a graph in layers from left to right, each task in the lane of its place.

    A task stands right of all that it needs. Lines between lanes are as wide as many bytes cross,
    input from place 0 and output to it included; sums stand below. Every task and edge is drawn at
    any size; names are left out where they would cover each other, those of tasks without crossing
    bytes first.

    Args:
      task: a graph of N tasks, or a chain of N subtasks.
      place: int `[N]` the place of each task.
      places: K names of the places, such as `Network.place_names`; unused ones keep their lane.
      ax: where to draw; a new figure if None.

    Returns:
      The Axes.

    Raises:
      ValueError: places do not fit the task.
      ImportError: matplotlib is not installed; names the extra.
    """
    graph, names = _as_graph(task)
    place = as_array("place", place)
    if place.shape != (graph.num_tasks,) or place.dtype.kind not in "iu":
        raise ValueError(
            f"place: must be {graph.num_tasks} integers, one for each task, got shape"
            f" {place.shape} of {place.dtype}"
        )
    require("place", place, place >= 0, "places are numbered from 0")
    place_of = place_names(places, int(place.max()) + 1)
    edges = _edges(graph, np.append(place, [0, 0]))
    crossing = edges.source != edges.target
    staying, moving = edges.where(~crossing), edges.where(crossing)
    ax = axes_or_new(ax, (10.0, 1.0 + 1.15 * len(place_of)))
    _draw_lanes(ax, place, place_of)
    _draw_sums(ax, moving, place_of)
    width, height = size_in_points(ax)
    layer = _layers(graph)
    last = int(layer.max()) + 1
    column, lane = (width - _WIDE) / (last + 1), height / len(place_of)
    ax.set_xlim(-1 - _WIDE / column / 2, last + _WIDE / column / 2)
    middle, band, most = _WIDE_BAND if column >= _WIDE else _BAND
    spots, apart = _spots(graph, place, layer, band, most)
    spots = np.concatenate([spots, [[-1, 0], [last, 0]]])
    spots[:, 1] += middle
    _draw_lines(ax, staying, spots, lw=0.6, color=GREY, alpha=0.6)
    # Many lines are thinner, or they would cover each other.
    widest = min(_THICKEST, 6 * _THICKEST / np.sqrt(max(len(moving.data), 1)))
    widths = 0.8 + (widest - 0.8) * moving.data / max(moving.data.max(initial=0.0), 1e-300)
    colours = [tint(place_colour(at), 0.75) for at in moving.source.tolist()]
    _draw_lines(ax, moving, spots, lw=widths, color=colours, capstyle="round", zorder=2)
    size = min(max(0.62 * min(column, lane * apart), 1.5), 12.0)
    colours = [place_colour(at) for at in place.tolist()]
    x, y = spots[:-2].T
    ax.scatter(x, y, s=size**2, c=colours, ec="white", lw=0.05 * size, zorder=3)
    for end, spot in zip(("input", "output"), spots[-2:], strict=True):
        if getattr(graph, end).any():
            ax.scatter(spot[0], spot[1], s=30, c="white", ec="0.3", marker="s", zorder=3)
            _text(ax, end, spot, -5.0, va="top", zorder=4)
    if column >= _WIDE:
        for name, spot in zip(names, spots[:-2], strict=True):
            _text(ax, shortened(name, characters(column)), spot, -size / 2 - 1, va="top")
    else:
        _write_upright(ax, names, spots, moving, column, lane, size)
    return ax


def _as_graph(task: Any) -> tuple[TaskGraph, Sequence[str]]:
    """The graph of a model or a chain, and the names that are shown."""
    check_class("task", task, TaskGraph, Model, TaskProfile, MeasuredTask, ChainProblem)
    if isinstance(task, TaskGraph | Model):
        graph = task.graph if isinstance(task, Model) else task
        return graph, graph.names
    data = np.asarray(task.data, np.float64)
    if data.ndim != 1:
        raise ValueError(f"task: must be one chain, got a batch {data.shape[:-1]}")
    last = len(data) - 2
    ends = np.zeros((2, last + 1))
    ends[0, 0], ends[1, last] = data[0], data[-1]
    pairs = [(t, t + 1) for t in range(last)]
    graph = TaskGraph.from_edges(ends[0], pairs, data[1:-1], input=ends[0], output=ends[1])
    # Names of stages may be there twice, those of tasks not.
    return graph, getattr(task, "stage_names", getattr(task, "subtask_names", graph.names))


def _layers(graph: TaskGraph) -> np.ndarray:
    """`[N]` how many tasks the longest way to each passes."""
    layer = [0] * graph.num_tasks
    for u, v in sorted(graph.edges.tolist()):
        layer[v] = max(layer[v], layer[u] + 1)
    return np.array(layer)


def _spots(
    graph: TaskGraph, place: np.ndarray, layer: np.ndarray, band: float, most: float
) -> tuple[np.ndarray, float]:
    """Points `[N, 2]` around the middle of lanes, and how far tasks above each other are apart.

    Of a place and layer, tasks lie in the order of what they need, so that few edges cross.
    """
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for task, cell in enumerate(zip(layer.tolist(), place.tolist(), strict=True)):
        cells[cell].append(task)
    highest: dict[int, int] = defaultdict(int)
    for (_, at), tasks in cells.items():
        highest[at] = max(highest[at], len(tasks))
    apart = {at: min(most, band / max(number - 1, 1)) for at, number in highest.items()}
    needs: list[list[int]] = [[] for _ in layer]
    for u, v in graph.edges.tolist():
        needs[v].append(u)
    offset = np.zeros(len(layer))
    for (_, at), tasks in sorted(cells.items()):
        tasks.sort(key=lambda task: float(np.mean(offset[needs[task]])) if needs[task] else 0.0)
        for row, task in enumerate(tasks):
            offset[task] = (row - (len(tasks) - 1) / 2) * apart[at]
    return np.stack([layer, place + offset], axis=-1), min(apart.values())


def _edges(graph: TaskGraph, place: np.ndarray) -> _Edges:
    """What passes, by the places `[N + 2]` of tasks, input and output."""
    data = graph.data.copy()
    if graph.send_once:
        # What several tasks of a place read comes there once.
        reads = np.stack([graph.edges[:, 0], place[graph.edges[:, 1]]])
        _, first = np.unique(reads, axis=1, return_index=True)
        data[np.setdiff1d(np.arange(len(data)), first)] = 0.0
    enters, leaves = np.flatnonzero(graph.input), np.flatnonzero(graph.output)
    from_input = np.stack([np.full_like(enters, graph.num_tasks), enters], axis=-1)
    to_output = np.stack([leaves, np.full_like(leaves, graph.num_tasks + 1)], axis=-1)
    ends = np.concatenate([graph.edges, from_input, to_output])
    data = np.concatenate([data, graph.input[enters], graph.output[leaves]])
    return _Edges(place[ends[:, 0]], place[ends[:, 1]], data, ends)


def _draw_lanes(ax: Axes, place: np.ndarray, place_of: Sequence[str]) -> None:
    labels = []
    for at, name in enumerate(place_of):
        ax.axhspan(at + 0.02, at + 0.98, color=tint(place_colour(at), 0.1), lw=0, zorder=0)
        number = int((place == at).sum())
        labels.append(f"{shortened(name, 20)}\n{number or 'no'} task{'s' * (number != 1)}")
    ax.set_yticks(np.arange(len(place_of)) + 0.5, labels)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.set_ylim(len(place_of), 0)


def _draw_lines(ax: Axes, edges: _Edges, spots: np.ndarray, **look: Any) -> None:
    """Curves from start to end; those that pass by other layers in their lane hang down."""
    from matplotlib.collections import LineCollection

    share = np.linspace(0.0, 1.0, 9)[:, None]
    start, end = np.moveaxis(spots[edges.ends], 1, 0)
    lines = start[:, None] + share * (end - start)[:, None]
    passed = (end - start)[:, 0].clip(1) - 1
    passed[edges.source != edges.target] = 0
    deep = np.minimum(0.06 * np.log2(1 + passed), 0.24)
    lines[..., 1] += 4 * deep[:, None] * (share * (1 - share)).T
    ax.add_collection(LineCollection(list(lines), **look), autolim=False)


def _text(ax: Axes, text: str, spot: np.ndarray, above: float, **look: Any) -> None:
    """Small text so many points above a spot, with a white rim."""
    from matplotlib import patheffects

    ax.annotate(
        text,
        tuple(spot),
        (0, above),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
        path_effects=[patheffects.withStroke(linewidth=1.5, foreground="white")],
        **{"zorder": 5, **look},
    )


def _write_upright(
    ax: Axes,
    names: Sequence[str],
    spots: np.ndarray,
    moving: _Edges,
    column: float,
    lane: float,
    size: float,
) -> None:
    """Names from bottom to top over tasks, those with crossing bytes first, as far as they fit."""
    crossing = np.zeros(len(spots))
    for end in moving.ends.T:
        np.maximum.at(crossing, end, moving.data + 1)
    topmost: dict[tuple[int, float], int] = {}
    for task, (x, y) in enumerate(spots[:-2].tolist()):
        cell = int(y), x
        if cell not in topmost or y < spots[topmost[cell], 1]:
            topmost[cell] = task
    taken: dict[int, list[float]] = defaultdict(list)
    for (at, x), task in sorted(topmost.items(), key=lambda item: -crossing[item[1]]):
        room = characters((spots[task, 1] - at - 0.04) * lane - size / 2 - 2)
        if room >= 4 and all(abs(x - other) * column >= _NAMES_APART for other in taken[at]):
            taken[at].append(x)
            name = shortened(names[task], room)
            _text(ax, name, spots[task], size / 2 + 2, rotation=90, va="bottom")


def _draw_sums(ax: Axes, moving: _Edges, place_of: Sequence[str]) -> None:
    """A legend: how many bytes pass from each place to each other one, the most first."""
    sums: dict[tuple[int, int], list[float]] = defaultdict(list)
    for source, target, data in zip(moving.source, moving.target, moving.data, strict=True):
        if data > 0:
            sums[int(source), int(target)].append(float(data))
    ordered = sorted(sums.items(), key=lambda item: -sum(item[1]))
    for (source, target), data in ordered[:_MOST_SUMS]:
        ends = " → ".join(shortened(place_of[at], 12) for at in (source, target))
        times = f" in {len(data)}" if len(data) > 1 else ""
        label = f"{ends}: {amount(sum(data), 'B')}{times}"
        ax.plot([], [], color=tint(place_colour(source), 0.75), lw=4, label=label)
    if len(ordered) > _MOST_SUMS:
        rest = amount(sum(sum(data) for _, data in ordered[_MOST_SUMS:]), "B")
        label = f"{len(ordered) - _MOST_SUMS} other pairs of places: {rest}"
        ax.plot([], [], color="none", label=label)
    legend(ax, "upper center", 0.0)
    if not ordered:
        ax.set_xlabel("nothing passes between places", fontsize=SMALL + 1)
