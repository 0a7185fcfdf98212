"""How long a decision takes, policy by policy: table 1 of the paper and more.

Leaves in the output folder

* `results/delay_<platform>.json`: every measurement, written after each, so that an interrupted
  run keeps what it has; a further run replaces it,
* `results/table1.json` and `results/table1.md`: the table, and the section of a report about it,
  over all platforms measured in the folder,
* `figures/`: delay against batch size and number of subtasks.
"""

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import app, flags

from benchmarks import floors
from benchmarks.delay import (
    contenders,
    delay_figures,
    delay_report,
    delay_table,
    environment,
    measure,
    protocols,
)
from benchmarks.delay.contenders import Contender, UnavailableError
from benchmarks.delay.pool import ROTATION, Requests
from benchmarks.delay.rows import rows as rows_of

FORMAT = "offload_jax inference delay 2"
PLATFORMS = ("cpu", "gpu", "tpu")


class InputError(Exception):
    """What was asked for cannot be done; says in one line what exists."""


def choose_device(platform: str) -> Any:
    """The first device of a platform.

    Raises:
      InputError: there is none.
    """
    try:
        return jax.devices(platform)[0]
    except RuntimeError:
        present = sorted({jax.default_backend(), "cpu"})
        raise InputError(
            f"platform {platform!r}: not present, there is {', '.join(present)}"
        ) from None


def choose_policies(names: Sequence[str], checkpoints: Path) -> tuple[str, ...]:
    """Checks names and their checkpoints; `all` is everything.

    Raises:
      InputError: a name is unknown, or one asked for by name has no checkpoint.
    """
    if list(names) == ["all"]:
        return contenders.NAMES
    for name in names:
        if name not in contenders.NAMES:
            known = ", ".join(contenders.NAMES)
            raise InputError(f"policy {name!r}: unknown, there are {known} and all")
        path = contenders.checkpoint_of(name, checkpoints)
        if path is not None and not path.is_dir():
            found = sorted(p.name for p in checkpoints.iterdir()) if checkpoints.is_dir() else []
            exist = ", ".join(found) or "none"
            raise InputError(f"policy {name!r}: no checkpoint {path}; in that folder: {exist}")
    return tuple(names)


def check_settings(settings: measure.Settings) -> None:
    """Raises InputError for an unknown protocol, no time, or an empty or no batch."""
    for protocol in settings.protocols:
        if protocol not in measure.PROTOCOLS:
            known = ", ".join(measure.PROTOCOLS)
            raise InputError(f"protocol {protocol!r}: unknown, there are {known}")
    for name in ("duration", "time_limit", "p99_bound"):
        value = getattr(settings, name)
        if not 0 < value < math.inf:
            raise InputError(f"{name} = {value:g}: must be more than 0 seconds")
    if settings.decisions < 1:
        raise InputError(f"decisions = {settings.decisions}: must be at least 1")
    for name in ("batch_sizes", "curve_batch_sizes"):
        sizes = getattr(settings, name)
        if min(sizes, default=0) < 1:
            raise InputError(f"{name} = {sizes}: must be at least one size, each at least 1")


