"""Recorded bandwidth traces, from files or by hand."""

import dataclasses
import os
import pathlib

import numpy as np

from offload_jax.summary import summarize
from offload_jax.validation import FINITE, ArrayLike, as_float64, require
from offload_jax.workloads.links.trace_files import parse

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

    The first line says which of these formats, of text in UTF-8, the file has. Blank lines are
    passed over. Times may repeat but not go back.

    - Two numbers, separated by white space like those below: time in seconds and throughput in
      Mbit/s (10^6 bits per second), as Pensieve's simulator and many collections have it.
    - **Mahimahi**: one whole number, the millisecond at which `mm-link` lets a packet of 1 500
      bytes pass. They are counted over half seconds; the last one ends with the last packet.
    - **Raw logs** of HSDPA (Riiser et al. 2013) and Belgian 4G (van der Hooft et al. 2016): six
      numbers, of which the second, fifth and sixth are milliseconds since the start, bytes since
      the line before and the milliseconds that they took. A throughput holds from so long before.
    - **Pensieve's logs**: seven numbers, of which the first, fifth and sixth are seconds, bytes of
      a chunk and milliseconds of its download. A throughput holds from the start of a download.
    - **UCC's 4G and 5G tables**: comma-separated under names of columns, of which `Timestamp`, as
      2019.12.16_13.40.04, and `DL_bitrate` in kbit/s are read; lines with "-" are passed over.
    - **Lumos5G**: likewise, of which `seq_num` in seconds and `Throughput` in Mbit/s are read; each
      `run_num` is a trace of its own, so that a file of several runs is for `read_trace_dir`.

    Of any other format `BandwidthTrace` makes a trace, from seconds and bytes per second.

    Args:
      path: the file.

    Returns:
      The trace, named after the file, with throughput in bytes per second.

    Raises:
      ValueError: the file is empty, a line breaks the format (names the file, the line and the
        rule), or there are several runs.
      OSError: the file cannot be read.
    """
    path = pathlib.Path(path)
    traces = _read(path, path.name)
    if len(traces) > 1:
        raise ValueError(f"{path}: holds {len(traces)} runs; read_trace_dir reads each as a trace")
    return traces[0]


def _read(path: pathlib.Path, name: str) -> list[BandwidthTrace]:
    """The traces of a file, one unless its format knows runs."""
    # Undecodable bytes become characters that no number holds, so that they too get a line number.
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        try:
            runs = parse(lines)
        except ValueError as error:
            raise ValueError(f"{path}:{error}") from None
    return [
        BandwidthTrace(
            f"{name}/{run}" if len(runs) > 1 else name,
            [sample.time for sample in samples],
            [sample.bandwidth for sample in samples],
        )
        for run, samples in runs.items()
    ]


def read_trace_dir(directory: str | os.PathLike[str]) -> list[BandwidthTrace]:
    """Reads every trace in a directory and in the directories below it.

    Every file counts as a trace, whatever its extension, except: files that are hidden or lie in
    a hidden directory (a name that starts with a dot, below `directory`); Markdown (`.md`);
    and files called readme, license, licence, copying or notice with any extension or none. Case
    does not matter. So a stray file that is none of these is an error and not silently left out.

    Args:
      directory: the directory.

    Returns:
      The traces, named by and sorted by their path below `directory`, with forward slashes; where
      a file holds several runs, each is a trace `path/run`.

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
    return [trace for name, path in sorted(files.items()) for trace in _read(path, name)]


def _is_trace(relative: pathlib.Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    document = relative.suffix.lower() == ".md" or relative.stem.lower() in _DOCUMENTS
    return not hidden and not document
