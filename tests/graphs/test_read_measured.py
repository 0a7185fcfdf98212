"""Measured task graphs: what files say, in SI units, and what is wrong with them."""

import math
from pathlib import Path

import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs.files import measured
from tests.typecheck import unchecked

assert measured.__doc__ is not None
TEXT = "\n".join(line.strip() for line in measured.__doc__.splitlines() if line.startswith("    "))
NETWORK = oj.Network(
    (oj.Processor("device", 1e9), oj.Processor("edge", 2e9)), (oj.Link("device", "edge", 1e6),)
)


def read(folder: Path, text: str) -> oj.graphs.MeasuredGraph:
    path = folder / "cam.csv"
    path.write_text(text)
    return oj.graphs.read_measured(path)


def test_the_documented_file(tmp_path: Path) -> None:
    found = read(tmp_path, TEXT)
    graph = found.graph
    assert repr(found) == "MeasuredGraph('cam', 4 tasks at device, edge)"
    assert graph.names == ("stem", "left", "right", "head")
    assert graph.edges.tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    assert graph.data.tolist() == [802816, 802816, 4000, 4000]
    assert graph.input.tolist() == [150528, 0, 0, 0]
    assert graph.output.tolist() == [0, 0, 0, 40]
    assert graph.send_once
    assert found.seconds["device"].tolist() == [0.0125, 0.02, 0.03, 0.001]
    assert found.seconds["edge"].tolist() == [0.0031, 0.0025, 0.004, 0.0002]


def test_files_in_any_order_and_an_input_that_several_need(tmp_path: Path) -> None:
    lines = TEXT.splitlines()
    text = "\n".join([*lines[:2], *reversed(lines[2:])]).replace(
        "left,4000,stem", "left,4000,input"
    )
    found = read(tmp_path, text)
    graph = found.graph
    assert set(graph.names) == {"input", "stem", "left", "right", "head"}
    holder = graph.names.index("input")
    assert graph.input[holder] == graph.input.sum() == 150528
    assert found.seconds["edge"][holder] == 0
    assert found.seconds["edge"][graph.names.index("right")] == 0.004
    named = {(graph.names[u], graph.names[v]) for u, v in graph.edges.tolist()}
    assert named == {
        ("input", "stem"),
        ("input", "left"),
        ("stem", "right"),
        ("left", "head"),
        ("right", "head"),
    }


def test_a_table_without_needs_is_a_chain(tmp_path: Path) -> None:
    rows = [line.split(",") for line in TEXT.splitlines()]
    text = "\n".join(",".join([*row[:2], *row[3:]]) for row in rows)
    found = read(tmp_path, text)
    task = oj.read_measured_task(tmp_path / "cam.csv")
    chain, graph = oj.plan(task, NETWORK), oj.plan(found, NETWORK)
    assert graph.latency == pytest.approx(chain.latency)
    assert graph.place.tolist() == chain.place.tolist()
    with pytest.raises(ValueError, match=r"cam\.csv:1: has a column needs"):
        (tmp_path / "cam.csv").write_text(TEXT)
        oj.read_measured_task(tmp_path / "cam.csv")


HEAD = "subtask,output_bytes,needs,device,edge\ninput,10,,,\n"
BAD = {
    r"cam\.csv:1: the header must be subtask,output_bytes": "task,bytes,needs,device\n",
    r"cam\.csv:1: the header must": "subtask,output_bytes,needs\n",
    r"cam\.csv:1: needs a row for the input": HEAD,
    r"cam\.csv:2: the first row is the input and has no times": HEAD.replace("10,,,", "10,a,1,1"),
    r"cam\.csv:3: 'a' needs 'b', which is not there": HEAD + "a,1,b,1,1\n",
    r"cam\.csv:2: no subtask needs 'input', the input": HEAD + "a,1,,1,1\n",
    r"cam\.csv:4: 'a' is there twice": HEAD + "a,1,input,1,1\na,1,input,1,1\n",
    r"cam\.csv:3: device = -1: must not be negative": HEAD + "a,1,input,-1,1\n",
    r"cam\.csv:3: must have 5 columns, got 4": HEAD + "a,1,input,1\n",
    r"cam\.csv: edges: tasks form a cycle: (a -> b -> a|b -> a -> b)$": HEAD
    + "a,1,input;b,1,1\nb,1,a,1,1\n",
    r"cam\.csv: edges: tasks form a cycle: a -> a$": HEAD + "a,1,input;a,1,1\n",
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files(message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, BAD[message])
    assert "\n" not in str(error.value)


def test_measured_seconds_replace_cycles(tmp_path: Path) -> None:
    graph = oj.graphs.TaskGraph.from_edges([1e9, 2e9], [(0, 1)], 1e6)
    costs = oj.graphs.network_costs(graph, NETWORK, seconds={"edge": [0.5, math.inf]})
    np.testing.assert_array_equal(costs.seconds, [[1.0, 0.5], [2.0, math.inf]])
    # Of a batch of networks, too.
    speeds = oj.Network((oj.Processor("device", [1e9, 2e9]), NETWORK.places[1]), NETWORK.links)
    costs = oj.graphs.network_costs(graph, speeds, seconds={"edge": [0.5, 0.25]})
    np.testing.assert_array_equal(costs.seconds, [[[1, 0.5], [2, 0.25]], [[0.5, 0.5], [1, 0.25]]])
    # A device without a speed will do where its times are known.
    free = oj.Network((oj.Processor("device"), NETWORK.places[1]), NETWORK.links)
    oj.graphs.network_costs(graph, free, seconds={"device": [1.0, 1.0]})
    for seconds, message in (
        ({"moon": [1.0, 1.0]}, "seconds: unknown place 'moon'"),
        ({"edge": [1.0]}, r"seconds\['edge'\]: must have one value for each of 2 tasks"),
        ({"edge": [1.0, -1.0]}, r"seconds\['edge'\]\[1\] = -1.0: must not be negative"),
        ([1.0], "seconds: must be a Mapping"),
    ):
        with pytest.raises(ValueError, match=message):
            unchecked(oj.graphs.network_costs)(graph, NETWORK, seconds=seconds)
    missing = oj.Network((*NETWORK.places, oj.Processor("cloud")), NETWORK.links)
    with pytest.raises(ValueError, match="cam: unknown place 'cloud', known are device, edge"):
        oj.plan(read(tmp_path, TEXT), missing)
