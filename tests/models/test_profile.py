"""Times of nodes: profiles of ONNX Runtime, written by hand and by itself, CSV, bad files."""

import json
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

import offload_jax as oj
from tests.models.onnx_cases import branch, model, node, read, weights, write
from tests.typecheck import unchecked


def event(name: str, begin: int, length: int, thread: int = 1) -> dict[str, Any]:
    return {"cat": "Node", "ph": "X", "name": name, "ts": begin, "dur": length, "tid": thread}


def kernel(name: str, begin: int, length: int) -> dict[str, Any]:
    return event(f"{name}_kernel_time", begin, length)


# Three runs; the branch of the second node has a node that is called as the first.
RUNS = [
    event("session_initialization", 0, 900),
    *(
        one
        for begin, first in ((1000, 900), (3000, 100), (4000, 120))
        for one in (
            kernel("Relu_0", begin + 1, first),
            kernel("Relu_0", begin + first + 6, 50),
            kernel("If_1", begin + first + 1, 70),
            event("SequentialExecutor::Execute", begin, first + 80),
            event("model_run", begin, first + 90),
        )
    ),
]


def save(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_medians_over_runs_without_what_runs_inside_of_nodes(tmp_path: Path) -> None:
    profile = oj.models.read_profile(save(tmp_path / "phone.json", RUNS))
    assert profile.seconds == pytest.approx({"Relu_0": 120e-6, "If_1": 70e-6})
    assert profile.whole is None
    other = save(tmp_path / "whole.json", [kernel("a", 5, 9), event("model_run", 4, 95)])
    assert oj.models.read_profile(tmp_path / "phone.json", whole=other).whole == 95e-6
    assert oj.models.read_profile(tmp_path / "phone.json", whole=0.5).whole == 0.5
    assert "2 nodes, 0.00019 s, whole 0.5 s" in repr(
        oj.models.read_profile(tmp_path / "phone.json", whole=0.5)
    )


def test_csv(tmp_path: Path) -> None:
    path = save(tmp_path / "edge.csv", 'node,milliseconds\n\n a ,2\n*,9\n"b, c",3.5\n')
    profile = oj.models.read_profile(path)
    assert profile.seconds == {"a": 2e-3, "b, c": 3.5e-3}
    assert profile.whole == 9e-3
    profile.save(tmp_path / "again.csv")
    again = oj.models.read_profile(tmp_path / "again.csv")
    assert again.seconds == pytest.approx(profile.seconds)
    assert again.whole == pytest.approx(profile.whole)


def chain(tmp_path: Path) -> oj.models.Model:
    """Of three nodes, the last without a name and behind a constant, which has no number."""
    constant = {"value": helper.make_tensor("", TensorProto.FLOAT, [1], [2.0])}
    nodes = [
        node("MatMul", ["x", "w"], ["m"], name="first"),
        node("Relu", ["m"], ["r"], name="second"),
        node("Constant", [], ["c"], **constant),
        node("Mul", ["r", "c"], ["y"]),
    ]
    return read(tmp_path, model(nodes, {"x": (2, 8)}, ["y"], weights(w=(8, 8))))


def test_seconds_of_tasks_are_scaled_to_the_whole(tmp_path: Path) -> None:
    found = chain(tmp_path)
    times = {"first": 3.0, "second": 1.0, "Mul_2": 4.0, "a weight": 7.0}
    phone = oj.models.Profile("phone", times, whole=6.0)
    measured = found.measured({"phone": phone}).measured({"edge": oj.models.Profile("e", times)})
    assert measured.seconds["phone"].tolist() == [2.25, 0.75, 3.0]
    assert measured.seconds["edge"].tolist() == [3, 1, 4]
    assert measured.scale == {"phone": 0.75, "edge": 1.0}
    assert "'phone' 6 s (nodes × 0.75)" in repr(measured)
    fused = measured.fused(2)
    assert fused.seconds["phone"].sum() == 6.0
    names = [[one.name for one in nodes] for nodes in fused.nodes]
    assert names == [["first", "second"], ["Mul_2"]] or names == [["first"], ["second", "Mul_2"]]
    assert fused.seconds["edge"].tolist() == [sum(times[n] for n in group) for group in names]
    assert not found.seconds


def test_a_profile_of_another_model(tmp_path: Path) -> None:
    other = oj.models.Profile("squeezenet", {"first": 1.0, "r1_nchwc": 1.0, "r2_nchwc": 1.0})
    message = (
        r"profile of 'edge', squeezenet: 2 of 3 nodes have no time, the first 'second'; 2 names in"
        r" it are not the model's, the first 'r1_nchwc'; is it a profile of this model"
    )
    with pytest.raises(ValueError, match=message):
        chain(tmp_path).measured({"edge": other})
    with pytest.raises(ValueError, match=r"profiles\['edge'\]: must be a Profile, got dict"):
        unchecked(oj.models.Model.measured)(chain(tmp_path), {"edge": {"first": 1.0}})


def test_measured_here(tmp_path: Path) -> None:
    """Every node has a time under the name that the model knows, also beside a subgraph."""
    relu, absolute = (
        branch(name, [node(kind, ["r"], [name])]) for kind, name in (("Relu", "a"), ("Abs", "b"))
    )
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("ReduceSum", ["r"], ["s"], keepdims=0),
        node("Cast", ["s"], ["choice"], to=TensorProto.BOOL),
        node("If", ["choice"], ["y"], then_branch=relu, else_branch=absolute),
    ]
    path = write(tmp_path, model(nodes, {"x": ("n", 4)}, ["y"]))
    profile = oj.models.measure(path, shapes={"n": 3}, num_runs=3)
    assert {*profile.seconds} == {"Relu_0", "ReduceSum_1", "Cast_2", "If_3"}
    found = oj.models.read_onnx(path, shapes={"n": 3}).measured({"here": profile})
    assert found.seconds["here"].sum() == pytest.approx(profile.whole)
    with pytest.raises(ValueError, match=r"test.onnx: shapes: must give the lengths of 'n'"):
        oj.models.measure(path)
    with pytest.raises(ValueError, match="num_runs = 0: must be an integer of at least 1"):
        oj.models.measure(path, shapes={"n": 3}, num_runs=0)


