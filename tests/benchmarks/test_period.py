"""The benchmark of periods, on one network: shares are kept, rows keep what they promise."""

import numpy as np

import offload_jax as oj
from benchmarks import period


def test_layers_in_shares() -> None:
    rules = oj.SideConstraints(memory=np.ones(6), max_memory={0: 1, 1: 2, 2: 9})
    place = period.in_shares(np.ones(6), np.array([1.0, 1.0, 1.0]), rules)
    # Two layers each; the second one does not fit where its share is.
    np.testing.assert_array_equal(place, [0, 2, 1, 1, 2, 2])
    assert period.fits(place, rules)


def test_rows() -> None:
    model = oj.models.read_onnx(period.LIGHT / "light_bvlc_alexnet.onnx")
    row = period.compared(model, 3, 0.01)
    assert row[:3] == ["bvlc_alexnet", 24, 3]
    *rules, found, bound = row[3:]
    assert bound <= found <= min(rules)
