"""The studies beyond the paper, on what the tiny run left and by hand."""

import dataclasses

import jax
import numpy as np
import pytest

import offload_jax as oj
from experiments.paper import evaluation
from experiments.reporting.stage import Settings
from experiments.studies import decision_map, decisions_over_time, resize_study


def test_decision_maps(finished):
    maps = finished.results["decision maps"]["maps"]
    assert set(maps) == {"AlexNet", "AlexNet, device speed", "random task"}
    for name, result in maps.items():
        assert result["solves"] == 16 * 16
        assert sum(region["share"] for region in result["regions"]) == pytest.approx(1.0)
        number = decision_map.unpack(result["map"])
        shares = np.bincount(number.ravel()) / number.size
        assert shares == pytest.approx([region["share"] for region in result["regions"]])
        assert decision_map.figure_name(name) in finished.figures()
    assert "all device" in finished.report


def test_maps_are_packed_and_unpacked():
    number = np.arange(36).reshape(6, 6) % 5
    np.testing.assert_array_equal(decision_map.unpack(decision_map.pack(number)), number)


def test_fronts(finished):
    results = finished.results["fronts"]
    latency = np.array(results["six"]["latency"])
    assert results["policies"]["optimal"][0] == pytest.approx(latency[0], rel=1e-5)
    assert "kd_dil" in results["policies"]
    assert len(results["fifty"]["decision"][0]) == 50
    assert all(stats["problems"] == 100 for stats in results["bulk"].values())
    assert "label setting" in finished.report


def test_chains_of_other_lengths(finished):
    results = finished.results["chains of other lengths"]
    assert set(results["merges"]) == {"12", "20"}
    for merged in results["merges"].values():
        for target in merged["best merge"]:
            best, least, equal = (
                merged[name][target]["mean"] for name in resize_study.merges_for(oj.LATENCY)
            )
            assert 1 - 1e-6 <= best <= min(least, equal) + 1e-6
    assert results["insertion"] < 1e-5
    assert results["policies"]["12"]["greedy"]["mean"] > 1
    assert results["policies"]["6"]["optimal"]["mean"] == pytest.approx(1.0, abs=1e-5)
    assert results["policies"]["20"]["kd_dil"]["mean"] >= 1 - 1e-6


@pytest.mark.parametrize("merge", list(resize_study.merges_for(oj.LATENCY).values()))
def test_merges_keep_totals(merge):
    problem = oj.ChainProblem(
        np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[9.0, 5.0, 1.0, 2.0, 7.0]]), *np.ones((4, 1))
    )
    merged = merge(problem, 2)
    np.testing.assert_allclose(np.sum(merged.cycles), 10.0)
    np.testing.assert_allclose(merged.data[0, [0, -1]], [9.0, 7.0])


def test_least_data_keeps_the_smallest_inner_cut():
    problem = oj.ChainProblem(
        np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[9.0, 5.0, 1.0, 2.0, 7.0]]), *np.ones((4, 1))
    )
    merged = resize_study.merge_least_data(problem, 2)
    np.testing.assert_allclose(merged.cycles, [[3.0, 7.0]])
    np.testing.assert_allclose(merged.data, [[9.0, 1.0, 7.0]])


def test_decisions_over_time(finished):
    results = finished.results["decisions over time"]
    for policies in results["networks"].values():
        assert all(row["regret"] >= -1e-9 for row in policies.values())
        assert policies["local"]["flipped"] == 0
        mean = policies["optimal, harmonic mean"]["mean"]
        assert policies[decisions_over_time.ROBUST]["mean"] == pytest.approx(mean)
        assert "kd_dil, last" in policies
        assert all(row["requests"] == 6 for row in policies.values())
    assert "regret" in finished.report


def test_traces_are_read_with_their_faults(tiny, tmp_path):
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "drive").write_text("0 1\n1 -20\n")
    settings = Settings(tmp_path, "tiny", trace_dir=tmp_path / "traces", progress=False)
    with pytest.raises(ValueError, match="drive:2: throughput must not be negative"):
        decisions_over_time.compute(settings)


def test_stop_at_the_end_of_a_short_trace(tiny, tmp_path):
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "short").write_text("0 1\n1 20\n2 4\n")
    settings = Settings(tmp_path, "tiny", trace_dir=tmp_path / "traces", progress=False)
    results = decisions_over_time.compute(settings, num_requests=10, at_end="stop")
    assert results["networks"]["AlexNet"]["local"]["requests"] == 2


def test_studies_take_an_objective(tmp_path):
    settings = Settings(tmp_path, objective=oj.ENERGY, progress=False)
    results = resize_study.compute(settings, num=20, lengths=(12,), targets=(4,))
    best = results["merges"]["12"]["best merge"]["4"]["mean"]
    assert 1 - 1e-6 <= best <= results["merges"]["12"]["equal parts"]["4"]["mean"] + 1e-6
    maps = decision_map.compute(settings, size=8, networks=())["maps"]
    # By default the device pays nothing while others work, so the cloud costs what the edge does.
    shown = [row["decision"] or () for row in maps["random task"]["regions"]]
    assert not any(oj.Place.CLOUD in decision for decision in shown)


def test_policies_for_six_subtasks_take_chains_of_any_length():
    problem = oj.scenarios.sample(
        jax.random.key(0), dataclasses.replace(oj.scenarios.WIDE, num_subtasks=9), 20
    )
    fitted = evaluation.at_any_length(oj.policies.optimal)
    assert fitted(problem).shape == (20, 9)
    best = oj.solve(oj.resize(problem, 6)).cost
    np.testing.assert_allclose(oj.latency(problem, fitted(problem)), best, rtol=1e-5)
