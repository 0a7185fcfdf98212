"""Exact solvers on a batch, as ratios in one run: against a compiled loop and a literal `vmap`.

Prints nanoseconds a problem (median over repeats), the ratio to the reference, and the floor: the
bytes that must be read and written over the memory bandwidth measured in the same run.
"""

import ctypes
import itertools
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks import c_library
from benchmarks.peers.peers import in_threads
from benchmarks.timing import copy_bandwidth, median_seconds
from experiments.reporting import command_line, tables

NUM_SUBTASKS = 6
# Entries whose copying tells the bandwidth of memory.
COPIED = 1 << 26
C_LOOP, LITERAL = "compiled C loop", "vmap of latency over 729 decisions"


class Row(NamedTuple):
    """One solver.

    Attributes:
      name: what the table calls it.
      call: solves `num` problems.
      num: problems in a call.
      touched: bytes that a problem has as input and output.
      reference: the row that it is divided by.
    """

    name: str
    call: Callable[[], Any]
    num: int
    touched: int
    reference: str = C_LOOP


def compiled_loop(problem: oj.ChainProblem, *, threads: int) -> Callable[[], np.ndarray]:
    """Builds `chain_dp.c` for this machine and returns a call that gives all least costs.

    Raises:
      RuntimeError: there is no C compiler, or it fails.
    """
    source = Path(__file__).with_name("chain_dp.c")
    solve = c_library.load([source], "-ffast-math", "-fno-finite-math-only").solve
    arrays = [np.ascontiguousarray(leaf, np.float32) for leaf in jax.tree.leaves(problem)]
    num, num_subtasks = arrays[0].shape
    arrays += [np.empty((num, num_subtasks), np.int8), np.empty(num, np.float32)]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]

    def part(first: int, last: int) -> None:
        # ctypes lets go of the interpreter lock during the call.
        solve(*pointers, ctypes.c_long(first), ctypes.c_long(last), num_subtasks)

    run = in_threads(part, num, threads)

    def call() -> np.ndarray:
        run()
        return arrays[-1]  # also keeps alive what the pointers point to

    return call


def literal_enumeration(problem: oj.ChainProblem) -> jax.Array:
    """The latency function mapped over all 729 decisions, 1024 problems at a time."""
    decisions = jnp.asarray(
        list(itertools.product(range(3), repeat=problem.num_subtasks)), jnp.int8
    )

    def least(one: oj.ChainProblem) -> jax.Array:
        return jnp.min(jax.vmap(lambda decision: oj.latency(one, decision))(decisions))

    return jax.lax.map(least, problem, batch_size=1024)


def rows(*, num: int, num_enumerated: int) -> list[Row]:
    """What is measured, on so many problems; a further solver is a further row."""
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, num)
    few, weighted = problem[:num_enumerated], oj.Objective(1.0, 0.5)
    costs = jax.block_until_ready(jax.jit(oj.chain_costs)(problem))
    dp = jax.jit(oj.solve)
    exhaustive = jax.jit(lambda p: oj.solve(p, method="exhaustive"))
    literal = jax.jit(literal_enumeration)
    output = NUM_SUBTASKS + 4
    fields, table = (
        output + sum(leaf.nbytes for leaf in jax.tree.leaves(source)) // num
        for source in (problem, costs)
    )
    return [
        Row(C_LOOP, compiled_loop(problem, threads=os.cpu_count() or 1), num, fields),
        Row("dp, in a jitted call", lambda: dp(problem).cost, num, fields),
        Row("dp, plain call with validation", lambda: oj.solve(problem).cost, num, fields),
        Row(
            "dp, weighted objective, plain call",
            lambda: oj.solve(problem, objective=weighted),
            num,
            fields,
        ),
        Row("dp, from a table of costs", lambda: dp(costs).cost, num, table),
        Row("exhaustive", lambda: exhaustive(few), num_enumerated, fields),
        Row(LITERAL, lambda: literal(few), num_enumerated, fields, "exhaustive"),
    ]


def measure(found: Sequence[Row], *, repeats: int) -> str:
    """Measures rows one after the other.

    Returns:
      The table as text.

    Raises:
      RuntimeError: the compiled loop and the solver disagree.
    """
    reference, ours = (np.asarray(row.call()).copy() for row in found[:2])
    if (error := float(np.max(np.abs(ours / reference - 1)))) > 1e-5:
        raise RuntimeError(f"the compiled loop and the solver disagree by {error:.2g}")
    bandwidth = copy_bandwidth(COPIED, repeats=repeats)
    seconds = {row.name: median_seconds(row.call, repeats=repeats) / row.num for row in found}
    lines = [
        [
            row.name,
            row.num,
            f"{seconds[row.name] * 1e9:.2f}",
            f"{seconds[row.name] / seconds[row.reference]:.2f}",
            f"{row.touched / bandwidth * 1e9:.2f}",
        ]
        for row in found
    ]
    headers = ["solver", "problems", "ns / problem", "/ reference", "memory floor, ns"]
    return (
        f"{tables.markdown(headers, lines)}\n\nThe reference is the compiled C loop, for the"
        f" literal vmap exhaustive; {NUM_SUBTASKS} subtasks, float32; copy bandwidth"
        f" {bandwidth / 1e9:.1f} GB/s; {platform.machine()}, {os.cpu_count()} cores, jax"
        f" {jax.__version__} on {jax.devices()[0].platform}."
    )


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    for name, default, text in (
        ("num", 1 << 20, "Problems for the dynamic program."),
        ("num_enumerated", 1 << 15, "Problems for the enumerations."),
        ("repeats", 15, "Timed calls of each."),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Prints the table."""
    found = rows(num=values.num, num_enumerated=values.num_enumerated)
    print(measure(found, repeats=values.repeats))


if __name__ == "__main__":
    command_line.run(main, define)
