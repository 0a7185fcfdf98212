"""Files of bandwidth traces as they are published; the first line says which format one has."""

import csv
import datetime
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from offload_jax.workloads.links.conditions import BYTES_PER_MEGABIT

# What the errors about other formats end with.
_OTHERWISE = (
    "of another format, give its columns to BandwidthTrace(name, time, bandwidth), in seconds and"
    " bytes per second"
)
# What stands in a table where nothing was measured.
_MISSING = frozenset({"", "-", "NA", "nan"})
# Bytes of a line of Mahimahi; they are counted over so many seconds, as Pensieve plots them.
_PACKET, _BIN = 1500, 0.5


class Sample(NamedTuple):
    """What a line says: seconds, bytes per second, and the run that it belongs to."""

    time: float
    bandwidth: float
    run: str = ""


class _Format(NamedTuple):
    """How a line is read.

    Attributes:
      holds: in words.
      width: columns of every line, separated by white space, or by commas in a table.
      used: columns that `sample` takes.
      sample: from their text; ValueError where that is no number.
      table: whether the first line names the columns.
    """

    holds: str
    width: int
    used: Sequence[int]
    sample: Callable[..., Sample]
    table: bool = False


def parse(lines: Iterable[str]) -> dict[str, list[Sample]]:
    """The samples of a file by run, in order; most formats have one run, "".

    Args:
      lines: of the file; blank ones are passed over.

    Raises:
      ValueError: the number of the line that breaks its format, the rule and the line.
    """
    numbered = ((n, line.strip()) for n, line in enumerate(lines, start=1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise ValueError("1: a trace needs at least one line, the file is empty")
    chosen = _format_of(first[1])
    runs: dict[str, list[Sample]] = {}
    for number, line in numbered if chosen.table else itertools.chain([first], numbered):
        try:
            sample = _read(chosen, line)
            if sample is not None:
                run = runs.setdefault(sample.run, [])
                _check(sample, run)
                run.append(sample)
        except ValueError as error:
            raise ValueError(f"{number}: {error}") from None
    if not runs:
        raise ValueError(f"{first[0]}: the table has no line with {chosen.holds}")
    if chosen is _PACKETS:
        if runs[""][-1].time == 0:
            raise ValueError(f"{number}: the last packet must be later than 0 ms")
        runs[""] = _in_bins(runs[""])
    return runs


def _read(chosen: _Format, line: str) -> Sample | None:
    """What a line says; None where a table says that nothing was measured."""
    cells = _cells(line) if chosen.table else line.split()
    if len(cells) != chosen.width:
        raise ValueError(
            f"must have {chosen.width} column{'s' * (chosen.width > 1)} ({chosen.holds}), got"
            f" {len(cells)}: {line!r:.60}; {_OTHERWISE}"
        )
    used = [cells[column] for column in chosen.used]
    if chosen.table and not _MISSING.isdisjoint(used):
        return None
    try:
        return chosen.sample(*used)
    except ValueError:
        raise ValueError(
            f"must hold {_NUMBERS[len(used)]}, got {line!r:.60} ({chosen.holds}); {_OTHERWISE}"
        ) from None


def _check(sample: Sample, before: Sequence[Sample]) -> None:
    time, rate = sample.time, sample.bandwidth
    if not (math.isfinite(time) and math.isfinite(rate)):
        raise ValueError(f"time and throughput must be finite, got {time} s and {rate} bytes/s")
    if rate < 0:
        raise ValueError(f"throughput must not be negative, got {rate / BYTES_PER_MEGABIT} Mbit/s")
    if before and time < before[-1].time:
        raise ValueError(f"time must not decrease, got {time} s after {before[-1].time} s")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line]))]


def _plain(time: str, rate: str) -> Sample:
    return Sample(float(time), float(rate) * BYTES_PER_MEGABIT)


def _packet(milliseconds: str) -> Sample:
    if not milliseconds.isdecimal():
        raise ValueError
    return Sample(int(milliseconds) / 1e3, 0.0)


def _received(milliseconds: str, size: str, duration: str) -> Sample:
    """Bytes that arrived in the milliseconds before: the rate held since then."""
    took = float(duration) / 1e3
    return Sample(float(milliseconds) / 1e3 - took, float(size) / took if took > 0 else math.inf)


def _chunk(time: str, size: str, duration: str) -> Sample:
    return _received(str(float(time) * 1e3), size, duration)


def _ucc(time: str, rate: str) -> Sample:
    then = datetime.datetime.strptime(time, "%Y.%m.%d_%H.%M.%S")
    return Sample(then.replace(tzinfo=datetime.UTC).timestamp(), float(rate) * 125.0)


def _lumos(run: str, time: str, rate: str) -> Sample:
    return _plain(time, rate)._replace(run=run)


_NUMBERS = {1: "a whole number", 2: "two numbers", 3: "three numbers"}
_PACKETS = _Format("milliseconds of a packet, Mahimahi", 1, (0,), _packet)
_PLAIN = _Format("seconds, Mbit/s", 2, (0, 1), _plain)
# By the number of columns.
_WITHOUT_NAMES = {
    1: _PACKETS,
    6: _Format("milliseconds, bytes, milliseconds, HSDPA and 4G logs", 6, (1, 4, 5), _received),
    7: _Format("seconds, bytes, milliseconds, Pensieve's logs", 7, (0, 4, 5), _chunk),
}
# By the names of the columns that are used.
_TABLES: dict[tuple[str, ...], tuple[str, Callable[..., Sample]]] = {
    ("Timestamp", "DL_bitrate"): ("time and kbit/s, UCC", _ucc),
    ("run_num", "seq_num", "Throughput"): ("run, seconds and Mbit/s, Lumos5G", _lumos),
}


def _format_of(first: str) -> _Format:
    """By the first line; that of seconds and Mbit/s, which then says what is wrong, if by none."""
    names = _cells(first)
    for used, (holds, sample) in _TABLES.items():
        if set(used) <= set(names):
            return _Format(holds, len(names), [*map(names.index, used)], sample, table=True)
    return _WITHOUT_NAMES.get(len(first.split()), _PLAIN) if "," not in first else _PLAIN


def _in_bins(packets: Sequence[Sample]) -> list[Sample]:
    """Bandwidths of packets, each counted in the bin that ends with it or after it."""
    end = packets[-1].time
    counts = [0] * math.ceil(end / _BIN)
    for packet in packets:
        counts[max(0, math.ceil(packet.time / _BIN) - 1)] += 1
    return [
        Sample(i * _BIN, count * _PACKET / min(_BIN, end - i * _BIN))
        for i, count in enumerate(counts)
    ]
