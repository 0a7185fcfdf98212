"""One look for all figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
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
    "legend.frameon": False,
}


@contextmanager
def figure(path: Path, *, size: tuple[float, float] = (7.0, 4.0)) -> Iterator[tuple]:
    """Gives `(figure, axes)` to draw on and writes the PNG at the end.

    Args:
      path: the PNG file; its folder is created.
      size: inches.
    """
    with plt.rc_context(_STYLE):
        fig, axes = plt.subplots(figsize=size, layout="constrained")
        try:
            yield fig, axes
            path.parent.mkdir(parents=True, exist_ok=True)
            fig.savefig(path)
        finally:
            plt.close(fig)
