"""The section of a report about delays, and its figure; every number comes from the run."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.delay.family import Family
from benchmarks.delay.run import FORMAT
from experiments.reporting import files, plots, tables

PLATFORMS = ("cpu", "gpu", "tpu")
_KINDS = {"batch": "as one batch", "single": "one by one"}
# The optimum up to the rounding of float32.
_TOLERANCE = 1e-4

Row = Mapping[str, Any]


def duration(seconds: float) -> str:
    """Seconds with three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


# Title -> where it is in a row, and how it is shown.
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "policy": ("policy", str),
    "kind": ("kind", str),
    "batch": ("batch_size", str),
    **{name: (f"delay/{name}", duration) for name in ("p50", "p90", "p99", "p99.9")},
    "requests/s": ("requests_per_second", "{:,.0f}".format),
    "cost / optimal": ("quality/ratio_of_means", "{:.4f}".format),
    "starting": ("starting_seconds", duration),
    "note": ("note", str),
}


def read(output: Path, family: Family) -> dict[str, dict[str, Any]]:
    """Results in a folder by platform.

    Raises:
      ValueError: a file is there and holds something else.
    """
    found = {}
    for platform in PLATFORMS:
        path = output / "results" / f"delay_{platform}.json"
        if path.exists():
            try:
                document = json.loads(path.read_text())
                known = (document["format"], document["family"]) == (FORMAT, family.module)
            except (ValueError, KeyError, TypeError):
                known = False
            if not known:
                raise ValueError(f"{path}: no results of this version; move it away")
            found[platform] = document
    return found


def write(output: Path, family: Family) -> str:
    """Writes `results/table1.md` and figures from the results in a folder.

    Returns:
      The section.

    Raises:
      ValueError: see `read`.
    """
    documents = read(output, family)
    for platform, document in documents.items():
        if found := series(document["rows"]):
            draw(output / "figures" / _figure(platform), found, family, platform)
    text = section(documents, family)
    files.write_text(output / "results" / "table1.md", text)
    return text


def section(documents: Mapping[str, Mapping[str, Any]], family: Family) -> str:
    """A Markdown section of heading level 2, whatever part of it was measured."""
    parts = ["## Table 1: delay of one decision"]
    for platform in PLATFORMS:
        if platform not in documents:
            parts.append(f"{platform}: not measured.")
            continue
        document = documents[platform]
        rows, settings = document["rows"], document["settings"]
        parts += [
            _machine(platform, document, family),
            table(rows, settings["decisions"], family),
            "Every measurement: percentiles of the delay of a decision; the highest rate of random"
            " (Poisson) arrivals at which 99 % are answered within"
            f" {duration(settings['p99_bound'])}; cost of the decisions over the optimum; and what"
            " starting took, compiling or the first call, which is part of no delay.",
            _every(rows),
        ]
        if series(rows):
            parts.append(f"![Delay against batch size](figures/{_figure(platform)})")
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row], decisions: int, family: Family) -> str:
    """Table 1: one batch of `decisions`, and one request at a time, over the reference's delay."""
    sizes = {"batch": decisions, "single": 1, "all": None}
    found = {
        (row["policy"], row["kind"]): row
        for row in rows
        if row["kind"] in sizes and row.get("batch_size") == sizes[row["kind"]]
    }
    lines = []
    for name, policy in family.policies.items():
        cells = [name, "" if policy.published is None else f"{policy.published:.2f}"]
        measured = [found.get((name, kind), found.get((name, "all"), {})) for kind in _KINDS]
        for kind, row in zip(_KINDS, measured, strict=True):
            seconds = _get(row, "delay/p50")
            reference = _get(found.get((family.reference, kind), {}), "delay/p50")
            cells.append(row.get("status", "–") if seconds is None else duration(seconds))
            cells.append(_ratio(seconds / reference) if seconds and reference else "")
        if policy.published is not None or any(measured):
            quality = [_get(row, "quality/ratio_of_means") for row in measured]
            lines.append([*cells, next((f"{each:.4f}" for each in quality if each), "")])
    over = f"/ {family.reference}"
    headers = [text for title in _KINDS.values() for text in (title, over)]
    return tables.markdown(["policy", f"paper, {over}", *headers, "cost / optimal"], lines)


def _every(rows: Sequence[Row]) -> str:
    lines = [
        [
            "" if (value := _get(row, path)) is None else form(value)
            for path, form in _COLUMNS.values()
        ]
        for row in rows
    ]
    return tables.markdown(list(_COLUMNS), lines)


def _get(row: Any, path: str) -> Any:
    """What is under names joined by strokes, None if nothing is."""
    for name in path.split("/"):
        row = (row or {}).get(name)
    return row


def _ratio(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _machine(platform: str, document: Mapping[str, Any], family: Family) -> str:
    rows, environment, settings = document["rows"], document["environment"], document["settings"]
    versions = ", ".join(f"{name} {value}" for name, value in environment["versions"].items())
    device = next((row["device"] for row in rows if "device" in row), "no device")
    text = (
        f"Measured on {platform}: {device}, {environment['processor']}, {environment['cores']}"
        f" cores, Python {environment['python']}, {versions}, commit {environment['commit']}; batch"
        f" of {settings['decisions']} requests, {settings['duration']:g} s a measurement."
    )
    wrong = {
        row["policy"]: None
        for row in rows
        if family.policies[row["policy"]].group == "exact"
        and (_get(row, "quality/p99") or 1.0) > 1 + _TOLERANCE
    }
    if wrong:
        text += f" Claimed to be exact, but were not on these requests: {', '.join(wrong)}."
    floors = [row["dispatch_floor"]["p50"] for row in rows if "dispatch_floor" in row]
    if floors:
        floor = duration(statistics.median(floors))
        text += f" An empty jitted call takes {floor}: no single call through jax is faster."
    return text


def series(rows: Sequence[Row]) -> dict[str, list[tuple[int, float]]]:
    """Sizes of batches and seconds per decision of every policy that has several, by size."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row["kind"] == "batch" and (seconds := _get(row, "delay/p50")) is not None:
            found.setdefault(row["policy"], []).append((row["batch_size"], seconds))
    return {policy: sorted(points) for policy, points in found.items() if len(points) > 1}


def _figure(platform: str) -> str:
    return "delay_batch.png" if platform == "cpu" else f"delay_batch_{platform}.png"


def draw(
    path: Path,
    found: Mapping[str, Sequence[tuple[int, float]]],
    family: Family,
    platform: str,
) -> None:
    """Delay against batch size, a panel for each group of policies."""
    groups: dict[str, list[str]] = {}
    for policy in found:
        groups.setdefault(family.policies[policy].group, []).append(policy)
    shared: Any = {"ncols": len(groups), "squeeze": False, "sharex": True, "sharey": True}
    panels = plots.figure(path, size=(1.5 + 3.2 * len(groups), 4.4), **shared)
    with panels as (figure, (axes,)):
        for axis, (title, policies) in zip(axes, groups.items(), strict=True):
            for policy, marker in zip(policies, plots.MARKERS, strict=False):
                axis.loglog(*zip(*found[policy], strict=True), label=policy, marker=marker)
            axis.set_title(title)
            axis.set_xlabel("requests in a batch")
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=8)
        axes[0].set_ylabel("seconds a decision")
        figure.suptitle(f"Delay of one decision, {platform}")