def run(
    names: Sequence[str],
    settings: measure.Settings,
    *,
    platform: str,
    checkpoints: Path,
    output: Path,
    build: Callable[..., Contender] = contenders.build,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measures policies and writes `results/delay_<platform>.json` after every row.

    Args:
      names: policies, or `["all"]`.
      settings: protocols and sizes.
      platform: "cpu", "gpu" or "tpu".
      checkpoints: folder of the trained policies.
      output: folder of results and figures.
      build: makes a policy ready.
      report: takes a line for each row.

    Returns:
      What was written.

    Raises:
      InputError: see `choose_device`, `choose_policies`, `check_settings`, `stored`.
    """
    check_settings(settings)
    names = choose_policies(names, checkpoints)
    device = choose_device(platform)
    stored(output, leave_out=platform)
    clock = protocols.WallClock()
    short = min(0.3, settings.duration)
    matrix_product = floors.MatrixProduct(device, clock=clock, duration=short)
    requests = Requests(_num_requests(settings), seed=settings.seed)
    document: dict[str, Any] = {
        "format": FORMAT,
        "environment": environment.describe(device),
        "settings": {**vars(settings)},
        "dispatch_floor": floors.dispatch_floor(device, clock=clock, duration=short),
        "matrix_product_flops_per_second": matrix_product.flops_per_second(),
        "rows": [],
    }
    path = _document_path(output, platform)

    def measured(name: str) -> Any:
        try:
            contender = measure.within(
                settings.time_limit, lambda: build(name, checkpoints=checkpoints, device=device)
            )
        except UnavailableError as error:
            return [_unavailable(name, str(error))]
        except measure.HungError as error:
            return [_unavailable(name, str(error), status="timed out")]
        except Exception as error:
            return [_unavailable(name, f"{type(error).__name__}: {error}", status="failed")]
        return rows_of(
            contender, requests, settings, clock=clock, matrix_rate=matrix_product.flops_per_second
        )

    for name in names:
        for row in measured(name):
            row["peak_memory_bytes"] = environment.peak_memory_bytes()
            document["rows"].append(row)
            environment.write_json(path, document)
            report(_line(row))
    return document


def _num_requests(settings: measure.Settings) -> int:
    """Enough for a rotation over different batches of the largest size."""
    sizes = [10_000]
    if "paper" in settings.protocols:
        sizes.append(settings.decisions)
    if "offline" in settings.protocols:
        sizes += settings.batch_sizes
    if "curves" in settings.protocols:
        sizes += settings.curve_batch_sizes
    return max(sizes) + ROTATION


def _document_path(output: Path, platform: str) -> Path:
    return output / "results" / f"delay_{platform}.json"


def _unavailable(name: str, note: str, status: str = "unavailable") -> dict[str, Any]:
    return {"policy": name, "protocol": "all", "batch_size": 0, "status": status, "note": note}


def _line(row: dict[str, Any]) -> str:
    if "requests_per_second" in row:
        figure = f"{row['requests_per_second']:,.0f} requests/s"
    elif "seconds_per_decision" in row:
        figure = f"{delay_table.duration(row['seconds_per_decision']['median'])} a decision"
    else:
        figure = f"{row['status']}: {row['note']}"
    size = f"{row['batch_size']} x {row.get('num_subtasks', '-')}"
    return f"{row['policy']:20s} {row['protocol']:14s} {size:>12s}  {figure}"


def stored(output: Path, *, leave_out: str | None = None) -> dict[str, Any]:
    """Results in a folder by platform; None for "cpu" and "gpu" if there are none for them.

    Args:
      output: the folder.
      leave_out: a platform whose file is not looked at.

    Raises:
      InputError: a file is there and holds something else.
    """
    found: dict[str, Any] = {}
    for platform in PLATFORMS:
        path = _document_path(output, platform)
        if platform != leave_out and path.exists():
            try:
                document = json.loads(path.read_text())
                known = document["format"] == FORMAT
            except (ValueError, KeyError, TypeError):
                known = False
            if not known:
                raise InputError(f"{path}: no results of this version; move it away")
            found[platform] = document
        elif platform != "tpu":
            found[platform] = None
    return found


def write_report(output: Path) -> str:
    """Writes table, section and figures from the results in a folder.

    Returns:
      The table and notes, for the terminal.

    Raises:
      InputError: see `stored`.
    """
    documents = stored(output)
    for platform, document in documents.items():
        if document is not None:
            delay_figures.write(document["rows"], output / "figures", platform=platform)
    table = delay_table.table1(documents, contenders.NAMES)
    environment.write_json(output / "results" / "table1.json", table)
    section = delay_report.section(documents, contenders.NAMES)
    environment.write_text(output / "results" / "table1.md", section)
    notes = delay_table.notes(documents)
    return "\n".join([delay_table.render(documents, contenders.NAMES), "", *notes])


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    # jax reports at INFO every platform that it looked for and did not find.
    logging.getLogger("jax").setLevel(logging.WARNING)
    output = Path(_OUTPUT.value)
    code = 0
    try:
        run(
            _POLICIES.value,
            measure.Settings(
                protocols=tuple(_PROTOCOL.value),
                batch_sizes=_sizes("batch_sizes", _BATCH_SIZES.value),
                duration=_DURATION.value,
                decisions=_DECISIONS.value,
                p99_bound=_P99_BOUND.value,
                curve_batch_sizes=_sizes("curve_batch_sizes", _CURVE_BATCH_SIZES.value),
                time_limit=_TIME_LIMIT.value,
            ),
            platform=_PLATFORM.value,
            checkpoints=Path(_CHECKPOINTS.value),
            output=output,
        )
    except InputError as error:
        print(f"inference_delay: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted; the report is about what was measured", file=sys.stderr)
        code = 130
    print("\n" + write_report(output))
    print(f"\nreport: {output / 'results' / 'table1.md'}")
    if measure.left_behind():
        # A thread that is still deciding must not be waited for, nor meet a library in ruins.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _sizes(name: str, texts: Sequence[str]) -> tuple[int, ...]:
    try:
        return tuple(int(float(text)) for text in texts)
    except (ValueError, OverflowError):
        raise InputError(f"{name}: {','.join(texts)!r} are not numbers") from None


if __name__ == "__main__":
    _POLICIES = flags.DEFINE_list("policies", ["all"], "Policies, or all.")
    _PROTOCOL = flags.DEFINE_list(
        "protocol",
        list(measure.Settings().protocols),
        f"Some of {', '.join(measure.PROTOCOLS)}.",
    )
    _BATCH_SIZES = flags.DEFINE_list(
        "batch_sizes", ["1", "100", "10000", "1e6"], "Batches of the offline protocol."
    )
    _CURVE_BATCH_SIZES = flags.DEFINE_list(
        "curve_batch_sizes",
        [str(size) for size in measure.Settings().curve_batch_sizes],
        "Batches of the curves.",
    )
    _PLATFORM = flags.DEFINE_string("platform", "cpu", "cpu, gpu or tpu.")
    _DURATION = flags.DEFINE_float("duration", 2.0, "Seconds for each measurement.")
    _DECISIONS = flags.DEFINE_integer(
        "decisions", measure.PAPER_DECISIONS, "Batch of the paper's protocol."
    )
    _P99_BOUND = flags.DEFINE_float("p99_bound", 0.01, "Seconds, of the server protocol.")
    _TIME_LIMIT = flags.DEFINE_float(
        "time_limit", 120.0, "Seconds after which a policy that does not come back is given up."
    )
    _OUTPUT = flags.DEFINE_string(
        "output", "runs/inference_delay", "Folder of results and figures."
    )
    _CHECKPOINTS = flags.DEFINE_string(
        "checkpoints", "runs/reproduce/checkpoints", "Folder of the trained policies."
    )
    app.run(main)
