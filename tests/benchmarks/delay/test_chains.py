"""The family of chains: requests, the quality of decisions, and what its policies decide."""

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks.delay import chains
from benchmarks.delay.family import Requests
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.learning.parameters import initialize
from tests import oracle

NUM = 40


@pytest.fixture(scope="module")
def requests() -> Requests:
    return chains.sample(NUM, 5)


def cost(requests: Requests, i: int, decision: Any) -> float:
    cycles, data, *scalars = (leaf[i] for leaf in jax.tree.leaves(requests.batch))
    chain = oracle.Chain(tuple(cycles), tuple(data), *map(float, scalars))
    return oracle.latency(chain, tuple(map(int, decision)))


def test_quality_is_about_the_requests_that_were_decided(requests: Requests) -> None:
    decision = np.asarray(oj.policies.greedy(requests.batch))
    optimal = np.asarray(oj.solve(requests.batch).decision)
    which = np.array([3, 7, 20])
    found = requests.quality(which, decision[which])
    costs, least = ([cost(requests, i, d[i]) for i in which] for d in (decision, optimal))
    assert found["ratio_of_means"] == pytest.approx(sum(costs) / sum(least), rel=1e-5)
    assert found["p99"] == pytest.approx(max(np.divide(costs, least)), rel=1e-5)
    assert requests.quality(slice(0, NUM), optimal)["p99"] == pytest.approx(1.0, abs=1e-5)


def test_requests_are_the_same_for_a_seed_and_one_by_one(requests: Requests) -> None:
    again = chains.sample(NUM, 5)
    jax.tree.map(np.testing.assert_array_equal, requests.batch, again.batch)
    cycles, data, device_speed, *_ = requests.singles[3]
    np.testing.assert_array_equal(cycles, requests.batch.cycles[3])
    assert cycles.dtype == data.dtype == np.float64 and isinstance(device_speed, float)


@pytest.mark.parametrize(
    "name", ["optimal_dp", "exported_exact", "numpy_dp", "numba_loop", "cpsat"]
)
def test_exact_policies_are_ready_and_exact(name: str, requests: Requests) -> None:
    policy = chains.FAMILY.policies[name]
    assert policy.group == "exact"
    contender = policy.build(Path("."))
    some = 3 if name == "cpsat" else 10
    decisions = np.stack([contender.one(*request) for request in requests.singles[:some]])
    assert requests.quality(slice(0, some), decisions)["p99"] == pytest.approx(1.0, abs=1e-5)
    if contender.batch is not None:
        decisions = np.asarray(contender.batch(requests.batch))
        assert requests.quality(slice(0, NUM), decisions)["p99"] == pytest.approx(1.0, abs=1e-5)


def test_the_student_is_measured_both_ways(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ImitationConfig(feature_set="physical", hidden=(8,))
    student = LearnedPolicy(config, initialize(config, jax.random.key(0)))
    monkeypatch.setattr(chains.oj.policies, "load", {Path("kd_dil"): student}.__getitem__)
    monkeypatch.setattr(chains.oj.single, "learned", {student: "compiled"}.__getitem__)
    names = ("kd_dil", "single_student")
    learned, single = (chains.FAMILY.policies[name].build(Path("kd_dil")) for name in names)
    assert single == (None, "compiled", True) and not learned.on_host
    decisions = np.asarray(student(requests.batch))
    np.testing.assert_array_equal(learned.batch(requests.batch), decisions)
    np.testing.assert_array_equal(learned.one(*requests.singles[2]), decisions[2])


@pytest.mark.parametrize(
    ("name", "module"), [("dynamax", "dynamax"), ("torch_struct", "torch_struct")]
)
def test_a_missing_package_says_how_to_get_it(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert chains.FAMILY.policies[name].missing(Path(".")) == "pip install '.[bench]'"


def test_a_missing_checkpoint_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "drl").mkdir()
    policies = chains.FAMILY.policies
    assert policies["single_student"].missing(tmp_path) == (
        f"no checkpoint {tmp_path}/kd_dil; in that folder: drl"
    )
    assert policies["drl"].missing(tmp_path) == policies["greedy"].missing(tmp_path) == ""
