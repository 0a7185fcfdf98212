"""The delays as a table, with the paper's beside them; what was not measured says so."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

PAPER = {
    "kd_dil": 0.17,
    "baseline_dil": 0.17,
    "large_dil": 0.51,
    "drl": 119.72,
    "greedy": 1.00,
    "optimal_enumeration": 122.54,
}
NOT_MEASURED = "not measured"
_BATCH, _ONE = "paper_batch", "paper_loop"


def render(documents: Mapping[str, Mapping[str, Any] | None], order: tuple[str, ...]) -> str:
    """The terminal table.

    Args:
      documents: for each platform what `inference_delay` wrote, None where nothing was measured.
      order: policies, in the order of the rows; those that no document knows are left out,
        unless the paper has them.
    """
    known = {row["policy"] for doc in documents.values() if doc is not None for row in doc["rows"]}
    order = tuple(policy for policy in order if policy in known or policy in PAPER)
    headers = ["policy", "paper, / greedy"]
    for platform in documents:
        headers += [f"{platform} batch", "/ greedy", f"{platform} single p50", "/ greedy"]
    headers.append("latency / optimal")
    rows = []
    for policy in order:
        cells = [_cells(document, policy) for document in documents.values()]
        quality = next((q for _, q in cells if q is not None), None)
        rows.append(
            [
                policy,
                f"{PAPER[policy]:.2f}" if policy in PAPER else "",
                *(cell for block, _ in cells for cell in block),
                "" if quality is None else f"{quality:.4f}",
            ]
        )
    notes = [
        f"{platform}, {row['policy']}, {row['protocol']}: {row['status']}: {row.get('note', '')}"
        for platform, document in documents.items()
        if document is not None
        for row in document["rows"]
        if row["status"] != "measured"
    ]
    table = tabulate(rows, headers, "pipe", disable_numparse=True)
    return "\n".join([table, *(["", *notes] if notes else [])])


def _cells(document: Mapping[str, Any] | None, policy: str) -> tuple[list[str], float | None]:
    if document is None:
        return [NOT_MEASURED, "", NOT_MEASURED, ""], None
    found = {(row["policy"], row["protocol"]): row for row in document["rows"]}
    cells, quality = [], None
    for protocol in (_BATCH, _ONE):
        row = found.get((policy, protocol), found.get((policy, "all")))
        greedy = found.get(("greedy", protocol))
        seconds = _seconds(row)
        if seconds is None:
            cells += [row["status"] if row else "-", ""]
            continue
        reference = _seconds(greedy)
        cells += [
            duration(seconds),
            "" if reference is None else f"{seconds / reference:.2f}",
        ]
        if quality is None and row is not None:
            quality = row["normalized_latency"]["ratio_of_means"]
    return cells, quality


def _seconds(row: Mapping[str, Any] | None) -> float | None:
    if row is None or "seconds_per_decision" not in row:
        return None
    return row["seconds_per_decision"]["median"]


def duration(seconds: float) -> str:
    """Seconds with three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
