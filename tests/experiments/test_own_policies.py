"""`--policy=module:function`: policies of the user beside the others, or one clear sentence."""

import dataclasses
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

import offload_jax as oj
from experiments.graphs import compare, contenders, test_sets
from experiments.paper import evaluation, figure6, random_chains
from experiments.reporting import comparison, own_policies
from experiments.reporting import stage as stages
from experiments.reporting.stage import Settings
from experiments.studies import pareto
from tests.experiments.conftest import Finished

MODULE = """
import numpy as np
import offload_jax as oj
from beside import EDGE

def edge(problem):
    return np.full(np.shape(problem.cycles), EDGE)

def edge_of_graphs(problem):
    return oj.graphs.policies.edge(problem)

def short(problem):
    return np.zeros((2, 5), int)

def elsewhere(problem):
    return np.full(np.shape(problem.cycles), 7)

def fails(problem):
    raise KeyError("lost")

number = 3
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "mine.py").write_text(MODULE)
    (folder / "beside.py").write_text("EDGE = 1\n")
    monkeypatch.syspath_prepend(folder)
    for name in ("mine", "beside"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def test_they_stand_beside_the_others(tiny: None, finished: Finished, tmp_path: Path) -> None:
    # In a copy, since other tests look at the results of the run.
    workdir = shutil.copytree(finished.settings.workdir, tmp_path / "run")
    settings = dataclasses.replace(finished.settings, workdir=workdir, policies=("mine:edge",))
    untrained = random_chains.compute(settings)["scenarios"]
    for rows in untrained.values():
        assert rows["mine:edge"]["mean_cost"] == pytest.approx(rows["edge"]["mean_cost"])
    trained = finished.results[figure6.STAGE.name]["trained"]
    rows = figure6.rows_of({"untrained": untrained, "trained": trained})
    assert "mine: edge" in comparison.table(rows)
    points = pareto.compute(settings, num=10)["policies"]
    assert points["mine:edge"] == points["edge"]


def test_they_are_one_more_row_for_task_graphs(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(Path(), graph_policies=("mine:edge_of_graphs",))
    (policy,) = contenders.own_policies(settings).values()
    preset = compare.Preset(4, 4, {12: 0}, (), (), (), ())
    names = *contenders.PLACES, "cut", "greedy"
    monkeypatch.setattr(contenders, "rules", lambda: dict.fromkeys(names, LOCAL))
    rows = compare._compute_all(preset, {}, {"mine:edge_of_graphs": policy})["12"]
    problem, best = test_sets.problems(12, 4), test_sets.best_known(12, 4).makespan
    makespan = oj.graphs.simulate(problem, *oj.graphs.policies.edge(problem)).makespan
    ratio = float(np.mean(makespan / best))
    assert rows["mine:edge_of_graphs"]["ratio"] == pytest.approx(ratio, rel=1e-5)


LOCAL = contenders.as_it_is(oj.graphs.policies.local)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing:f", "ModuleNotFoundError: No module named 'nothing'"),
        ("mine", "AttributeError: module 'mine' has no attribute ''"),
        ("mine:missing", "AttributeError: module 'mine' has no attribute 'missing'"),
        ("mine:number", "TypeError: 'int' object is not callable"),
        ("mine:fails", "KeyError: 'lost'"),
        ("mine:short", "decision"),
        ("mine:elsewhere", "decision"),
        ("mine:edge_of_graphs", "decide about ChainProblem"),
    ],
)
def test_bad_ones_get_a_sentence_before_anything_is_computed(
    name: str, reason: str, tmp_path: Path
) -> None:
    settings = Settings(tmp_path / "out", policies=("mine:edge", name))
    with pytest.raises(ValueError, match=rf"--policy={name}: must be .*{reason}"):
        random_chains.compute(settings)
    assert not (tmp_path / "out").exists()


def test_one_for_chains_is_none_for_graphs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--graph_policy=mine:edge: .*about GraphProblem"):
        compare.compute(Settings(tmp_path, graph_policies=("mine:edge",)))


def test_changed_code_beside_a_policy_is_another_policy(mine: Path) -> None:
    evaluation.own_policies(Settings(Path(), policies=("mine:edge",)))
    before = own_policies.digest("mine:edge")
    (mine / "beside.py").write_text("EDGE = 2\n")
    assert own_policies.digest("mine:edge") != before


@pytest.mark.parametrize(
    ("stage", "field"), [(random_chains.STAGE, "policies"), (compare.STAGE, "graph_policies")]
)
def test_the_flag_may_be_given_several_times(
    stage: stages.Stage, field: str, tmp_path: Path
) -> None:
    values = flags.FlagValues()
    stages.define(stage, values)
    values(["script", f"--workdir={tmp_path}", "--policy=a:b", "--policy=c:d"])
    assert getattr(Settings.from_flags(values), field) == ("a:b", "c:d")
