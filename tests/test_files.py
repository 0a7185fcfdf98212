"""Files are written whole or not at all, and folders by one process at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offload_jax import files
from offload_jax.files import is_temporary, locked, replace_file


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for content in (b"one", bytearray(b"two"), memoryview(b"three")):
        replace_file(path, content)
        assert path.read_bytes() == bytes(content)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_failing_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    replace_file(path, b"one")
    with pytest.raises(TypeError):
        replace_file(path, 3)
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.write(-1, b""))
    with pytest.raises(OSError, match=r"file\.txt"):
        replace_file(path, b"two")
    assert [(e.name, e.read_bytes()) for e in tmp_path.iterdir()] == [("file.txt", b"one")]


def test_the_error_names_the_file_and_not_a_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        replace_file(tmp_path / "missing" / "file.txt", b"one")
    assert error.value.filename == str(tmp_path / "missing" / "file.txt")


def test_what_a_killed_write_leaves_is_known(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, runpy, sys\n"
        "replace_file = runpy.run_path(sys.argv[1])['replace_file']\n"
        "os.fsync = lambda descriptor: os._exit(9)\n"
        "replace_file(pathlib.Path(sys.argv[2]), b'half')\n"
    )
    command = [sys.executable, "-c", program, files.__file__, str(tmp_path / "file.txt")]
    assert subprocess.run(command).returncode == 9
    (left,) = tmp_path.iterdir()
    assert is_temporary(left.name)
    assert not is_temporary("file.txt")


def test_a_lock_keeps_others_out_and_is_given_back(tmp_path: Path) -> None:
    first = locked(tmp_path, "notebook")
    first.__enter__()
    second = locked(tmp_path, "notebook")
    with pytest.raises(BlockingIOError, match="another process is writing this notebook"):
        second.__enter__()
    first.__exit__(None, None, None)
    with locked(tmp_path, "notebook"):
        pass
