"""Measured tables are read in SI units; a malformed one is refused with its file and row."""

import json
import math
import pathlib

import numpy as np
import pytest

import offload_jax as oj
from tests.typecheck import unchecked

CSV = """subtask,output_bytes,device,edge,cloud
input,1000000,,,
conv, 250000, 1200, 40, 5
classifier,4000,800,inf,2.5
"""
JSON = {
    "name": "tiny",
    "input_bytes": 1000000,
    "subtasks": [
        {
            "name": "conv",
            "output_bytes": 250000,
            "milliseconds": {"device": 1200, "edge": 40, "cloud": 5},
        },
        {
            "name": "classifier",
            "output_bytes": 4000,
            "milliseconds": {"cloud": 2.5, "edge": math.inf, "device": 800},
        },
    ],
}


def _write(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(text)
    return path


def test_csv_and_json_say_the_same(tmp_path: pathlib.Path) -> None:
    for task in (
        oj.read_measured_task(_write(tmp_path / "tiny.csv", CSV)),
        oj.read_measured_task(_write(tmp_path / "tiny.json", json.dumps(JSON))),
    ):
        assert task.name == "tiny"
        assert task.num_subtasks == 2
        assert task.subtask_names == ("conv", "classifier")
        assert task.place_names == ("device", "edge", "cloud")
        np.testing.assert_allclose(task.seconds, [[1.2, 0.04, 0.005], [0.8, math.inf, 0.0025]])
        np.testing.assert_allclose(task.data, [1e6, 2.5e5, 4e3])


def test_documented_examples_are_read_and_solved(tmp_path: pathlib.Path) -> None:
    import offload_jax.measured

    text = offload_jax.measured.__doc__
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index("subtask,output_bytes,device,edge,cloud")
    csv = _write(tmp_path / "a.csv", "\n".join(lines[start : start + 4]))
    object_ = text[text.index('{"name"') : text.index("]}") + 2]
    tasks = [oj.read_measured_task(p) for p in (csv, _write(tmp_path / "b.json", object_))]
    np.testing.assert_array_equal(tasks[0].seconds, tasks[1].seconds)
    network = oj.Network(
        (oj.Processor("device"), oj.Processor("edge"), oj.Processor("cloud")),
        (oj.Link("device", "edge", 1e9), oj.Link("edge", "cloud", 1e9)),
    )
    assert oj.solve(oj.network_costs(tasks[0], network)).decision.shape == (2,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"bad.csv:1: the header must be"),
        ("layer,bytes,device\n", r"bad.csv:1: the header must be"),
        ("subtask,output_bytes\n", r"bad.csv:1: the header must be"),
        ("subtask,output_bytes,a,a\n", r"bad.csv:1: places must differ"),
        ("subtask,output_bytes,a\ninput,1,\n", r"bad.csv:1: needs a row"),
        ("subtask,output_bytes,a\ninput,1,5\n", r"bad.csv:2: the first row is the input"),
        (
            "subtask,output_bytes,a\ninput,1,\nx,1,nan\n",
            r"bad.csv:3: a = nan: must not be negative",
        ),
        ("subtask,output_bytes,a\ninput,1,\nx,1,-2\n", r"bad.csv:3: a = -2: must not be negative"),
        (
            "subtask,output_bytes,a\ninput,1,\nx,1,fast\n",
            r"bad.csv:3: a = 'fast': must be",
        ),
        ("subtask,output_bytes,a\ninput,1,\n\nx,1,\n", r"bad.csv:4: a = '': must be a number"),
        ("subtask,output_bytes,a\ninput,1,\nx,1\n", r"bad.csv:3: must have 3 columns, got 2"),
        ("subtask,output_bytes,a\ninput,inf,\n", r"bad.csv:2: output_bytes = inf: must be finite"),
    ],
)
def test_malformed_csv_is_refused(text: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=message):
        oj.read_measured_task(_write(tmp_path / "bad.csv", text))


def _changed(change: object) -> str:
    content = json.loads(json.dumps(JSON))
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name":\n oops}', r"bad.json: line 2: no JSON"),
        ("[" * 100_000, r"bad.json: JSON that is nested too deeply"),
        ("[]", r"bad.json: must be a JSON object"),
        (_changed(lambda c: c.update(subtasks=3)), "subtasks must be a JSON array"),
        (_changed(lambda c: c.update(subtasks=[])), "subtasks: needs at least one"),
        (_changed(lambda c: c.pop("input_bytes")), "bad.json: has no input_bytes"),
        (
            _changed(lambda c: c["subtasks"][1]["milliseconds"].update(edge=math.nan)),
            r"bad.json: subtasks\[1\].milliseconds: edge = nan: must not be negative or NaN",
        ),
        (
            _changed(lambda c: c["subtasks"][1]["milliseconds"].pop("edge")),
            r"subtasks\[1\].milliseconds: must have the places device, edge, cloud",
        ),
        (
            _changed(lambda c: c["subtasks"][0].update(output_bytes=True)),
            r"subtasks\[0\]: output_bytes must be a JSON number",
        ),
        (
            _changed(lambda c: c["subtasks"][0].update(output_bytes=10**400)),
            r"subtasks\[0\]: output_bytes = inf: must be finite and not negative",
        ),
    ],
)
def test_malformed_json_is_refused(text: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=message):
        oj.read_measured_task(_write(tmp_path / "bad.json", text))


def test_a_byte_order_mark_changes_nothing(tmp_path: pathlib.Path) -> None:
    for name, text in (("tiny.csv", CSV), ("tiny.json", json.dumps(JSON))):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert oj.read_measured_task(tmp_path / name).subtask_names == ("conv", "classifier")
        (tmp_path / name).write_text(text, encoding="utf-16")
        with pytest.raises(ValueError, match=f"{name}: must be text in UTF-8, but is UTF-16"):
            oj.read_measured_task(tmp_path / name)


def test_other_files_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.csv or \.json"):
        oj.read_measured_task(_write(tmp_path / "table.txt", CSV))
    with pytest.raises(OSError, match="nothing"):
        oj.read_measured_task(tmp_path / "nothing.csv")


def test_arrays_are_checked() -> None:
    good = ("t", ("a",), ("device",))
    with pytest.raises(ValueError, match=r"seconds\[0, 0\] = nan"):
        oj.MeasuredTask(*good, np.array([[math.nan]]), np.ones(2))
    with pytest.raises(ValueError, match=r"data: must have shape \(2,\), got \(3,\)"):
        oj.MeasuredTask(*good, np.array([[1.0]]), np.ones(3))
    make = unchecked(oj.MeasuredTask)
    with pytest.raises(ValueError, match="seconds: cannot be converted to an array of numbers"):
        make("t", ("a", "b"), ("device",), [[1.0], [1.0, 2.0]], [0, 0, 0])
    with pytest.raises(ValueError, match="data: must be an array of numbers, got None"):
        make(*good, [[1.0]], None)
    with pytest.raises(ValueError, match=r"place_names\[0\]: must be a str, got int"):
        make("t", ("a",), (1,), [[1.0]], [0, 0])
    with pytest.raises(ValueError, match="t: places must differ, got device, device"):
        make("t", ("a",), ("device", "device"), [[1.0, 2.0]], [0, 0])
    np.testing.assert_array_equal(make(*good, [[1]], [1, 2]).data, [1.0, 2.0])
