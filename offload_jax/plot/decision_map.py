"""Maps of decisions over a plane of two swept parameters."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.costs import ChainCosts
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.solve import solve as solve_chains
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.objectives import SERIAL_LATENCY
from offload_jax.graphs.problem import GraphProblem
from offload_jax.graphs.solve import solve as solve_graphs
from offload_jax.plot.style import (
    Axes,
    Colour,
    axes_or_new,
    ink,
    place_colour,
    place_names,
    plain_numbers,
    shortened,
    tint,
)
from offload_jax.validation import as_array, as_float64

# Distinct decisions that get a colour of their own; rarer ones share one.
MOST_COLOURS = 15
_OTHERS, _IMPOSSIBLE = (0.6, 0.6, 0.6), (1.0, 1.0, 1.0)


class Region(NamedTuple):
    """The points of a map where one decision is best.

    Attributes:
      decision: the place of each task, empty where none is possible; None for all decisions that
        got no colour of their own.
      share: of all points.
      number: how many decisions these are.
    """

    decision: tuple[int, ...] | None
    share: float
    number: int = 1


def decision_map(
    problem: ChainProblem | ChainCosts | GraphProblem | GraphCosts | Any,
    x: Any,
    y: Any,
    *,
    xlabel: str = "",
    ylabel: str = "",
    places: Sequence[str] | None = None,
    method: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Colours a plane of two swept parameters by the decision at each point.

    A colour is that of the place where most tasks run, fainter where fewer do. Fields of problems
    broadcast, so a plane is one problem with one field of shape `[X]` and one of `[Y, 1]`. The
    legend has the most frequent 15 decisions, `3D 17E` for three tasks on the device, then 17 on
    the edge; rarer ones share a grey.

    Args:
      problem: problems or costs of batch shape `[Y, X]`, or decisions, int `[Y, X, N]`, that have
        -1 for all tasks where nothing is possible.
      x: `[X]` increasing values on the horizontal axis, which is logarithmic if they are spaced so.
      y: `[Y]` the same on the vertical axis.
      xlabel: what x is, with its unit.
      ylabel: what y is, with its unit.
      places: K names of the places, such as `Network.place_names`.
      method: of `oj.solve` or `oj.graphs.solve`; None is exact for chains, and for graphs the least
        serial latency, which is "cut".
      ax: where to draw; a new figure if None.

    Returns:
      The Axes.

    Raises:
      ValueError: values do not increase, or do not fit the problem.
      ImportError: matplotlib is not installed; names the extra.
    """
    x, y = _increasing("x", x), _increasing("y", y)
    decisions = _decide(problem, method)
    if decisions.ndim != 3 or decisions.shape[:2] != (len(y), len(x)):
        raise ValueError(
            f"problem: must have the batch shape [Y, X] = ({len(y)}, {len(x)}) of the values, got"
            f" {decisions.shape[:-1]}"
        )
    number, found = regions(decisions)
    ax = axes_or_new(ax, (7.4, 4.8))
    draw(ax, number, found, x, y, place_names(places, int(decisions.max()) + 1))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def _increasing(name: str, values: Any) -> np.ndarray:
    values = as_float64(name, values)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"{name}: must be two or more finite values [n], got {values!r:.60}")
    if (np.diff(values) <= 0).any():
        raise ValueError(f"{name}: must increase, got {values!r:.60}")
    return values


def _decide(problem: Any, method: str | None) -> np.ndarray:
    """Decisions `[..., N]`, -1 where nothing is possible."""
    if isinstance(problem, ChainProblem | ChainCosts):
        solved = solve_chains(problem, method=method or "auto")
        decisions, cost = solved.decision, solved.cost
    elif isinstance(problem, GraphProblem | GraphCosts):
        # The cut, without the makespan and the bound that nobody looks at.
        found = (
            solve_graphs(problem, method=method)
            if method
            else solve_graphs(problem, objective=SERIAL_LATENCY)
        )
        decisions, cost = found.place, found.cost
    else:
        decisions = as_array("problem", problem)
        if decisions.dtype.kind not in "iu":
            raise ValueError(
                "problem: must be a problem or costs of chains or graphs, or decisions that hold"
                f" integers, got {type(problem).__name__} of {decisions.dtype}"
            )
        return decisions
    return np.where(np.isfinite(cost)[..., None], decisions, -1)