HEAD = "node,milliseconds\n"
BAD = {
    "p.csv": [
        ("", r"line 1: the header must be node,milliseconds, got \[\]"),
        ("a,b\n", r"line 1: the header must be node,milliseconds"),
        (HEAD, "has no row for a node"),
        (f"{HEAD}*,3\n", "has no row for a node"),
        (f"{HEAD}a,1\nb\n", "line 3: must have 2 columns, got 1"),
        (f"{HEAD}a,1\na,2\n", "line 3: node 'a' is there twice"),
        (f"{HEAD}a,x\n", "line 2: milliseconds = 'x': must be a number"),
        (f"{HEAD}a,-1\n", "line 2: milliseconds = -1: must be finite and not negative"),
        (f"{HEAD}a,1\n*,0\n", "line 3: milliseconds = 0: must be finite and greater than 0"),
    ],
    "p.json": [
        ("[{", "line 1: no JSON"),
        ({"a": 1}, "is no profile of ONNX Runtime"),
        ([3], "event 0: must be a JSON object"),
        ([{"name": "a_kernel_time", "ts": 3}], "event 0: has no dur"),
        ([kernel("a", 3, 5)], "has no whole run with times of its nodes"),
        ([event("model_run", 3, 5)], "has no whole run with times of its nodes"),
    ],
    "p.txt": [("", "the name must end in .csv or .json")],
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [(name, *case) for name, cases in BAD.items() for case in cases],
)
def test_bad_files(name: str, content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"{name}: {message}"):
        oj.models.read_profile(save(tmp_path / name, content))


def test_bad_wholes(tmp_path: Path) -> None:
    path = save(tmp_path / "p.csv", f"{HEAD}a,1\n")
    with pytest.raises(ValueError, match="whole = 0"):
        oj.models.read_profile(path, whole=0)
    with pytest.raises(ValueError, match=r"p.csv: line 1: no JSON"):
        oj.models.read_profile(path, whole=path)
    with pytest.raises(FileNotFoundError, match="none.json"):
        oj.models.read_profile(tmp_path / "none.json")
