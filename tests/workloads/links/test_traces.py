"""Traces are read in SI units, and a malformed one is refused with its file and line."""

import math
import pathlib

import numpy as np
import pandas as pd
import pytest

from offload_jax import workloads


def _write(path: pathlib.Path, text: str) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def test_trace_is_converted_to_bytes_per_second(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "drive.log", "0.0\t8\n0.5   0\n2 1.6e1\n")
    trace = workloads.read_trace(path)
    assert trace.name == "drive.log"
    np.testing.assert_allclose(trace.time, [0.0, 0.5, 2.0])
    np.testing.assert_allclose(trace.bandwidth, [1e6, 0.0, 2e6])
    assert trace.time.dtype == trace.bandwidth.dtype == np.float64


@pytest.mark.parametrize(
    "text", ["1 2\r\n3 4\r\n", "1 2\n\n3 4\n\n", "  1\t2  \n3 4"], ids=["crlf", "blank", "spaces"]
)
def test_white_space_does_not_matter(text: str, tmp_path: pathlib.Path) -> None:
    trace = workloads.read_trace(str(_write(tmp_path / "trace", text)))
    np.testing.assert_allclose(trace.time, [1, 3])
    np.testing.assert_allclose(trace.bandwidth, [250e3, 500e3])


def test_repeated_times_and_a_single_line_are_legal(tmp_path: pathlib.Path) -> None:
    repeated = workloads.read_trace(_write(tmp_path / "repeated", "1 1\n1 2\n"))
    np.testing.assert_allclose(repeated.time, [1, 1])
    assert workloads.read_trace(_write(tmp_path / "single", "5 1\n")).time.shape == (1,)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "empty"),
        ("\n \n", 1, "empty"),
        ("0 1\n2 1\n1 1\n", 3, "must not decrease, got 1.0 s after 2.0 s"),
        ("0 1\n1 -0.5\n", 2, "must not be negative, got -0.5"),
        ("0 1\n1 nan\n", 2, "must be finite"),
        ("nan 1\n", 1, "must be finite"),
        ("0 inf\n", 1, "must be finite"),
        ("0 1e999\n", 1, "must be finite"),
        ("0 1\n\n1\n", 3, "2 columns"),
        ("0 1 2\n", 1, "2 columns.*got 3"),
        ("0,1\n", 1, "2 columns"),
        ("time rate\n0 1\n", 1, "two numbers, got 'time rate'"),
        ("0 1\n1 0x10\n", 2, "two numbers"),
    ],
)
def test_malformed_trace_is_refused(
    text: str, line: int, message: str, tmp_path: pathlib.Path
) -> None:
    path = _write(tmp_path / "bad.txt", text)
    with pytest.raises(ValueError, match=rf"bad\.txt:{line}: .*{message}"):
        workloads.read_trace(path)


def test_binary_file_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"0 1\n\xff\xfe 3\n")
    with pytest.raises(ValueError, match=r"binary:2: .*two numbers"):
        workloads.read_trace(path)


def test_mahimahi_packets_are_counted(tmp_path: pathlib.Path) -> None:
    # Its man page: 1 500 bytes each, so "1" alone, which repeats, is 12 Mbit/s.
    trace = workloads.read_trace(_write(tmp_path / "12Mbps", "1\n"))
    np.testing.assert_allclose(trace.bandwidth, [1.5e6])
    times = np.sort(np.random.default_rng(0).integers(0, 1760, 500))
    text = "".join(f"{time}\n" for time in (*times, 1760))
    trace = workloads.read_trace(_write(tmp_path / "cellular", text))
    np.testing.assert_array_equal(trace.time, [0, 0.5, 1, 1.5])
    assert trace.bandwidth @ [0.5, 0.5, 0.5, 0.26] == pytest.approx(501 * 1500)
    # A packet at the end of a bin belongs to it, as one at 0 ms to the first.
    edges = workloads.read_trace(_write(tmp_path / "edges", "0\n500\n501\n"))
    np.testing.assert_allclose(edges.bandwidth, [2 * 1500 / 0.5, 1500 / 0.001])


