"""The period of the networks that the package `onnx` ships, over 3 to 8 unequal machines.

Machines on a switch, each with a link of 1 Gbit/s up and down and memory for some of the weights,
all together for one and a half times what there is. Two splits that people use stand beside search:
layers in a row, weights by shares of the memory (exo, llama.cpp), or work by shares of the speed;
where a machine is full, the one with most room takes the layer. `inf` is a split that does not fit.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

import offload_jax as oj
from benchmarks.onnx_networks import LIGHT
from experiments.reporting import command_line, plots, tables

# GFLOP/s and shares of the memory; the first one holds the input and takes the result.
MACHINES = ((2.0, 1), (8.0, 2), (40.0, 4), (5.0, 8), (20.0, 2), (80.0, 6), (10.0, 1), (3.0, 4))
BANDWIDTH = 1.25e8
COUNTS = (3, 4, 5, 6, 7, 8)


class Cluster(NamedTuple):
    """Costs of a network on machines and, last, their switch; memory; where tasks may run."""

    costs: oj.graphs.GraphCosts
    rules: oj.SideConstraints
    allowed: np.ndarray
    speed: np.ndarray


def cluster(model: oj.models.Model, num: int) -> Cluster:
    """The first `num` machines."""
    speed, share = (np.array(each, float) for each in zip(*MACHINES[:num], strict=True))
    held = 1.5 * model.memory.sum() * share / share.sum()
    # Something has to hold the largest layer.
    held[share.argmax()] = max(held[share.argmax()], model.memory.max())
    names = [f"machine {i}" for i in range(num)]
    machines = [oj.Processor(n, s * 1e9 / 2) for n, s in zip(names, speed, strict=True)]
    links = [oj.Link(name, "switch", BANDWIDTH) for name in names]
    network = oj.Network([*machines, oj.Processor("switch")], links)
    costs = oj.graphs.network_costs(model.graph, network)
    rules = oj.SideConstraints(memory=model.memory, max_memory=dict(enumerate(held.tolist())))
    allowed = np.tile(np.arange(num + 1) < num, (costs.num_tasks, 1))
    return Cluster(costs, rules, allowed, speed)


def in_shares(amount: np.ndarray, share: np.ndarray, rules: oj.SideConstraints) -> np.ndarray:
    """Layers in a row by shares of an amount `[N]`; a full machine leaves a layer to another."""
    # A layer belongs where its middle lies.
    middle = np.cumsum(amount) - amount / 2
    ends = amount.sum() * np.cumsum(share / share.sum())
    place = np.minimum(np.searchsorted(ends, middle), len(share) - 1)
    room = np.array([*rules.max_memory.values()])
    for v, size in enumerate(rules.memory):
        if room[place[v]] < size:
            place[v] = room.argmax()
        room[place[v]] -= size
    return place


def fits(place: np.ndarray, rules: oj.SideConstraints) -> bool:
    held = np.bincount(place, rules.memory, len(rules.max_memory))
    return bool((held <= np.array([*rules.max_memory.values()]) * (1 + 1e-6)).all())


def pipeline(model: oj.models.Model, task: Cluster) -> np.ndarray:
    """The exact pipeline of the layers in topological order, as if they were a chain."""
    graph, num = model.graph, len(task.speed)
    crossing = np.zeros(graph.num_tasks + 1)
    crossing[0], crossing[-1] = graph.input.sum(), graph.output.sum()
    last = np.arange(graph.num_tasks)
    np.maximum.at(last, graph.edges[:, 0], graph.edges[:, 1])
    size = np.zeros(graph.num_tasks)
    size[graph.edges[:, 0]] = graph.data
    for u in range(graph.num_tasks):
        crossing[u + 1 : last[u] + 1] += size[u]
    seconds = np.broadcast_to(crossing[:, None, None] / BANDWIDTH, (len(crossing), num, num))
    table = oj.ChainCosts(task.costs.seconds[:, :num], seconds * (1 - np.eye(num)))
    rules = oj.SideConstraints(memory=task.rules.memory, max_memory=task.rules.max_memory)
    found = oj.solve(table, objective=oj.PERIOD, contiguous=True, side_constraints=rules)
    return np.asarray(found.decision, int) if np.isfinite(found.cost) else np.zeros(0, int)


def compared(model: oj.models.Model, num: int, limit: float) -> list[Any]:
    """Network, tasks, machines; periods of both rules, of the pipeline and of search; the bound."""
    task = cluster(model, num)
    order = np.arange(task.costs.num_tasks)
    places = [
        in_shares(model.memory, np.array([*task.rules.max_memory.values()]), task.rules),
        in_shares(model.graph.cycles, task.speed, task.rules),
        pipeline(model, task),
    ]
    possible = [p for p in places if len(p) and fits(p, task.rules)]
    found = oj.graphs.solve(
        task.costs,
        method="search",
        objective=oj.PERIOD,
        side_constraints=task.rules,
        allowed=task.allowed,
        start=[oj.graphs.Decision(place, order) for place in possible],
        time_limit=limit,
    )
    periods = [
        float(oj.graphs.period(task.costs, p)) if len(p) and fits(p, task.rules) else math.inf
        for p in places
    ]
    name = model.name.removeprefix("light_")
    return [name, len(order), num, *periods, float(found.cost), float(found.lower_bound)]


def drawn(rows: list[list[Any]], path: Path) -> None:
    """How many times as fast search is as each rule, over the machines."""
    names = sorted({row[0] for row in rows})
    with plots.figure(path, size=(9.0, 4.0), ncols=2, sharey=True) as (_, axes):
        for axis, column, rule in zip(axes, (3, 4), ("memory", "speed"), strict=True):
            for i, name in enumerate(names):
                own = [row for row in rows if row[0] == name]
                gained = [row[column] / row[6] for row in own]
                axis.plot([row[2] for row in own], gained, label=name,
                          color=plots.PALETTE[i], marker=plots.MARKERS[i])  # fmt: skip
            axis.set(xlabel="machines", title=f"against layers by share of {rule}", yscale="log")
        axes[0].set_ylabel("requests a second, times as many")
        axes[1].legend(fontsize=7)


def main(values: flags.FlagValues) -> None:
    names = values.networks or sorted(path.stem for path in LIGHT.glob("light_*.onnx"))
    models = [oj.models.read_onnx(LIGHT / f"{name}.onnx") for name in names]
    compared(models[0], 3, 0.01)  # compiles
    rows = [compared(model, num, values.time_limit) for model in models for num in COUNTS]
    shown = [
        [*row[:3], *(f"{period:.4g}" for period in row[3:]), f"{row[6] / row[7]:.3f}",
         f"{row[3] / row[6]:.2f}", f"{row[4] / row[6]:.2f}"] for row in rows
    ]  # fmt: skip
    headers = ["network", "tasks", "machines", "by memory, s", "by speed, s", "pipeline, s"]
    headers += [f"search, {values.time_limit:g} s", "bound, s", "search / bound"]
    print(tables.markdown([*headers, "memory / search", "speed / search"], shown))
    if values.figure:
        drawn(rows, Path(values.figure))


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("networks", None, "Names, as light_vgg19; all if none.", flag_values=values)
    flags.DEFINE_string("figure", None, "PNG of the factors gained.", flag_values=values)
    flags.DEFINE_float(
        "time_limit", 2.0, "Seconds of search for each.", lower_bound=0.0, flag_values=values
    )


if __name__ == "__main__":
    command_line.run(main, define)
