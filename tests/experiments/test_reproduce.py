"""The main job at tiny size: results, figures, report, and doing nothing twice."""

import dataclasses
import json
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from absl import flags

import offload_jax as oj
from experiments import package_students, reproduce
from experiments.paper import evaluation, presets, training
from experiments.paper.presets import PRESETS
from experiments.reporting import command_line
from experiments.studies import real_tasks
from offload_jax.chains import learned
from offload_jax.graphs._jax import policy as graph_policy
from offload_jax.learning.parameters import num_parameters
from tests.experiments.conftest import TINY

UNTRAINED = {"optimal", "greedy", "greedy_with_return", "local", "edge", "cloud", "random"}
LARGE = {"large_dil_paper", "large_dil_paper_shared", "large_dil", "large_dil_stream"}
DRL = {"drl", "drl_raw"}
STUDENTS = {"baseline_dil", "kd_dil_paper", "kd_dil", "drl_small"}
ON_GRAPHS = {f"graph_{name}" for name in ("teacher", "first", "student", "taught", "baseline")}
VARIANTS = {"baseline_dil_raw", "kd_dil_paper_raw", "kd_matched_5"}


def test_every_policy_has_every_metric(finished):
    large, small = finished.results["figure 5"], finished.results["figure 6"]
    assert set(large["untrained"][evaluation.LITERAL]) == UNTRAINED
    assert set(large["trained"]) == LARGE | DRL
    assert set(small["trained"]) == STUDENTS | VARIANTS
    rows = [row for scenario in large["untrained"].values() for row in scenario.values()]
    for entry in [*large["trained"].values(), *small["trained"].values()]:
        rows += [entry[scenario] for scenario in training.MEASURED_ON]
    for row in rows:
        assert all(row[name] > 0.999 for name in evaluation.AGGREGATES)
        assert row["p99"] >= row["median"]
        assert len(row["accuracy_per_subtask"]) == 6
        assert 0 <= row["accuracy_whole_decision"] <= row["accuracy"] <= 1
    optimal = large["untrained"][evaluation.LITERAL]["optimal"]
    assert optimal["ratio_of_means"] == pytest.approx(1.0, abs=1e-6)
    assert optimal["accuracy_whole_decision"] == 1.0


def test_metrics_are_means_over_trainings(finished):
    for name, entry in finished.results["figure 6"]["trained"].items():
        row = entry[evaluation.LITERAL]
        assert len(row["per_seed"]) == entry["trainings"] == (1 if name in VARIANTS else 2)
        assert row["ratio_of_means"] == pytest.approx(np.mean(row["per_seed"]))
        assert ("ratio_of_means_interval" in row) == (name not in VARIANTS)


def test_no_interval_where_there_is_no_mean(finished):
    untrained = finished.results["figure 5"]["untrained"]
    without = {
        name
        for name, row in untrained[evaluation.LITERAL].items()
        if "ratio_of_means_interval" not in row
    }
    assert without == {"edge", "cloud", "random"}
    for row in untrained[evaluation.FLOORED].values():
        assert "ratio_of_means_interval" in row
    assert "their mean does not exist" in finished.report


def test_checkpoints_are_the_policies_of_the_tables(finished):
    folder = finished.settings.workdir / "checkpoints"
    # Variants leave none.
    assert {path.name for path in folder.iterdir()} == LARGE | DRL | STUDENTS | ON_GRAPHS
    problem = evaluation.sample_requests(evaluation.LITERAL, TINY.num_test)
    entries = finished.results["figure 5"]["trained"] | finished.results["figure 6"]["trained"]
    for name in ("large_dil", "kd_dil", "baseline_dil", "drl", "drl_small"):
        policy = oj.policies.load(folder / name)
        ratio = float(oj.metrics.normalized_latency(problem, policy(problem)).ratio_of_means)
        assert ratio == pytest.approx(entries[name][evaluation.LITERAL]["per_seed"][0], rel=1e-5)


def test_the_report_shows_every_figure_and_says_what_it_is_about(finished):
    shown = set(re.findall(r"\(figures/(\w+)\.png\)", finished.report))
    assert shown == finished.figures()
    assert {"figure5", "figure6", "random_chains", "temperatures", "pareto"} <= shown
    assert not (finished.settings.workdir / "report.partial.md").exists()
    assert "Preset tiny, objective latency, seed 0" in finished.report
    # Sizes are those of the run, wherever they are named.
    assert "policies trained on 100 wide requests" in finished.report
    assert "policies trained on 100 narrow requests" in finished.report
    assert "100 000" not in finished.report
    assert "100,000" not in finished.report