# Two lines, the second of 250 000 bytes in 500 ms or 4 Mbit/s, from 1.5 s on.
_LOGS = {
    "raw": "1289406399 1000 59.8 10.7 100000 1000\n1289406400 2000 59.8 10.7 250000 500\n",
    "Pensieve's": "1.0\t300\t4.0\t0.0\t100000\t1000\t0.3\n2\t750\t8.0\t0\t250000\t500\t-1.2\n",
}


@pytest.mark.parametrize("text", _LOGS.values(), ids=_LOGS)
def test_what_was_downloaded_held_from_its_start(text: str, tmp_path: pathlib.Path) -> None:
    trace = workloads.read_trace(_write(tmp_path / "log", text))
    np.testing.assert_allclose(trace.time, [0.0, 1.5])
    np.testing.assert_allclose(trace.bandwidth, [1e5, 5e5])


_UCC = (
    "Timestamp,Longitude,Latitude,Speed,Operatorname,CellID,NetworkMode,RSRP,RSRQ,SNR,CQI,RSSI,"
    "DL_bitrate,UL_bitrate,State\n"
    "2019.12.16_13.40.04,-8.39,51.88,0,B,11,5G,-93,-12,9.0,12,-,8000,37,D\n"
    "2019.12.16_13.40.04,-8.39,51.88,0,B,11,5G,-93,-12,9.0,12,-,-,37,D\n"
    "2019.12.16_13.41.05,-8.39,51.88,0,B,11,5G,-93,-12,9.0,12,-,0,0,D\n"
)
_LUMOS = (
    "run_num,seq_num,latitude,nrStatus,Throughput,mobility_mode\n"
    "1,1,44.97,CONNECTED,8,walking\n1,2,44.97,NONE,1.6e1,walking\n"
)


def test_tables_are_read_by_the_names_of_their_columns(tmp_path: pathlib.Path) -> None:
    trace = workloads.read_trace(_write(tmp_path / "ucc.csv", _UCC))
    np.testing.assert_allclose(trace.time - trace.time[0], [0, 61])
    np.testing.assert_allclose(trace.bandwidth, [1e6, 0.0])
    trace = workloads.read_trace(_write(tmp_path / "lumos.csv", _LUMOS))
    np.testing.assert_allclose(trace.time, [1, 2])
    np.testing.assert_allclose(trace.bandwidth, [1e6, 2e6])


def test_each_run_is_a_trace(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "lumos.csv", _LUMOS + "7,1,44.97,CONNECTED,24,driving\n")
    one, seven = workloads.read_trace_dir(tmp_path)
    assert (one.name, seven.name) == ("lumos.csv/1", "lumos.csv/7")
    assert one.time.tolist() == [1, 2] and seven.bandwidth.tolist() == [3e6]
    with pytest.raises(ValueError, match=r"lumos\.csv: holds 2 runs; read_trace_dir reads each"):
        workloads.read_trace(path)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("1\n2 3\n", 2, r"must have 1 column \(milliseconds of a packet, Mahimahi\), got 2"),
        ("1\n\n1.5\n", 3, "must hold a whole number, got '1.5'"),
        ("2\n1\n", 2, "time must not decrease, got 0.001 s after 0.002 s"),
        ("0\n0\n", 2, "the last packet must be later than 0 ms"),
        (_LOGS["raw"] + "1 2 3\n", 3, r"must have 6 columns \(.*logs\), got 3"),
        (_LOGS["raw"] + "1 3000 0 0 5 0\n", 3, "throughput must be finite, got 3.0 s and inf"),
        (_LOGS["Pensieve's"] + "3 a a a 5 a a\n", 3, "must hold three numbers"),
        (_UCC + "yesterday,0,0,0,B,1,5G,0,0,0,0,-,5,5,D\n", 5, "must hold two numbers, got 'yest"),
        (
            _UCC + "2019.12.16_13.41.06,0\n",
            5,
            r"must have 15 columns \(time and kbit/s, UCC\), got 2",
        ),
        (_UCC.splitlines()[0], 1, "the table has no line with time and kbit/s, UCC"),
        (_LUMOS + "1,3,44.97,NONE,-1,walking\n", 4, "must not be negative, got -1.0 Mbit/s"),
        (_LUMOS + "1,1,44.97,NONE,1,walking\n", 4, "must not decrease, got 1.0 s after 2.0 s"),
    ],
)
def test_damaged_files_of_all_formats(
    text: str, line: int, message: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match=rf"bad:{line}: .*{message}"):
        workloads.read_trace(_write(tmp_path / "bad", text))


