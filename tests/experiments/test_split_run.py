"""Split networks as processes: what they compute, and that links and places take their time."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import offload_jax as oj
from experiments.studies import split_processes, split_run
from tests.models.onnx_cases import LIGHT, model, node, read, weights

MEGABYTE = 1e6


def test_a_chain_over_three_places_takes_its_time(tmp_path: Path) -> None:
    """Up to the cloud, down to the device and back to the edge; two readers share a transfer."""
    nodes = [
        node("MatMul", ["x", "w"], ["a"], name="first"),
        node("Relu", ["a"], ["b"], name="second"),
        node("Sigmoid", ["b"], ["c"], name="third"),
        node("Add", ["b", "c"], ["y"], name="fourth"),
    ]
    found = read(tmp_path, model(nodes, {"x": (50, 500)}, ["y"], weights(w=(500, 500))))
    links = (
        oj.Link("device", "edge", 10 * MEGABYTE, round_trip_time=0.02),
        oj.Link("edge", "cloud", 20 * MEGABYTE, round_trip_time=0.01),
    )
    network = oj.Network([oj.Processor(name, 1.0) for name in split_run.PLACES], links)
    oj.models.split(found, [1, 2, 0, 1], split_run.PLACES, tmp_path / "parts")
    slowdown = dict.fromkeys(split_run.PLACES, 1.0) | {"edge": 3.0}
    ran = split_processes.run(
        tmp_path / "parts", network, slowdown, one_by_one=3, stream=8, window=4
    )
    # 100 kB go device, edge, cloud, edge (which keeps them), device, edge, device.
    size = 0.1 * MEGABYTE
    least = 4 * (size / (10 * MEGABYTE) + 0.01) + 2 * (size / (20 * MEGABYTE) + 0.005)
    seconds = np.array(ran["seconds"])
    assert (seconds >= least).all()
    assert np.median(seconds) < least + 0.5  # however busy the machine is
    # Each direction of the slower link carries two tensors of each request.
    period = (ran["done"][-1] - ran["done"][-5]) / 4
    assert 2 * size / (10 * MEGABYTE) * 0.99 <= period < 2 * size / (10 * MEGABYTE) + 0.5
    assert {name: len(parts) for name, parts in ran["parts"].items()} == {
        "device": 1,
        "edge": 2,
        "cloud": 1,
    }
    assert all(len(times) == 11 for parts in ran["parts"].values() for times in parts)
    with np.load(tmp_path / "parts" / "inputs.npz") as file:
        inputs = dict(file)
    with np.load(tmp_path / "parts" / "outputs.npz") as file:
        outputs = dict(file)
    (w,) = (onnx.numpy_helper.to_array(t) for t in onnx.load(found.path).graph.initializer)
    b = np.maximum(inputs["x"].astype(np.float64) @ w, 0)
    np.testing.assert_allclose(outputs["y"], b + 1 / (1 + np.exp(-b)), rtol=1e-4, atol=1e-4)


def test_a_place_that_fails_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, model([node("Relu", ["x"], ["y"])], {"x": (2,)}, ["y"]))
    oj.models.split(found, [0], split_run.PLACES, tmp_path / "parts")
    (tmp_path / "parts" / "0-device.onnx").write_bytes(b"no model")
    with pytest.raises(RuntimeError, match="a place ended with status 1"):
        split_processes.run(
            tmp_path / "parts",
            split_run.three_places("50/20"),
            split_run.SLOWDOWN,
            one_by_one=1,
        )


def test_random_weights_keep_the_structure(tmp_path: Path) -> None:
    path = tmp_path / "squeezenet.onnx"
    split_run.with_random_weights(LIGHT / "light_squeezenet.onnx", path)
    found, light = oj.models.read_onnx(path), oj.models.read_onnx(LIGHT / "light_squeezenet.onnx")
    assert found.flops.tolist() == light.flops.tolist()
    assert found.memory.tolist() == light.memory.tolist()
    (output,) = oj.models.check(_one_part(found, tmp_path)).outputs
    assert output == "softmaxout_1"


def _one_part(found: oj.models.Model, tmp_path: Path) -> Path:
    oj.models.split(found, [0] * found.graph.num_tasks, ["here"], tmp_path / "parts")
    return tmp_path / "parts"


def test_the_stage(finished) -> None:
    rows = finished.results["split networks"]["rows"]
    assert [(row["objective"], row["by"]) for row in rows] == [
        ("latency", "profile"),
        ("latency", "operations"),
        ("period", "profile"),
        ("period", "operations"),
    ]
    for row in rows:
        assert row["latency"] > 0.01  # a round trip of the first link
        assert row["predicted_latency"] >= row["predicted_period"] > 0
    assert "## Split networks on the clock" in finished.report
    assert "split_run" in finished.figures()
