"""The command line: what it prints and writes, and one sentence for whatever is wrong."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import offload_jax as oj
from offload_jax.cli import commands, main

ROOT = Path(__file__).parents[1]
NETWORK = """
[[place]]
name = "phone"
speed = "100 MFLOP/s"
watts = "3 W"

[[place]]
name = "edge"
speed = "40 GFLOP/s"

[[link]]
ends = ["phone", "edge"]
bandwidth = "20 Mbit/s"
round_trip_time = "5 ms"
"""
CHAIN = {
    "cycles": [8e8, 1.2e9, 4e8],
    "data": [2e6, 4e6, 1e6, 1e5],
    "device_speed": 5e8,
    "edge_speed": 3e9,
    "device_edge_bandwidth": 1.5e6,
    "edge_cloud_bandwidth": 2e6,
}
TABLE = """subtask,output_bytes,phone,edge
input,150528,,
conv1,80281,12.5,3.1
classifier,4000,25,0.4
"""
GRAPH = """subtask,output_bytes,needs,phone,edge
input,150528,,,
left,80281,input,12.5,3.1
right,80281,input,12.5,3.1
head,4000,left;right,25,0.4
"""
GV = """digraph {
1 [size="100000", expect_size="1"]
2 [size="200000", expect_size="100"]
1 -> 2 [size="3000"]
}
"""
STG = "2\n0 0 0\n1 5 1 0\n2 6 1 1\n3 0 1 2\n"
WORKFLOW = {
    "name": "flow",
    "schemaVersion": "1.5",
    "workflow": {
        "specification": {
            "tasks": [
                {"name": "a", "id": "a", "parents": [], "children": ["b"], "outputFiles": ["f"]},
                {"name": "b", "id": "b", "parents": ["a"], "children": [], "inputFiles": ["f"]},
            ],
            "files": [{"id": "f", "sizeInBytes": 1000}],
        },
        "execution": {
            "tasks": [{"id": "a", "runtimeInSeconds": 2.0}, {"id": "b", "runtimeInSeconds": 3.0}]
        },
    },
}
DOT = "digraph {\na [Weight=1.5]\nb [Weight=2]\na -> b [Weight=1000]\n}\n"


def model() -> onnx.ModelProto:
    """Two convolutions and a classifier, with weights."""
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], "conv1", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Conv", ["c1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["c2"], ["logits"], "pool"),
    ]
    shapes = {"w1": (4, 3, 3, 3), "w2": (64, 4, 3, 3)}
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, np.ones(shape).ravel())
        for name, shape in shapes.items()
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 64, 64])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 64, 1, 1])
    graph = helper.make_graph(nodes, "small", [image], [logits], weights)
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


FILES = {
    "net.toml": NETWORK,
    "chain.json": json.dumps(CHAIN),
    "profile.json": json.dumps({key: CHAIN[key] for key in ("cycles", "data")}),
    "table.csv": TABLE,
    "graph.csv": GRAPH,
    "task.gv": GV,
    "task.stg": STG,
    "task.dot": DOT,
    "task.json": json.dumps(WORKFLOW),
    "text.onnx": "# no model\n",
    "other.txt": "what is this\n",
    "broken.json": '{"cycles": [1',
    "batch.json": json.dumps({**CHAIN, "cycles": [CHAIN["cycles"]] * 2}),
    "half.json": json.dumps({**CHAIN, "edge_speed": None}),
    "unknown.json": json.dumps({**CHAIN, "speed": 1}),
    "negative.json": json.dumps({**CHAIN, "cycles": [-1, 1, 1]}),
    "list.json": "[1, 2]",
    "cycle.dot": "digraph {\na [Weight=1]\nb [Weight=2]\na -> b [Weight=1]\nb -> a [Weight=1]\n}\n",
    "bare.toml": NETWORK.replace('"20 Mbit/s"', "20"),
    "empty.toml": "",
    "alone.toml": NETWORK.partition("[[link]]")[0],
    "one.toml": NETWORK.partition('\n[[place]]\nname = "edge"')[0],
    "down.toml": NETWORK.replace("20 Mbit", "0 bit"),
    "small.toml": NETWORK.replace("[[link]]", "").partition("ends")[0],
    "tight.toml": NETWORK.replace('watts = "3 W"', 'memory = "1 kB"').replace(
        'speed = "40 GFLOP/s"', 'speed = "40 GFLOP/s"\nmemory = "2 kB"'
    ),
    "times.csv": "node,milliseconds\nsomething,1\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With all files, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    content = model().SerializeToString()
    (tmp_path / "model.onnx").write_bytes(content)
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    status = main(line.split())
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


ON_NET = "--network net.toml"
MODEL = f"plan model.onnx {ON_NET} --shape batch=1"
BAD = {
    "plan": "Missing argument 'FILE'",
    "plan --nothing": "No such option '--nothing'",
    "make model.onnx": "No such command 'make'",
    "plan model.onnx": "--network: needed, model.onnx says nothing of places and links",
    f"plan chain.json {ON_NET}": "--network: chain.json has speeds and bandwidths of its own",
    f"plan nothing.onnx {ON_NET}": "nothing.onnx: No such file or directory",
    f"plan full {ON_NET}": "full: Is a directory",
    "plan model.onnx --network nothing.toml": "nothing.toml: No such file or directory",
    f"plan text.onnx {ON_NET}": "text.onnx: is no ONNX model, or a truncated one",
    f"plan cut.onnx {ON_NET}": "cut.onnx: ",
    f"plan model.onnx {ON_NET}": "model.onnx: shapes: must give the lengths of 'batch'",
    f"{MODEL} --shape bach=1": "model.onnx: shapes: the model has no open dimension 'bach'",
    f"plan model.onnx {ON_NET} --shape batch": "--shape batch: must be NAME=LENGTH",
    f"plan model.onnx {ON_NET} --shape batch=x": "--shape batch=x: the length must be a whole",
    f"plan model.onnx {ON_NET} --shape batch=0": "shapes['batch'] = 0: must be an integer",
    f"plan table.csv {ON_NET} --shape batch=1": "table.csv: shapes are for .onnx files",
    f"plan other.txt {ON_NET}": "other.txt: is neither DOT nor WfFormat nor STG",
    f"plan broken.json {ON_NET}": "broken.json: line 1: no JSON",
    f"plan list.json {ON_NET}": "list.json: ",
    "plan batch.json": "batch.json: must be one chain, got a batch (2,)",
    "plan half.json": "half.json: chain: edge_speed must be a JSON number",
    "plan unknown.json": "unknown.json: unknown entry 'speed' of a chain",
    "plan negative.json": "negative.json: cycles[0] = -1.0: must be finite and not negative",
    f"plan cycle.dot {ON_NET}": "cycle.dot: edges: tasks form a cycle",
    f"{MODEL.replace('net.', 'bare.')}": "bare.toml: link 'phone' to 'edge': bandwidth = 20: must",
    f"{MODEL.replace('net.', 'empty.')}": "empty.toml: has no [[place]]",
    f"{MODEL.replace('net.', 'tight.')}": "memory: the weights of model",
    f"{MODEL} --objective speed": "'speed' is not one of 'latency', 'period', 'energy'",
    f"{MODEL} --max-latency 5": "--max-latency = '5': must be text with a number and a unit",
    f"{MODEL} --max-latency 5MB": "--max-latency = '5MB': unknown unit",
    f"{MODEL} --max-latency 1us": "max_latency = 1e-06 s: the best plan found takes",
    f"{MODEL} --max-energy 1s": "--max-energy = '1s': unknown unit",
    f"{MODEL} --max-period 1ns": "no plan within these limits is possible",
    f"{MODEL} --energy-weight 1 --objective period": "--energy-weight: goes with --objective lat",
    f"{MODEL} --memory phone": "--memory phone: must be PLACE=SIZE",
    f"{MODEL} --memory phone=1": "--memory phone = '1': must be text with a number and a unit",
    f"{MODEL} --memory moon=1GB": "max_memory: unknown place 'moon'",
    f"{MODEL} --memory phone=1kB --memory edge=1kB": "memory: the weights of model",
    f"{MODEL.replace('plan', 'front')} --against money": "'money' is not one of 'energy', 'period'",
    "front chain.json": "against: energy needs the watts of a place of the network",
    f"{MODEL.replace('plan', 'front')} --output front.gif": "--output front.gif: must end in",
    f"{MODEL} --time-limit 0s": "time_limit = 0",
    f"{MODEL} --allow conv1": "--allow conv1: must be LAYER=PLACE,...",
    f"{MODEL} --allow conv1=moon": "allowed['conv1']: unknown place 'moon', known are phone, edge",
    f"{MODEL} --allow conv9=edge": "allowed: no task has the name 'conv9'",
    f"{MODEL} --reference-speed 3": "--reference-speed = '3': must be text",
    f"{MODEL} --profile times.csv": "--profile times.csv: must be PLACE=FILE",
    f"{MODEL} --profile phone=times.csv": "profile of 'phone'",
    f"{MODEL} --profile moon=table.csv": "table.csv: line 1: the header must be node,milliseconds",
    f"plan table.csv {ON_NET} --profile phone=times.csv": "--profile: for ONNX models",
    f"{MODEL} --split full": "full: is there already and not an empty folder",
    f"plan table.csv {ON_NET} --split parts": "table is no model from a file",
    f"{MODEL} --save full": "full: Is a directory",
    f"{MODEL} --save nowhere/plan.json": "nowhere/plan.json: No such file or directory",
    f"{MODEL} --plot picture.txt": "--plot picture.txt: must end in .pdf, .png, .svg",
    f"{MODEL} --plot nowhere/picture.png": "--plot nowhere/picture.png: nowhere is no folder",
    "map table.csv --network alone.toml": "network: a map needs at least one link",
    "map table.csv --network down.toml": "network: phone to edge: cannot be swept from 0.0",
    "map model.onnx --output map.gif": "--output map.gif: must end in .pdf, .png, .svg",
    "check": "Missing argument 'DIR'",
    "check nothing": "nothing/parts.json: No such file or directory",
    "check full": "full/parts.json: No such file or directory",
    "measure text.onnx": "text.onnx: is no ONNX model, or a truncated one",
    "measure model.onnx --runs 0 --shape batch=1": "0 is not in the range x>=1",
    "measure model.onnx": "model.onnx: shapes: must give the lengths of 'batch'",
}


@pytest.mark.parametrize("line", BAD)
def test_one_sentence_and_nothing_half_written(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    status, out, err = run(capsys, line)
    assert (status, out) == (2, "")
    assert err.startswith("offload-jax: ") and err.count("\n") == 1, err
    assert BAD[line] in err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("file", "layers"),
    [
        ("profile.json", 3),
        ("table.csv", 2),
        ("graph.csv", 4),
        ("task.gv", 2),
        ("task.stg", 2),
        ("task.dot", 2),
        ("task.json", 2),
    ],
)
def test_every_kind_of_file_is_planned(
    file: str, layers: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, f"plan {file} {ON_NET} --json --save plan.json")
    assert (status, err) == (0, "")
    assert (folder / "plan.json").read_text() == out
    found = oj.Plan.load(folder / "plan.json")
    assert len(found.names) == layers
    # A device and a place ten times as fast.
    assert found.latency <= min(total.latency for total in found.totals.values())


def test_a_chain_with_speeds_needs_no_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "plan chain.json")
    assert status == 0
    assert out.startswith("chain: latency 2.2 s, nothing is better\n")


def test_a_model_is_planned_split_and_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, f"{MODEL} --split parts")
    assert (status, err) == (0, "")
    # 4.7 MFLOP of the second convolution: 0.1 ms at the edge, 47 ms on the phone; 16 kB go there.
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["phone", "edge"], out
    assert "(c1)" in lines[3] and "(logits)" in lines[4]
    assert sorted(path.name for path in Path("parts").iterdir()) == [
        "0-phone.onnx",
        "1-edge.onnx",
        "parts.json",
    ]
    assert run(capsys, "check parts") == (0, "2 parts, 1 outputs: equal to the last bit\n", "")
    # Pinned to the phone, nothing is left to send.
    _, out, _ = run(capsys, f"{MODEL} --allow c*=phone --allow pool=phone")
    assert "phone to edge, now 20 Mbit/s: the plan stays at every bandwidth" in out


def test_goals_and_limits_are_taken_from_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, f"{MODEL} --objective period --memory phone=1kB")
    assert status == 0 and "model: period" in out
    # The second convolution has 9.2 kB of weights.
    assert "all on phone" in out and "conv2" in out
    _, out, _ = run(capsys, f"{MODEL} --energy-weight 2 --json")
    content = json.loads(out)
    assert content["objective"] == "weighted" and content["weights"] == [1.0, 2.0, 0.0]
    _, out, _ = run(capsys, f"{MODEL} --max-energy 0.1mJ --json")
    assert json.loads(out)["energy"] <= 1e-4


def test_a_front_is_drawn_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"{MODEL.replace('plan', 'front')} --against period --output period.png"
    status, out, err = run(capsys, line)
    assert (status, err) == (0, "")
    assert (folder / "period.png").read_bytes().startswith(b"\x89PNG")
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "latency" and "period" in lines[0]
    assert lines[-1].endswith("proven")


def test_a_stored_plan_is_split_and_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, f"{MODEL} --save plan.json")[0] == 0
    found = oj.Plan.load("plan.json")
    assert len(found.split("parts")) == len(found.segments) == 2
    assert str(found.check({"image": np.ones((1, 3, 64, 64), np.float32)})).endswith("last bit")
    other = model()
    other.graph.node[0].name = "first"
    Path("model.onnx").write_bytes(other.SerializeToString())
    with pytest.raises(ValueError, match="model.onnx: has other layers than when it was planned"):
        found.split("more")
    assert not Path("more").exists()


def test_a_first_plan_compiles_nothing(folder: Path) -> None:
    """Seconds would go into numba and XLA, which hundreds of layers do not need."""
    code = """
