"""The exact solver for every length, number of places, call, batch and precision, in one run.

    python -m benchmarks.chain_sweep

Each row is measured beside what it is divided by, in turns, and of each the least time counts: on a
shared machine ratios hold where times do not. The loops run in as many threads as there are cores.
CPU time is that of all threads of the process.
"""

import os
import time
import typing
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numba
import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks.peers.peers import in_threads, numba_dp
from benchmarks.solver_throughput import compiled_loop
from benchmarks.timing import in_turns
from experiments.reporting import command_line, tables

LENGTHS = (6, 16, 17, 21, 26, 32, 33, 50, 64, 65, 100, 1000)
TABLES = ((6, 4), (6, 5), (6, 8), (26, 4), (26, 5), (26, 8))
_COLUMNS = ("C", "numba", "jit", "plain", "numpy")
BATCHES = (1, 10, 100, 1_000, 10_000, 100_001, 1 << 20)


def problems(num: int, num_subtasks: int) -> oj.ChainProblem:
    """Uniform requests, float32 NumPy arrays."""
    rng = np.random.default_rng(0)

    def draw(low: float, high: float, *tail: int) -> np.ndarray:
        return rng.uniform(low, high, (num, *tail)).astype(np.float32)

    cycles, data = draw(0, 2e9, num_subtasks), draw(0, 1e7, num_subtasks + 1)
    speeds, links = (draw(1e8, 1e9), draw(5e8, 5e9)), (draw(1e5, 2e6), draw(1e5, 3e6))
    return oj.ChainProblem(cycles, data, *speeds, *links)


@numba.njit(nogil=True, error_model="numpy")
@typing.no_type_check
def _tables_loop(execution, transfer, decision, cost):
    num, num_subtasks, places = execution.shape
    pointers = np.empty((num_subtasks, places), np.int8)
    rest, arrived = np.empty(places, np.float32), np.empty(places, np.float32)
    for n in range(num):
        for k in range(places):
            rest[k] = transfer[n, num_subtasks, k, 0]
        for t in range(num_subtasks - 1, -1, -1):
            for k in range(places):
                arrived[k] = rest[k] + execution[n, t, k]
            for j in range(places):
                best, place = arrived[0] + transfer[n, t, j, 0], 0
                for k in range(1, places):
                    candidate = arrived[k] + transfer[n, t, j, k]
                    if candidate < best:
                        best, place = candidate, k
                rest[j] = best
                pointers[t, j] = place
        cost[n] = rest[0]
        place = 0
        for t in range(num_subtasks):
            place = pointers[t, place]
            decision[n, t] = place


def tables_loop(costs: oj.ChainCosts, *, threads: int) -> Callable[[], np.ndarray]:
    """The plain recursion for any number of places by numba; gives all least costs."""
    execution, transfer = (np.asarray(field) for field in (costs.execution, costs.transfer))
    num, num_subtasks, _ = execution.shape
    decision, cost = np.empty((num, num_subtasks), np.int8), np.empty(num, np.float32)
    run = in_threads(
        lambda first, last: _tables_loop(
            execution[first:last], transfer[first:last], decision[first:last], cost[first:last]
        ),
        num,
        threads,
    )

    def call() -> np.ndarray:
        run()
        return cost

    return call


def check(found: Any, expected: np.ndarray) -> None:
    """Raises RuntimeError if least costs differ by more than rounding."""
    error = float(np.max(np.abs(np.asarray(found) / expected - 1)))
    if error > 1e-5:
        raise RuntimeError(f"the compiled loop and the solver disagree by {error:.2g}")


