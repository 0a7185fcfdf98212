"""Learned policies for task graphs in C against those that they were written from."""

import ctypes
import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.batching import broadcast_batch
from offload_jax.graphs._jax.network import GraphPolicyConfig
from tests import oracle
from tests.export import compiled
from tests.graphs import cases
from tests.graphs.test_learned import random_policy

DRIVER = "graph_driver.c"
NUM = min(compiled.NUM_REQUESTS, 10_000)
RATES = ("device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth")


class Answers(NamedTuple):
    """What C says: places and orders `[n, N]`, error codes and makespans `[n]`."""

    place: np.ndarray
    order: np.ndarray
    error: np.ndarray
    makespan: np.ndarray


def inputs_of(problem: oj.graphs.GraphProblem) -> tuple[np.ndarray, np.ndarray]:
    """Rows of float32 and of edges, as the driver takes them."""
    fields = {
        name: np.asarray(getattr(broadcast_batch(problem), name))
        for name in ("cycles", "input", "output", "release", "data", "depends", *RATES)
    }
    num = len(fields["cycles"])
    flat = [fields[name].reshape(num, -1) for name in fields if name != "depends"]
    return np.concatenate(flat, -1, dtype=np.float32), fields["depends"].astype(np.uint8)


def ask(library: ctypes.CDLL, problem: oj.graphs.GraphProblem) -> Answers:
    rows, depends = inputs_of(problem)
    num, num_tasks = depends.shape[:2]
    shape = num, num_tasks
    answers = Answers(
        np.full(shape, -1, np.int8),
        np.full(shape, -1, np.int32),
        np.full(num, -1, np.int32),
        np.zeros(num, np.float32),
    )
    library.batch(
        ctypes.c_size_t(num),
        ctypes.c_size_t(num_tasks),
        *compiled.pointers(np.ascontiguousarray(rows), np.ascontiguousarray(depends)),
        problem.edge_servers,
        int(problem.send_once),
        *compiled.pointers(*answers),
    )
    return answers


NUM_TASKS = 8
DEEP = GraphPolicyConfig(hidden=7, second=3, order_hidden=5, rounds=3, message=3)
FLAT = GraphPolicyConfig(hidden=7, second=3, order_hidden=5)
POLICIES = {
    "student": (oj.graphs.policies.student, {}),
    "deep": (lambda: random_policy(DEEP), {"send_once": True, "edge_servers": 2}),
    "flat": (lambda: random_policy(FLAT), {"edge_servers": 40}),
}


def requests(num: int, **static) -> list[cases.Request]:
    """Rough and exact ones in turns, the latter with ties and dead links; releases, empty tasks."""
    rng = np.random.default_rng(num)
    found = []
    for i in range(num):
        request = cases.random_request(rng, NUM_TASKS, exact=i % 2 == 0, **static)
        if i % 5 == 0:
            unit = 1.0 if i % 2 == 0 else np.mean(request.cycles) / request.p1
            release = np.float32(unit) * rng.integers(0, 3, NUM_TASKS)
            request = request._replace(release=release.tolist())
        if i % 7 == 0:
            empty = NUM_TASKS - 1
            lists = {name: list(getattr(request, name)) for name in ("cycles", "input", "output")}
            for values in lists.values():
                values[empty] = 0.0
            edges = {edge: size for edge, size in request.edges.items() if empty not in edge}
            request = request._replace(edges=edges, release=None, **lists)
        found.append(request)
    return found


@pytest.mark.parametrize("name", POLICIES)
def test_decides_as_the_policy(tmp_path: Path, name: str) -> None:
    make, static = POLICIES[name]
    policy = make()
    oj.export.c(policy, tmp_path / f"{name}.c")
    library = compiled.library(tmp_path / f"{name}.c", DRIVER)
    listed = requests(NUM, **static)
    problem = cases.as_problem(listed)
    answers, decision = ask(library, problem), policy(problem)
    assert not answers.error.any()
    # Not all: what is nearly equal may round either way.
    assert (answers.place == decision.place).all(-1).mean() > 0.98
    assert (answers.order == decision.order).all(-1).mean() > 0.98
    assert len(np.unique(answers.place)) > 1  # an untrained network may shun a place
    for row in range(0, NUM, max(1, NUM // 100)):
        graph = oracle.three_places(*listed[row])
        place, order = answers.place[row].tolist(), answers.order[row].tolist()
        timetable = oracle.simulate_graph(graph, place, order)
        assert answers.makespan[row] == pytest.approx(timetable.makespan, rel=1e-5)
        empty = [v for v in graph.tasks if graph.is_empty(v)]
        assert order[len(order) - len(empty) :] == empty
        assert not any(place[v] for v in empty)


@pytest.fixture(name="flat", scope="module")
def _flat(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("flat") / "flat.c"
    oj.export.c(random_policy(FLAT), path)
    compiled.stands_alone(path)
    return compiled.library(path, DRIVER, "-DFLAT_MAX_TASKS=8")


@pytest.mark.parametrize(
    ("field", "values", "code"),
    [
        ("cycles", [-1.0, math.nan, math.inf], 2),
        ("data", [-1.0, math.nan, math.inf], 3),
        ("input", [-1.0, math.nan], 5),
        ("output", [-1.0, math.inf], 6),
        ("device_speed", [0.0, -1.0, math.nan, math.inf], 7),
        ("edge_speed", [0.0, math.inf], 8),
        ("device_edge_bandwidth", [-1.0, math.nan, math.inf], 9),
        ("edge_cloud_bandwidth", [-1.0, math.nan], 10),
        ("release", [-1.0, math.nan], 12),
    ],
)
def test_error_codes_say_what_validate_says(flat, field: str, values: list, code: int) -> None:
    everywhere = np.ones((1, NUM_TASKS, NUM_TASKS), np.float32)
    problem = dataclasses.replace(
        cases.as_problem(requests(1)), depends=np.triu(everywhere > 0, 1), data=everywhere
    )
    for value in values:
        array = np.array(getattr(problem, field))
        # Of data the bytes from the first task to the last.
        array[(0, 0, -1) if field == "data" else (0, -1)[: array.ndim]] = value
        bad = dataclasses.replace(problem, **{field: array})
        answers = ask(flat, bad)
        assert answers.error == [code]
        assert (answers.place == 0x55).all() and answers.makespan == [-1]
        with pytest.raises(ValueError, match=field):
            oj.graphs.validate(bad)


def test_bad_sizes_edges_and_servers(flat) -> None:
    problem = cases.as_problem(requests(2))
    assert not ask(flat, problem).error.any()
    depends, data = np.array(problem.depends), np.nan_to_num(problem.data)
    depends[1, 3, 3] = True
    circle = dataclasses.replace(problem, depends=depends, data=data)
    assert ask(flat, circle).error.tolist() == [0, 4]
    servers = dataclasses.replace(problem, edge_servers=0)
    assert ask(flat, servers).error.tolist() == [11, 11]
    more = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(9), 1)
    assert ask(flat, more).error == [1]
