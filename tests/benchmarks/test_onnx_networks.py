"""The benchmark of networks, on one of them: its rows keep what each method promises."""

import pytest

import offload_jax as oj
from benchmarks import onnx_networks


@pytest.mark.parametrize("link", ["2/1", "10/5"])
def test_rows(link: str) -> None:
    model = oj.models.read_onnx(onnx_networks.LIGHT / "light_bvlc_alexnet.onnx")
    row = onnx_networks.compared(model, link, 0.1, 0.0)
    assert row[:3] == ("bvlc_alexnet", 24, link)
    tolerance = 1 + onnx_networks.ROUNDING
    assert row.cut <= row.single * tolerance
    assert row.lower_bound <= row.auto <= min(row.cut, row.single) * tolerance
    assert row.best_known <= tolerance
    # Everything in the cloud: the image there, the classes back.
    two_hops = sum(1 / rate for rate in onnx_networks.LINKS[link])
    assert row.single <= (224 * 224 * 3 * 4 + 4000) * two_hops + 1e-4
