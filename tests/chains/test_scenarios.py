"""Scenarios: ranges, independence, keys, and the figures published about them."""

import dataclasses
import math

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains.scenarios import NARROW, WIDE, Scenario

QUANTITIES = [field.name for field in dataclasses.fields(oj.ChainProblem)]


NUM = 10_000  # as many as the paper tests on
sample = jax.jit(oj.scenarios.sample, static_argnames=("scenario", "num"))
latency = jax.jit(oj.latency)


def test_wide_and_narrow() -> None:
    """Section 5 in SI units: megacycles, megabytes (10^6), MHz, MB/s."""
    shared = {
        "device_speed": (1e8, 1e9),
        "edge_speed": (5e8, 5e9),
        "device_edge_bandwidth": (0.0, 2e6),
        "edge_cloud_bandwidth": (0.0, 3e6),
    }
    wide = {"cycles": (0.0, 2e9), "data": (0.0, 1e7)} | shared
    narrow = {"cycles": (5e8, 1.5e9), "data": (3e6, 8e6)} | shared
    for scenario, name, ranges in ((WIDE, "wide", wide), (NARROW, "narrow", narrow)):
        assert scenario.name == name
        assert scenario.num_subtasks == 6
        assert {quantity: getattr(scenario, quantity) for quantity in QUANTITIES} == ranges


@pytest.mark.parametrize("scenario", [WIDE, NARROW], ids=lambda scenario: scenario.name)
def test_samples_fill_their_ranges_uniformly(scenario: Scenario) -> None:
    problem = sample(jax.random.key(0), scenario, NUM)
    oj.validate(problem)
    assert problem.batch_shape == (NUM,)
    assert problem.num_subtasks == 6
    for name in QUANTITIES:
        low, high = getattr(scenario, name)
        unit = (np.asarray(getattr(problem, name)) - low) / (high - low)
        assert unit.shape == {"cycles": (NUM, 6), "data": (NUM, 7)}.get(name, (NUM,))
        assert 0 <= unit.min() < 0.001 < 0.999 < unit.max() <= 1
        # Five standard errors of the mean and of the second moment of a uniform number.
        assert np.mean(unit) == pytest.approx(1 / 2, abs=5 / math.sqrt(12 * NUM))
        assert np.mean(unit**2) == pytest.approx(1 / 3, abs=5 * math.sqrt(4 / 45 / NUM))


def test_quantities_are_independent() -> None:
    problem = sample(jax.random.key(1), WIDE, NUM)
    columns = [np.asarray(leaf).reshape(NUM, -1) for leaf in jax.tree.leaves(problem)]
    correlation = np.corrcoef(np.concatenate(columns, axis=1), rowvar=False)
    assert correlation.shape == (17, 17)
    assert np.abs(correlation - np.eye(17)).max() < 5 / math.sqrt(NUM)


def test_keys_decide_and_jit_does_not() -> None:
    first = oj.scenarios.sample(jax.random.key(2), WIDE, 3)
    again = sample(jax.random.key(2), WIDE, 3)
    other = oj.scenarios.sample(jax.random.key(3), WIDE, 3)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), first, again)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
        assert not np.any(np.asarray(a) == np.asarray(b))


def test_a_scenario_of_ones_own() -> None:
    """Equal ends fix a quantity; none is drawn when none is asked for."""
    own = dataclasses.replace(WIDE, name="own", num_subtasks=2, edge_speed=(2e9, 2e9))
    problem = oj.scenarios.sample(jax.random.key(0), own, 5)
    assert problem.cycles.shape == (5, 2)
    np.testing.assert_array_equal(problem.edge_speed, np.full(5, np.float32(2e9)))
    assert oj.scenarios.sample(jax.random.key(0), own, 0).batch_shape == (0,)


def test_bandwidth_floor() -> None:
    floored = WIDE.with_bandwidth_floor(0.5e6)
    assert floored.name == "wide-floor-0.5MBps"
    assert floored.device_edge_bandwidth == (0.5e6, 2e6)
    assert floored.edge_cloud_bandwidth == (0.5e6, 3e6)
    assert (
        dataclasses.replace(
            floored,
            name="wide",
            device_edge_bandwidth=WIDE.device_edge_bandwidth,
            edge_cloud_bandwidth=WIDE.edge_cloud_bandwidth,
        )
        == WIDE
    )
    assert WIDE.with_bandwidth_floor(5e6).device_edge_bandwidth == (5e6, 5e6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_subtasks": 0}, "num_subtasks = 0: must be an integer of at least 1"),
        ({"cycles": (2.0, 1.0)}, r"cycles = \(2.0, 1.0\): needs 0 <= low <= high < inf"),
        ({"data": (-1.0, 1.0)}, "data = .*: needs 0 <= low"),
        ({"data": (0.0, math.inf)}, "data = .*: needs 0 <= low"),
        ({"data": (math.nan, 1.0)}, "data = .*: needs 0 <= low"),
        ({"edge_speed": (0.0, 1.0)}, r"edge_speed = .*: speeds must be greater than 0"),
    ],
)
def test_bad_scenarios(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        dataclasses.replace(WIDE, **fields)


def test_bad_number_of_samples() -> None:
    with pytest.raises(ValueError, match="^num = -1: must be an integer of at least 0"):
        oj.scenarios.sample(jax.random.key(0), WIDE, -1)


@pytest.mark.parametrize(
    ("policy", "ratio"), [(oj.policies.greedy, 1.35), (oj.policies.greedy_with_return, 1.21)]
)
def test_greedy_on_wide(policy: oj.policies.Policy, ratio: float) -> None:
    """Ratio of means to the optimum; between seeds it moves by about 0.01."""
    problem = sample(jax.random.key(0), WIDE, NUM)
    result = jax.jit(oj.metrics.normalized_latency)(problem, policy(problem))
    assert float(result.ratio_of_means) == pytest.approx(ratio, abs=0.03)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [(oj.policies.edge, 12.3), (oj.policies.local, 15.4), (oj.policies.cloud, 16.4)],
)
def test_mean_latency_of_one_place_above_a_floor(
    policy: oj.policies.Policy, seconds: float
) -> None:
    """Bandwidths of at least 0.5 MB/s, where the means exist: edge < local < cloud."""
    problem = sample(jax.random.key(0), WIDE.with_bandwidth_floor(0.5e6), NUM)
    mean = np.mean(latency(problem, policy(problem)))
    assert float(mean) == pytest.approx(seconds, rel=0.02)


@pytest.mark.parametrize(
    ("policy", "seconds"), [(oj.policies.edge, 13.4), (oj.policies.local, 10.9)]
)
def test_median_latency_at_the_literal_setting(policy: oj.policies.Policy, seconds: float) -> None:
    """Without a floor the median request is faster on the device than on the edge."""
    problem = sample(jax.random.key(0), WIDE, NUM)
    median = np.median(latency(problem, policy(problem)))
    assert float(median) == pytest.approx(seconds, rel=0.03)
