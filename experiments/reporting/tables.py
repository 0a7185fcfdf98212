"""Tables of reports and of the terminal."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate


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


def _table(style: str, headers: Sequence[str], rows: Iterable[Sequence[Any]], digits: int) -> str:
    cells = [
        [f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in rows
    ]
    # Columns of numbers, with or without unit, go to the right.
    numbers = [all(re.match(r"[-−≤]?\d|$", cell) for cell in column) for column in zip(*cells)]
    align = ["right" if number else "left" for number in numbers]
    return tabulate(cells, headers, style, disable_numparse=True, colalign=align or None)
