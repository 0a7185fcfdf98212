"""Files, cached results, the command line, tables, statistics and logs of trainings."""

import importlib.util
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

import offload_jax as oj
from benchmarks.delay import run
from experiments.graphs import compare
from experiments.paper import training
from experiments.reporting import (
    command_line,
    comparison,
    files,
    objective,
    results,
    statistics,
    tables,
    training_log,
)
from experiments.reporting.stage import Settings


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    files.write_text(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="space"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_json_takes_arrays_and_nothing_it_would_have_to_guess(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": jnp.arange(2), "y": np.float64(0.5), "z": (1,)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [0, 1], "y": 0.5, "z": [1]}
    with pytest.raises(TypeError, match="set"):
        files.write_json(tmp_path / "b.json", {"x": {1}})
    assert not (tmp_path / "b.json").exists()


@pytest.fixture
def counting():
    def compute():
        compute.calls += 1
        return {"x": np.arange(3)}

    compute.calls = 0
    return compute


def test_results_are_reused_until_the_configuration_changes(tmp_path, counting):
    path = tmp_path / "r.json"
    first = results.cached(path, {"sizes": (1, 2)}, counting)
    assert first["x"] == [0, 1, 2]
    assert first["cpu_seconds"] >= 0
    assert results.cached(path, {"sizes": (1, 2)}, counting) == first
    assert counting.calls == 1
    results.cached(path, {"sizes": (1, 3)}, counting)
    assert counting.calls == 2


def test_what_has_no_value_is_the_same_again(tmp_path):
    path, config = tmp_path / "r.json", {"limits": np.array([np.nan, np.inf])}
    first = results.cached(path, config, lambda: {"x": np.array([np.nan, -np.inf])})
    assert first["x"] == [None, -np.inf]
    assert results.cached(path, config, lambda: pytest.fail("computed again")) == first


@pytest.mark.parametrize("package", ["offload_jax", "jax", "numpy", "backend", "code"])
def test_results_of_other_software_are_made_again(tmp_path, counting, package):
    path = tmp_path / "r.json"
    results.cached(path, {}, counting)
    stored = json.loads(path.read_text())
    stored["versions"][package] += "x"
    path.write_text(json.dumps(stored))
    results.cached(path, {}, counting)
    assert counting.calls == 2


def test_changed_code_is_another_version(tmp_path):
    module = tmp_path / "made_here.py"
    digests = []
    for text in ("def compute():\n    return {}\n", "def compute():\n    return {'x': 1}\n"):
        module.write_text(text)
        spec = importlib.util.spec_from_file_location("made_here", module)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        digests.append(results.versions(loaded.compute)["code"])
    assert digests[0] != digests[1]


def test_changed_code_behind_an_import_is_another_version(tmp_path):
    (tmp_path / "package").mkdir()
    files = {
        "made_here.py": "def compute():\n    from package import helper\n    return helper.x\n",
        "package/__init__.py": "",
        "package/helper.py": "import package.deeper as deeper\nx = deeper.x\n",
        "package/deeper.py": "x = {}\n",
        "package/stranger.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    source = tmp_path / "made_here.py"
    found = {str(path.relative_to(tmp_path)) for path in results.imported_files(source)}
    assert found == files.keys() - {"package/stranger.py"}
    before = results.code_digest(source)
    (tmp_path / "package" / "stranger.py").write_text("y = 1\n")
    assert results.code_digest(source) == before
    (tmp_path / "package" / "deeper.py").write_text("x = {'y': 1}\n")
    assert results.code_digest(source) != before


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        (training, {"evaluation", "presets", "statistics", "results", "training_log"}),
        (compare, {"contenders", "training", "test_sets", "presets", "statistics"}),
        (run, {"measure", "protocols", "environment", "family"}),
    ],
)
def test_results_depend_on_what_their_experiment_imports(module, wanted):
    found = {path.stem for path in results.imported_files(Path(module.__file__))}
    assert wanted <= found
    assert not found & {"figure6", "decision_map", "solve"}


def test_a_foreign_file_is_named_and_left_alone(tmp_path, counting):
    path = tmp_path / "mine.json"
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"mine\.json"):
        results.cached(path, {"a": 1}, counting)
    assert path.read_text() == "[1, 2]"


def test_cpu_seconds_are_summed_over_all_parts():
    tree = {"cpu_seconds": 1.0, "trained": {"a": {"cpu_seconds": 2.0, "x": 5.0}}, "rows": [1]}
    assert results.total_cpu_seconds(tree) == 3.0


def test_intervals_over_trainings_by_hand():
    summary = statistics.summarize([{"x": 1.0}, {"x": 2.0}, {"x": 6.0}])
    # Mean 3, standard deviation sqrt(7), Student's t of two degrees of freedom 4.30.
    assert summary["x"] == pytest.approx(3.0)
    assert summary["x_interval"] == pytest.approx(4.30 * np.sqrt(7.0 / 3.0), rel=1e-3)
    assert summary["trainings"] == 3
    assert "x_interval" not in statistics.summarize([{"x": 1.0}])


def _row(*per_seed):
    return {"ratio_of_means": float(np.mean(per_seed)), "per_seed": list(per_seed)}


