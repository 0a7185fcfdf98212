"""Delay against the batch size and against the number of subtasks, as figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.delay import contenders, curves

matplotlib.use("Agg")

import matplotlib.pyplot as plt

# Okabe-Ito: distinguishable for colour-blind readers and in grey.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#999999", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLE: Any = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_GROUPS = {
    "exact solvers": contenders.EXACT,
    "networks": contenders.LEARNED,
    "heuristics": tuple(p for p in contenders.UNTRAINED if p not in contenders.EXACT),
}

Series = Mapping[str, Sequence[tuple[int, float]]]


def file_name(protocol: str, platform: str) -> str:
    """`delay_batch.png` or `delay_subtasks.png`; accelerators have their own."""
    name = {curves.BATCH: "delay_batch", curves.SUBTASKS: "delay_subtasks"}[protocol]
    return f"{name}.png" if platform == "cpu" else f"{name}_{platform}.png"


def write(rows: Sequence[Mapping[str, Any]], folder: Path, *, platform: str) -> None:
    """Draws the figures for which there are rows.

    Args:
      rows: of one document of `inference_delay`.
      folder: gets the files of `file_name`.
      platform: that of the document.
    """
    for protocol, draw in ((curves.BATCH, _batch), (curves.SUBTASKS, _subtasks)):
        found = curves.series(rows, protocol)
        if not found:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        with plt.rc_context(_STYLE):
            figure = draw(found, platform)
            figure.savefig(folder / file_name(protocol, platform))
            plt.close(figure)


def _batch(found: Series, platform: str) -> Any:
    """Three panels on common axes: exact solvers, networks, heuristics."""
    groups = {title: [p for p in found if p in group] for title, group in _GROUPS.items()}
    shown = {title: policies for title, policies in groups.items() if policies}
    figure, axes = plt.subplots(
        1,
        len(shown),
        figsize=(1.5 + 3.2 * len(shown), 4.4),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, policies) in zip(axes[0], shown.items(), strict=True):
        _lines(axis, {policy: found[policy] for policy in policies})
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("requests in a batch")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    axes[0][0].set_ylabel("seconds a decision")
    figure.suptitle(f"Delay of one decision about six subtasks, {platform}", fontsize=11)
    return figure


def _subtasks(found: Series, platform: str) -> Any:
    figure, axis = plt.subplots(figsize=(7.0, 4.4), layout="constrained")
    _lines(axis, found)
    axis.set_xlabel("subtasks of a chain")
    axis.set_ylabel("seconds a decision")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(f"Delay of one decision, {platform}", fontsize=11)
    return figure


def _lines(axis: Any, found: Series) -> None:
    for policy, points in found.items():
        # The same look in both figures.
        (index,) = (group.index(policy) for group in _GROUPS.values() if policy in group)
        axis.loglog(
            *zip(*points, strict=True),
            label=policy,
            color=_PALETTE[index],
            marker=_MARKERS[index],
        )
