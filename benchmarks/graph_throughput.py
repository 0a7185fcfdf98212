"""How fast task graphs are simulated and decided, beside one compiled loop in one thread.

    python -m benchmarks.graph_throughput

All in one run, so that ratios hold on any machine. The loop is `graphs.compiled.simulate` by numba,
one decision after the other; everything else in batches on all cores: inside `jit` by the engine in
JAX, in plain calls with validation by the loops. All take costs, whose lists are short.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numba
import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks.timing import in_turns
from experiments.reporting import command_line, tables
from offload_jax.graphs._numba import simulator
from offload_jax.graphs.request import unpack_rows

_ROUNDS = 7


@numba.njit(nogil=True)
def _simulate_all(request: Any, places: Any, orders: Any) -> float:
    state = simulator.new_state(request)
    total = 0.0
    for i in range(places.shape[0]):
        total += simulator.simulate(request, state, places[i], orders[i])
    return total


def rows(num_tasks: int, batch: int) -> list[list[Any]]:
    """Name, microseconds a schedule or decision, and the ratio to the loop."""
    graphs = oj.graphs
    problems = graphs.scenarios.sample(
        jax.random.key(0), graphs.scenarios.layered(num_tasks), batch
    )
    policies = graphs.policies
    wide = jax.block_until_ready(policies.random(problems, key=jax.random.key(1)))
    one = jax.tree.map(lambda leaf: leaf[0], problems)
    # Random decisions about one request; the graph is the same, so each can be carried out.
    many = jax.vmap(lambda key: policies.random(one, key=key))(
        jax.random.split(jax.random.key(2), batch)
    )
    request = next(iter(unpack_rows(graphs.graph_costs(one, library=np))))
    places, orders = (np.asarray(part, np.int64) for part in many)
    costs, one_costs = graphs.graph_costs(problems), graphs.graph_costs(one)
    simulate = jax.jit(lambda costs, place, order: graphs.simulate(costs, place, order).makespan)
    greedy = jax.jit(policies.greedy)
    calls: dict[str, Callable[[], Any]] = {
        "compiled loop, one thread, decisions about one graph": lambda: _simulate_all(
            request, places, orders
        ),
        "simulate, decisions about one graph": lambda: simulate(one_costs, *many),
        "simulate, a decision about each of many graphs": lambda: simulate(costs, *wide),
        "greedy, each of many graphs": lambda: greedy(costs),
        "simulate, plain call, many graphs": lambda: graphs.simulate(costs, *wide).makespan,
        "greedy, plain call, many graphs": lambda: policies.greedy(costs),
    }
    found = in_turns(calls, rounds=_ROUNDS)
    seconds = {name: each.wall for name, each in found.items()}
    loop = next(iter(seconds.values()))
    return [[name, 1e6 * s / batch, s / loop] for name, s in seconds.items()]


def single_rows(num_tasks: int, repeats: int = 300) -> list[list[Any]]:
    """Name and microseconds of one decision at a time."""
    problem = oj.graphs.scenarios.sample(
        jax.random.key(0), oj.graphs.scenarios.layered(num_tasks), 1
    )
    names = "cycles", "data", "depends", "input", "output"
    rates = "device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth"
    fields = [np.asarray(getattr(problem, name))[0] for name in (*names, *rates)]
    fields = [f if f.dtype == bool else f.astype(np.float64) for f in fields]
    methods = "greedy", "heft", "cpop", "peft"
    student = oj.graphs.policies.student()
    deciders = {f"oj.single.graph, {method}": oj.single.graph(method=method) for method in methods}
    deciders["oj.single.learned, student"] = oj.single.learned(student)
    deciders["oj.single.learned, student, best of 64"] = oj.single.learned(student, best_of=64)
    found = []
    for name, decide in deciders.items():
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            decide(*fields)
            times.append(time.perf_counter() - start)
        found.append([name, 1e6 * float(np.median(times))])
    return found


def main(values: flags.FlagValues) -> None:
    print(f"{jax.devices()[0].device_kind}, {values.batch} decisions a call\n")
    for num_tasks in (12, 20, 50):
        print(f"{num_tasks} tasks\n")
        headers = ["what", "µs each", "/ loop"]
        print(tables.markdown(headers, rows(num_tasks, values.batch), digits=2))
        print()
        print(tables.markdown(["one at a time", "µs, median"], single_rows(num_tasks), digits=1))
        print()


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_integer("batch", 4096, "Decisions a call.", lower_bound=1, flag_values=values)


if __name__ == "__main__":
    command_line.run(main, define)
