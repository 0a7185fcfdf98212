"""Figures of experiments, in the look of `oj.plot`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler

from offload_jax.plot.style import MARKERS, PALETTE, STYLE, plain_numbers

matplotlib.use("Agg")

import matplotlib.pyplot as plt

__all__ = ["MARKERS", "PALETTE", "figure", "plain_numbers"]

_STYLE: Any = {**STYLE, "axes.prop_cycle": cycler(color=PALETTE)}


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
