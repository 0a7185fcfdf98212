"""What C programs are put together from."""

from typing import Any, NamedTuple

import numpy as np

_IN_A_ROW = 8


class Program(NamedTuple):
    """A program in parts, all of which may hold `$name` and the like.

    Attributes:
      facts: paragraphs of the comment that both files begin with.
      header: names of the files of `c/` that make up the header; the second goes into the first.
      source: names of the files of `c/` and, where they hold a line break, pieces of C.
      values: what placeholders stand for, besides `name` and `NAME`.
    """

    facts: tuple[str, ...]
    header: tuple[str, ...]
    source: tuple[str, ...]
    values: dict[str, Any]


def numbers(values: Any) -> str:
    """float32 numbers from which a compiler reads the same again, a few to a line.

    Raises:
      ValueError: one is not finite.
    """
    flat = np.asarray(values, np.float32).ravel()
    if not np.isfinite(flat).all():
        raise ValueError("policy: its parameters must be finite numbers")
    words = [f"{number}f" for number in map(str, flat)]
    rows = [", ".join(words[i : i + _IN_A_ROW]) for i in range(0, len(words), _IN_A_ROW)]
    return ",\n    ".join(rows)


def array(name: str, values: Any) -> str:
    """A constant array, flat."""
    return f"static const float {name}[{np.size(values)}] = {{\n    {numbers(values)}}};\n"
