"""The benchmark of networks, on one of them: its rows keep what each method promises."""

import pytest

import offload_jax as oj
from benchmarks import onnx_networks


@pytest.mark.parametrize("link", ["2/1", "10/5"])
def test_rows(link: str) -> None:
    model = oj.models.read_onnx(onnx_networks.LIGHT / "light_bvlc_alexnet.onnx")
    row = onnx_networks.compared(model, link, 0.01)
    assert row[:3] == ["bvlc_alexnet", 24, link]
    single, greedy, cut, search = map(float, row[3:7])
    assert cut <= single
    assert min(greedy, search) > 0 and search <= single
    # Everything in the cloud: the image there, the classes back.
    two_hops = sum(1 / rate for rate in onnx_networks.LINKS[link])
    assert single <= (224 * 224 * 3 * 4 + 4000) * two_hops + 1e-4
