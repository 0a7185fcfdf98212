"""Exact solvers on a batch, as ratios in one run: against a compiled loop and a literal `vmap`.

Prints nanoseconds a problem (median over repeats), the ratio to the reference, and the floor: the
bytes that must be read and written over the memory bandwidth measured in the same run.
"""

import concurrent.futures
import ctypes
import itertools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from tabulate import tabulate

import offload_jax as oj

NUM_SUBTASKS = 6


def median_seconds(call: Callable[[], object], *, repeats: int) -> float:
    """Median wall time of a call after two warm-up calls."""
    times = []
    for i in range(repeats + 2):
        start = time.perf_counter()
        jax.block_until_ready(call())
        if i >= 2:
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def compiled_loop(
    problem: oj.ChainProblem, *, threads: int, folder: Path
) -> Callable[[], np.ndarray]:
    """Builds `chain_dp.c` for this machine and returns a call that solves the whole batch.

    Raises:
      RuntimeError: there is no C compiler, or it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("the compiled reference needs a C compiler (cc, gcc or clang)")
    library = folder / "chain_dp.so"
    source = Path(__file__).with_name("chain_dp.c")
    command = [compiler, "-O3", "-march=native", "-ffast-math", "-fno-finite-math-only"]
    built = subprocess.run(
        [*command, "-shared", "-fPIC", str(source), "-o", str(library)],
        capture_output=True,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"{compiler} failed: {built.stderr.strip()}")
    solve = ctypes.CDLL(str(library)).solve
    fields: list[np.ndarray] = [
        np.ascontiguousarray(leaf, np.float32) for leaf in jax.tree.leaves(problem)
    ]
    num, num_subtasks = fields[0].shape
    decision, cost = np.empty((num, num_subtasks), np.int8), np.empty(num, np.float32)
    arrays: list[np.ndarray] = [*fields, decision, cost]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    cuts = [num * i // threads for i in range(threads + 1)]
    pool = concurrent.futures.ThreadPoolExecutor(threads)

    def part(first: int, last: int) -> None:
        # ctypes lets go of the interpreter lock during the call.
        solve(*pointers, ctypes.c_long(first), ctypes.c_long(last), num_subtasks)

    def call() -> np.ndarray:
        list(pool.map(part, cuts[:-1], cuts[1:]))
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


def run(*, num: int, num_enumerated: int, repeats: int) -> tuple[str, dict[str, float]]:
    """Measures everything.

    Args:
      num: problems for the dynamic program.
      num_enumerated: problems for the enumerations.
      repeats: timed calls of each.

    Returns:
      The table as text and the two ratios, `dp_over_c` (small is good) and
      `literal_over_exhaustive` (large is good).
    """
    scenario = oj.scenarios.WIDE
    problem = jax.block_until_ready(oj.scenarios.sample(jax.random.key(0), scenario, num))
    few = problem[:num_enumerated]
    copy = jax.jit(lambda x: x + 1)
    big = jnp.zeros(1 << 26, jnp.float32)
    copy_seconds = median_seconds(lambda: copy(big), repeats=repeats)
    bandwidth = 2 * big.nbytes / copy_seconds

    dp = jax.jit(lambda p: oj.solve(p))
    costs = jax.block_until_ready(jax.jit(oj.chain_costs)(problem))
    with tempfile.TemporaryDirectory() as folder:
        threads = os.cpu_count() or 1
        c_loop = compiled_loop(problem, threads=threads, folder=Path(folder))
        c_seconds = median_seconds(c_loop, repeats=repeats) / num
        c_cost = c_loop().copy()
    error = float(np.max(np.abs(np.asarray(dp(problem).cost) / c_cost - 1)))
    if error > 1e-5:
        raise RuntimeError(f"the compiled loop and the solver disagree by {error:.2g}")
    weighted = oj.Objective(1.0, 0.5)
    exhaustive = jax.jit(lambda p: oj.solve(p, method="exhaustive"))
    literal = jax.jit(literal_enumeration)
    seconds = {
        f"compiled C loop, {threads} threads": c_seconds,
        "dp, in a jitted call": median_seconds(lambda: dp(problem), repeats=repeats) / num,
        "dp, plain call with validation": median_seconds(lambda: oj.solve(problem), repeats=repeats)
        / num,
        "dp, weighted objective, plain call": median_seconds(
            lambda: oj.solve(problem, objective=weighted), repeats=repeats
        )
        / num,
        "dp, from a table of costs": median_seconds(lambda: dp(costs), repeats=repeats) / num,
        "exhaustive": median_seconds(lambda: exhaustive(few), repeats=repeats) / num_enumerated,
        "vmap of latency over 729 decisions": median_seconds(lambda: literal(few), repeats=3)
        / num_enumerated,
    }
    fields = (NUM_SUBTASKS + NUM_SUBTASKS + 1 + 4) * 4 + NUM_SUBTASKS + 4
    table = (NUM_SUBTASKS * 3 + (NUM_SUBTASKS + 1) * 9) * 4 + NUM_SUBTASKS + 4
    floors = {"dp, from a table of costs": table}
    rows = []
    for name, value in seconds.items():
        floor = floors.get(name, fields) / bandwidth
        reference = seconds["vmap of latency over 729 decisions"] if "vmap" in name else c_seconds
        rows.append([name, value * 1e9, value / reference, floor * 1e9])
    ratios = {
        "dp_over_c": seconds["dp, in a jitted call"] / c_seconds,
        "literal_over_exhaustive": seconds["vmap of latency over 729 decisions"]
        / seconds["exhaustive"],
    }
    headers = ["solver", "ns / problem", "/ reference", "memory floor, ns"]
    text = tabulate(rows, headers, "pipe", floatfmt=".2f")
    notes = (
        f"{num} problems ({num_enumerated} enumerated) of {NUM_SUBTASKS} subtasks, float32;"
        f" copy bandwidth {bandwidth / 1e9:.1f} GB/s; {platform.machine()}, {os.cpu_count()}"
        f" cores, jax {jax.__version__} on {jax.devices()[0].platform}.\n"
        f"dp / compiled C loop: {ratios['dp_over_c']:.2f} (goal: at most 3)\n"
        f"literal vmap / exhaustive: {ratios['literal_over_exhaustive']:.1f} (goal: at least 20)"
    )
    return f"{text}\n\n{notes}", ratios


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    try:
        text, _ = run(num=_NUM.value, num_enumerated=_ENUMERATED.value, repeats=_REPEATS.value)
    except RuntimeError as error:
        print(f"solver_throughput: {error}", file=sys.stderr)
        sys.exit(1)
    print(text)


if __name__ == "__main__":
    _NUM = flags.DEFINE_integer("num", 1 << 20, "Problems for the dynamic program.", lower_bound=1)
    _ENUMERATED = flags.DEFINE_integer(
        "num_enumerated", 1 << 15, "Problems for the enumerations.", lower_bound=1
    )
    _REPEATS = flags.DEFINE_integer("repeats", 15, "Timed calls of each.", lower_bound=1)
    app.run(main)
