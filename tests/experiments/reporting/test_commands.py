"""What every command shares: its own flags in --help, and no others taken."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
from absl import flags

from experiments import make_dataset, reproduce
from experiments.graphs import compare, real_graphs
from experiments.paper import figure5
from experiments.reporting import command_line, stage
from experiments.studies import decisions_over_time
from tests.experiments.reporting.test_interrupts import run

ROOT = Path(__file__).parents[3]


def is_command(path: Path) -> bool:
    tests = [node.test for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    return any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)


COMMANDS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("experiments", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # A place of a split network is a process that its study starts.
    if is_command(path) and path.stem != "split_place"
]


def flags_of(define: Any) -> flags.FlagValues:
    values = flags.FlagValues()
    define(values)
    return values


def stage_flags(chosen: stage.Stage) -> flags.FlagValues:
    return flags_of(lambda values: stage.define(chosen, values))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_flags_of_the_command_with_defaults(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(name)
    shown: list[flags.FlagValues] = []

    def show(main: Any, define: Any, **_: Any) -> None:
        shown.append(flags_of(define))

    monkeypatch.setattr(command_line, "run", show)
    code = (ROOT / name.replace(".", "/")).with_suffix(".py").read_text().splitlines()[-1]
    exec(compile(code.strip(), name, "exec"), vars(module))
    (values,) = shown
    text = command_line._help(values)
    for flag in values:
        assert f"--{'[no]' * values[flag].boolean}{flag}: " in text
    assert "verbosity" not in text
    assert text.count("(default: ") == sum(values[flag].default is not None for flag in values)


def test_help_ends_well_and_computes_nothing() -> None:
    status, errors, out = run("-m", "experiments.make_dataset", "--help")
    assert (status, errors) == (0, [])
    assert out.startswith(make_dataset.__doc__ or "no docstring")
    assert "--num: Samples.\n    (default: '100000')" in out


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        (stage_flags(figure5.STAGE), "graph_dir"),
        (stage_flags(figure5.STAGE), "trace_dir"),
        (stage_flags(decisions_over_time.STAGE), "objective"),
        (stage_flags(compare.STAGE), "trace_dir"),
        (stage_flags(real_graphs.STAGE), "seed"),
    ],
)
def test_a_stage_refuses_flags_that_it_would_ignore(values: flags.FlagValues, flag: str) -> None:
    with pytest.raises(flags.Error, match=flag):
        values(["script", f"--{flag}=1"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--family=graphs", "--num_subtasks=4"], "--num_subtasks: is for --family=chains only"),
        (["--family=graphs", "--objective=energy"], "--objective: is for --family=chains only"),
        (["--num_tasks=20"], "--num_tasks: is for --family=graphs only"),
    ],
)
def test_flags_of_the_other_family_are_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = flags_of(make_dataset.define)
    values(["script", f"--output={tmp_path / 'out'}", *arguments])
    assert command_line.execute(make_dataset.main, values) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["file", "file/below", "file/below/that"])
def test_a_folder_that_nothing_can_be_written_to_is_refused_before_any_work(
    folder: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    values = flags_of(reproduce.define)
    values(["reproduce", f"--workdir={tmp_path / folder}"])
    with pytest.raises(ValueError, match=rf"--workdir=.*{folder}: cannot be written to \(.*file"):
        reproduce.main(values)
