"""Tables of reports and of the terminal."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def markdown(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, digits: int = 3) -> str:
    """A Markdown table.

    Args:
      headers: names of the columns.
      rows: cells; floats get `digits` decimals, everything else stands as it is.
      digits: decimals.
    """
    names, cells, widths, right = _laid_out(headers, rows, digits)
    rule = [
        "-" * (width + 1) + ":" if r else ":" + "-" * (width + 1)
        for width, r in zip(widths, right, strict=True)
    ]
    lines = [" | ".join(line) for line in (names, *cells)]
    lines = [f"| {line} |" for line in lines]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def plain(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, digits: int = 3) -> str:
    """The same for a terminal."""
    names, cells, widths, _ = _laid_out(headers, rows, digits)
    rule = ["-" * width for width in widths]
    return "\n".join("  ".join(line).rstrip() for line in (names, rule, *cells))


def _laid_out(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], digits: int
) -> tuple[list[str], list[list[str]], list[int], list[bool]]:
    """Headers and cells as text of the width of their column, the widths, which go to the right."""
    lines = [
        [f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in rows
    ]
    columns = list(zip(*lines, strict=True)) or [()] * len(headers)
    right = [bool(column) and all(map(_is_number, column)) for column in columns]
    widths = [max(map(len, (name, *column))) for name, column in zip(headers, columns, strict=True)]

    def padded(line: Sequence[str]) -> list[str]:
        return [
            cell.rjust(width) if r else cell.ljust(width)
            for cell, width, r in zip(line, widths, right, strict=True)
        ]

    return padded(headers), [padded(line) for line in lines], widths, right


def _is_number(cell: str) -> bool:
    """With or without unit."""
    return re.match(r"[-−±≤]? ?\d|$", cell) is not None
