"""How results print: a line for each field, arrays shortened."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

# Longer arrays show this many of their first and of their last values.
_LONGEST, _ENDS = 24, 4


def summarize(result: Any) -> str:
    """A result in a few lines, `__repr__` of the classes that hold arrays.

    Args:
      result: a `NamedTuple` or dataclass, whose fields may be traced, or anything that JAX puts in
        their place.

    Returns:
      The name of the class and a line for each field that is not None: a number, or type, shape
      and, in one row, values of an array.
    """
    fields = {name: _brief(getattr(result, name)) for name in _names(result)}
    width = max(map(len, fields))
    lines = [f"  {name:{width}}  {text}" for name, text in fields.items() if text != "None"]
    return "\n".join([type(result).__name__, *lines])


def _names(result: Any) -> list[str]:
    if dataclasses.is_dataclass(result):
        return [field.name for field in dataclasses.fields(result)]
    return list(getattr(result, "_fields", ()))


def _brief(value: Any) -> str:
    if _names(value):
        return f"{type(value).__name__} of {', '.join(_names(value))}"
    if not hasattr(value, "shape"):
        return f"{value!r:.80}"
    kind = f"{value.dtype}{list(value.shape)}" if value.shape else ""
    if not isinstance(value, np.ndarray | np.generic) and not _has_values(value):
        return f"{kind or value.dtype} without values"
    values = np.asarray(value)
    text = np.array2string(
        values.ravel() if kind else values,
        max_line_width=math.inf,  # type: ignore[arg-type]
        formatter={"float_kind": "{:.6g}".format},
        threshold=_LONGEST,
        edgeitems=_ENDS,
    )
    return f"{kind} {text}".strip()


def _has_values(value: Any) -> bool:
    """Not so of what is traced, given away, or spread over other processes."""
    if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
        return False
    return not value.is_deleted() and value.is_fully_addressable
