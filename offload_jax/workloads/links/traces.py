"""Recorded bandwidth traces: text files of time in seconds and throughput in Mbit/s."""

import dataclasses
import math
import os
import pathlib

import numpy as np

from offload_jax.summary import summarize
from offload_jax.validation import FINITE, ArrayLike, as_float64, require
from offload_jax.workloads.links.conditions import BYTES_PER_MEGABIT

# What the errors about other formats end with.
_OTHERWISE = (
    "of another format, give its columns to BandwidthTrace(name, time, bandwidth), in seconds and"
    " bytes per second"
)
_DOCUMENTS = frozenset({"readme", "license", "licence", "copying", "notice"})


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class BandwidthTrace:
    """The bandwidth of a link as it was recorded; lists and the like become float64 arrays.

    Attributes:
      name: the file name, or the path below the directory the trace was found in.
      time: `[n]` float64 seconds, never decreasing; where it starts has no meaning.
      bandwidth: `[n]` float64 bytes per second at those times; 0 is a link that is down.
    """

    name: str
    time: np.ndarray
    bandwidth: np.ndarray

    def __init__(self, name: str, time: ArrayLike, bandwidth: ArrayLike) -> None:
        object.__setattr__(self, "name", name)
        for name, given in (("time", time), ("bandwidth", bandwidth)):
            value = as_float64(name, given)
            object.__setattr__(self, name, value)
            if value.ndim != 1 or not value.size:
                raise ValueError(f"{name}: needs a list of samples, [n], got shape {value.shape}")
            require(name, value, np.isfinite(value), "must be finite")
        if self.time.size != self.bandwidth.size:
            raise ValueError(f"bandwidth: {self.bandwidth.size} for {self.time.size} times")
        later = np.append(True, self.time[1:] >= self.time[:-1])
        require("time", self.time, later, "must not decrease")
        require("bandwidth", self.bandwidth, FINITE.holds(self.bandwidth), FINITE.wording)

    def __repr__(self) -> str:
        return summarize(self)


def read_trace(path: str | os.PathLike[str]) -> BandwidthTrace:
    """Reads one trace.

    A line holds two numbers separated by white space: time in seconds and throughput in Mbit/s
    (10^6 bits per second). Times may repeat but not go back. Blank lines are passed over. Of any
    other format `BandwidthTrace` makes a trace, from seconds and bytes per second.

    Args:
      path: the file.

    Returns:
      The trace, named after the file, with throughput in bytes per second.

    Raises:
      ValueError: the file is empty or a line breaks the format; names the file, the line and the
        rule.
      OSError: the file cannot be read.
    """
    path = pathlib.Path(path)
    times: list[float] = []
    rates: list[float] = []
    # Undecodable bytes become characters that no number holds, so that they too get a line number.
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            time, rate = _parse_line(line, where=f"{path}:{number}")
            if times and time < times[-1]:
                raise ValueError(
                    f"{path}:{number}: time must not decrease, got {time} s after {times[-1]} s"
                )
            times.append(time)
            rates.append(rate)
    if not times:
        raise ValueError(f"{path}:1: a trace needs at least one line, the file is empty")
    return BandwidthTrace(
        name=path.name,
        time=np.asarray(times),
        bandwidth=np.asarray(rates, np.float64) * BYTES_PER_MEGABIT,
    )


def read_trace_dir(directory: str | os.PathLike[str]) -> list[BandwidthTrace]:
    """Reads every trace in a directory and in the directories below it.

    Every file counts as a trace, whatever its extension, except: files that are hidden or lie in
    a hidden directory (a name that starts with a dot, below `directory`); Markdown (`.md`);
    and files called readme, license, licence, copying or notice with any extension or none. Case
    does not matter. So a stray file that is none of these is an error and not silently left out.

    Args:
      directory: the directory.

    Returns:
      The traces, named by and sorted by their path below `directory`, with forward slashes.

    Raises:
      ValueError: `directory` is not a directory, it holds no trace, or a trace is malformed (see
        `read_trace`).
      OSError: a file cannot be read.
    """
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        raise ValueError(f"{directory}: is not a directory")
    files = {
        path.relative_to(directory).as_posix(): path
        for path in directory.rglob("*")
        if path.is_file() and _is_trace(path.relative_to(directory))
    }
    if not files:
        raise ValueError(f"{directory}: holds no trace files")
    return [
        dataclasses.replace(read_trace(path), name=name) for name, path in sorted(files.items())
    ]


def _is_trace(relative: pathlib.Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    document = relative.suffix.lower() == ".md" or relative.stem.lower() in _DOCUMENTS
    return not hidden and not document


def _parse_line(line: str, *, where: str) -> tuple[float, float]:
    columns = line.split()
    if len(columns) != 2:
        raise ValueError(
            f"{where}: must have 2 columns (seconds, Mbit/s), got {len(columns)}:"
            f" {line.strip()!r:.60}; {_OTHERWISE}"
        )
    try:
        time, rate = float(columns[0]), float(columns[1])
    except ValueError:
        raise ValueError(
            f"{where}: must hold two numbers, got {line.strip()!r:.60}; {_OTHERWISE}"
        ) from None
    if not (math.isfinite(time) and math.isfinite(rate)):
        raise ValueError(f"{where}: time and throughput must be finite, got {line.strip()!r}")
    if rate < 0:
        raise ValueError(f"{where}: throughput must not be negative, got {rate} Mbit/s")
    return time, rate