import sys
import jax.monitoring
from offload_jax.cli import main
events = []
jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: events.append(event))
assert main(sys.argv[1:]) == 0
assert not [event for event in events if "compile" in event]
assert not {"numba", "matplotlib", "onnxruntime"} & sys.modules.keys()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *MODEL.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_differences_of_parts_are_status_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, f"{MODEL} --split parts")[0] == 0
    part = onnx.load("parts/1-edge.onnx")
    weights = onnx.numpy_helper.to_array(part.graph.initializer[0]) * 1.5
    part.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(weights, part.graph.initializer[0].name)
    )
    onnx.save(part, "parts/1-edge.onnx")
    status, out, err = run(capsys, "check parts")
    assert (status, err) == (1, "")
    assert "'logits'" in out


def test_measured_times_of_this_machine_are_planned_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(
        capsys, "measure model.onnx --shape batch=1 --runs 2 --threads 1 --output phone.csv"
    )
    assert (status, err) == (0, "")
    profile = oj.models.read_profile("phone.csv")
    _, out, _ = run(capsys, f"{MODEL} --profile phone=phone.csv --json")
    assert json.loads(out)["totals"]["phone"]["latency"] == pytest.approx(profile.whole, rel=1e-3)


def test_warnings_are_one_line_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = model()
    content.graph.node[2].op_type = "Det"
    content.graph.node[2].domain = "mine"
    content.opset_import.append(helper.make_opsetid("mine", 1))
    (folder / "odd.onnx").write_bytes(content.SerializeToString())
    status, out, err = run(capsys, f"plan odd.onnx {ON_NET} --shape batch=1")
    assert status == 0 and out
    assert err.startswith("offload-jax: warning: ") and "mine.Det" in err
    assert err.count("\n") == 1


def test_pictures_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, f"{MODEL} --plot plan.png")[0] == 0
    assert (folder / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert run(capsys, f"map table.csv {ON_NET} --output map.svg")[:2] == (0, "map.svg\n")
    assert "phone to edge, Mbit/s" in (folder / "map.svg").read_text()


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in commands.commands:
        status, out, _ = run(capsys, f"{name} --help")
        assert status == 0
        assert f"Example:\n    offload-jax {name} " in out
    status, out, _ = run(capsys, "--version")
    assert (status, out) == (0, "0.2.0\n")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, None])
def test_it_runs_as_a_module(
    interrupt: type | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if interrupt is not None:
        monkeypatch.setattr(oj, "read_network", lambda _: (_ for _ in ()).throw(interrupt))
        assert main(f"plan table.csv {ON_NET}".split()) == 130
        return
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "offload_jax", "plan", "table.csv", *ON_NET.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("table: latency ")
    assert math.isfinite(float(done.stdout.split()[2]))
