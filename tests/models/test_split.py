"""Placed models as parts: which tasks go together, files that compute what the whole computes."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import offload_jax as oj
from offload_jax.models.parts import groups_of_places
from tests.models.onnx_cases import LIGHT, branch, diamond, model, node, read, weights
from tests.typecheck import unchecked

PLACES = ("phone", "edge", "cloud")


def random_graph(rng: np.random.Generator, num_tasks: int) -> oj.graphs.TaskGraph:
    edges = [(u, v) for v in range(num_tasks) for u in range(v) if rng.random() < 0.3]
    ends = {u for u, _ in edges}, {v for _, v in edges}
    return oj.graphs.TaskGraph.from_edges(
        np.ones(num_tasks),
        edges,
        1.0,
        input=[float(task not in ends[1]) for task in range(num_tasks)],
        output=[float(task not in ends[0]) for task in range(num_tasks)],
    )


def crossings(
    graph: oj.graphs.TaskGraph, place: Sequence[int], task: int
) -> tuple[set[int], set[int]]:
    """What a task waits for, and what of it or behind it others wait for, path by path."""
    edges = graph.edges.tolist()

    def along(task: int, *, back: bool) -> set[int]:
        end = graph.input if back else graph.output
        found = {-1 - task} if end[task] and place[task] else set()
        for u, v in edges:
            if (v if back else u) == task:
                same = place[u] == place[v]
                found |= along(u if back else v, back=back) if same else {u}
        return found

    return along(task, back=True), along(task, back=False)


@pytest.mark.parametrize("seed", range(20))
def test_parts_neither_wait_nor_keep_waiting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 9)
    place = rng.integers(0, 3, 9).tolist()
    groups = groups_of_places(graph, place, range(9))
    assert sorted(task for group in groups for task in group) == [*range(9)]
    part = {task: number for number, group in enumerate(groups) for task in group}
    for u, v in graph.edges.tolist():
        assert part[u] <= part[v]  # so no two parts need each other
    for a, b in itertools.combinations(range(9), 2):
        alike = place[a] == place[b] and crossings(graph, place, a) == crossings(graph, place, b)
        assert (part[a] == part[b]) == alike


def heads() -> Any:
    """Of one body; the first is read by two."""
    content = diamond()
    content.graph.node[4].input[0] = "left"
    content.graph.node[2].name = "other"  # ONNX Runtime wants names that differ
    return content


def check(folder: Path, split: oj.models.Model, place: Sequence[int]) -> oj.models.Check:
    oj.models.split(split, place, PLACES, folder)
    found = oj.models.check(folder)
    assert found.equal and found.num_parts == len([*folder.glob("*.onnx")]), found
    return found


@pytest.mark.parametrize("place", [*itertools.product(range(2), repeat=4)])
def test_parts_compute_what_the_whole_computes(place: Sequence[int], tmp_path: Path) -> None:
    """Of every placement of body, both heads and the sum; the rest is on the cloud."""
    body, left, right, added = place
    found = read(tmp_path, heads())
    order = ("body", "head", "other", "a", "sum", "y")
    assert found.graph.names == order
    check(tmp_path / "parts", found, [body, left, right, 2, added, 2])


def test_the_plan_says_what_goes_where(tmp_path: Path) -> None:
    found = read(tmp_path, heads())
    parts = oj.models.split(found, [0, 0, 1, 2, 0, 1], PLACES, tmp_path / "parts")
    plan = json.loads((tmp_path / "parts" / "parts.json").read_text())
    assert plan["model"] == str(tmp_path / "test.onnx")
    assert (plan["inputs"], plan["outputs"]) == (["x"], ["y", "a"])
    assert [(part["file"], part["tasks"]) for part in plan["parts"]] == [
        ("0-phone.onnx", ["body"]),
        ("1-phone.onnx", ["head"]),
        ("2-edge.onnx", ["other"]),
        ("3-cloud.onnx", ["a"]),
        ("4-phone.onnx", ["sum"]),
        ("5-edge.onnx", ["y"]),
    ]
    # "head" waits for nothing that "body" does not, but the edge waits for "body" alone.
    assert [part["after"] for part in plan["parts"]] == [
        [],
        ["0-phone.onnx"],
        ["0-phone.onnx"],
        ["1-phone.onnx"],
        ["1-phone.onnx", "3-cloud.onnx"],
        ["2-edge.onnx", "4-phone.onnx"],
    ]
    assert [part.after for part in parts] == [(), (0,), (0,), (1,), (1, 3), (2, 4)]
    assert {name: (tensor["from"], tensor["to"]) for name, tensor in plan["tensors"].items()} == {
        "x": ("phone", ["phone"]),
        "body": ("phone", ["phone", "edge"]),
        "left": ("phone", ["cloud", "phone"]),
        "bottom": ("edge", ["edge"]),
        "a": ("cloud", ["phone"]),
        "b": ("phone", ["edge"]),
        "y": ("edge", ["phone"]),
    }
    left = plan["tensors"]["left"]
    assert (left["type"], left["shape"], left["bytes"]) == ("float32", [4, 8], 128)


def flattening() -> Any:
    """As exporters write it: a shape of what another part may make, and an output that is one."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Shape", ["r"], ["first"], end=1),
        node("Size", ["r"], ["size"]),
        node("Concat", ["first", "rest"], ["shape"], axis=0),
        node("Transpose", ["w"], ["turned"]),
        node("Sigmoid", ["r"], ["s"]),
        node("Reshape", ["s", "shape"], ["z"]),
        node("MatMul", ["z", "turned"], ["y"]),
    ]
    rest = helper.make_tensor("rest", TensorProto.INT64, [1], [-1])
    return model(nodes, {"x": ("batch", 3, 5)}, ["y", "size"], [*weights(w=(4, 15)), rest])


