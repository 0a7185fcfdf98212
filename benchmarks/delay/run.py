"""Every contender in a process of its own, ended by force where it does not come back."""

import contextlib
import dataclasses
import hashlib
import importlib
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from benchmarks.delay import environment, measure, protocols
from benchmarks.delay.family import Contender, Family, Requests
from benchmarks.delay.measure import Settings
from benchmarks.delay.protocols import Clock
from experiments.reporting import files, results

# Seconds that a process has to tidy up.
_GRACE = 5.0
FORMAT = "offload_jax inference delay 3"
# One process imports everything once and divides for each contender, before it starts any thread.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def jobs(contender: Contender, settings: Settings) -> list[tuple[str, int]]:
    """Kind and batch size of what is measured, once however many protocols ask for it.

    The longest come last, since one that does not come back takes those after it along.
    """
    asked, found = settings.protocols, []
    if contender.one is not None and ("paper" in asked or "single_stream" in asked):
        found.append(("single", 1))
    if "server" in asked:
        found.append(("server", measure.SERVER_BATCH if contender.batch else 1))
    if contender.batch is not None:
        found += [("batch", size) for size in settings.all_batch_sizes]
    return found


def rows(
    name: str, contender: Contender, requests: Requests, settings: Settings, *, clock: Clock
) -> Iterator[dict[str, Any]]:
    """For each job a row that says what is being measured, then one that says what was found."""
    for kind, size in jobs(contender, settings):
        row: dict[str, Any] = {"policy": name, "kind": kind, "batch_size": size}
        yield row | {"status": "started"}
        row["status"], before = "measured", results.cpu_seconds()
        try:
            if kind == "batch":
                row |= measure.batch(contender, requests, size, settings, clock=clock)
            else:
                function = measure.single if kind == "single" else measure.server
                row |= function(contender, requests, settings, clock=clock)
        except Exception as error:
            row |= _failed(error)
        row["cpu_seconds"] = results.cpu_seconds() - before
        row["peak_memory_kilobytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield row


def _failed(error: Exception) -> dict[str, str]:
    lines = str(error).strip().splitlines()
    return {"status": "failed", "note": f"{type(error).__name__}: {lines[0] if lines else ''}"}


def _work(
    sender: Any,
    module: str,
    name: str,
    platform: str,
    checkpoints: Path,
    requests: Requests,
    settings: Settings,
) -> None:
    """What the process of a contender does: sends rows, then None."""
    os.setsid()  # so that whatever it starts ends with it
    # Memory of an accelerator is shared with whoever started this.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    try:
        device = jax.devices(platform)[0]
    except RuntimeError:
        present = ", ".join(sorted({jax.default_backend(), "cpu"}))
        return sender.send(f"platform {platform!r}: not present, there is {present}")
    jax.config.update("jax_default_device", device)
    try:
        policy = importlib.import_module(module).FAMILY.policies[name]
        contender = policy.build(checkpoints / policy.checkpoint)
    except Exception as error:
        sender.send({"policy": name, "kind": "all", **_failed(error)})
    else:
        for row in rows(name, contender, requests, settings, clock=protocols.Clock()):
            sender.send(row | {"device": device.device_kind})
    sender.send(None)


def in_a_process(name: str, limit: float, *arguments: Any) -> list[dict[str, Any]]:
    """The rows of one contender; the last says so if its process hung or broke down.

    Args:
      name: of the contender.
      limit: seconds that a measurement may take before its process is ended.
      arguments: what `_work` takes.

    Raises:
      ValueError: the platform is missing.
    """
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_work, args=(sender, *arguments))
    process.start()
    sender.close()
    found: list[dict[str, Any]] = []
    doing: dict[str, Any] = {"policy": name, "kind": "all"}
    try:
        while receiver.poll(limit):
            row = receiver.recv()
            if isinstance(row, str):
                raise ValueError(row)
            if row is None:
                process.join(_GRACE)
                return found
            if row["status"] == "started":
                doing = row
            else:
                found.append(row)
        note = f"no answer within {limit:g} s; its process was ended, the rest left out"
        return [*found, {**doing, "status": "timed out", "note": note}]
    except EOFError:
        process.join()
        note = f"its process ended with status {process.exitcode}"
        return [*found, {**doing, "status": "failed", "note": note}]
    finally:
        assert process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


class _IncompleteError(Exception):
    """Rows that are not kept, since another run may have more of them."""


def measure_all(
    names: Sequence[str],
    settings: Settings,
    *,
    family: Family,
    platform: str,
    checkpoints: Path,
    output: Path,
    report: Callable[[dict[str, Any]], Any] = lambda row: None,
) -> dict[str, Any]:
    """Measures policies and writes `results/delay_<platform>.json` after each.

    What an earlier run measured under the same conditions is taken from
    `results/delay_<platform>/<policy>.json`; what failed or was missing is tried again.

    Args:
      names: policies of the family.
      settings: protocols and sizes.
      family: see `Family`.
      platform: "cpu", "gpu" or "tpu".
      checkpoints: folder of the trained policies.
      output: folder of results.
      report: takes each row.

    Returns:
      What was written: environment, settings and rows.

    Raises:
      ValueError: the platform is missing, or a file in `output` is something else.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "family": family.module,
        "environment": environment.describe(),
        "settings": dataclasses.asdict(settings),
        "rows": [],
    }
    path = output / "results" / f"delay_{platform}.json"
    requests: list[Requests] = []  # made when first needed

    def compute(name: str) -> dict[str, Any]:
        if not requests:
            num = max(10_000, *settings.all_batch_sizes, 0) + measure.ROTATION
            requests.append(family.sample(num, settings.seed))
        arguments = (family.module, name, platform, checkpoints, requests[0], settings)
        found = in_a_process(name, settings.time_limit, *arguments)
        if any(row["status"] == "failed" for row in found):
            raise _IncompleteError(found)
        return {"rows": found}

    for name in names:
        policy = family.policies[name]
        config = {
            "settings": document["settings"],
            "environment": document["environment"] | {"commit": None},
            "benchmarks": _digest(Path(__file__).parents[1]),
            "weights": _digest(checkpoints / policy.checkpoint) if policy.checkpoint else "",
        }
        try:
            if note := policy.missing(checkpoints):
                row = {"policy": name, "kind": "all", "status": "unavailable", "note": note}
                raise _IncompleteError([row])
            stored = path.with_suffix("") / f"{name}.json"
            found = results.cached(stored, config, lambda: compute(name))["rows"]  # noqa: B023
        except _IncompleteError as error:
            (found,) = error.args
        document["rows"] += found
        files.write_json(path, document)
        for row in found:
            report(row)
    return document


def _digest(folder: Path) -> str:
    """Of all files in a folder and their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()
