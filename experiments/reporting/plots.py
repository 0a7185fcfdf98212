"""One look for all figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler

matplotlib.use("Agg")

import matplotlib.pyplot as plt

# Okabe-Ito: distinguishable for colour-blind readers and in grey.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#999999",
    "#000000",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")

_STYLE: Any = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "axes.prop_cycle": cycler(color=PALETTE),
    "lines.markersize": 4,
    "legend.frameon": False,
}


@contextmanager
def figure(
    path: Path, *, size: tuple[float, float] = (7.0, 4.0), **panels: Any
) -> Iterator[tuple[Any, Any]]:
    """Gives `(figure, axes)` to draw on and writes the PNG at the end.

    Args:
      path: the PNG file; its folder is created.
      size: inches.
      panels: arguments of `plt.subplots`, such as `nrows`, `ncols`, `sharex`.
    """
    with plt.rc_context(_STYLE):
        fig, axes = plt.subplots(figsize=size, layout="constrained", **panels)
        try:
            yield fig, axes
            path.parent.mkdir(parents=True, exist_ok=True)
            fig.savefig(path)
        finally:
            plt.close(fig)


def plain_numbers(axis: Any, *, ticks: Any = None) -> None:
    """Numbers instead of powers of ten on a logarithmic axis.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`.
      ticks: where; None leaves that to matplotlib.
    """
    if ticks is not None:
        axis.set_ticks(np.asarray(ticks))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
