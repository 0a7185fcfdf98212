"""Ctrl-C wherever Python's own handling fails; each command is a process that interrupts itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BEGIN = """
import atexit, gc, os, signal, sys, time
from experiments.reporting import command_line, interrupts

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
"""


def run(*arguments: str, **environment: str) -> tuple[int, list[str], str]:
    """Exit status, lines on stderr, and stdout."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.splitlines(), done.stdout


@pytest.mark.parametrize(
    "main",
    [
        # As jax's callback of the garbage collector: what it raises, Python prints and drops.
        "gc.callbacks.append(interrupt); gc.collect(); gc.callbacks.clear(); time.sleep(30)",
        # As C++ that clears the error; the second time it is not there.
        "\n    try: interrupt()\n    except BaseException: pass\n    time.sleep(30)",
        "interrupt()",
    ],
    ids=["in a callback", "swallowed", "anywhere"],
)
def test_no_interrupt_is_lost(main: str) -> None:
    code = f"{BEGIN}\ndef main(values):\n    {main}\ncommand_line.run(main, lambda values: None)"
    assert run("-c", code) == (130, ["-c: interrupted; run again to go on where it stopped"], "")


def test_what_is_left_is_tidied_up_by_a_finally_that_takes_long() -> None:
    code = f"""{BEGIN}
def main(values):
    try:
        interrupt()
    finally:
        time.sleep(0.5)
        print("tidy")
command_line.run(main, lambda values: None)"""
    status, lines, out = run("-c", code)
    assert (status, len(lines), out) == (130, 1, "tidy\n")


def test_an_interrupt_during_imports_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "jax.py").write_text("import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(30)")
    for module in ("experiments.make_dataset", "benchmarks.stored_labels"):
        found = run("-m", module, PYTHONPATH=str(tmp_path))
        assert found == (130, ["interrupted before anything was begun"], "")


def test_the_interpreter_is_not_torn_down_but_exit_functions_run() -> None:
    code = f"""{BEGIN}
class Global:
    def __del__(self):
        print("torn down")
kept = Global()
atexit.register(print, "exit function")
interrupts.run(lambda: 3)"""
    assert run("-c", code) == (3, [], "exit function\n")
