"""The studies beyond the paper run end to end on tiny sizes and reuse what is done."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import offload_jax as oj
from experiments.paper import trained
from experiments.studies import decision_map, decisions_over_time, pareto, resize_study

pytestmark = pytest.mark.filterwarnings("default")


def test_decision_map(tmp_path: Path) -> None:
    results = decision_map.run(tmp_path, size=24, networks=("AlexNet",))
    for name, result in results.items():
        assert result["solves"] == 24 * 24
        assert sum(region["share"] for region in result["regions"]) == pytest.approx(1.0)
        assert (tmp_path / "figures" / decision_map.file_name(name)).exists()
    assert "all device" in decision_map.section(results)
    assert decision_map.run(tmp_path, size=24, networks=("AlexNet",)) == results


def test_regions_are_numbered_by_size() -> None:
    decisions = np.array([[[0, 0], [1, 2]], [[1, 2], [1, 2]]], np.int8)
    number, rows = decision_map.regions(decisions)
    assert number.tolist() == [[1, 0], [0, 0]]
    assert [(decision_map.describe(row), row["share"]) for row in rows] == [
        ("1E 1C", 0.75),
        ("all device", 0.25),
    ]


def test_rare_decisions_share_a_colour() -> None:
    places = np.arange(16)
    decisions = np.stack([places // 9, places // 3 % 3, places % 3], -1)[None]
    number, rows = decision_map.regions(decisions)
    assert number.max() == len(rows) - 1 == decision_map._MOST_COLOURS - 1
    assert decision_map.describe(rows[-1]) == "2 others"


def test_pareto(tmp_path: Path) -> None:
    results = pareto.run(tmp_path, num=50)
    assert (tmp_path / "figures" / "pareto.png").exists()
    latency = np.array(results["six"]["latency"])
    assert results["policies"]["optimal"][0] == pytest.approx(latency[0], rel=1e-5)
    assert len(results["fifty"]["decision"][0]) == 50
    assert "label setting" in pareto.section(results)


def test_resize_study(tmp_path: Path) -> None:
    results = resize_study.run(tmp_path, num=20, lengths=(12,), targets=(4,))
    for merged in results["merges"].values():
        best, least, equal = (
            merged[name]["4"]["mean"] for name in resize_study.merges_for(oj.LATENCY)
        )
        assert 1 - 1e-6 <= best <= min(least, equal) + 1e-6
    assert results["insertion"] < 1e-5
    assert results["policies"]["12"]["greedy"]["mean"] > 1
    assert "optimal" in resize_study.section(results)


@pytest.mark.parametrize("merge", list(resize_study.merges_for(oj.LATENCY).values()))
def test_merges_keep_totals(merge: object) -> None:
    problem = oj.ChainProblem(
        np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[9.0, 5.0, 1.0, 2.0, 7.0]]), *np.ones((4, 1))
    )
    merged = merge(problem, 2)
    np.testing.assert_allclose(np.sum(merged.cycles), 10.0)
    np.testing.assert_allclose(merged.data[0, [0, -1]], [9.0, 7.0])


def test_decisions_over_time(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / "drive").write_text("0 1\n1 20\n2 0.2\n3 0\n4 5\n")
    options = {"trace_dir": folder, "num_requests": 6, "networks": ("AlexNet",)}
    results = decisions_over_time.run(tmp_path, **options)
    for policies in results["networks"].values():
        assert all(row["regret"] >= -1e-9 for row in policies.values())
        assert policies["local"]["flipped"] == 0
        mean = policies["optimal, harmonic mean"]["mean"]
        assert policies[decisions_over_time.ROBUST]["mean"] == pytest.approx(mean)
    assert "regret" in decisions_over_time.section(results)
    assert (tmp_path / "figures" / "decisions_over_time.png").exists()
    (folder / "drive").write_text("0 1\n1 -20\n")
    with pytest.raises(ValueError, match="drive:2: throughput must not be negative"):
        decisions_over_time.run(tmp_path, **options)


def test_stop_at_the_end_of_a_short_trace(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "short").write_text("0 1\n1 20\n2 4\n")
    results = decisions_over_time.run(
        tmp_path,
        trace_dir=tmp_path / "traces",
        num_requests=10,
        at_end="stop",
        networks=("AlexNet",),
    )
    assert results["networks"]["AlexNet"]["local"]["requests"] == 2


def test_studies_take_an_objective(tmp_path: Path) -> None:
    results = resize_study.run(tmp_path, num=20, lengths=(12,), targets=(4,), objective=oj.ENERGY)
    best = results["merges"]["12"]["best merge"]["4"]["mean"]
    assert 1 - 1e-6 <= best <= results["merges"]["12"]["equal parts"]["4"]["mean"] + 1e-6
    maps = decision_map.run(tmp_path, size=8, networks=(), objective=oj.ENERGY)
    # By default the device pays nothing while others work, so the cloud costs what the edge does.
    shown = {decision_map.describe(row) for row in maps["random task"]["regions"]}
    assert not any("C" in name for name in shown)


def test_trained_policies_take_chains_of_any_length() -> None:
    problem = oj.scenarios.sample(
        jax.random.key(0), dataclasses.replace(oj.scenarios.WIDE, num_subtasks=9), 20
    )
    fitted = trained.at_any_length(oj.policies.optimal)
    assert fitted(problem).shape == (20, 9)
    best = oj.solve(oj.resize(problem, 6)).cost
    np.testing.assert_allclose(oj.latency(problem, fitted(problem)), best, rtol=1e-5)
