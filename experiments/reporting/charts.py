"""The charts of figures 5 and 6."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from experiments.reporting import plotting

_LABELS = {
    "optimal": "Optimal",
    "greedy": "Greedy",
    "greedy_with_return": "Greedy\n+ return leg",
    "local": "Local",
    "edge": "Edge",
    "cloud": "Cloud",
    "random": "Random",
    "large_dil": "Large DIL\n(best)",
    "large_dil_paper": "Large DIL\n(paper)",
    "large_dil_paper_shared": "Large DIL\n(paper, shared)",
    "large_dil_stream": "Large DIL\n(stream)",
    "kd_dil": "KD-DIL\n(variations)",
    "kd_dil_paper": "KD-DIL\n(paper)",
    "baseline_dil": "Baseline\nDIL",
    "drl": "DRL",
    "drl_raw": "DRL\n(raw)",
    "drl_small": "DRL\n(1K)",
}


def label(name: str) -> str:
    """What a figure calls a policy."""
    return _LABELS.get(name, name)


def bars(path: Path, groups: Mapping[str, Mapping[str, Any]], *, title: str, quantity: str) -> None:
    """Bars of the ratio of means, a colour per group, error bars of 95 % intervals.

    The logarithmic axis starts at 1, the optimum, so the height of a bar is what is lost.
    """
    names = sorted(next(iter(groups.values())), key=lambda n: _mean(next(iter(groups.values()))[n]))
    positions = np.arange(len(names))
    width = 0.8 / len(groups)
    with plotting.figure(path, size=(max(7.0, 0.95 * len(names)), 4.2)) as (_, axes):
        for number, (group, rows) in enumerate(groups.items()):
            means = np.array([_mean(rows[name]) for name in names])
            errors = np.array([rows[name].get("ratio_of_means_interval", 0.0) for name in names])
            lower = np.minimum(errors, means - 1.0).clip(0.0)
            place = positions + (number - (len(groups) - 1) / 2) * width
            axes.bar(place, means, width, yerr=[lower, errors], capsize=2, label=group)
            for x, mean, error in zip(place, means, errors, strict=True):
                text = f"{mean:.3f}" if mean < 10 else f"{mean:.0f}"
                axes.annotate(
                    text,
                    (x, mean + error),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                    rotation=90 if len(groups) > 1 else 0,
                )
        axes.set_yscale("log")
        _, high = axes.get_ylim()
        high = max(high, 1.05) ** 1.1
        axes.set_ylim(1.0, high)
        _plain_ticks(axes, high)
        axes.set_xticks(positions, [label(name) for name in names], fontsize=8)
        axes.set_ylabel(f"mean {quantity} / mean optimal {quantity}")
        axes.set_title(title)
        if len(groups) > 1:
            axes.legend(loc="upper left")


def _plain_ticks(axes: Any, high: float) -> None:
    """Numbers instead of powers of ten on a logarithmic axis from 1 to `high`."""
    if high < 2:
        ticks = np.arange(1.0, high, 0.05 if high < 1.5 else 0.1)
    else:
        ticks = np.array([m * 10.0**p for p in range(4) for m in (1, 2, 5)])
    axes.set_yticks(ticks[ticks <= high])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def curves(
    path: Path, lines: Mapping[str, Sequence[Mapping[str, float]]], *, metric: str, label: str
) -> None:
    """A metric of trainings over the share of their epochs."""
    with plotting.figure(path) as (_, axes):
        for name, curve in lines.items():
            epochs = np.array([entry["epoch"] for entry in curve], float)
            axes.plot(
                epochs / max(epochs.max(initial=1.0), 1.0),
                [entry[metric] for entry in curve],
                label=_LABELS.get(name, name).replace("\n", " "),
            )
        axes.set_xlabel("share of training")
        axes.set_ylabel(label)
        axes.legend()


def temperatures(
    path: Path, rows: Mapping[str, Any], sweep: Sequence[float], *, quantity: str
) -> None:
    """The two readings of the student's temperature over T."""
    with plotting.figure(path) as (_, axes):
        readings = {
            "student at temperature 1": "kd_student_one",
            "student at T, factor T²": "kd_matched",
        }
        for reading, prefix in readings.items():
            points = []
            for temperature in sweep:
                name = f"{prefix}_{temperature:g}"
                if name not in rows and prefix == "kd_student_one":
                    name = "kd_dil_paper"
                if name not in rows:
                    name = "kd_student_one_1"
                if name in rows:
                    entry = rows[name]
                    interval = entry.get("ratio_of_means_interval", 0.0)
                    points.append((temperature, _mean(entry), interval))
            if points:
                axes.errorbar(*zip(*points, strict=True), capsize=3, marker="o", label=reading)
        baseline = rows["baseline_dil"]
        axes.axhline(_mean(baseline), color="0.4", linestyle="--", label="exact labels")
        axes.set_xlabel("temperature T of the teacher's labels")
        axes.set_ylabel(f"mean {quantity} / mean optimal {quantity}")
        axes.legend()


def _mean(entry: Mapping[str, Any]) -> float:
    return float(entry["ratio_of_means"])
