"""Forty interrupts of make_dataset at random times: one line each, and no byte is lost.

A Ctrl-C reaches the processes that solve too, so the whole group gets the signal. Minutes, so it is
run by name: python -m pytest tests/release/interrupts.py
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = {
    "chains": ("--num=200000", "--shard_size=2000"),
    "graphs": ("--family=graphs", "--method=greedy", "--num=3000", "--shard_size=50"),
}
# Before this Python itself is starting.
_STARTED = 0.15


def start(output: Path, options: tuple[str, ...]) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "experiments.make_dataset"),
            *(f"--output={output}", "--noprogress", *options),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def complete(output: Path, options: tuple[str, ...]) -> None:
    process = start(output, options)
    out, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert "samples in" in out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("family", FAMILIES)
def test_forty_interrupts_are_clean(family: str, tmp_path: Path) -> None:
    options, draw = FAMILIES[family], random.Random(family)
    begin = time.monotonic()
    complete(tmp_path / "whole", options)
    seconds = time.monotonic() - begin
    failures, clean, number = [], [], 0
    while len(clean) < 20 and not failures:
        number += 1
        folder = tmp_path / str(number)
        process = start(folder, options)
        time.sleep(draw.uniform(_STARTED, seconds))
        os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=120)
        if out:  # all was written before the signal came
            continue
        if process.returncode == 130 and len(errors.splitlines()) == 1:
            clean.append(folder)
        else:
            failures.append((process.returncode, errors))
    assert not failures
    for folder in clean[::6]:
        complete(folder, options)
        assert contents(folder) == contents(tmp_path / "whole")