@pytest.mark.parametrize("place", [*itertools.product(range(2), repeat=4)])
def test_shapes_and_constants_are_where_they_are_read(place: Sequence[int], tmp_path: Path) -> None:
    found = read(tmp_path, flattening(), shapes={"batch": 2})
    check(tmp_path / "parts", found, place)
    for file in (tmp_path / "parts").glob("*.onnx"):
        part = onnx.load(file)
        makes = {name for one in part.graph.node for name in one.output}
        assert ("turned" in makes) == ("y" in makes)


def test_shared_inputs_and_subgraphs(tmp_path: Path) -> None:
    """An `If` that takes weights, an input and what another part makes from around it."""
    dear = branch("dear", [node("MatMul", ["r", "w"], ["m"]), node("Add", ["m", "x"], ["d"])])
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Relu", ["x"], ["r"]),
        node("Cast", ["s"], ["choice"], to=TensorProto.BOOL),
        node(
            "If",
            ["choice"],
            ["y"],
            then_branch=dear,
            else_branch=branch("b", [node("Abs", ["r"], ["c"])]),
        ),
    ]
    found = read(tmp_path, model(nodes, {"x": (4, 4)}, ["y"], weights(w=(4, 4))))
    assert found.graph.names == ("x", "s", "r", "choice", "y")
    for number, place in enumerate(([0] * 5, [0, 1, 0, 1, 2], [1, 1, 1, 0, 1], [0, 0, 1, 2, 2])):
        check(tmp_path / str(number), found, place)


@pytest.mark.parametrize("num_tasks", [2, 3, 5])
def test_fused_models(num_tasks: int, tmp_path: Path) -> None:
    found = read(tmp_path, heads()).fused(num_tasks)
    check(tmp_path / "parts", found, [task % 3 for task in range(num_tasks)])


@pytest.mark.parametrize("seed", range(3))
def test_a_published_network(seed: int, tmp_path: Path) -> None:
    """SqueezeNet with its tasks anywhere: dozens of parts, several tensors over one cut."""
    found = oj.models.read_onnx(LIGHT / "light_squeezenet.onnx")
    place = np.random.default_rng(seed).integers(0, 3, found.graph.num_tasks).tolist()
    assert check(tmp_path / "parts", found, place).num_parts > 30


def test_weights_beside_the_file(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("MatMul", ["m", "v"], ["y"])]
    content = model(nodes, {"x": (2, 40)}, ["y"], weights(w=(40, 40), v=(40, 40)))
    for tensor in content.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    path = tmp_path / "apart.onnx"
    onnx.save(content, path, save_as_external_data=True, location="weights.bin")
    found = oj.models.read_onnx(path)
    oj.models.split(found, [0, 1], PLACES, tmp_path / "parts")
    (tmp_path / "weights.bin").rename(tmp_path / "parts" / "elsewhere.bin")
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "parts").glob("*.data")}
    assert sizes == {"0-phone.onnx.data": 6400, "1-edge.onnx.data": 6400}
    with pytest.raises(ValueError, match=r"apart.onnx: weights in weights.bin are not there"):
        oj.models.split(found, [0, 1], PLACES, tmp_path / "more")
    assert not (tmp_path / "more").exists()
    (tmp_path / "parts" / "elsewhere.bin").rename(tmp_path / "weights.bin")
    assert oj.models.check(tmp_path / "parts").equal


