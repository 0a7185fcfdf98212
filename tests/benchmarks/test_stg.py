"""The benchmark on the Standard Task Graph Set counts right, on two graphs solved by hand."""

from pathlib import Path

import pytest
from absl import flags

from benchmarks import stg

# Three tasks of 2 s between the dummies: 2, 4 or 6 s. And a fork: 1 s, then 2 s and 3 s.
_PARALLEL = "3\n0 0 0\n1 2 1 0\n2 2 1 0\n3 2 1 0\n4 0 3 1 2 3\n"
_FORK = "3\n0 0 0\n1 1 1 0\n2 2 1 1\n3 3 1 1\n4 0 2 2 3\n"


def folder(path: Path, *rows: str) -> Path:
    (path / "parallel.stg").write_text(_PARALLEL)
    (path / "fork.stg").write_text(_FORK)
    (path / "optimum.csv").write_text("\n".join(("file,processors,makespan", *rows)) + "\n")
    return path


def run(path: Path, *arguments: str) -> None:
    values = flags.FlagValues()
    stg.define(values)
    values(["stg", f"--stg_dir={path}", *arguments])
    stg.main(values)


def test_makespans_and_what_they_are_against_the_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["parallel.stg,1,6", "parallel.stg,2,3", "parallel.stg,3,2", "fork.stg,1,7"]
    run(folder(tmp_path, *rows, "fork.stg,2,4"))
    lines = capsys.readouterr().out.splitlines()
    for makespan, line in zip((6, 4, 2, 6, 4), lines, strict=False):
        assert f": {makespan}, listed" in line and f"bound {makespan}," in line
    assert lines[-1].startswith("4 of 5 reach the listed makespan (80.0%), 5 are proven, 1 are")


def test_the_first_rows_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder(tmp_path, "fork.stg,2,4", "missing.stg,2,4"), "--num_instances=1")
    assert "1 of 1 reach" in capsys.readouterr().out


@pytest.mark.parametrize("row", ["fork.stg,two,4", "fork.stg,2", "fork.stg"])
def test_a_damaged_list_is_named(tmp_path: Path, row: str) -> None:
    with pytest.raises(ValueError, match=r"optimum.csv, line 3: must be file, processors"):
        stg.read_listed(folder(tmp_path, "fork.stg,2,4", row))
