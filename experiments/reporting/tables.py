"""Tables of reports and of the terminal."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

import offload_jax as oj


def markdown(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, digits: int = 3) -> str:
    """A Markdown table.

    Args:
      headers: names of the columns.
      rows: cells; floats get `digits` decimals, everything else stands as it is.
      digits: decimals.
    """
    return _table("pipe", headers, rows, digits)


def plain(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, digits: int = 3) -> str:
    """The same for a terminal."""
    return _table("simple", headers, rows, digits)


def describe(decision: Iterable[int]) -> str:
    """A decision as runs of places: `3D 17E` is three subtasks on the device, 17 on the edge."""
    runs = [(place, len(list(group))) for place, group in itertools.groupby(decision)]
    return " ".join(f"{length}{oj.Place(place).name[0]}" for place, length in runs)


def _table(style: str, headers: Sequence[str], rows: Iterable[Sequence[Any]], digits: int) -> str:
    cells = [
        [f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in rows
    ]
    align = [_align(column) for column in zip(*cells, strict=True)]
    return tabulate(cells, headers, style, disable_numparse=True, colalign=align or None)


def _align(column: Iterable[str]) -> str:
    """Numbers, with or without unit, go to the right."""
    return "right" if all(re.match(r"[-−±≤]? ?\d|$", cell) for cell in column) else "left"
