"""The command: what it asks for, its errors in one line, and a whole run."""

from pathlib import Path

import pytest
from absl import flags

from benchmarks.delay import __main__ as command
from experiments.reporting import command_line
from tests.benchmarks.delay import fakes


def execute(*arguments: str) -> int:
    values = flags.FlagValues()
    command.define(values)
    values(["delay", *arguments])
    return command_line.execute(command.main, values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policies=nobody"], "policy 'nobody': unknown, there are right, wrong"),
        (["--policies=foreign"], "policy 'foreign': pip install"),
        (["--policies=network"], "in that folder: none"),
        (["--batch_sizes=1,many"], "batch_sizes: '1,many' are not numbers"),
        (["--protocols=mlperf"], "'mlperf' unknown"),
        (["--decisions=0"], "decisions = (0,): must be at least one size"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "FAMILY", fakes.FAMILY)
    output = tmp_path / "output"
    assert execute(f"--output={output}", f"--checkpoints={tmp_path}", *arguments) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and message in error
    assert not output.exists()


def test_a_run_leaves_a_report_and_tells_each_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "FAMILY", fakes.FAMILY)
    sizes = ("--decisions=5", "--batch_sizes=1,1e1", "--duration=0.01")
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    where = (f"--output={tmp_path / 'output'}", f"--checkpoints={checkpoints}")
    assert execute("--policies=right,fails", *sizes, *where) == 0
    out = capsys.readouterr().out
    assert "fails                batch          10  failed: MemoryError" in out
    assert "right                batch          10" in out and "requests/s" in out
    results = tmp_path / "output" / "results"
    assert {path.name for path in results.iterdir()} == {"delay_cpu", "delay_cpu.json", "table1.md"}
    assert (tmp_path / "output" / "figures" / "delay_batch.png").exists()


def test_an_interrupted_run_reports_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(row: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "FAMILY", fakes.FAMILY)
    monkeypatch.setattr(command, "line", stop)
    where = (f"--output={tmp_path / 'output'}", f"--checkpoints={tmp_path}")
    assert execute("--policies=right", "--protocols=paper", "--decisions=2", *where) == 130
    captured = capsys.readouterr()
    assert "| right" in captured.out and "go on" in captured.err
