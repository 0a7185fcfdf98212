"""Every script of learned policies, at tiny size, in the order in which they need each other."""

import dataclasses
import json

import numpy as np
import pytest

import offload_jax as oj
from experiments.paper import distill_student, figure5, figure6, learned
from experiments.paper.presets import PRESETS, QUICK
from experiments.reporting import objective
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.learning.parameters import num_parameters

_SMALL = {"num_epochs": 2, "batch_size": 50}
_DQN = dataclasses.replace(QUICK.dqn, num_epochs=2, steps_per_epoch=2, replay_size=600)
TINY = dataclasses.replace(
    QUICK,
    name="tiny",
    num_wide=100,
    num_narrow=100,
    num_test=100,
    num_seeds=2,
    num_seeds_compared=2,
    temperatures=(5.0,),
    teacher_paper_model=ImitationConfig(hidden=(4,)),
    teacher_shared_model=ImitationConfig(hidden=(4,), sharing="shared"),
    teacher_model=dataclasses.replace(QUICK.teacher_model, hidden=(4, 4)),
    student_model=ImitationConfig(hidden=(4,), feature_set="physical"),
    q_model=QNetworkConfig(hidden=(4,)),
    teacher_paper=dataclasses.replace(QUICK.teacher_paper, **_SMALL),
    teacher_shared=dataclasses.replace(QUICK.teacher_shared, **_SMALL),
    teacher=dataclasses.replace(QUICK.teacher, recombined=20, **_SMALL),
    teacher_stream=dataclasses.replace(QUICK.teacher, recombined=0, **_SMALL),
    student=dataclasses.replace(QUICK.student, **_SMALL),
    student_variations=dataclasses.replace(QUICK.student_variations, **_SMALL),
    dqn=_DQN,
    dqn_raw=_DQN,
    dqn_small=_DQN,
)
AGGREGATES = ("ratio_of_means", "mean", "median", "geometric_mean", "p99")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Figures 5 and 6 from nothing."""
    workdir = tmp_path_factory.mktemp("learned")
    return (
        workdir,
        figure5.run(TINY, workdir, progress=False),
        figure6.run(TINY, workdir, progress=False),
    )


def test_figures_hold_every_policy_and_every_metric(finished):
    _, large, small = finished
    expected = {"optimal", "greedy", "greedy_with_return", "local", "edge", "cloud", "random"}
    expected |= {"large_dil_paper", "large_dil_paper_shared", "large_dil", "large_dil_stream"}
    expected |= {"drl", "drl_raw"}
    assert set(large) == expected | {"floor"}
    assert set(large["floor"]) == expected
    rows = [entry for name, entry in small.items() if name != "orderings"]
    rows += [entry for name, entry in large.items() if name != "floor"]
    for row in [*rows, *large["floor"].values()]:
        assert all(row[name] > 0.999 for name in AGGREGATES)
        assert len(row["accuracy_per_subtask"]) == 6
        assert 0 <= row["accuracy_whole_decision"] <= row["accuracy"] <= 1
    assert large["optimal"]["accuracy_whole_decision"] == 1.0
    for name in ("baseline_dil", "kd_dil_paper", "kd_dil", "drl_small", "kd_matched_5"):
        assert small[name]["seeds"] == 2
        assert len(small[name]["per_seed"]) == 2
        assert small[name]["ratio_of_means"] == pytest.approx(np.mean(small[name]["per_seed"]))


def test_checkpoints_results_and_figures_lie_where_they_should(finished):
    workdir, large, small = finished
    problem = learned.test_set(TINY.num_test)
    for name in ("large_dil", "kd_dil", "baseline_dil", "drl", "drl_small"):
        policy = oj.policies.load(workdir / "checkpoints" / name)
        ratio = float(oj.metrics.normalized_latency(problem, policy(problem)).ratio_of_means)
        reported = (large[name] if name in large else {**small[name]}).get("ratio_of_means")
        if name in small:
            reported = small[name]["per_seed"][0]
        assert ratio == pytest.approx(reported, rel=1e-5)
    for name in ("figure5", "figure6"):
        stored = json.loads((workdir / "results" / f"{name}.json").read_text())
        assert set(stored) == {"config", "results"}
    for name in ("figure5", "figure6", "dqn_curve", "temperatures"):
        assert (workdir / "figures" / f"{name}.png").stat().st_size > 1000


def test_metrics_are_json_lines(finished):
    workdir, _, _ = finished
    lines = (workdir / "metrics" / "large_dil.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert {"epoch", "loss", "seconds"} <= set(json.loads(lines[0]))


def test_second_run_trains_nothing(finished, monkeypatch):
    workdir, large, small = finished

    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    for module in ("train_teacher", "distill_student"):
        monkeypatch.setattr(f"experiments.paper.{module}.train_imitation", refuse)
    monkeypatch.setattr("experiments.paper.train_dqn.train_dqn", refuse)
    assert figure5.run(TINY, workdir, progress=False) == large
    assert figure6.run(TINY, workdir, progress=False) == small


def test_metrics_of_an_interrupted_training_are_replaced(tmp_path):
    with learned.reported("run", 3, tmp_path, progress=False) as on_epoch:
        for epoch in (1, 2, 3):
            on_epoch(epoch, {"loss": 1.0})
    with (tmp_path / "metrics" / "run.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo')
    with learned.reported("run", 3, tmp_path, progress=False) as on_epoch:
        on_epoch(3, {"loss": 2.0})
    curve = learned.learning_curve(tmp_path, "run")
    assert [entry["loss"] for entry in curve] == [1.0, 1.0, 2.0]


def test_intervals_over_seeds_by_hand():
    summary = learned.summarize([{"x": 1.0}, {"x": 2.0}, {"x": 6.0}])
    # Mean 3, standard deviation sqrt(7), Student's t of two degrees of freedom 4.30.
    assert summary["x"] == pytest.approx(3.0)
    assert summary["x_interval"] == pytest.approx(4.30 * np.sqrt(7.0 / 3.0), rel=1e-3)
    assert summary["seeds"] == 3


def test_claims_need_intervals_that_do_not_touch():
    low = {"ratio_of_means": 1.1, "ratio_of_means_interval": 0.05, "per_seed": []}
    high = {"ratio_of_means": 1.2, "ratio_of_means_interval": 0.06, "per_seed": []}
    assert figure6.compare(low, high)["better"]
    assert not figure6.compare(low, high)["intervals_apart"]
    assert figure6.compare(low, {"ratio_of_means": 1.2})["intervals_apart"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_have_the_sizes_of_the_paper(preset):
    assert (preset.num_wide, preset.num_narrow, preset.num_test) == (100_000, 1_000, 10_000)
    assert num_parameters(preset.teacher_paper_model) == 1_611_282
    assert num_parameters(preset.teacher_model) <= 1_611_282
    assert num_parameters(preset.student_model) == 10_386
    assert preset.num_seeds >= 5
    assert list(distill_student.rows(preset))[:3] == ["baseline_dil", "kd_dil_paper", "kd_dil"]


def test_everything_learns_another_objective(tmp_path, monkeypatch):
    rows = distill_student.rows
    compared = distill_student.COMPARED
    monkeypatch.setattr(
        distill_student, "rows", lambda preset: {n: rows(preset)[n] for n in compared}
    )
    preset = TINY.for_objective(oj.Objective(1.0, 0.5))
    assert preset.student_model.objective == preset.q_model.objective == preset.objective
    assert not preset.teacher_model.symmetric
    problem = learned.test_set(50)
    target = learned.wide_examples(preset, 0).target
    requests = learned.wide_examples(TINY, 0).problem
    best = oj.solve(requests, objective=preset.objective).decision
    np.testing.assert_array_equal(np.argmax(target, axis=-1), best)
    preset = dataclasses.replace(preset, num_seeds=1, num_seeds_compared=1, teacher_stream=None)
    results = distill_student.run(preset, tmp_path, progress=False)
    assert all(row["mean"] > 0.999 for row in results.values())
    student = oj.policies.load(tmp_path / "checkpoints" / "kd_dil")
    assert student.config.objective == preset.objective
    expected = learned.evaluate(student, learned.test_set(preset.num_test), preset.objective)
    assert results["kd_dil"]["ratio_of_means"] == pytest.approx(
        float(expected["ratio_of_means"]), rel=1e-5
    )
    assert student(problem).shape == (50, 6)


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


def test_trainings_on_the_same_seeds_are_compared_in_pairs():
    low = {"ratio_of_means": 1.10, "ratio_of_means_interval": 0.2, "per_seed": [1.0, 1.1, 1.2]}
    high = {"ratio_of_means": 1.13, "ratio_of_means_interval": 0.2, "per_seed": [1.03, 1.12, 1.24]}
    verdict = figure6.compare(low, high)
    assert not verdict["intervals_apart"]
    assert verdict["difference"] == pytest.approx(-0.03)
    # t(0.975, 2) = 4.303, standard deviation 0.01 of three differences.
    assert verdict["difference_interval"] == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-3)
    assert "difference" not in figure6.compare(low, {"ratio_of_means": 1.2})
