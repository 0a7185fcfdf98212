"""Task graphs keep what they are given, sort it, and fuse it as the definition says."""

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload_jax.graphs.fuse import fuse
from offload_jax.graphs.problem import validate
from offload_jax.graphs.task_graph import MAX_DENSE_TASKS, TaskGraph
from tests.typecheck import unchecked

RATES: dict[str, Any] = {
    "device_speed": 1e9,
    "edge_speed": 4e9,
    "device_edge_bandwidth": np.array([1e6, 0.0]),
    "edge_cloud_bandwidth": 2e6,
}


def _diamond(**changes: Any) -> TaskGraph:
    fields: dict[str, Any] = {
        "names": ("a", "b", "c", "d"),
        "cycles": np.array([1.0, 2.0, 3.0, 4.0]),
        "edges": np.array([[0, 1], [0, 2], [1, 3], [2, 3]]),
        "data": np.array([10.0, 10.0, 20.0, 30.0]),
        "input": np.array([5.0, 0.0, 0.0, 0.0]),
        "output": np.array([0.0, 0.0, 0.0, 7.0]),
    }
    return unchecked(TaskGraph)(**fields | changes)


@st.composite
def shuffled_graphs(draw: st.DrawFn) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Pairs of names and the arguments of `from_edges`, of acyclic tasks in any order."""
    num_tasks = draw(st.integers(1, 11))
    names = draw(st.permutations([f"t{index}" for index in range(num_tasks)]))
    rank = draw(st.permutations(range(num_tasks)))
    pairs = [(u, v) for u, v in itertools.permutations(range(num_tasks), 2) if rank[u] < rank[v]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    send_once = draw(st.booleans())
    numbers = st.integers(0, 4).map(float)
    per_task = st.lists(numbers, min_size=num_tasks, max_size=num_tasks)
    results = draw(per_task)
    arguments = {
        "cycles": draw(per_task),
        "edges": [(names[u], names[v]) for u, v in edges],
        "data": [results[u] if send_once else draw(numbers) for u, _ in edges],
        "input": draw(per_task),
        "output": draw(per_task),
        "names": names,
        "send_once": send_once,
    }
    return arguments["edges"], arguments


def _tasks(graph: TaskGraph) -> dict[str, tuple[float, ...]]:
    fields = zip(graph.cycles, graph.input, graph.output, strict=True)
    return dict(zip(graph.names, (tuple(map(float, row)) for row in fields), strict=True))


def _bytes(graph: TaskGraph) -> dict[tuple[str, str], float]:
    return {
        (graph.names[u], graph.names[v]): float(size)
        for (u, v), size in zip(graph.edges, graph.data, strict=True)
    }


@given(shuffled_graphs())
def test_sorting_changes_numbers_and_nothing_else(graph_and_arguments: Any) -> None:
    edges, arguments = graph_and_arguments
    graph = TaskGraph.from_edges(**arguments)
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert graph.edges.tolist() == sorted(graph.edges.tolist())
    assert _bytes(graph) == dict(zip(edges, arguments["data"], strict=True))
    columns = zip(arguments["cycles"], arguments["input"], arguments["output"], strict=True)
    assert _tasks(graph) == dict(zip(arguments["names"], columns, strict=True))
    # Sorted tasks stay where they are, whether edges are named or numbered.
    again = TaskGraph.from_edges(
        graph.cycles,
        graph.edges,
        graph.data,
        input=graph.input,
        output=graph.output,
        names=graph.names,
        send_once=graph.send_once,
    )
    assert again.names == graph.names
    np.testing.assert_array_equal(again.edges, graph.edges)


def test_of_ready_tasks_the_first_listed_comes_first() -> None:
    graph = TaskGraph.from_edges(np.ones(5), [(4, 0), (3, 1)])
    assert graph.names == ("2", "3", "1", "4", "0")


def _fused_by_definition(graph: TaskGraph, max_tasks: int) -> list[frozenset[int]]:
    """The groups of `fuse`, by trying every edge at every step."""
    groups = [frozenset([task]) for task in range(graph.num_tasks)]
    data = {(int(u), int(v)): size for (u, v), size in zip(graph.edges, graph.data, strict=True)}

    def size(a: frozenset[int], b: frozenset[int]) -> float:
        crossing = [(u, v) for u, v in data if u in a and v in b]
        if graph.send_once:
            return sum({u: data[u, v] for u, v in crossing}.values())
        return sum(data[edge] for edge in crossing)

    def read(a: frozenset[int], b: frozenset[int]) -> bool:
        return a != b and any((u, v) in data for u in a for v in b)

    def acyclic(parts: list[frozenset[int]]) -> bool:
        left = list(parts)
        while left:
            free = [b for b in left if not any(read(a, b) for a in left)]
            if not free:
                return False
            left = [part for part in left if part not in free]
        return True

    while len(groups) > max_tasks:
        candidates = []
        for a, b in itertools.permutations(groups, 2):
            merged = [part for part in groups if part not in (a, b)] + [a | b]
            if read(a, b) and acyclic(merged):
                several = graph.send_once and sum(read(a, other) for other in groups) > 1
                work = graph.cycles[list(a)].sum() * graph.cycles[list(b)].sum()
                rating = size(a, b) ** 2 / work if work else math.inf
                candidates.append((several, -rating, min(a), min(b), merged))
        if not candidates:
            loads = sorted((graph.cycles[list(part)].sum(), min(part), part) for part in groups)
            a, b = loads[0][2], loads[1][2]
            candidates = [(False, 0.0, 0, 0, [p for p in groups if p not in (a, b)] + [a | b])]
        groups = min(candidates, key=lambda candidate: candidate[:4])[4]
    return groups


@given(shuffled_graphs(), st.integers(1, 6))
def test_fusing_follows_its_definition(graph_and_arguments: Any, max_tasks: int) -> None:
    graph = TaskGraph.from_edges(**graph_and_arguments[1])
    fused = fuse(graph, max_tasks)
    assert fused.num_tasks == min(max_tasks, graph.num_tasks)
    assert (fused.edges[:, 0] < fused.edges[:, 1]).all()
    for field in ("cycles", "input", "output"):
        assert getattr(fused, field).sum() == getattr(graph, field).sum()

    groups = _fused_by_definition(graph, max_tasks)
    tasks, between = {}, {}
    name = {group: graph.names[min(group, key=lambda t: (-graph.cycles[t], t))] for group in groups}
    for group in groups:
        members = sorted(group)
        totals = (graph.cycles, graph.input, graph.output)
        tasks[name[group]] = tuple(float(values[members].sum()) for values in totals)
        leaving = {}
        for (u, v), size in zip(graph.edges.tolist(), graph.data.tolist(), strict=True):
            if u in group and v not in group:
                reader = next(other for other in groups if v in other)
                leaving[u] = size
                pair = name[group], name[reader]
                between[pair] = between.get(pair, 0.0) + size
        if graph.send_once:
            for pair in between:
                if pair[0] == name[group]:
                    between[pair] = sum(leaving.values())
    assert _tasks(fused) == tasks
    assert _bytes(fused) == between


def test_fusing_keeps_bytes_where_a_result_has_one_reader() -> None:
    # The result of 0 is read by 1 and 3; merging 1 into 2 and then 2 into 3 hands on one result.
    graph = TaskGraph.from_edges(
        np.ones(4), [(0, 1), (0, 3), (1, 2), (2, 3)], [100.0, 100.0, 3.0, 2.0], send_once=True
    )
    assert _bytes(fuse(graph, 3)) == {("0", "1"): 100.0, ("0", "3"): 100.0, ("1", "3"): 2.0}
    assert _bytes(fuse(graph, 2)) == {("0", "1"): 100.0}
    assert fuse(graph, 4) is graph
    with pytest.raises(ValueError, match="max_tasks = 0: must be an integer of at least 1"):
        fuse(graph, 0)
    with pytest.raises(ValueError, match="graph: must be a TaskGraph, got int"):
        unchecked(fuse)(3, graph)


@pytest.mark.parametrize("send_once", [False, True])
def test_what_thousands_read_is_fused_in_no_time(send_once: bool) -> None:
    """As in BLAST: one task feeds all, two gather. Seconds, where every edge rated anew took 80."""
    n = 2000
    edges = [(0, v) for v in range(1, n)] + [(v, w) for v in range(1, n) for w in (n, n + 1)]
    rng = np.random.default_rng(0)
    data = rng.uniform(1, 2, n)[[u for u, _ in edges]]
    graph = TaskGraph.from_edges(rng.uniform(1, 2, n + 2), edges, data, send_once=send_once)
    begin = time.process_time()
    fused = fuse(graph, n // 4)
    assert time.process_time() - begin < 20
    assert fused.num_tasks == n // 4
    assert fused.cycles.sum() == pytest.approx(graph.cycles.sum(), rel=1e-12)


def test_large_workflow_is_sorted_and_fused() -> None:
    rng = np.random.default_rng(0)
    layers, width = 100, 50
    edges = [
        (layer * width + u, (layer + 1) * width + v)
        for layer in range(layers - 1)
        for v in range(width)
        for u in rng.choice(width, 2, replace=False)
    ]
    shuffle = rng.permutation(layers * width)
    graph = TaskGraph.from_edges(rng.uniform(1, 2, layers * width), shuffle[edges], 1.0)
    assert (graph.num_tasks, graph.num_edges) == (5000, len(edges))
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert "5000 tasks, 9900 edges" in repr(graph)
    fused = fuse(graph, 4000)
    assert fused.num_tasks == 4000
    assert fused.cycles.sum() == pytest.approx(graph.cycles.sum(), rel=1e-12)
    with pytest.raises(ValueError, match=r"5000 tasks.*0\.2 GiB.*4096"):
        graph.to_problem(**RATES)
    assert MAX_DENSE_TASKS == 4096


def test_problem_is_the_dense_form() -> None:
    graph = _diamond(data=[10.0, 10.0, 0.0, 30.0], send_once=True)
    problem = graph.to_problem(**RATES, edge_servers=2, release=[0.0, 1.0, 0.0, 0.0])
    validate(problem)
    assert problem.batch_shape == (2,)
    assert (problem.num_tasks, problem.edge_servers, problem.send_once) == (4, 2, True)
    expected = np.zeros((4, 4))
    expected[[0, 0, 2], [1, 2, 3]] = [10.0, 10.0, 30.0]
    np.testing.assert_array_equal(problem.data, expected)
    depends = np.zeros((4, 4), bool)
    depends[[0, 0, 1, 2], [1, 2, 3, 3]] = True
    np.testing.assert_array_equal(problem.depends, depends)
    for field in ("cycles", "input", "output"):
        np.testing.assert_array_equal(getattr(problem, field), getattr(graph, field))
    np.testing.assert_array_equal(problem.release, [0.0, 1.0, 0.0, 0.0])
    assert (problem.device_speed, problem.edge_speed) == (1e9, 4e9)
    np.testing.assert_array_equal(problem.device_edge_bandwidth, [1e6, 0.0])
    assert problem.edge_cloud_bandwidth == 2e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ()}, "at least one task"),
        ({"names": ("a", "b", "a", "d")}, r"names\[2\] = 'a': task 0"),
        ({"cycles": [1.0, -2.0, 3.0, 4.0]}, r"cycles\[1\] = -2.0: .*not negative \(task 'b'\)"),
        ({"cycles": [1.0, 2.0]}, r"cycles: must have shape \(4,\)"),
        ({"cycles": ["x", 2.0, 3.0, 4.0]}, "cycles: must hold real numbers"),
        ({"cycles": None}, "cycles: must be an array of numbers, got None"),
        ({"cycles": 1.0}, r"cycles: must have shape \(4,\), one for each task, got \(\)"),
        ({"input": "raw"}, "input: must be an array of numbers, got 'raw'"),
        ({"names": "abcd"}, "names: must be a list of strings, got 'abcd'"),
        ({"names": None}, "names: must be a list of strings, got None"),
        ({"send_once": "no"}, "send_once: must be a bool"),
        ({"names": (1, 2, 3, 4)}, r"names\[0\]: must be a str, got int"),
        ({"data": [1.0, 1.0, np.nan, 1.0]}, r"data\[2\] = nan: .* \(task 'b' to 'd'\)"),
        ({"data": [1.0]}, r"data: must have shape \(4,\), one for each edge"),
        ({"input": [0.0, 0.0, np.inf, 0.0]}, r"input\[2\] = inf: .*task 'c'"),
        ({"output": [0.0, 0.0, 0.0, -1.0]}, r"output\[3\] = -1.0: .*task 'd'"),
        ({"edges": [[0, 1], [0, 4], [1, 3], [2, 3]]}, r"edges\[1\] = \(0, 4\): unknown task"),
        ({"edges": [[0, 1], [0, 2], [3, 1], [2, 3]]}, r"edges\[2\] = \(3, 1\), 'd' to 'b'"),
        ({"edges": [[0, 1], [0, 2], [2, 3], [2, 3]]}, r"edges\[3\] = .*'c' to 'd'.*twice"),
        ({"edges": [[0.5, 1], [0, 2], [1, 3], [2, 3]]}, "edges: must hold numbers or names"),
        ({"edges": [0, 1, 2, 3]}, r"edges: must be pairs, of shape \(M, 2\), got \(4,\)"),
        ({"edges": [(0, 1), (1,)]}, r"edges: must be pairs, of shape \(M, 2\), got \(2,\)"),
        ({"edges": None}, "edges: must be an Iterable, got NoneType"),
        (
            {"data": [10.0, 11.0, 20.0, 30.0], "send_once": True},
            r"data\[1\] = 11.0 but data\[0\] = 10.0, both out of task 'a'",
        ),
    ],
)
def test_bad_graphs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _diamond(**changes)


def test_lists_are_as_good_as_arrays() -> None:
    graph = unchecked(TaskGraph)(["a", "b"], [1, 2], [[0, 1]], [3], [0, 0], [0, 0])
    assert _tasks(graph) == {"a": (1, 0, 0), "b": (2, 0, 0)}
    assert _bytes(graph) == {("a", "b"): 3}
    for edges in ([("a", "b")], np.array([("a", "b")]), {("a", "b"): 0}, iter([["a", "b"]])):
        again = TaskGraph.from_edges([1, 2], edges, [3], names=["a", "b"])
        np.testing.assert_array_equal(again.edges, graph.edges)


ONE_OF_THREE = "cycle: (b -> c -> d -> b|c -> d -> b -> c|d -> b -> c -> d)$"


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")], ONE_OF_THREE),
        ([("a", "a")], "cycle: a -> a"),
        ([("a", "b"), ("b", "x")], r"edges\[1\] = \('b', 'x'\): unknown task 'x'"),
        ([(0, 1), (1, 4)], r"edges\[1\] = \(1, 4\): unknown task"),
        ([("a", 1)], r"edges\[0\] = \('a', 1\): unknown task 1"),
        ([("a", "b", "c")], r"edges: must be pairs, of shape \(M, 2\), got \(1, 3\)"),
        ([0, 1], r"edges: must be pairs, of shape \(M, 2\), got \(2,\)"),
        ([(0, 1), (2,)], r"edges: must be pairs, of shape \(M, 2\), got \(2,\)"),
        ([(0, 1.5)], "edges: must hold numbers or names of tasks, got dtype float64"),
        ([(0, None)], "edges: must hold numbers or names of tasks, got dtype object"),
        (3, "edges: must be an Iterable, got int"),
        ([(0, 1), (2, 3), (0, 1)], r"edges\[1\] = \(0, 1\), 'a' to 'b': is there twice"),
    ],
)
def test_bad_edges_are_refused(edges: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskGraph.from_edges(np.ones(4), edges, names=["a", "b", "c", "d"])


def test_a_long_cycle_is_cut_short_in_the_message() -> None:
    edges = [(index, (index + 1) % 30) for index in range(30)]
    with pytest.raises(ValueError, match=r"cycle: \w+( -> \w+){7} -> \.\.\. -> \w+$"):
        TaskGraph.from_edges(np.ones(30), edges)
    with pytest.raises(ValueError, match="one value for each of 2 tasks"):
        TaskGraph.from_edges(np.ones(3), [], names=["a", "b"])
    with pytest.raises(ValueError, match="names: a task graph needs at least one task"):
        TaskGraph.from_edges([], [])
    with pytest.raises(ValueError, match="data: cannot be converted to an array of numbers"):
        TaskGraph.from_edges([1, 1], [(0, 1)], [[1], [1, 2]])
    with pytest.raises(ValueError, match=r"names\[0\]: must be a str, got int"):
        unchecked(TaskGraph.from_edges.__func__)(TaskGraph, [1], [], names=[7])
