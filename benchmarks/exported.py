"""Exported C beside what Python calls: nanoseconds a decision, in one thread.

    python -m benchmarks.exported --checkpoints=runs/reproduce/checkpoints

Batches are loops in C around the exported function; single decisions are calls from Python, by
ctypes of exported C and by numba of `oj.single`. Rows of a table were measured in turns, the least
of several times each.
"""

import ctypes
import functools
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks import c_library
from benchmarks.delay.family import Contender
from experiments.reporting import command_line, tables

_NAME = "policy"


def library(policy: Any, loop: str) -> ctypes.CDLL:
    """An exported policy with a loop over batches around it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{_NAME}.c"
        oj.export.c(policy, source)
        names = {"HEADER": f'"{_NAME}.h"', "DECIDE": f"{_NAME}_decide"}
        names |= {"REQUEST": f"{_NAME}_request", "WORKSPACE": f"{_NAME}_workspace"}
        options = [f"-D{name}={value}" for name, value in names.items()]
        return c_library.load([source, Path(__file__).with_name(loop)], f"-I{folder}", *options)


def chains(policy: Any) -> Contender:
    """An exported chain policy, made ready to be timed."""
    loaded = library(policy, "exported_chains.c")
    decide = getattr(loaded, f"{_NAME}_decide")
    decide.argtypes = [ctypes.c_size_t, *[ctypes.c_void_p] * 2, *[ctypes.c_double] * 4]
    decide.argtypes += [ctypes.c_void_p]

    def batch(problem: oj.ChainProblem) -> np.ndarray:
        fields = [np.ascontiguousarray(leaf, np.float32) for leaf in jax.tree.leaves(problem)]
        decision = np.empty(fields[0].shape, np.int8)
        sizes = map(ctypes.c_long, decision.shape)
        loaded.decide_batch(*sizes, *map(_pointer, (*fields, decision)))
        return decision

    def one(cycles: Any, data: Any, *rates: float) -> np.ndarray:
        decision = np.empty(len(cycles), np.int8)
        code = decide(
            len(cycles), cycles.ctypes.data, data.ctypes.data, *rates, decision.ctypes.data
        )
        if code:
            raise ValueError(f"the exported policy refuses a request: {code}")
        return decision

    return Contender(batch, one)


def _pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def graphs(policy: Any) -> Callable[[oj.graphs.GraphProblem], oj.graphs.Decision]:
    """An exported policy for task graphs, over batches without releases and with one edge CPU."""
    loaded = library(policy, "exported_graphs.c")

    def batch(problem: oj.graphs.GraphProblem) -> oj.graphs.Decision:
        fields = [
            np.ascontiguousarray(leaf, np.uint8 if leaf.dtype == bool else np.float32)
            for leaf in jax.tree.leaves(problem)[:9]
        ]
        shape = fields[0].shape
        decision = oj.graphs.Decision(np.empty(shape, np.int8), np.empty(shape, np.int32))
        sizes = [ctypes.c_long(size) for size in shape]
        loaded.decide_batch(*sizes, *map(_pointer, (*fields, *decision)))
        return decision

    return batch


def _in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The least seconds of each call."""
    least = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            if turn:  # the first one warms up
                least[name] = min(least[name], time.perf_counter() - start)
    return least


def chain_rows(checkpoints: Path, *, num: int, rounds: int) -> list[list[Any]]:
    """Chains of six subtasks: the exact program, and the student if its checkpoint is there."""
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, num)
    host = jax.tree.map(np.asarray, problem)
    few = [np.asarray(leaf[:2000], np.float64) for leaf in jax.tree.leaves(host)]
    singles = [(c, d, *map(float, rates)) for c, d, *rates in zip(*few, strict=True)]
    rows = []
    policies: dict[str, tuple[Any, Any]] = {"exact": (oj.policies.optimal, oj.single.exact())}
    if (checkpoints / "kd_dil").is_dir():
        student = oj.policies.load(checkpoints / "kd_dil")
        policies["student"] = student, oj.single.learned(student)
    for name, (policy, single) in policies.items():
        exported, jitted = chains(policy), jax.jit(policy)
        if (differ := np.mean(exported.batch(host) != jitted(problem))) > 1e-4:
            raise RuntimeError(f"the exported {name} differs in {differ:.2g} of all places")

        def loop(decide: Callable[..., Any]) -> Callable[[], None]:
            def call() -> None:
                for request in singles:
                    decide(*request)

            return call

        calls: dict[str, Callable[[], Any]] = {
            "batch, C": functools.partial(exported.batch, host),
            "batch, jit": functools.partial(jitted, problem),
            "one, ctypes": loop(exported.one),
            "one, oj.single": loop(single),
        }
        least = _in_turns(calls, rounds)
        sizes = [num, num, len(singles), len(singles)]
        times = zip(least.values(), sizes, strict=True)
        rows.append([f"chain of 6, {name}", *(f"{t / n * 1e9:.0f}" for t, n in times)])
    return rows


def graph_rows(*, num: int, rounds: int) -> list[list[Any]]:
    """Layered graphs of 20 tasks: the packaged student, and the rule beside it."""
    layered = oj.graphs.scenarios.layered(20)
    problem = oj.graphs.scenarios.sample(jax.random.key(1), layered, num)
    host = jax.tree.map(np.asarray, problem)
    student = oj.graphs.policies.student()
    exported, jitted = graphs(student), jax.jit(student)
    ours, theirs = exported(host), jitted(problem)
    if (differ := np.mean((ours.place != theirs.place).any(-1))) > 0.02:
        raise RuntimeError(f"the exported graph student differs on {differ:.2g} of all requests")
    singles = [
        [np.asarray(leaf[i], bool if leaf.dtype == bool else np.float64) for leaf in fields]
        for fields in [jax.tree.leaves(host)[:9]]
        for i in range(min(num, 500))
    ]

    def one_by_one(decide: Callable[..., Any]) -> Callable[[], None]:
        def call() -> None:
            for request in singles:
                decide(*request)

        return call

    calls = {
        "batch, C": lambda: exported(host),
        "batch, jit": lambda: jitted(problem),
        "one, oj.single": one_by_one(oj.single.learned(student)),
        "rule": one_by_one(oj.single.graph()),
    }
    least = _in_turns(calls, rounds)
    student_row = [f"{least[name] / num * 1e9:.0f}" for name in ("batch, C", "batch, jit")]
    alone, rule = (f"{least[name] / len(singles) * 1e9:.0f}" for name in ("one, oj.single", "rule"))
    return [
        ["graph of 20, student", *student_row, "", alone],
        ["graph of 20, greedy rule", "", "", "", rule],
    ]


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    flags.DEFINE_string(
        "checkpoints", "runs/reproduce/checkpoints", "Where kd_dil is.", flag_values=values
    )
    for name, default, text in (
        ("num", 1 << 17, "Chains in a batch."),
        ("num_graphs", 2000, "Graphs in a batch."),
        ("rounds", 7, "Timed calls of each."),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Prints the table."""
    rows = chain_rows(Path(values.checkpoints), num=values.num, rounds=values.rounds)
    rows += graph_rows(num=values.num_graphs, rounds=values.rounds)
    headers = ["ns a decision", "C, loop", "jit, batch", "C by ctypes, one", "oj.single, one"]
    print(tables.markdown(headers, rows))
    print(f"\n{os.cpu_count()} cores, jax {jax.__version__}; jit may use all cores, C uses one.")


if __name__ == "__main__":
    command_line.run(main, define)
