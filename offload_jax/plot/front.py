"""Trade-offs between two quantities: what is not dominated, and what weighted sums reach of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from offload_jax.chains.pareto import ParetoFront, PeriodFront
from offload_jax.graphs.pareto import GraphFront, GraphPeriodFront
from offload_jax.plot.style import GREY, MARKERS, PALETTE, Axes, axes_or_new, legend
from offload_jax.validation import as_float64, check_class


def front(
    points: ParetoFront | PeriodFront | GraphFront | GraphPeriodFront | Any,
    *,
    others: Mapping[str, Sequence[float]] | None = None,
    xlabel: str = "latency (s)",
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the points that no other one beats in both quantities, and their lower hull.

    Steps say what a limit on one quantity costs in the other. Between two corners of the hull, no
    weighted sum of the quantities finds a point. Dominated points are faint; what is `inf` is left
    out.

    Args:
      points: a front, or `[n, 2]` points, of which less is better in both.
      others: further points by name, each with a mark of its own.
      xlabel: what is on the horizontal axis.
      ylabel: what is on the vertical axis; by default the period of a front of periods, and else
        the energy of the device.
      ax: where to draw; a new figure if None.

    Returns:
      The Axes.

    Raises:
      ValueError: these are no points.
      ImportError: matplotlib is not installed; names the extra.
    """
    if ylabel is None:
        of_period = isinstance(points, PeriodFront | GraphPeriodFront)
        ylabel = "period (s)" if of_period else "energy of the device (J)"
    if isinstance(points, ParetoFront | PeriodFront | GraphFront | GraphPeriodFront):
        points = np.stack(points[:2], axis=-1)
    points = as_points("points", points, 2)
    others = {} if others is None else others
    check_class("others", others, Mapping)
    beside = {name: as_points(f"others[{name!r}]", [point], 2) for name, point in others.items()}
    ax = axes_or_new(ax, (5.5, 4.2))
    points = points[np.isfinite(points).all(axis=1)]
    points = points[np.lexsort(points.T[::-1])]
    best = np.concatenate([[np.inf], np.minimum.accumulate(points[:, 1])[:-1]])[: len(points)]
    better = points[:, 1] < best
    found, dominated = points[better], points[~better]
    if len(dominated):
        ax.plot(*dominated.T, "o", color=GREY, alpha=0.4, mew=0, label="dominated")
    ax.step(*found.T, where="post", color=PALETTE[0], lw=1)
    ax.plot(*found.T, "o", color=PALETTE[0], ms=5, label="front")
    hull = lower_hull(found)
    if len(hull) < len(found):
        ax.plot(*hull.T, "--", color=PALETTE[3], lw=1, label="lower hull")
    for number, (name, point) in enumerate(beside.items()):
        ax.plot(
            *point.T,
            MARKERS[number % len(MARKERS)],
            ms=8,
            mfc="none",
            mew=1.5,
            color=PALETTE[1 + number % (len(PALETTE) - 1)],
            label=name,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if not len(found):
        ax.text(0.5, 0.5, "no point is finite", ha="center", transform=ax.transAxes)
    if len(dominated) or beside or len(hull) < len(found):
        legend(ax, "lower center", 1.0)
    return ax


def as_points(name: str, values: Any, *columns: int) -> np.ndarray:
    """Points as float64 `[n, c]`, c one of `columns`.

    Raises:
      ValueError: they have another shape, or are NaN; names them.
    """
    points = as_float64(name, values)
    if not points.size:
        points = points.reshape(0, columns[0])
    if points.ndim != 2 or points.shape[1] not in columns or np.isnan(points).any():
        widths = " or ".join(map(str, columns))
        raise ValueError(
            f"{name}: must be points [n, {widths}] without NaN, got shape {points.shape}"
        )
    return points


def lower_hull(points: np.ndarray) -> np.ndarray:
    """The corners of the lower convex hull of points in order of x, by Andrew's chain.

    Args:
      points: `[n, 2]`, x increasing.

    Returns:
      `[m, 2]` those of them that lie on it.
    """
    corners: list[np.ndarray] = []
    for point in points:
        while len(corners) > 1:
            first, second = corners[-1] - corners[-2], point - corners[-2]
            if first[0] * second[1] - first[1] * second[0] > 0:
                break
            corners.pop()
        corners.append(point)
    return np.array(corners).reshape(-1, 2)
