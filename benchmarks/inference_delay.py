"""How long a decision takes, policy by policy: JSON and a table (table 1 of the paper).

Results go to `<output>/<platform>.json` after every row, so an interrupted run keeps what it has
measured; the table shows every platform found in the folder.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import app, flags

from benchmarks import contenders, delay_table, environment, measure, protocols
from benchmarks.contenders import Contender, UnavailableError

FORMAT = "offload_jax inference delay 1"
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
    """Raises InputError for an unknown protocol, no time or an empty batch."""
    for protocol in settings.protocols:
        if protocol not in measure.PROTOCOLS:
            known = ", ".join(measure.PROTOCOLS)
            raise InputError(f"protocol {protocol!r}: unknown, there are {known}")
    if not 0 < settings.duration < math.inf:
        raise InputError(f"duration = {settings.duration:g}: must be more than 0 seconds")
    if min((*settings.batch_sizes, settings.decisions)) < 1:
        raise InputError(f"batch_sizes = {settings.batch_sizes}: must be at least 1")


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
    """Measures policies and writes `<output>/<platform>.json` after every row.

    Args:
      names: policies, or `["all"]`.
      settings: protocols and sizes.
      platform: "cpu", "gpu" or "tpu".
      checkpoints: folder of the trained policies.
      output: folder of the results.
      build: makes a policy ready.
      report: takes a line for each row.

    Returns:
      What was written.

    Raises:
      InputError: see `choose_device`, `choose_policies`, `check_settings`.
    """
    check_settings(settings)
    names = choose_policies(names, checkpoints)
    device = choose_device(platform)
    clock = protocols.WallClock()
    sizes = (settings.decisions, *settings.batch_sizes, 10_000)
    requests = measure.Requests(max(sizes) + 4, seed=settings.seed)
    document: dict[str, Any] = {
        "format": FORMAT,
        "environment": environment.describe(device),
        "settings": {**vars(settings)},
        "dispatch_floor": measure.dispatch_floor(
            device, clock=clock, duration=min(1.0, settings.duration)
        ),
        "matrix_product_flops_per_second": measure.matrix_product_rate(
            device, clock=clock, duration=min(1.0, settings.duration)
        ),
        "rows": [],
    }
    path = output / f"{platform}.json"
    for name in names:
        try:
            contender = build(name, checkpoints=checkpoints, device=device)
            rows = measure.rows(contender, requests, settings, clock=clock)
        except UnavailableError as error:
            rows = iter([_unavailable(name, str(error))])
        except Exception as error:
            rows = iter([_unavailable(name, f"{type(error).__name__}: {error}", status="failed")])
        for row in rows:
            row["peak_memory_bytes"] = environment.peak_memory_bytes()
            document["rows"].append(row)
            environment.write_json(path, document)
            report(_line(row))
    return document


def _unavailable(name: str, note: str, status: str = "unavailable") -> dict[str, Any]:
    return {"policy": name, "protocol": "all", "batch_size": 0, "status": status, "note": note}


def _line(row: dict[str, Any]) -> str:
    if "requests_per_second" in row:
        figure = f"{row['requests_per_second']:.4g} requests/s"
    elif "seconds_per_decision" in row:
        figure = f"{delay_table.duration(row['seconds_per_decision']['median'])} a decision"
    else:
        figure = f"{row['status']}: {row['note']}"
    return f"{row['policy']:20s} {row['protocol']:14s} {row['batch_size']:8d}  {figure}"


def stored(output: Path) -> dict[str, Any]:
    """Results in a folder by platform; None for "gpu" if there are none for an accelerator."""
    found: dict[str, Any] = {}
    for platform in PLATFORMS:
        path = output / f"{platform}.json"
        found[platform] = json.loads(path.read_text()) if path.exists() else None
    if found["tpu"] is None:
        del found["tpu"]
    return found


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    output = Path(_OUTPUT.value)
    try:
        document = run(
            _POLICIES.value,
            measure.Settings(
                protocols=tuple(_PROTOCOL.value),
                batch_sizes=tuple(_whole("batch_sizes", size) for size in _BATCH_SIZES.value),
                duration=_DURATION.value,
                decisions=_DECISIONS.value,
                p99_bound=_P99_BOUND.value,
            ),
            platform=_PLATFORM.value,
            checkpoints=Path(_CHECKPOINTS.value),
            output=output,
        )
    except InputError as error:
        print(f"inference_delay: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"interrupted; what was measured is in {output}", file=sys.stderr)
        sys.exit(130)
    floor = document["dispatch_floor"]["p50"]
    print("\n" + delay_table.render(stored(output), contenders.NAMES))
    print(f"\ndispatch floor (empty jitted call), p50: {delay_table.duration(floor)}")


def _whole(name: str, text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise InputError(f"{name}: {text!r} is not a number") from None


if __name__ == "__main__":
    _POLICIES = flags.DEFINE_list("policies", ["all"], "Policies, or all.")
    _PROTOCOL = flags.DEFINE_list(
        "protocol", ["paper", "single_stream"], f"Some of {', '.join(measure.PROTOCOLS)}."
    )
    _BATCH_SIZES = flags.DEFINE_list(
        "batch_sizes", ["1", "100", "10000", "1e6"], "Batches of the offline protocol."
    )
    _PLATFORM = flags.DEFINE_string("platform", "cpu", "cpu, gpu or tpu.")
    _DURATION = flags.DEFINE_float("duration", 2.0, "Seconds for each measurement.")
    _DECISIONS = flags.DEFINE_integer(
        "decisions", measure.PAPER_DECISIONS, "Batch of the paper's protocol."
    )
    _P99_BOUND = flags.DEFINE_float("p99_bound", 0.01, "Seconds, of the server protocol.")
    _OUTPUT = flags.DEFINE_string("output", "runs/inference_delay", "Folder of the results.")
    _CHECKPOINTS = flags.DEFINE_string(
        "checkpoints", "runs/reproduce/checkpoints", "Folder of the trained policies."
    )
    app.run(main)
