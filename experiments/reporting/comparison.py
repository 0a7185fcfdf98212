"""Policies side by side: bars, learning curves, tables, and claims about their order."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.reporting import plots, tables
from experiments.reporting.statistics import mean_and_interval, plus_minus

_LABELS = {
    "greedy_with_return": "Greedy\n+ return leg",
    "large_dil": "Large DIL\n(best)",
    "large_dil_paper": "Large DIL\n(paper)",
    "large_dil_paper_shared": "Large DIL\n(paper, shared)",
    "large_dil_stream": "Large DIL\n(stream)",
    "kd_dil": "KD-DIL\n(variations)",
    "kd_dil_paper": "KD-DIL\n(paper)",
    "kd_dil_paper_raw": "KD-DIL\n(paper, raw)",
    "kd_student_one": "KD-DIL\n(T = {})",
    "kd_matched": "KD-DIL\n(T = {}, matched)",
    "baseline_dil": "Baseline\nDIL",
    "baseline_dil_raw": "Baseline DIL\n(raw)",
    "drl": "DRL",
    "drl_raw": "DRL\n(raw)",
    "drl_small": "DRL\n(narrow)",
}

Rows = Mapping[str, Mapping[str, Any]]
"""Policies by name: metrics such as `ratio_of_means`, with `<metric>_interval` where there is one,
and `per_seed`, the ratio of means of every training, where there were trainings."""


def label(name: str) -> str:
    """What a figure calls a policy; a number at the end of its name is its temperature."""
    if ":" in name:  # of the user's own
        return name.replace(":", ":\n")
    kind, _, number = name.rpartition("_")
    if number.isdecimal() and kind in _LABELS:
        return _LABELS[kind].format(number)
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def title(name: str) -> str:
    """`label` on one line."""
    return label(name).replace("\n", " ")


def bars(path: Path, groups: Mapping[str, Rows], *, quantity: str, heading: str) -> None:
    """Bars of the ratio of means, a colour per group, error bars of 95 % intervals.

    The logarithmic axis starts at 1, the optimum, so the height of a bar is what is lost.

    Args:
      path: the PNG file.
      groups: the rows behind each colour; the first one sets the order of the policies.
      quantity: what is minimised.
      heading: above the figure.
    """
    first = next(iter(groups.values()))
    names = sorted(first, key=lambda name: first[name]["ratio_of_means"])
    width = 0.8 / len(groups)
    with plots.figure(path, size=(max(7.0, 0.95 * len(names)), 4.2)) as (_, axes):
        for number, (group, rows) in enumerate(groups.items()):
            means = np.array([rows[name]["ratio_of_means"] for name in names])
            errors = np.array([rows[name].get("ratio_of_means_interval", 0.0) for name in names])
            place = np.arange(len(names)) + (number - (len(groups) - 1) / 2) * width
            # Without an interval there is no error bar, not one of length 0.
            errors[errors == 0.0] = np.nan
            lower = np.minimum(errors, (means - 1.0).clip(0.0))
            axes.bar(place, means, width, yerr=[lower, errors], capsize=2, label=group)
            for x, mean, error in zip(place, means, errors, strict=True):
                axes.annotate(
                    f"{mean:.3f}" if mean < 10 else f"{mean:.0f}",
                    (x, mean + np.nan_to_num(error)),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=7,
                    rotation=90 if len(groups) > 1 else 0,
                )
        axes.set_yscale("log")
        high = max(axes.get_ylim()[1], 1.05) ** 1.15
        axes.set_ylim(1.0, high)
        plots.plain_numbers(axes.yaxis, ticks=_ticks(high))
        axes.set_xticks(range(len(names)), [label(name) for name in names], fontsize=8)
        axes.set_ylabel(f"mean {quantity} / mean optimal {quantity}")
        axes.set_title(heading)
        if len(groups) > 1:
            axes.legend(loc="upper left")


def _ticks(high: float) -> np.ndarray:
    """Round numbers from 1 to `high`."""
    if high < 2:
        return np.arange(1.0, high, 0.05 if high < 1.5 else 0.1)
    ticks = np.array([m * 10.0**p for p in range(4) for m in (1, 2, 5)])
    return ticks[ticks <= high]


def curves(path: Path, lines: Mapping[str, Sequence[float]], *, quantity: str) -> None:
    """A metric of trainings over the share of their epochs.

    Args:
      path: the PNG file.
      lines: for each policy the metric of every epoch.
      quantity: what the metric is.
    """
    with plots.figure(path) as (_, axes):
        for name, values in lines.items():
            share = np.arange(1, len(values) + 1) / max(len(values), 1)
            marker = "o" if len(values) < 20 else None
            axes.plot(share, values, marker=marker, label=title(name))
        axes.set_xlim(left=0.0)
        axes.set_xlabel("share of training")
        axes.set_ylabel(quantity)
        axes.legend()


def table(rows: Rows) -> str:
    """Every aggregate of every policy, best first, as Markdown."""
    headers = [
        "policy",
        "ratio of means",
        "95 % interval",
        "trainings",
        "mean",
        "median",
        "geometric mean",
        "p99",
        "subtasks right",
        "decisions right",
    ]
    cells = []
    for name in sorted(rows, key=lambda name: rows[name]["ratio_of_means"]):
        row = rows[name]
        interval = row.get("ratio_of_means_interval")
        cells.append(
            [
                title(name),
                f"{row['ratio_of_means']:.4f}",
                "" if interval is None else f"± {interval:.4f}",
                row.get("trainings", ""),
                *(row[key] for key in ("mean", "median", "geometric_mean", "p99")),
                *(f"{100 * row[key]:.1f} %" for key in ("accuracy", "accuracy_whole_decision")),
            ]
        )
    return tables.markdown(headers, cells)


def difference(better: Mapping[str, Any], worse: Mapping[str, Any]) -> tuple[float, float | None]:
    """Ratio of means of one policy minus that of another, and half its 95 % interval.

    Trainings are compared seed by seed, because a seed draws the same requests for both; a policy
    without trainings is the same for every seed. None for the interval where there is one pair.
    """
    pairs = zip(*_as_long(better, worse), strict=False)
    mean, width = mean_and_interval([a - b for a, b in pairs])
    return float(mean), None if width is None else float(width)


def _as_long(*rows: Mapping[str, Any]) -> list[list[float]]:
    longest = max(len(row.get("per_seed", ())) for row in rows) or 1
    return [row.get("per_seed") or [row["ratio_of_means"]] * longest for row in rows]


def claims(rows: Rows, pairs: Iterable[tuple[str, str]]) -> str:
    """Whether policies are better than others, as Markdown.

    Args:
      rows: the policies.
      pairs: names of the better and the worse one.
    """
    cells = []
    for better, worse in pairs:
        mean, width = difference(rows[better], rows[worse])
        open_ = width is not None and abs(mean) <= width
        cells.append(
            [
                f"{title(better)} < {title(worse)}",
                "open" if open_ else "holds" if mean < 0 else "fails",
                plus_minus(mean, width),
                len(list(zip(*_as_long(rows[better], rows[worse]), strict=False))),
            ]
        )
    return tables.markdown(["claim", "", "difference, seed by seed", "seeds"], cells)
