"""Table 1, the delays with the paper's beside them; what was not measured says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

FORMAT = "offload_jax delay table 1"
PAPER = {
    "kd_dil": 0.17,
    "baseline_dil": 0.17,
    "large_dil_paper": 0.51,
    "drl": 119.72,
    "greedy": 1.00,
    "optimal_enumeration": 122.54,
}
"""Delay over that of greedy, in the paper's table 1."""

NOT_MEASURED = "not measured"
PROTOCOLS = {"batch": "paper_batch", "one": "paper_loop"}
"""As one batch, and one request at a time."""

Documents = Mapping[str, Mapping[str, Any] | None]
"""For each platform what `inference_delay` wrote, None where nothing was measured."""


def table1(documents: Documents, order: Sequence[str]) -> dict[str, Any]:
    """The table as data, JSON types.

    Args:
      documents: see `Documents`.
      order: policies, in the order of the rows; those that no document knows are left out,
        unless the paper has them.

    Returns:
      "platforms", the environments, and "rows": for each policy the paper's delay over greedy's,
      its latency over the optimum, and on each platform as one batch and one at a time: status,
      seconds of a decision, and those over greedy's of the same protocol. None is not measured.
    """
    found = {platform: _by_policy(document) for platform, document in documents.items()}
    known = {policy for rows in found.values() for policy, _ in rows}
    rows = []
    for policy in order:
        if policy not in known and policy not in PAPER:
            continue
        platforms = {
            platform: None
            if documents[platform] is None
            else {name: _cell(by, policy, protocol) for name, protocol in PROTOCOLS.items()}
            for platform, by in found.items()
        }
        rows.append(
            {
                "policy": policy,
                "paper_over_greedy": PAPER.get(policy),
                "latency_over_optimal": _quality(found, policy),
                "platforms": platforms,
            }
        )
    environments = {
        platform: None if document is None else document["environment"]
        for platform, document in documents.items()
    }
    return {"format": FORMAT, "platforms": environments, "rows": rows}


Rows = Mapping[tuple[str, str], Mapping[str, Any]]


def _by_policy(document: Mapping[str, Any] | None) -> Rows:
    rows = [] if document is None else document["rows"]
    return {(row["policy"], row["protocol"]): row for row in rows}


def _cell(rows: Rows, policy: str, protocol: str) -> dict[str, Any] | None:
    row = rows.get((policy, protocol), rows.get((policy, "all")))
    if row is None:
        return None
    seconds, greedy = median(row), median(rows.get(("greedy", protocol)))
    return {
        "status": row["status"],
        "seconds": seconds,
        "over_greedy": None if seconds is None or greedy is None else seconds / greedy,
    }


def _quality(found: Mapping[str, Rows], policy: str) -> float | None:
    for rows in found.values():
        for protocol in PROTOCOLS.values():
            row = rows.get((policy, protocol), {})
            if "normalized_latency" in row:
                return row["normalized_latency"]["ratio_of_means"]
    return None


def render(documents: Documents, order: Sequence[str]) -> str:
    """Table 1 as a Markdown table, arguments as `table1`."""
    headers = ["policy", "paper, / greedy"]
    for platform in documents:
        headers += [f"{platform} batch", "/ greedy", f"{platform} one by one", "/ greedy"]
    headers.append("latency / optimal")
    rows = []
    for row in table1(documents, order)["rows"]:
        cells = [row["policy"], _number(row["paper_over_greedy"], ".2f")]
        for platform in row["platforms"].values():
            for name in PROTOCOLS:
                cells += [NOT_MEASURED, ""] if platform is None else _texts(platform[name])
        rows.append([*cells, _number(row["latency_over_optimal"], ".4f")])
    return tabulate(rows, headers, "pipe", disable_numparse=True)


def _texts(cell: Mapping[str, Any] | None) -> list[str]:
    if cell is None:
        return ["–", ""]
    if cell["seconds"] is None:
        return [cell["status"], ""]
    return [duration(cell["seconds"]), ratio(cell["over_greedy"])]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def ratio(value: float | None) -> str:
    """Three digits without an exponent; empty if there is no value."""
    if value is None:
        return ""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def notes(documents: Documents) -> list[str]:
    """A line for every row that was not measured as asked."""
    return [
        f"{platform}, {row['policy']}, {row['protocol']}: {row['status']}: {row.get('note', '')}"
        for platform, document in documents.items()
        if document is not None
        for row in document["rows"]
        if row["status"] != "measured"
    ]


def median(row: Mapping[str, Any] | None) -> float | None:
    """Seconds of a decision in a row, None if it has none."""
    if row is None or "seconds_per_decision" not in row:
        return None
    return row["seconds_per_decision"]["median"]


def duration(seconds: float) -> str:
    """Seconds with three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
