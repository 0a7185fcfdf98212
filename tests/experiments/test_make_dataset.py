"""The command line: scenarios, one-line errors, exit codes, and going on after an interruption."""

import dataclasses
import errno
import json
from pathlib import Path

import pytest
from absl import flags

import offload_jax as oj
from experiments import make_dataset
from experiments.reporting import command_line
from offload_jax.datasets import writing


def execute(*arguments: str) -> int:
    values = flags.FlagValues()
    make_dataset.define(values)
    values(["make_dataset", *arguments])
    return command_line.execute(make_dataset.main, values, resume=make_dataset.standing)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The message without the progress bar, which ends in a line break of its own."""
    lines = [line for line in capsys.readouterr().err.splitlines() if "samples/s]" not in line]
    lines = [line for line in lines if line.strip()]
    assert len(lines) == 1
    return lines[0]


def test_flags_become_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "dataset"
    status = execute(
        f"--output={output}",
        "--scenario=narrow",
        "--num_subtasks=4",
        "--bandwidth_floor=500000",
        "--num=50",
        "--shard_size=20",
        "--seed=7",
        "--method=exhaustive",
        "--objective=0.5,2",
    )
    assert status == 0
    config = oj.datasets.read_manifest(output).config
    scenario = dataclasses.replace(oj.scenarios.NARROW, num_subtasks=4).with_bandwidth_floor(5e5)
    assert config == oj.datasets.DatasetConfig(
        50, scenario, 7, "exhaustive", oj.Objective(0.5, 2.0), 20
    )
    captured = capsys.readouterr()
    assert "50 samples in 3 shards" in captured.out
    assert "50.0/50.0" in captured.err  # the progress bar


def test_a_scenario_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    mine = dataclasses.replace(oj.scenarios.WIDE, name="mine", cycles=(1e9, 1e9))
    path.write_text(json.dumps(dataclasses.asdict(mine)))
    assert make_dataset.find_scenario(str(path)) == mine


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--num=0"], "num = 0: must be at least 1"),
        (["--seed=-1"], "seed = -1"),
        (["--shard_size=-5"], "shard_size = -5"),
        (["--scenario=broad"], "scenario 'broad': not one of wide, narrow"),
        (["--num_subtasks=0"], "num_subtasks = 0"),
        (["--num_subtasks=20", "--method=exhaustive"], "too many"),
        (["--bandwidth_floor=-1"], "device_edge_bandwidth = (-1.0,"),
        (["--objective=0,0"], "nothing to minimise"),
        (["--objective=1,nan"], "energy_weight = nan"),
        (["--output="], "--output"),
        (["--num_workers=0"], "num_workers = 0: must be at least 1"),
        (["--num_workers=4", "--worker=4"], "worker = 4: must be in 0 .. 3"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_flags_get_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(f"--output={tmp_path / 'dataset'}", *arguments) == 1
    assert words in error_line(capsys)
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted; 20 of 50 samples are finished"),
        (
            OSError(errno.ENOSPC, "No space left on device", "shard-00001.parquet"),
            1,
            "shard-00001.parquet: No space left on device; 20 of 50 samples are finished",
        ),
    ],
    ids=["Ctrl-C", "full disk"],
)
def test_what_is_finished_stays_and_the_same_command_goes_on(
    failure: BaseException,
    status: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = (f"--output={tmp_path / 'dataset'}", "--num=50", "--shard_size=20")
    write_shard = writing.write_shard

    def fail_later(directory, index, *rest):
        if index == 1:
            raise failure
        return write_shard(directory, index, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_shard", fail_later)
        assert execute(*command) == status
    line = error_line(capsys)
    assert words in line
    assert "the same command goes on" in line
    assert execute(*command) == 0
    assert oj.datasets.read(tmp_path / "dataset")[0].batch_shape == (50,)


def test_another_configuration_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (f"--output={tmp_path / 'dataset'}", "--shard_size=20")
    assert execute(*command, "--num=50") == 0
    assert execute(*command, "--num=51") == 1
    assert "num is 50 there and 51 here" in error_line(capsys)


def test_workers_share_the_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = (f"--output={tmp_path / 'dataset'}", "--num=50", "--shard_size=20", "--num_workers=2")
    assert execute(*command, "--worker=0") == 0
    captured = capsys.readouterr()
    assert "dataset (worker 0 of 2): 30 samples in 2 shards" in captured.out
    assert "30.0/30.0" in captured.err  # the progress bar
    assert execute(*command, "--worker=1") == 0
    assert "dataset: 50 samples in 3 shards" in capsys.readouterr().out
    assert oj.datasets.read(tmp_path / "dataset")[0].batch_shape == (50,)
