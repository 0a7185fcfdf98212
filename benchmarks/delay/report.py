"""The section of a report about delays, and its figure; every number comes from the run."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.delay.family import Family
from benchmarks.delay.run import FORMAT
from experiments.reporting import files, plots, tables

PLATFORMS = ("cpu", "gpu", "tpu")
PERCENTILES = ("p50", "p90", "p99", "p99.9")
# The optimum up to the rounding of float32.
_TOLERANCE = 1e-4

Row = Mapping[str, Any]


def duration(seconds: float) -> str:
    """Seconds with three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


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
            f" {duration(settings['p99_bound'])}; cost of the decisions over the optimum; and the"
            " first call or compiling, which is part of no delay.",
            _every(rows),
        ]
        if series(rows):
            parts.append(f"![Delay against batch size](figures/{_figure(platform)})")
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row], decisions: int, family: Family) -> str:
    """Table 1: one batch of `decisions`, and one request at a time, over the reference's delay."""
    sizes = {"batch": decisions, "single": 1}
    found = {
        (row["policy"], row["kind"]): row
        for row in rows
        if row.get("batch_size") == sizes.get(row["kind"])
    }
    lines = []
    for name, policy in family.policies.items():
        cells = [name, "" if policy.published is None else f"{policy.published:.2f}"]
        known = [found.get((name, kind), found.get((name, "all"))) for kind in sizes]
        for kind, row in zip(sizes, known, strict=True):
            seconds, reference = _seconds(row), _seconds(found.get((family.reference, kind)))
            if seconds is None:
                cells += ["–" if row is None else row["status"], ""]
            else:
                cells += [duration(seconds), _ratio(seconds, reference)]
        if policy.published is not None or any(known):
            lines.append([*cells, next(filter(None, map(_quality, known)), "")])
    over = f"/ {family.reference}"
    headers = ["policy", f"paper, {over}", "as one batch", over, "one by one", over]
    return tables.markdown([*headers, "cost / optimal"], lines)


def _seconds(row: Row | None) -> float | None:
    return row["seconds_per_decision"]["p50"] if row and "seconds_per_decision" in row else None


def _ratio(seconds: float, reference: float | None) -> str:
    if reference is None:
        return ""
    ratio = seconds / reference
    return f"{ratio:.3g}" if ratio < 100 else f"{ratio:,.0f}"


def _quality(row: Row | None) -> str:
    return f"{row['quality']['ratio_of_means']:.4f}" if row and "quality" in row else ""


def _every(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        delays = row.get("seconds_per_decision", row.get("latency"))
        rate = f"{row['requests_per_second']:,.0f}" if "requests_per_second" in row else ""
        if "lowest_rate_tried" in row:
            rate = f"< {row['lowest_rate_tried']:,.0f}"
        first = row.get("compile_seconds", row.get("first_call_seconds"))
        lines.append(
            [
                row["policy"],
                row["kind"],
                row.get("batch_size", ""),
                *(duration(delays[name]) if delays else "" for name in PERCENTILES),
                rate,
                _quality(row),
                "" if first is None else duration(first),
                row.get("note", ""),
            ]
        )
    headers = ["policy", "kind", "batch", *PERCENTILES, "requests/s", "cost / optimal", "first"]
    return tables.markdown([*headers, "note"], lines)


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
        and row.get("quality", {}).get("p99", 1.0) > 1 + _TOLERANCE
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
        if row["kind"] == "batch" and (seconds := _seconds(row)) is not None:
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