def test_trainings_on_the_same_seeds_are_compared_in_pairs():
    low, high = _row(1.0, 1.1, 1.2), _row(1.03, 1.12, 1.24)
    mean, width = comparison.difference(low, high)
    assert mean == pytest.approx(-0.03)
    # t(0.975, 2) = 4.303, standard deviation 0.01 of three differences.
    assert width == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-3)
    # Only seeds that both have count.
    assert comparison.difference(low, _row(1.03, 1.12, 1.24, 9.0)) == (mean, width)


def test_policies_without_trainings_are_the_same_for_every_seed():
    mean, width = comparison.difference(_row(1.0, 1.1, 1.2), {"ratio_of_means": 1.2})
    assert mean == pytest.approx(-0.1)
    assert width == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-3)
    assert comparison.difference(_row(1.1), {"ratio_of_means": 1.2})[1] is None


def test_claims_hold_fail_or_stay_open():
    rows = {"a": _row(1.0, 1.1), "b": _row(1.2, 1.301), "c": _row(1.3, 1.0), "d": _row(1.4)}
    pairs = [("a", "b"), ("b", "a"), ("a", "c"), ("a", "d")]
    lines = comparison.claims(rows, pairs).splitlines()[2:]
    verdicts = [line.split("|")[2].strip() for line in lines]
    assert verdicts == ["holds", "fails", "open", "holds"]
    assert [line.split("|")[4].strip() for line in lines] == ["2", "2", "2", "1"]
    assert "±" not in lines[3]


def test_policies_have_names_for_readers():
    assert comparison.title("kd_dil_paper") == "KD-DIL (paper)"
    assert comparison.title("kd_matched_10") == "KD-DIL (T = 10, matched)"
    assert comparison.title("some_policy_of_mine_2") == "Some policy of mine 2"


def test_bars_take_policies_without_interval(tmp_path):
    rows = {"greedy": {"ratio_of_means": 1.3, "ratio_of_means_interval": 0.1}, "edge": _row(26.0)}
    comparison.bars(tmp_path / "bars.png", {"a": rows}, quantity="latency", heading="")
    assert (tmp_path / "bars.png").stat().st_size > 1000


def test_tables_keep_text_and_round_floats():
    table = tables.markdown(["a", "b"], [["x", 1.0], ["1.0440", 12.3456]], digits=2)
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()]
    assert cells[2:] == [["x", "1.00"], ["1.0440", "12.35"]]
    assert cells[1][1].endswith(":")  # numbers to the right
    assert not cells[1][0].endswith(":")


@pytest.mark.parametrize("progress", [True, False])
def test_metrics_of_an_interrupted_training_are_replaced(tmp_path, progress, monkeypatch):
    settings = Settings(tmp_path, progress=progress)
    with training_log.logged("run", 3, settings) as on_epoch:
        for epoch in (1, 2, 3):
            on_epoch(epoch, {"loss": 1.0})
    path = tmp_path / "metrics" / "run.jsonl"
    with path.open("a") as file:
        file.write('{"epoch": 4, "lo')
    rewritten = []
    write_text = files.write_text

    def count(path, text):
        rewritten.append(path)
        write_text(path, text)

    monkeypatch.setattr(files, "write_text", count)
    with training_log.logged("run", 4, settings) as on_epoch:
        on_epoch(3, {"loss": 2.0})
        on_epoch(4, {"loss": 3.0})
        # A reader sees every epoch as soon as it is over.
        assert len(path.read_text().splitlines()) == 4
    assert training_log.learning_curve("run", settings) == {
        "epoch": [1, 2, 3, 4],
        "loss": [1.0, 1.0, 2.0, 3.0],
    }
    assert len(rewritten) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("latency", oj.LATENCY), ("energy", oj.ENERGY), ("1,0.5", oj.Objective(1.0, 0.5))],
)
def test_objectives_have_names_or_weights(text, expected):
    assert objective.parse(text) == expected


@pytest.mark.parametrize("text", ["speed", "1", "1,2,3", "0,0", "-1,1", "nan,1"])
def test_other_objectives_are_refused(text):
    with pytest.raises(ValueError, match="objective|weight"):
        objective.parse(text)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("field: bad\nvalue"), 1, "field: bad value"),
        (OSError(28, "No space left on device", "file"), 1, "file: No space left on device; run"),
        (BlockingIOError(11, "in use", "folder"), 1, "folder: in use"),
        (FloatingPointError("loss is nan"), 1, "loss is nan"),
        (KeyboardInterrupt(), 130, "interrupted; run again to go on"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_become_one_line(error, status, line, capsys):
    def main(values):
        raise error

    assert command_line.execute(main, flags.FlagValues()) == status
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


def test_scripts_share_their_flags():
    values = flags.FlagValues()
    command_line.define(values, "workdir", "preset", "seed", "objective", seed=7)
    values(["script", "--preset=paper"])
    assert (values.workdir, values.preset, values.seed) == ("runs/reproduce", "paper", 7)
    for wrong in ("--preset=full", "--seed=x", "--colour=red"):
        with pytest.raises(flags.Error, match=wrong.split("=")[0].strip("-")):
            values(["script", wrong])


@pytest.mark.parametrize("argument", ["--seed=many", "--colour=red", "stray"])
def test_flags_that_do_not_parse_get_one_line(argument, capsys):
    values = flags.FlagValues()
    command_line.define(values, "seed")
    assert command_line._parse(values, ["script", argument]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert argument.split("=")[0].strip("-") in line