def regions(decisions: np.ndarray) -> tuple[np.ndarray, list[Region]]:
    """Numbers `[Y, X]` of the distinct decisions, and what they are, most frequent first.

    All that rank behind the colours there are get the last number.
    """
    flat = decisions.reshape(-1, decisions.shape[-1])
    # A row as one number sorts far faster than rows do; with a random factor for each task, two of
    # a million rows get the same one with a chance of 10^-7.
    factors = np.random.default_rng(0).integers(2**63, size=flat.shape[1])
    code = np.zeros(len(flat), np.int64)
    for column, factor in zip(flat.T, factors, strict=True):
        code += column * factor
    _, first, inverse, count = np.unique(
        code, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(-count, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    most = MOST_COLOURS if len(order) <= MOST_COLOURS else MOST_COLOURS - 1
    found = [
        Region(tuple(d for d in flat[first[i]].tolist() if d >= 0), count[i] / len(flat))
        for i in order[:most].tolist()
    ]
    if len(order) > most:
        rest = count[order[most:]].sum() / len(flat)
        found.append(Region(None, rest, len(order) - most))
    return np.minimum(rank[inverse], most).reshape(decisions.shape[:-1]), found


def runs(decision: Iterable[int], initials: Sequence[str] = "DEC", between: str = " ") -> str:
    """A decision as runs of places: `3D 17E` is three subtasks on the device, 17 on the edge."""
    groups = itertools.groupby(decision)
    return between.join(f"{len(list(run))}{initials[place]}" for place, run in groups)


def _initials(places: Sequence[str]) -> list[str] | None:
    """The first letters of places, None if two have the same."""
    letters = [name[:1].upper() for name in places]
    return letters if len(set(letters)) == len(letters) else None


def labels(found: Sequence[Region], places: Sequence[str]) -> list[str]:
    """What a legend calls regions: `3D 17E`, `all edge`, `4 others`; no two alike."""
    short = [shortened(name, 12) for name in places]
    letters = _initials(places)

    def label(region: Region) -> str:
        decision = region.decision
        if decision is None:
            return f"{region.number} others"
        if not decision:
            return "impossible"
        if len(set(decision)) == 1:
            return f"all {short[decision[0]]}"
        if len(list(itertools.groupby(decision))) > (4 if letters else 2):
            decision = tuple(sorted(decision))
        if letters:
            return runs(decision, letters)
        return runs(decision, [f" {name}" for name in short], ", ")

    seen: Counter[str] = Counter()
    made = []
    for text in map(label, found):
        seen[text] += 1
        made.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return made


def _colours(found: Sequence[Region]) -> list[Colour]:
    """The colour of the place that does most; decisions that are alike get neighbouring tints."""
    colours: list[Colour] = [_IMPOSSIBLE if r.decision == () else _OTHERS for r in found]
    groups: dict[int, list[int]] = {}
    for i, region in enumerate(found):
        if region.decision:
            groups.setdefault(int(np.bincount(region.decision).argmax()), []).append(i)
    for place, members in groups.items():
        counts = {i: (found[i].decision or ()).count(place) for i in members}
        members.sort(key=lambda i: -counts[i])
        for i, share in zip(members, np.linspace(1.0, 0.25, max(len(members), 3)), strict=False):
            colours[i] = tint(place_colour(place), float(share))
    return colours


def draw(
    ax: Axes,
    number: np.ndarray,
    found: Sequence[Region],
    x: np.ndarray,
    y: np.ndarray,
    places: Sequence[str],
) -> None:
    """Draws regions with lines between them, names on them where these fit, and a legend."""
    colours, names = _colours(found), labels(found, places)
    x_log, y_log = _is_geometric(x), _is_geometric(y)
    x_edges, y_edges = _edges(x, log=x_log), _edges(y, log=y_log)
    if x_log:
        ax.set_xscale("log")
        plain_numbers(ax.xaxis)
    if y_log:
        ax.set_yscale("log")
        plain_numbers(ax.yaxis)
    ax.pcolormesh(x_edges, y_edges, np.array(colours)[number], rasterized=True)
    _draw_borders(ax, number, x_edges, y_edges)
    _write_names(ax, number, found, names, colours, x, y)
    ax.grid(visible=False)
    for name, colour in zip(names, colours, strict=True):
        ax.plot([], [], "s", ms=9, color=colour, mec="0.3", mew=0.5, label=name)
    capitals = ", ".join(name[:1].upper() + name[1:] for name in places)
    title = f"tasks on\n{capitals}" if _initials(places) else "tasks on"
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        title=title,
        alignment="left",
        fontsize=8,
        frameon=False,
    )


def _is_geometric(values: np.ndarray) -> bool:
    """Whether values are spaced more evenly on a logarithmic axis than on a linear one."""
    if values[0] <= 0:
        return False
    steps = [np.diff(scaled) for scaled in (values, np.log(values))]
    linear, logarithmic = (step.std() / step.mean() for step in steps)
    return bool(logarithmic < linear)


def _edges(values: np.ndarray, *, log: bool) -> np.ndarray:
    """`[n + 1]` borders of the cells around values, half way to the next ones."""
    values = np.log(values) if log else values
    inner = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([[2 * values[0] - inner[0]], inner, [2 * values[-1] - inner[-1]]])
    return np.exp(edges) if log else edges


def _draw_borders(ax: Axes, number: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Lines where the decision changes."""
    from matplotlib.collections import LineCollection

    row, column = np.nonzero(np.diff(number, axis=1))
    upright = np.stack([x[[column + 1] * 2], y[[row, row + 1]]], axis=-1)
    row, column = np.nonzero(np.diff(number, axis=0))
    level = np.stack([x[[column, column + 1]], y[[row + 1] * 2]], axis=-1)
    lines = np.concatenate([upright, level], axis=1).swapaxes(0, 1)
    ax.add_collection(
        LineCollection(list(lines), color="white", lw=0.5, rasterized=True), autolim=False
    )


def _write_names(
    ax: Axes,
    number: np.ndarray,
    found: Sequence[Region],
    names: Sequence[str],
    colours: Sequence[Colour],
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    """Names on regions that are wide enough for them, at their centre of mass."""
    for i, (region, name) in enumerate(zip(found, names, strict=True)):
        inside_y, inside_x = np.nonzero(number == i)
        centre = int(inside_y.mean()), int(inside_x.mean())
        width = np.ptp(inside_x[inside_y == centre[0]]) if number[centre] == i else 0
        if width < 0.016 * len(name) * number.shape[1] or region.share < 0.012:
            continue
        ax.text(
            x[centre[1]],
            y[centre[0]],
            name,
            ha="center",
            va="center",
            fontsize=8,
            color=ink(colours[i]),
        )
