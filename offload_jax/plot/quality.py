"""How good decisions are against how long they take."""

from collections.abc import Mapping
from typing import Any

from offload_jax.plot.front import as_points
from offload_jax.plot.style import MARKERS, PALETTE, Axes, axes_or_new, legend
from offload_jax.validation import check_class


def quality_against_time(
    series: Mapping[str, Any],
    *,
    xlabel: str = "seconds a decision",
    ylabel: str = "cost / best known",
    ax: Axes | None = None,
) -> Axes:
    """Draws what each way to decide reaches in which time, time on a logarithmic axis.

    Colour and mark follow from the position in `series`, so panels with the same names look alike;
    a name without points draws nothing and keeps its place.

    Args:
      series: by name, `[n, 2]` points of seconds and quality, or `[n, 3]` with half an interval of
        the quality; less is better.
      xlabel: what is on the horizontal axis.
      ylabel: what is on the vertical axis.
      ax: where to draw; a new figure if None.

    Returns:
      The Axes.

    Raises:
      ValueError: these are no points, or a time is not above 0.
      ImportError: matplotlib is not installed; names the extra.
    """
    check_class("series", series, Mapping)
    lines = {name: as_points(f"series[{name!r}]", rows, 2, 3) for name, rows in series.items()}
    for name, points in lines.items():
        if (points[:, 0] <= 0).any():
            raise ValueError(
                f"series[{name!r}]: seconds must be greater than 0, got {points[:, 0].min()}"
            )
    ax = axes_or_new(ax, (6.5, 4.2))
    ax.set_xscale("log")
    for number, (name, points) in enumerate(lines.items()):
        seconds, quality, *interval = points[points[:, 0].argsort()].T
        ax.errorbar(
            seconds,
            quality,
            *interval,
            capsize=2,
            color=PALETTE[number % len(PALETTE)],
            marker=MARKERS[number % len(MARKERS)],
            label=name,
        )
    ax.grid(visible=False, which="minor")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if len(lines) > 1:
        legend(ax, "lower center", 1.0)
    return ax
