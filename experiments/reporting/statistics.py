"""Intervals over repeated trainings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats


def mean_and_interval(values: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean over the first axis and half width of its 95 % interval (Student's t).

    Args:
      values: `[n, ...]`, one entry for each repetition.

    Returns:
      Two arrays `[...]`; None in place of the second for a single repetition.
    """
    values = np.asarray(values, np.float64)
    count = len(values)
    mean = values.mean(axis=0)
    if count == 1:
        return mean, None
    width = stats.t.ppf(0.975, count - 1) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return mean, width


def summarize(repetitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`mean_and_interval` of every metric; the second is called `<metric>_interval`."""
    summary: dict[str, Any] = {"trainings": len(repetitions)}
    for name in repetitions[0]:
        mean, width = mean_and_interval([metrics[name] for metrics in repetitions])
        summary[name] = mean
        if width is not None:
            summary[f"{name}_interval"] = width
    return summary


def plus_minus(value: float, width: float | None, *, digits: int = 4) -> str:
    """`1.0844 ± 0.0031`, or the value alone."""
    text = f"{value:.{digits}f}"
    return text if width is None else f"{text} ± {width:.{digits}f}"