def test_directory_is_read_recursively_and_sorted(tmp_path: pathlib.Path) -> None:
    for name in ("b/2.log", "a/deep/1", "c.txt", "a/z"):
        _write(tmp_path / name, "0 1\n")
    for name in (
        "README.md",
        "a/notes.MD",
        "LICENSE",
        "b/licence.txt",
        "readme",
        ".hidden",
        ".git/config",
    ):
        _write(tmp_path / name, "not a trace")
    traces = workloads.read_trace_dir(tmp_path)
    assert [trace.name for trace in traces] == ["a/deep/1", "a/z", "b/2.log", "c.txt"]


def test_a_directory_below_a_hidden_one_is_read(tmp_path: pathlib.Path) -> None:
    _write(tmp_path / ".cache" / "traces" / "one", "0 1\n")
    assert len(workloads.read_trace_dir(tmp_path / ".cache" / "traces")) == 1


def test_a_malformed_file_in_a_directory_is_an_error(tmp_path: pathlib.Path) -> None:
    _write(tmp_path / "good", "0 1\n")
    _write(tmp_path / "bad", "0 1\nx 1\n")
    with pytest.raises(ValueError, match="bad:2: "):
        workloads.read_trace_dir(tmp_path)


def test_directory_without_traces_is_refused(tmp_path: pathlib.Path) -> None:
    _write(tmp_path / "README.md", "no traces here")
    with pytest.raises(ValueError, match=f"{tmp_path.name}: holds no trace"):
        workloads.read_trace_dir(tmp_path)
    with pytest.raises(ValueError, match="missing: is not a directory"):
        workloads.read_trace_dir(tmp_path / "missing")


def test_traces_made_by_hand_are_lists_or_arrays_of_any_kind() -> None:
    expected = np.array([0.0, 1.0, 1.0]), np.array([2.0, 0.0, 3.0])
    for kind in (list, tuple, np.float32, pd.Series, np.ma.array):
        trace = workloads.BandwidthTrace("own", *map(kind, expected))
        for value, wanted in zip((trace.time, trace.bandwidth), expected, strict=True):
            assert type(value) is np.ndarray and value.dtype == np.float64
            np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize(
    ("time", "bandwidth", "message"),
    [
        ([], [], r"time: needs a list of samples, \[n\], got shape \(0,\)"),
        ([[0.0]], [[1.0]], r"time: needs a list .* \(1, 1\)"),
        ([0.0, 1.0], [1.0], "bandwidth: 1 for 2 times"),
        ([0.0, 2.0, 1.0], [1.0] * 3, r"time\[2\] = 1.0: must not decrease"),
        ([0.0, math.nan], [1.0] * 2, r"time\[1\] = nan: must be finite"),
        ([0.0, 1.0], [1.0, -1.0], r"bandwidth\[1\] = -1.0: must be finite and not negative"),
        ([0.0, 1.0], [math.inf, 1.0], r"bandwidth\[0\] = inf: must be finite"),
        ([0.0], ["fast"], "bandwidth: must hold real numbers"),
    ],
)
def test_traces_made_by_hand_are_checked(time: list, bandwidth: list, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        workloads.BandwidthTrace("own", time, bandwidth)


@pytest.mark.parametrize("text", ["time,rate\n0,1\n", "[1, 2]\n", "one two\n"])
def test_the_error_about_other_formats_names_the_way(text: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"give its columns to BandwidthTrace\(name, time, bandw"):
        workloads.read_trace(_write(tmp_path / "trace.csv", text))


def test_a_byte_order_mark_is_no_part_of_a_trace(tmp_path: pathlib.Path) -> None:
    (tmp_path / "marked").write_bytes("0 8\n".encode("utf-8-sig"))
    assert workloads.read_trace(tmp_path / "marked").bandwidth.tolist() == [1e6]
