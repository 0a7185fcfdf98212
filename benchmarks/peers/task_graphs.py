"""Task graphs by the schedulers of SAGA (Coleman and Krishnamachari; `pip install anrg-saga`).

    python -m benchmarks.peers.task_graphs

SAGA knows processors that differ in speed, one task at a time, and links on which any number of
transfers pass at once; nothing is bound to a place. So the layered test graphs are taken without
input and output and with a cloud of finite speed. Every decision is carried out by `simulate`, with
links that carry one transfer at a time and with links that carry any number, by which SAGA
plans. Makespans are over the best that anything here finds.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line, tables

SCHEDULERS = {
    "HEFT": "HeftScheduler",
    "CPOP": "CpopScheduler",
    "ETF": "ETFScheduler",
    "BIL": "BILScheduler",
    "GDL": "GDLScheduler",
    "min-min": "MinMinScheduler",
    "sufferage": "SufferageScheduler",
    "fastest node": "FastestNodeScheduler",
}
# Those of `experiments.graphs.test_sets`.
_KEY, _NUM = 11, 1000
# Cycles per second, over those of the edge.
_CLOUD_SPEED = 1.5
_SIMULATIONS = 1000
PLACES = ("device", "edge", "cloud")

Decide = Callable[["Instance"], oj.graphs.Decision]


class Instance(NamedTuple):
    """One graph, as costs on links that are serial and on links that are not."""

    task: oj.graphs.TaskGraph
    speeds: tuple[float, float, float]
    bandwidths: tuple[float, float]
    serial: oj.graphs.GraphCosts
    free: oj.graphs.GraphCosts


def instances(num_tasks: int, num: int) -> list[Instance]:
    """The first test graphs of a size."""
    scenario = oj.graphs.scenarios.layered(num_tasks)
    problem = oj.graphs.scenarios.sample(jax.random.key(_KEY), scenario, _NUM)
    return [instance(jax.tree.map(np.asarray, problem[row])) for row in range(num)]


def instance(problem: oj.graphs.GraphProblem) -> Instance:
    """One graph without input and output."""
    edges = np.argwhere(problem.depends)
    task = oj.graphs.TaskGraph.from_edges(
        np.asarray(problem.cycles, np.float64), edges, np.asarray(problem.data)[tuple(edges.T)]
    )
    device, edge = float(problem.device_speed), float(problem.edge_speed)
    near, far = float(problem.device_edge_bandwidth), float(problem.edge_cloud_bandwidth)
    speeds = device, edge, _CLOUD_SPEED * edge
    places = [oj.Processor(name, speed) for name, speed in zip(PLACES, speeds, strict=True)]
    links = [oj.Link("device", "edge", near), oj.Link("edge", "cloud", far)]
    costs = oj.graphs.network_costs(task, oj.Network(places, links))
    free = dataclasses.replace(costs, serial=(False,) * len(costs.serial))
    return Instance(task, speeds, (near, far), costs, free)


def saga_decision(scheduler: Any, network: Any, graph: Any, num_tasks: int) -> oj.graphs.Decision:
    """Places and, by start and in case of ties by number, the order of a schedule of SAGA."""
    place, start = np.zeros(num_tasks, np.int64), np.zeros(num_tasks)
    for tasks in scheduler.schedule(network, graph).mapping.values():
        for task in tasks:
            if task.name.isdecimal():  # not the source or sink that SAGA adds
                place[int(task.name)] = PLACES.index(task.node)
                start[int(task.name)] = task.start
    return oj.graphs.Decision(place, np.argsort(start, kind="stable"))


def saga_instance(one: Instance) -> tuple[Any, Any]:
    """The network and the graph as SAGA takes them."""
    from saga import Network, TaskGraph

    near, far = one.bandwidths
    links = [
        ("device", "edge", near),
        ("edge", "cloud", far),
        ("device", "cloud", 1 / (1 / near + 1 / far)),
    ]
    network = Network.create(list(zip(PLACES, one.speeds, strict=True)), links)
    edges = zip(one.task.edges.tolist(), one.task.data.tolist(), strict=True)
    tasks = [(str(v), cycles) for v, cycles in enumerate(one.task.cycles.tolist())]
    return network, TaskGraph.create(tasks, [(str(u), str(v), size) for (u, v), size in edges])


def ours(key: jax.Array) -> dict[str, Decide]:
    """Methods of this library by name; they plan with links that are serial."""
    policies = oj.graphs.policies
    student = policies.student()
    searched = student.then_search(_SIMULATIONS)
    return {
        "greedy": lambda one: policies.greedy(one.serial),
        "HEFT of this library": lambda one: policies.heft(one.serial),
        "cut": lambda one: policies.cut(one.serial),
        "student, one schedule": lambda one: student(one.serial),
        f"student, then {_SIMULATIONS} simulations": lambda one: searched(one.serial, key),
        "the same, planned with links that are not serial": lambda one: searched(one.free, key),
    }


def table(num_tasks: int, num: int) -> str:
    """Mean and worst ratios and the median time of a decision, as Markdown."""
    import saga.schedulers

    graphs = instances(num_tasks, num)
    found: dict[str, list[tuple[float, float, float]]] = {}

    def keep(name: str, one: Instance, decide: Callable[[], oj.graphs.Decision]) -> None:
        start = time.process_time()
        decision = decide()
        seconds = time.process_time() - start
        serial, free = (
            float(oj.graphs.simulate(costs, *decision).makespan) for costs in (one.serial, one.free)
        )
        found.setdefault(name, []).append((serial, free, seconds))

    deciders = ours(jax.random.key(0))
    for decide in deciders.values():  # loads what is compiled
        decide(graphs[0])
    for one in graphs:
        for name, decide in deciders.items():
            keep(name, one, functools.partial(decide, one))
        network, graph = saga_instance(one)
        for name, kind in SCHEDULERS.items():
            scheduler = getattr(saga.schedulers, kind)()
            asked = functools.partial(saga_decision, scheduler, network, graph, num_tasks)
            keep(f"SAGA, {name}", one, asked)
    values = {name: np.array(rows) for name, rows in found.items()}
    best = np.min([rows[:, :2] for rows in values.values()], axis=0)
    lines = []
    for name, rows in values.items():
        ratio = rows[:, :2] / best
        cells = [f"{value:.3f}" for part in (ratio.mean(0), ratio.max(0)) for value in part]
        lines.append([name, *cells, f"{1e3 * np.median(rows[:, 2]):.2f}"])
    headers = ["decides", "serial, mean", "any number, mean", "serial, worst", "any number, worst"]
    return tables.markdown([*headers, "ms of CPU"], lines)


def main(values: flags.FlagValues) -> None:
    for num_tasks in (12, 20, 50):
        print(f"{num_tasks} tasks, {values.graphs} graphs\n\n{table(num_tasks, values.graphs)}\n")


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "graphs", 50, "Of each size.", lower_bound=1, upper_bound=_NUM, flag_values=values
    )


if __name__ == "__main__":
    command_line.run(main, define)
