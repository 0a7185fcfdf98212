"""Learned policies for task graphs in C against those that they were written from."""

import ctypes
from typing import NamedTuple

import numpy as np

import offload_jax as oj
from tests.export import compiled

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
    from offload_jax.graphs.problem import broadcast_batch

    fields = {
        name: np.asarray(getattr(broadcast_batch(problem), name))
        for name in ("cycles", "input", "output", "release", "data", "depends", *RATES)
    }
    num = len(fields["cycles"])
    flat = [fields[name].reshape(num, -1) for name in fields if name != "depends"]
    return np.concatenate(flat, -1, dtype=np.float32), fields["depends"].astype(np.uint8)


def ask(
    library: ctypes.CDLL,
    problem: oj.graphs.GraphProblem,
) -> Answers:
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
