"""Results as JSON and Markdown, and two of them side by side."""

import dataclasses
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from benchmarks.accelerator import chains
from benchmarks.accelerator.jobs import Row, free_bytes
from benchmarks.delay import environment
from experiments.reporting import files, tables

FORMAT = "offload_jax accelerator 1"
_NAME = "accelerator"


def describe() -> dict[str, Any]:
    """Device, driver, versions and commit; JSON types."""
    device = jax.devices()[0]
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True).stdout.split("\n")[0]
    except OSError:
        driver = ""
    return {
        "device": device.device_kind,
        "platform": device.platform,
        "driver": driver.strip(),
        "runtime": " ".join(device.client.platform_version.split()),
        "free_bytes": free_bytes(device),
        **environment.describe(),
    }


def path_of(folder: Path) -> Path:
    """The JSON file of a folder."""
    return folder / f"{_NAME}.json"


def write(
    folder: Path, about: Mapping[str, Any], rows: Sequence[Row], left_out: Sequence[str]
) -> None:
    """Replaces JSON and Markdown by what there is so far."""
    document = {
        "format": FORMAT,
        **about,
        "rows": [dataclasses.asdict(row) for row in rows],
        "left_out": list(left_out),
    }
    files.write_json(path_of(folder), document)
    files.write_text(folder / f"{_NAME}.md", markdown(document))


def read(folder: Path) -> dict[str, Any]:
    """What `write` wrote.

    Raises:
      ValueError: there is nothing, or something else.
    """
    path = path_of(folder)
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no result of benchmarks.accelerator ({error})") from None
    return document


def markdown(document: Mapping[str, Any]) -> str:
    """All rows, part by part."""
    rows = document["rows"]
    copy = max((row["bytes_per_second"] for row in rows if row["name"] == chains.COPY), default=0.0)
    text = [f"# Measured on {heading(document)}", ""]
    for part in dict.fromkeys(row["part"] for row in rows):
        lines = [_line(row, copy) for row in rows if row["part"] == part]
        headers = [
            "",
            "at a time",
            "measured",
            "",
            "of copy bandwidth",
            "compiling, s",
            "calls",
            "",
        ]
        text += [f"## {part.capitalize()}", "", tables.markdown(headers, lines), ""]
    if document["left_out"]:
        text += ["Not measured: " + "; ".join(document["left_out"]) + ".", ""]
    return "\n".join(text)


def heading(document: Mapping[str, Any]) -> str:
    """Device, driver and versions in one line."""
    versions = ", ".join(f"{name} {value}" for name, value in document["versions"].items())
    driver = f", driver {document['driver']}" if document["driver"] else ""
    return (
        f"{document['device']} ({document['platform']}{driver}, {document['runtime']});"
        f" {document['cores']} cores of {document['processor']}; Python {document['python']},"
        f" {versions}; commit {document['commit'] or 'unknown'}"
    )


def _line(row: Mapping[str, Any], copy: float) -> list[Any]:
    if row["value"] is None:
        return [row["name"], row["size"], "", row["unit"], "", "", "", row["note"]]
    share = row["bytes_per_second"] / copy if copy and row["name"] != chains.COPY else 0.0
    more = ", ".join(
        f"{name} {number(value)}"
        for name, value in row["more"].items()
        if not isinstance(value, Mapping)
    )
    return [
        row["name"],
        row["size"],
        number(row["value"]),
        row["unit"],
        f"{share:.2f}" if share else "",
        f"{row['compiling']:.1f}",
        row["calls"],
        more,
    ]


def number(value: Any) -> str:
    """Four digits, thousands apart."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.4g}"


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """The best size of every row of two results, and how many times better the second is."""
    names = [_short(document, other) for document, other in ((first, second), (second, first))]
    bests = [_best(document["rows"]) for document in (first, second)]
    lines = []
    for key in dict.fromkeys([*bests[0], *bests[1]]):
        part, name, unit = key
        cells: list[Any] = [part, name, unit]
        for best in bests:
            row = best.get(key)
            cells += [number(row["value"]), row["size"]] if row else ["", ""]
        values = [best[key]["value"] for best in bests if key in best]
        ratio = ""
        if len(values) == 2 and all(values):
            faster = values[1] / values[0]
            ratio = number(faster if _more_is_better(unit) else 1 / faster)
        lines.append([*cells, ratio])
    headers = ["", "", "", names[0], "at a time", names[1], "at a time", "times better"]
    return "\n".join(
        [
            f"{names[0]}: {heading(first)}.",
            "",
            f"{names[1]}: {heading(second)}.",
            "",
            tables.markdown(headers, lines),
        ]
    )


def _short(document: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    if document["device"] != other["device"]:
        return document["device"]
    return f"{document['device']}, {document['commit'] or 'unknown'}"


def _best(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    best: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["value"] is None:
            continue
        key = row["part"], row["name"], row["unit"]
        sign = 1 if _more_is_better(row["unit"]) else -1
        if key not in best or sign * row["value"] > sign * best[key]["value"]:
            best[key] = row
    return best


def _more_is_better(unit: str) -> bool:
    return unit.endswith("/s")
