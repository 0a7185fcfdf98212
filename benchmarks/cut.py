"""Milliseconds of one minimum cut, from the lists of a `TaskGraph` to places, by number of tasks.

The graphs are those of `oj.graphs.scenarios.layered`, drawn without arrays of [N, N]; of a thousand
tasks they have tens of thousands of edges. Building the layered network and pricing it is told
apart from the maximum flow. Beside them stands the compiled rule for the same requests, up to where
dense arrays are no burden.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks.delay import protocols
from experiments.reporting import command_line, tables
from offload_jax.graphs._flow import maximum_flow
from offload_jax.graphs._flow.cut import Bytes, Layers, Prices
from offload_jax.graphs._flow.row import PAPER

MOST_TASKS_OF_THE_RULE = 1000


class Request(NamedTuple):
    """A task graph; cycles per second of device and edge; bytes per second of the two links."""

    task: oj.graphs.TaskGraph
    speeds: np.ndarray
    bandwidths: np.ndarray


def layered(rng: np.random.Generator, num_tasks: int) -> Request:
    """A random request of the scenario of that name."""
    width = round(math.exp(rng.choice([0.3, 0.5, 0.7]) * math.log(num_tasks)))
    sizes = rng.integers(max(1, width // 2), int(1.5 * width) + 1, num_tasks)
    ends = np.unique(np.minimum(np.concatenate([[0], np.cumsum(sizes)]), num_tasks))
    density, edges = rng.choice([0.3, 0.5, 0.7]), [np.zeros((0, 2), int)]
    for first, middle, last in zip(ends[:-2], ends[1:-1], ends[2:], strict=True):
        needs = rng.random((last - middle, middle - first)) < density
        needs[range(last - middle), rng.integers(0, middle - first, last - middle)] = True
        reader, source = np.nonzero(needs)
        edges.append(np.stack([source + first, reader + middle], axis=1))
    pairs, tasks = np.concatenate(edges), np.arange(num_tasks)
    task = oj.graphs.TaskGraph(
        names=tuple(map(str, tasks)),
        cycles=rng.uniform(0.0, 2e9, num_tasks),
        edges=pairs,
        data=rng.uniform(0.0, 2e6, len(pairs)),
        input=np.where(np.isin(tasks, pairs[:, 1]), 0.0, rng.uniform(0.0, 5e6, num_tasks)),
        output=np.where(np.isin(tasks, pairs[:, 0]), 0.0, rng.uniform(0.0, 1e6, num_tasks)),
    )
    return Request(task, rng.uniform([1e8, 5e8], [1e9, 5e9]), rng.uniform(2.5e5, 4e6, 2))


def network(request: Request) -> tuple[Layers, np.ndarray]:
    """The layered network of a request, and the charges in it."""
    task = request.task
    source, reader = task.edges.T
    sizes = task.data, task.input, task.output
    moved = Bytes(source, reader, *sizes, task.send_once)
    seconds = np.zeros((task.num_tasks, 3))
    np.divide(task.cycles[:, None], request.speeds, out=seconds[:, :2])
    layers = Layers(moved, PAPER)
    return layers, layers.charges(Prices(seconds, 1 / request.bandwidths.repeat(2), np.zeros(4)))


def milliseconds(call: Callable[[], Any], duration: float) -> float:
    """Median after a call that does not count."""
    call()
    clock = protocols.Clock()
    seconds = protocols.repeated(
        lambda i: call(), clock=clock, duration=duration, repeats=(1, 1000)
    )
    return 1e3 * float(np.median(seconds))


def measured(request: Request, solver: maximum_flow.Solver, duration: float) -> list[float]:
    """Milliseconds: to build and price the network, of the flow, of all, and of the rule."""
    layers, charges = network(request)
    bits = maximum_flow.capacity_bits(solver, layers.node.size)
    units, _ = layers.in_units(charges, bits)
    arcs = layers.network(units, 1 << bits)

    def whole() -> Any:
        layers, charges = network(request)
        return layers.cut(charges, solver)

    calls = [lambda: network(request), lambda: maximum_flow.source_side(solver, *arcs), whole]
    if request.task.num_tasks <= MOST_TASKS_OF_THE_RULE:
        decide = oj.single.graph(method="greedy")
        fields = request.task.dense()[::-1], request.task.input, request.task.output
        given = request.task.cycles, *fields[0], *fields[1:], *request.speeds, *request.bandwidths
        calls.append(lambda: decide(*given))
    found = [milliseconds(call, duration) for call in calls]
    return found + [math.nan] * (4 - len(found))


def main(values: flags.FlagValues) -> None:
    rng = np.random.default_rng(0)
    table = []
    for num_tasks in map(int, values.num_tasks):
        requests = [layered(rng, num_tasks) for _ in range(values.requests)]
        times = np.array([measured(r, values.solver, values.duration) for r in requests])
        edges = float(np.mean([request.task.num_edges for request in requests]))
        table.append([num_tasks, edges, *np.median(times, axis=0), times[:, 2].max()])
    headers = ["tasks", "edges", "network", "flow", "all", "greedy rule", "slowest, all"]
    print(f"{values.solver}, milliseconds, median of {values.requests} requests\n")
    print(tables.markdown(headers, table, digits=3))


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "num_tasks", ["12", "20", "50", "200", "1000", "10000"], "Tasks.", flag_values=values
    )
    flags.DEFINE_enum(
        "solver",
        maximum_flow.installed(),
        ["ortools", "scipy"],
        "Of maximum flows.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "requests", 5, "Requests of each number of tasks.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_float(
        "duration", 0.2, "Seconds for each figure.", lower_bound=0.0, flag_values=values
    )


if __name__ == "__main__":
    command_line.run(main, define)
