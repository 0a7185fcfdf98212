"""The features of one request against those of a batch, number by number."""

import dataclasses

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import lowering
from offload_jax.chains.features import features, num_features
from tests.test_single import requests


def one_by_one(problem: oj.ChainProblem, feature_set: str, scenario=oj.scenarios.WIDE):
    # Compiles, for which nobody should have to wait who runs other tests.
    from offload_jax.chains._numba.features import PHYSICAL, RAW, write_features

    number = {"physical": PHYSICAL, "raw": RAW}[feature_set]
    low, factor = lowering.raw_ranges(scenario)
    rows = []
    for cycles, data, *scalars in zip(*jax.tree.leaves(problem), strict=True):
        values = np.array(scalars, np.float32)
        inputs = np.full(num_features("raw", cycles.size), np.nan, np.float32)
        write_features(cycles, data, values, number, low, factor, inputs)
        rows.append(inputs)
    return np.stack(rows)


@pytest.mark.parametrize("hostile", [False, True])
def test_physical_features(hostile: bool) -> None:
    problem = requests(3, 400, 6, hostile=hostile)
    expected = features(problem, "physical")
    ours = one_by_one(problem, "physical")
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-5)
    assert len(np.unique(np.round(ours, 3))) > 1000


@pytest.mark.parametrize("scenario", [oj.scenarios.WIDE, oj.scenarios.NARROW])
def test_raw_features(scenario) -> None:
    scenario = dataclasses.replace(scenario, edge_speed=(1e9, 1e9))
    problem = requests(3, 400, 6, hostile=False)
    expected = features(problem, "raw", scenario=scenario)
    ours = one_by_one(problem, "raw", scenario)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