def test_a_length_that_only_results_have(tmp_path: Path) -> None:
    nodes = [
        node("NonZero", ["x"], ["n"]),
        node("Shape", ["n"], ["shape"], start=1),
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("Abs", ["x"], ["a"]),
        node("Concat", ["a", "zeros"], ["y"], axis=0),
        node("Cast", ["n"], ["z"], to=TensorProto.FLOAT),
    ]
    content = model(nodes, {"x": (5,)}, ["y", "z"])
    # As inference calls them: how many are not zero, and 5 more.
    found = read(tmp_path, content, shapes={"unk__0": 5, "unk__1": 10})
    check(tmp_path / "one", found, [0] * found.graph.num_tasks)
    names = found.graph.names
    place = [int(name == "y") for name in names]
    with pytest.raises(ValueError, match=r"test.onnx: the length of what node 'NonZero_0' makes"):
        oj.models.split(found, place, PLACES, tmp_path / "two")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "test.onnx"]


def test_parts_that_compute_something_else(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Relu", ["m"], ["y"])]
    found = read(tmp_path, model(nodes, {"x": (2, 4)}, ["y"], weights(w=(4, 4))))
    oj.models.split(found, [0, 1], PLACES, tmp_path / "parts")
    part = onnx.load(tmp_path / "parts" / "0-phone.onnx")
    array = onnx.numpy_helper.to_array(part.graph.initializer[0]) + np.float32(0.5)
    part.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(array, "w"))
    onnx.save(part, tmp_path / "parts" / "0-phone.onnx")
    ones = {"x": np.ones((2, 4), np.float32)}
    difference = oj.models.check(tmp_path / "parts", ones)
    assert not difference.equal
    (last,), first = difference.differing, difference.first
    assert (last.tensor, last.operator, last.file) == ("y", "Relu", "1-edge.onnx")
    assert first[:3] == ("m", "MatMul", "0-phone.onnx")
    assert first.largest == pytest.approx(4 * 0.5, rel=1e-5)
    assert "'m', by MatMul in 0-phone.onnx: 2 apart" in str(difference)


def test_refusals(tmp_path: Path) -> None:
    found = read(tmp_path, heads())
    folder = tmp_path / "parts"
    for place, message in (
        ([0] * 5, "place: last axis must be N = 6"),
        ([0, 0, 0, 0, 0, 3], r"place.* = 3: places are 0..2"),
        ([[0] * 6], "must be one decision"),
    ):
        with pytest.raises(ValueError, match=message):
            oj.models.split(found, place, PLACES, folder)
    with pytest.raises(ValueError, match="order: task 1 stands before task 0"):
        oj.models.split(found, [0] * 6, PLACES, folder, order=[1, 0, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="order: task 5 is missing, another one is there twice"):
        oj.models.split(found, [0] * 6, PLACES, folder, order=[0, 1, 2, 3, 4, 4])
    with pytest.raises(ValueError, match="model: must be a Model, got str"):
        unchecked(oj.models.split)("m", [0], PLACES, folder)
    with pytest.raises(FileNotFoundError, match="parts.json"):
        oj.models.check(folder)
    assert not folder.exists()
    oj.models.split(found, [0] * 6, PLACES, folder)
    with pytest.raises(FileExistsError, match="is there already"):
        oj.models.split(found, [0] * 6, PLACES, folder)
    x = np.zeros((4, 8), np.float32)
    for inputs, message in (
        ({"z": x}, "inputs: must be x, got z"),
        (
            {"x": x[:2]},
            r"inputs\['x'\]: must be float32 of shape \(4, 8\), got float32 of shape \(2, 8\)",
        ),
        ({"x": x.astype(int)}, r"must be float32 .*, got int64"),
    ):
        with pytest.raises(ValueError, match=message):
            oj.models.check(folder, inputs)
    with pytest.raises(FileNotFoundError, match="the whole is not at .*whole= says where"):
        oj.models.check(folder, whole=tmp_path / "gone.onnx")
    (folder / "0-phone.onnx").write_bytes(b"no model")
    with pytest.raises(RuntimeError, match=r"0-phone.onnx: ONNX Runtime: .*"):
        oj.models.check(folder)
    (folder / "parts.json").write_text("{}")
    with pytest.raises(ValueError, match=r"parts.json: the plan: has no model"):
        oj.models.check(folder)