def lengths(size: int, rounds: int) -> str:
    """Chains of all lengths, from problems."""
    lines, threads = [], os.cpu_count() or 1
    for num_subtasks in LENGTHS:
        num = max(size // num_subtasks // 64 * 64, 64)
        host = problems(num, num_subtasks)
        source = jax.tree.map(jnp.asarray, host)
        solve = jax.jit(oj.solve)
        start = time.process_time()
        jitted = solve.lower(source).compile()
        compiling = time.process_time() - start
        fields = jax.tree.leaves(host)
        loop = compiled_loop(host, threads=threads)
        check(jitted(source).cost, loop())
        calls: dict[str, Callable[[], Any]] = {
            "C": loop,
            "jit": lambda jitted=jitted, source=source: jitted(source),  # type: ignore[misc]
            "plain": lambda source=source: oj.solve(source),  # type: ignore[misc]
            "numpy": lambda host=host: oj.solve(host),  # type: ignore[misc]
        }
        if num_subtasks <= 32:
            calls["numba"] = lambda fields=fields: numba_dp(*fields)  # type: ignore[misc]
        found = in_turns(calls, rounds=rounds)
        better = min((found[n] for n in ("C", "numba") if n in found), key=lambda s: s.wall)
        jit = found["jit"]
        lines.append(
            [
                num_subtasks,
                num,
                *(f"{found[n].wall / num * 1e9:.1f}" if n in found else "" for n in _COLUMNS),
                f"{jit.wall / better.wall:.2f}",
                f"{jit.cpu / better.cpu:.2f}",
                f"{found['plain'].wall / jit.wall:.2f}",
                f"{compiling:.2f}",
            ]
        )
    headers = ["A", "problems", "C loop, ns", "numba loop, ns", "solve in jit, ns", "plain, ns"]
    headers += ["plain on NumPy, ns", "jit / loop", "same, CPU time", "plain / jit", "compile, s"]
    return tables.markdown(headers, lines)


def places(size: int, rounds: int) -> str:
    """Tables of more places than three."""
    lines, rng = [], np.random.default_rng(0)
    for num_subtasks, num_places in TABLES:
        num = max(size // (num_subtasks * num_places**2) // 64 * 64, 64)
        execution = rng.random((num, num_subtasks, num_places), np.float32)
        transfer = rng.random((num, num_subtasks + 1, num_places, num_places), np.float32)
        costs = oj.ChainCosts(jnp.asarray(execution), jnp.asarray(transfer))
        loop, solve = tables_loop(costs, threads=os.cpu_count() or 1), jax.jit(oj.solve)
        check(solve(costs).cost, loop())
        found = in_turns(
            {"loop": loop, "jit": lambda solve=solve, costs=costs: solve(costs)},  # type: ignore[misc]
            rounds=rounds,
        )
        loop_time, jit = found["loop"], found["jit"]
        lines.append(
            [
                num_subtasks,
                num_places,
                num,
                *(f"{seconds.wall / num * 1e9:.0f}" for seconds in (loop_time, jit)),
                f"{jit.wall / loop_time.wall:.2f}",
                f"{jit.cpu / loop_time.cpu:.2f}",
            ]
        )
    headers = ["A", "K", "tables", "numba loop, ns", "solve in jit, ns", "jit / loop"]
    return tables.markdown([*headers, "same, CPU time"], lines)


def batches(num_subtasks: int, rounds: int) -> str:
    """Batches of all sizes, and double precision."""
    lines = []
    for num in BATCHES:
        source, solve = jax.tree.map(jnp.asarray, problems(num, num_subtasks)), jax.jit(oj.solve)
        found = in_turns({"jit": lambda solve=solve, source=source: solve(source)}, rounds=rounds)  # type: ignore[misc]
        lines.append([num, f"{found['jit'].wall / num * 1e9:.1f}"])
    return tables.markdown(["problems", f"solve in jit at A = {num_subtasks}, ns"], lines)


def others(size: int, rounds: int) -> str:
    """What else goes over a batch, against copying what it reads and writes."""
    num = size // 16
    source = jax.tree.map(jnp.asarray, problems(num, 6))
    decision = jax.block_until_ready(oj.solve(source).decision)
    read = sum(leaf.nbytes for leaf in jax.tree.leaves(source)) // num
    numbers = jnp.zeros(num * read // 8, jnp.float32)
    copy, greedy = jax.jit(lambda x: x + 1), jax.jit(oj.policies.greedy)
    latency, energy = jax.jit(oj.latency), jax.jit(oj.energy)
    exhaustive = jax.jit(lambda p: oj.solve(p, method="exhaustive"))
    few = source[: max(num // 16, 64)]
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(np.float64(leaf)), source)
        in_double = jax.jit(oj.solve).lower(double).compile()
    single = jax.jit(oj.solve)
    calls: dict[str, tuple[Callable[[], Any], int, int]] = {
        "greedy": (lambda: greedy(source), num, read + 6),
        "a fixed place": (lambda: oj.policies.edge(source), num, 6),
        "latency, in jit": (lambda: latency(source, decision), num, read + 10),
        "latency, plain": (lambda: oj.latency(source, decision), num, read + 10),
        "energy, in jit": (lambda: energy(source, decision), num, read + 10),
        "normalized_latency": (
            lambda: oj.metrics.normalized_latency(source, decision),
            num,
            2 * read + 20,
        ),
        "accuracy": (lambda: oj.metrics.accuracy(decision, decision), num, 12),
        "solve, in jit": (lambda: single(source), num, read + 11),
        "solve in float64, in jit": (lambda: in_double(double), num, 2 * read + 15),
        "exhaustive, in jit": (lambda: exhaustive(few), len(few), read + 11),
    }
    found = in_turns(
        {"copy": lambda: copy(numbers), **{name: call for name, (call, _, _) in calls.items()}},
        rounds=rounds,
    )
    per_byte = found["copy"].wall / (2 * numbers.nbytes)
    lines = [
        [
            name,
            f"{found[name].wall / rows * 1e9:.1f}",
            f"{touched * per_byte * 1e9:.1f}",
            f"{found[name].wall / rows / (touched * per_byte):.1f}",
        ]
        for name, (_, rows, touched) in calls.items()
    ]
    headers = ["six subtasks", "ns a problem", "floor: copying its bytes, ns", "over the floor"]
    return tables.markdown(headers, lines)


def given_decisions(size: int, rounds: int) -> str:
    """Greedy, and the latency of given decisions, of all lengths."""
    lines = []
    for num_subtasks in LENGTHS:
        num = max(size // num_subtasks // 64 * 64, 64)
        source = jax.tree.map(jnp.asarray, problems(num, num_subtasks))
        decision = oj.solve(source).decision
        greedy, latency = jax.jit(oj.policies.greedy), jax.jit(oj.latency)
        found = in_turns(
            {
                "greedy": lambda greedy=greedy, source=source: greedy(source),  # type: ignore[misc]
                "latency": lambda latency=latency, rows=(source, decision): latency(*rows),  # type: ignore[misc]
                "plain": lambda rows=(source, decision): oj.latency(*rows),  # type: ignore[misc]
            },
            rounds=rounds,
        )
        times = [f"{each.wall / num * 1e9:.1f}" for each in found.values()]
        lines.append([num_subtasks, num, *times])
    headers = ["A", "problems", "greedy, ns", "latency in jit, ns", "latency, plain, ns"]
    return tables.markdown(headers, lines)


_VECTOR = "float64[::1]"


@numba.njit(f"int8[::1]({_VECTOR}, {_VECTOR}, {', '.join(['float64'] * 4)}, {_VECTOR})", nogil=True)
@typing.no_type_check
def _empty(cycles, data, p1, p2, b1, b2, prices):
    return np.empty(cycles.size, np.int8)


def one_at_a_time(repeats: int) -> str:
    """Percentiles of one decision, A = 6."""
    rows = problems(repeats, 6)
    requests = [
        tuple(np.float64(leaf[i]) for leaf in jax.tree.leaves(rows)) for i in range(repeats)
    ]
    fastest = np.asarray(oj.solve(rows).cost, np.float64)
    rng, prices = np.random.default_rng(0), np.ones(5)
    exact, table, within = (
        oj.single.exact(),
        oj.single.table(),
        oj.single.within(objective=oj.ENERGY),
    )
    calls: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
        "an empty numba call, same arguments": (lambda r: _empty(*r, prices), requests),
        "exact": (lambda r: exact(*r), requests),
        "energy within 1.5 times the least latency": (
            lambda r: within(*r[0], max_latency=r[1]),
            list(zip(requests, 1.5 * fastest, strict=True)),
        ),
    }
    for num_places in (3, 5, 8):
        drawn = [
            (rng.random((6, num_places)), rng.random((7, num_places, num_places)))
            for _ in range(repeats)
        ]
        calls[f"a table of {num_places} places"] = (lambda pair: table(*pair), drawn)
    lines = []
    for name, (call, arguments) in calls.items():
        times = []
        for argument in arguments * 2:
            start = time.perf_counter_ns()
            call(argument)
            times.append(time.perf_counter_ns() - start)
        half, most = np.percentile(times[repeats:], (50, 99))
        lines.append([name, f"{half / 1e3:.2f}", f"{most / 1e3:.2f}"])
    return tables.markdown(["one decision", "p50, us", "p99, us"], lines)


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    for name, default, text in (
        (
            "size",
            1 << 22,
            "Numbers of about the input of a row; fewer problems if they are longer.",
        ),
        ("rounds", 9, "Timed calls of each."),
        ("repeats", 3000, "Decisions one at a time."),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Prints the tables."""
    size, rounds = values.size, values.rounds
    print(f"{os.cpu_count()} cores, jax {jax.__version__} on {jax.devices()[0].platform}.\n")
    for part in (
        lengths(size, rounds),
        places(size, rounds),
        batches(6, rounds),
        batches(21, rounds),
        given_decisions(size, rounds),
        others(size, rounds),
        one_at_a_time(values.repeats),
    ):
        print(part, flush=True)
        print()


if __name__ == "__main__":
    command_line.run(main, define)