def test_the_report_says_what_stages_cost(finished):
    times = finished.report.split("## Time")[1]
    seconds = {
        name.strip(): float(value)
        for name, value in re.findall(r"^\| ([a-z][\w ]+?) +\| +([\d.]+) \|$", times, re.M)
    }
    total = seconds.pop("total")
    assert set(seconds) == set(finished.results)
    assert total == pytest.approx(sum(seconds.values()), abs=0.5)
    assert seconds["figure 5"] > 0


def test_decisions_have_one_notation(finished):
    assert re.search(r"\d+[DEC]( \d+[DEC])+", finished.report)
    assert not re.search(r"\b[DEC]\d+ [DEC]\d+", finished.report)


def test_a_second_run_computes_nothing_and_draws_what_was_deleted(finished, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(training, "train_imitation", refuse)
    monkeypatch.setattr(training, "train_dqn", refuse)
    monkeypatch.setattr(evaluation, "evaluate", refuse)
    monkeypatch.setattr(oj, "solve", refuse)
    before = finished.figures()
    for path in (finished.settings.workdir / "figures").iterdir():
        path.unlink()
    first, again = finished.results, reproduce.run(finished.settings)
    assert [*again] == [*first]
    assert [name for name in again if again[name] != first[name]] == []
    assert finished.figures() == before
    assert (finished.settings.workdir / "report.md").read_text() == finished.report


def test_an_interrupted_run_leaves_the_finished_report(finished, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    first, second, *_ = reproduce.STAGES
    stages = (first, dataclasses.replace(second, compute=stop))
    monkeypatch.setattr(reproduce, "STAGES", stages)
    with pytest.raises(KeyboardInterrupt):
        reproduce.run(finished.settings)
    partial = finished.settings.workdir / "report.partial.md"
    assert "## Random chains" in partial.read_text()
    assert (finished.settings.workdir / "report.md").read_text() == finished.report
    partial.unlink()


def test_a_deleted_checkpoint_is_trained_again(finished, tmp_path, monkeypatch):
    """The cached result alone would leave later stages without the policy."""
    asked = []
    monkeypatch.setattr(
        training, "cached", lambda path, config, compute: asked.append(path.exists()) or {}
    )
    settings = dataclasses.replace(finished.settings, workdir=tmp_path)
    path = settings.result("trained/baseline_dil")
    path.parent.mkdir(parents=True)
    for kept in (False, True):
        path.write_text("{}")
        if kept:
            (tmp_path / "checkpoints" / "baseline_dil").mkdir(parents=True)
        training.trained("baseline_dil", TINY.rows["baseline_dil"], settings)
    assert asked == [False, True]


@pytest.mark.parametrize("objective", [oj.LATENCY, oj.ENERGY, oj.Objective(1.0, 0.5)])
def test_the_main_table_names_what_is_minimised(finished, objective):
    settings = dataclasses.replace(finished.settings, objective=objective)
    table = reproduce.main_table(finished.results, settings)
    named = {oj.LATENCY: "latency", oj.ENERGY: "energy"}.get(objective, "weighted cost")
    assert table.startswith(f"{named} / optimal")
    for name in ("Large DIL (best)", "KD-DIL (paper)", "Greedy + return leg"):
        assert name in table


def test_sections_name_what_is_minimised(finished):
    settings = dataclasses.replace(finished.settings, objective=oj.ENERGY)
    for stage in reproduce.STAGES:
        if not stage.latency_only and stage.name != "fronts":
            assert "latency" not in stage.section(finished.results[stage.name], settings).lower()


def test_stages_about_latency_are_left_out_for_other_objectives(tmp_path, monkeypatch):
    stage = reproduce.STAGES[0]
    left_out = dataclasses.replace(stage, name="b", compute=lambda _: 1 / 0, latency_only=True)
    plain = dataclasses.replace(
        stage, name="a", compute=lambda _: {}, section=lambda *_: "text", draw=None
    )
    monkeypatch.setattr(reproduce, "STAGES", (plain, left_out))
    settings = reproduce.Settings(tmp_path, objective=oj.ENERGY)
    assert reproduce.run(settings) == {"a": {}}
    assert "objective energy" in (tmp_path / "report.md").read_text()


def test_claims_about_fixed_places_are_settled_by_the_tables(finished):
    rows = finished.results["random chains"]["scenarios"]
    assert set(rows) == {"wide", "narrow", "wide-floor-0.5MBps", "narrow-floor-0.5MBps"}
    section = finished.report.split("### The paper's claims about fixed places")[1]
    (line,) = re.findall(r"^\| wide +\| edge < cloud.*$", section, re.M)
    verdicts = re.findall("holds|fails", line)
    edge, cloud = rows["wide"]["edge"], rows["wide"]["cloud"]
    expected = ["holds" if edge[n] < cloud[n] else "fails" for n in evaluation.AGGREGATES]
    assert verdicts == expected


def test_real_tasks_cover_conditions_and_traces(finished):
    results = finished.results["real tasks"]
    assert len(results["conditions"]) == 12
    for row in results["conditions"]:
        single = min(row["single_cost"].values())
        assert row["optimal_cost"] <= single * (1 + 1e-6)
    # Five samples for each of three pairs of processors.
    assert results["traces"]["AlexNet"]["cases"] == 15


def test_summary_counts_splits_by_hand():
    stats = real_tasks.summary(np.array([0.0, 0.2, 0.4, 0.0]), np.array([0, 2, 2, 1]))
    assert stats["split_share"] == 0.5
    assert stats["mean_gain_when_split"] == pytest.approx(0.3)
    assert stats["max_gain"] == pytest.approx(0.4)
    assert stats["best_single_share"] == [0.25, 0.25, 0.5]


def test_a_folder_without_traces_is_refused_before_any_work(tiny, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="empty"):
        reproduce.run(reproduce.Settings(tmp_path / "out", "tiny", trace_dir=empty))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_have_the_sizes_of_the_paper(preset):
    assert (preset.num_wide, preset.num_narrow, preset.num_test) == (100_000, 1_000, 10_000)
    rows = presets.student_rows(preset)
    assert num_parameters(preset.rows["large_dil_paper"].model) == 1_611_282
    assert num_parameters(preset.rows["large_dil"].model) <= 1_611_282
    for name in ("baseline_dil", "kd_dil_paper", "kd_dil", "kd_dil_paper_raw"):
        assert num_parameters(rows[name].model) == 10_386
        assert rows[name].requests == "narrow"
    assert rows["kd_dil_paper"].temperature == 5.0
    assert rows["kd_matched_10"].training.temperature == rows["kd_matched_10"].temperature == 10.0


def test_the_paper_preset_repeats_every_training():
    assert min(row.trainings for row in PRESETS["paper"].rows.values()) >= 3
    # What the default leaves out is not the paper's.
    extra = set(PRESETS["paper"].rows) - set(PRESETS["default"].rows)
    assert extra == {"large_dil_stream", "drl_raw"}


def test_everything_learns_another_objective(tiny, tmp_path):
    objective = oj.Objective(1.0, 0.5)
    settings = reproduce.Settings(tmp_path, "tiny", objective=objective, progress=False)
    preset = presets.of(settings)
    assert all(row.model.objective == objective for row in preset.rows.values())
    # Reversing a chain changes its energy.
    assert not preset.rows["large_dil"].model.symmetric
    requests = training.training_requests("wide", preset, 0)
    target = training.labelled(requests, objective).target
    best = oj.solve(requests, objective=objective).decision
    np.testing.assert_array_equal(np.argmax(target, axis=-1), best)
    entry = training.trained("kd_dil", preset.rows["kd_dil"], settings)
    student = oj.policies.load(tmp_path / "checkpoints" / "kd_dil")
    assert student.config.objective == objective
    problem = evaluation.sample_requests(evaluation.LITERAL, preset.num_test)
    ratio = oj.metrics.normalized_latency(problem, student(problem), objective=objective)
    assert entry[evaluation.LITERAL]["per_seed"][0] == pytest.approx(
        float(ratio.ratio_of_means), rel=1e-5
    )


def test_scripts_refuse_an_unknown_objective_in_one_line(tmp_path, capsys):
    """The whole job here, the script of one figure as a process."""
    arguments = ["--objective=speed", f"--workdir={tmp_path / 'out'}"]
    values = flags.FlagValues()
    reproduce.define(values)
    values(["reproduce", *arguments])
    command = [sys.executable, "-m", "experiments.paper.figure5", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert command_line.execute(reproduce.main, values) == result.returncode == 1
    for message in (capsys.readouterr().err, result.stderr):
        assert "'speed' is neither latency, energy nor two weights" in message
        assert len(message.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_metrics_of_trainings_are_json_lines(finished):
    lines = (finished.settings.workdir / "metrics" / "large_dil_0.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert {"epoch", "loss", "seconds"} <= set(json.loads(lines[0]))


def test_the_student_of_a_run_can_be_packaged(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(learned, "STUDENT", tmp_path / "student.npz")
    monkeypatch.setattr(graph_policy, "STUDENT", tmp_path / "graph_student.npz")
    workdir = finished.settings.workdir
    package_students.main(types.SimpleNamespace(workdir=workdir))
    shipped = oj.policies.student()
    kept = oj.policies.load(workdir / "checkpoints" / "kd_dil")
    assert shipped.config == kept.config
    bias = kept.params["networks"]["layer_0"]["bias"]
    np.testing.assert_allclose(shipped.params["networks"]["layer_0"]["bias"], bias, atol=1e-3)
    with pytest.raises(ValueError, match="holds neither kd_dil nor graph_student"):
        package_students.main(types.SimpleNamespace(workdir=tmp_path))
