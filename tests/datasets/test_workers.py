"""Several workers write the dataset that one would have written, whatever happens to them."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from offload_jax.datasets import Manifest, manifest, read, read_manifest, workers, write
from tests.datasets import toy
from tests.datasets.test_datasets import contents

CONFIG = toy.DatasetConfig(26, 3)  # 7 shards, the last of 2
PART = "_manifest-00001-of-00003.json"


@pytest.fixture(autouse=True)
def _family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(manifest.FAMILIES, "toy", "tests.datasets.toy")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of one worker, without its lock."""
    directory = tmp_path_factory.mktemp("alone") / "dataset"
    write(directory, CONFIG)
    files = contents(directory)
    del files[".lock"]
    return files


def part(directory: Path, index: int, num: int = 3, **options) -> Manifest:
    return write(directory, CONFIG, worker=index, num_workers=num, **options)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_workers_write_what_one_would(
    order: tuple[int, ...], alone: dict[str, bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "dataset"
    counts = {0: 3, 1: 2, 2: 2}  # shards 0 3 6, 1 4, 2 5
    for index in order[:-1]:
        told: list[int] = []
        assert not part(
            directory, index, progress=lambda n, note, told=told: told.append(n)
        ).complete
        assert len(told) == 1 + counts[index]
        with pytest.raises(ValueError, match="parts are not one dataset yet"):
            read(directory)
    assert part(directory, order[-1]).complete
    assert contents(directory) == alone
    assert read_manifest(directory).num_finished == 26


def test_more_workers_than_shards(alone: dict[str, bytes], tmp_path: Path) -> None:
    done = [part(tmp_path / "dataset", index, 9).complete for index in range(9)]
    assert done == [False] * 8 + [True]
    assert contents(tmp_path / "dataset") == alone


def test_a_finished_dataset_is_left_as_it_is(alone: dict[str, bytes], tmp_path: Path) -> None:
    for index in (0, 1, 2, 1):
        manifest = part(tmp_path, index)
    assert manifest.complete
    assert contents(tmp_path) == alone
    # What a worker that was killed while it merged leaves.
    (tmp_path / PART).write_text("half")
    assert part(tmp_path, 2).complete
    assert contents(tmp_path) == alone


def test_two_may_merge_at_once(
    alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in (0, 1):
        part(tmp_path, index)
    load = workers.load_manifest

    def overtaken(path: Path) -> Manifest:
        monkeypatch.setattr(workers, "load_manifest", load)
        if path.name == PART:
            assert workers.merge(tmp_path, CONFIG, 3) is not None
        else:
            monkeypatch.setattr(workers, "load_manifest", overtaken)
        return load(path)

    monkeypatch.setattr(workers, "load_manifest", overtaken)
    assert part(tmp_path, 2).complete  # part 0 was there when it looked, part 1 is gone
    assert contents(tmp_path) == alone


def test_a_killed_worker_goes_on_elsewhere(alone: dict[str, bytes], tmp_path: Path) -> None:
    """Killed in its second shard, continued on another machine's mount, that is another path."""
    directory = tmp_path / "here"
    part(directory, 0)
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from offload_jax.datasets import manifest, parquet, write\n"
        "from tests.datasets import toy\n"
        "manifest.FAMILIES['toy'] = 'tests.datasets.toy'\n"
        "fsync, count = os.fsync, 0\n"
        "def killed(descriptor):\n"
        "    global count\n"
        "    name = os.readlink(f'/proc/self/fd/{descriptor}')\n"
        "    if 'shard-00004' in name:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    fsync(descriptor)\n"
        "os.fsync = killed\n"
        "write(sys.argv[1], toy.DatasetConfig(26, 3), worker=1, num_workers=3)\n"
    )
    command = [sys.executable, "-c", program, str(directory)]
    root = Path(__file__).parents[2]
    assert subprocess.run(command, cwd=root).returncode == -signal.SIGKILL
    (left,) = directory.glob(".shard*")
    assert left.name.startswith(".shard-00004.parquet.")
    # What others are about to write stays.
    (directory / ".shard-00005.parquet.0.partial").write_text("half")
    there = directory.rename(tmp_path / "there")
    before = {path.name: path.stat().st_mtime_ns for path in there.glob("*.parquet")}
    told: list[int] = []
    part(there, 1, progress=lambda num_finished, note: told.append(num_finished))
    assert told == [4, 8]  # the first of its two shards was kept
    after = {path.name: path.stat().st_mtime_ns for path in there.glob("*.parquet")}
    assert {name: after[name] for name in before} == before
    assert [path.name for path in there.glob(".shard*")] == [".shard-00005.parquet.0.partial"]
    part(there, 2)
    assert contents(there) == alone


def test_a_damaged_shard_is_made_again_by_its_worker(
    alone: dict[str, bytes], tmp_path: Path
) -> None:
    for index in (0, 1):
        part(tmp_path, index)
    os.truncate(tmp_path / "shard-00004.parquet", 100)
    notes: list[str] = []
    part(tmp_path, 1, progress=lambda num_finished, note: notes.append(note))
    assert "shard-00004.parquet: 100 bytes instead of" in notes[0]
    part(tmp_path, 2)
    assert contents(tmp_path) == alone
    os.truncate(tmp_path / "shard-00004.parquet", 100)
    assert part(tmp_path, 0).complete
    with pytest.raises(ValueError, match=r"00004\.parquet: 100 .*`write` without a worker repairs"):
        part(tmp_path, 1)
    write(tmp_path, CONFIG)
    assert contents(tmp_path) == {**alone, ".lock": b""}


@pytest.mark.parametrize(
    ("worker", "num_workers", "words"),
    [
        (0, 0, "num_workers = 0: must be at least 1"),
        (1, 1, r"worker = 1: must be in 0 \.\. 0 \(num_workers = 1\)"),
        (8, 8, r"worker = 8: must be in 0 \.\. 7 \(num_workers = 8\)"),
        (-1, 8, "worker = -1"),
        (0, True, "num_workers = True: must be an integer"),
    ],
)
def test_bad_numbers(worker, num_workers, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        write(tmp_path / "dataset", CONFIG, worker=worker, num_workers=num_workers)
    assert not (tmp_path / "dataset").exists()


def interrupted(directory: Path, **options) -> None:
    """Begins and stops after a shard."""

    def stop(num_finished: int, note: str) -> None:
        if num_finished:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(directory, CONFIG, progress=stop, **options)


@pytest.mark.parametrize(("begun", "asked"), [(3, 4), (3, 1), (1, 3)], ids=str)
def test_another_number_of_workers_is_refused(begun: int, asked: int, tmp_path: Path) -> None:
    interrupted(tmp_path, worker=0, num_workers=begun)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f"begun with num_workers = {begun}, asked for {asked}"):
        write(tmp_path, CONFIG, worker=0, num_workers=asked)
    assert contents(tmp_path) == before


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    part(tmp_path, 0)
    before = contents(tmp_path)
    for index in (0, 1):
        with pytest.raises(ValueError, match="seed is 0 there and 1 here"):
            write(tmp_path, toy.DatasetConfig(26, 3, seed=1), worker=index, num_workers=3)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("when", ["before", "at once"])
def test_other_software_is_refused(when: str, tmp_path: Path) -> None:
    def other(index: int) -> None:
        path = tmp_path / f"_manifest-{index:05d}-of-00003.json"
        data = json.loads(path.read_text())
        data["versions"]["numpy"] = "0.1"
        path.write_text(json.dumps(data))

    part(tmp_path, 0)
    if when == "before":
        other(0)
        with pytest.raises(ValueError, match="software: numpy is 0.1 there"):
            part(tmp_path, 1)
        assert not (tmp_path / PART).exists()
    else:
        part(tmp_path, 1)
        other(1)
        with pytest.raises(
            ValueError, match=r"software: numpy is \S+ there and 0\.1 here|0\.1 there"
        ):
            part(tmp_path, 2)
        assert not (tmp_path / "_manifest.json").exists()


def test_a_worker_runs_once_and_beside_others(tmp_path: Path) -> None:
    with open(tmp_path / ".lock-00001-of-00003", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match=r"writing this part of the dataset \(worker 1\)"):
            part(tmp_path, 1)
        part(tmp_path, 0)
