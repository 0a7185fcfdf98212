"""Gantt charts: what processors and links do while decisions about one task graph are carried out.

Writes results/graph_gantt.json and figures/graph_gantt.png.
"""

from typing import Any, NamedTuple

import numpy as np

import offload_jax as oj
from experiments.graphs import test_sets
from experiments.reporting.plots import PALETTE, figure
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

SIZE, ROW = 12, 3
METHODS = {"greedy": "greedy rule", "search": "search"}
RESOURCES = (
    "device CPU",
    "device → edge",
    "edge → device",
    "edge CPU",
    "edge → cloud",
    "cloud → edge",
    "cloud",
)
_PROCESSORS = ("device CPU", "edge CPU", "cloud")
_LINKS = ("device → edge", "edge → device", "edge → cloud", "cloud → edge")


class Bar(NamedTuple):
    """Something that occupies a processor or a link: whose it is, from when to when."""

    resource: str
    task: int
    start: float
    finish: float


def bars(costs: oj.graphs.GraphCosts, schedule: oj.graphs.Schedule) -> list[Bar]:
    """Everything that happens in a schedule with transfers of one request."""
    found = []
    place, moves = np.asarray(schedule.place), schedule.transfers
    assert moves is not None
    home = np.broadcast_to(costs.home, place.shape)

    def hops(task: int, origin: int, target: int, start: Any, finish: Any) -> None:
        for hop, link in enumerate(costs.routes[origin][target] or ()):
            if np.isfinite(start[hop]):
                found.append(Bar(_LINKS[link], task, float(start[hop]), float(finish[hop])))

    for v, at in enumerate(place):
        start, finish = float(schedule.start[v]), float(schedule.finish[v])
        found.append(Bar(_PROCESSORS[at], v, start, finish))
        hops(v, home[v], at, moves.input_start[v], moves.input_finish[v])
        hops(v, at, home[v], moves.output_start[v], moves.output_finish[v])
        for u in range(v):
            hops(u, place[u], at, moves.data_start[u, v], moves.data_finish[u, v])
    return found


def compute(settings: Settings) -> dict[str, Any]:
    """Decides about one test graph by a rule and by search: makespan and bars, by method."""

    def compute_all() -> dict[str, Any]:
        problem = test_sets.problems(SIZE)[ROW]
        costs = oj.graphs.graph_costs(problem)
        results = {}
        for method in METHODS:
            found = oj.graphs.solve(problem, method=method)
            schedule = oj.graphs.simulate(problem, found.place, found.order, transfers=True)
            results[method] = {"makespan": found.cost, "bars": bars(costs, schedule)}
        return results

    config = {"size": SIZE, "row": ROW, "digest": test_sets.digest(test_sets.problems(SIZE))}
    return cached(settings.result("graph_gantt"), config, compute_all)


def _draw(results: dict[str, Any], settings: Settings) -> None:
    latest = max(results[method]["makespan"] for method in METHODS)
    with figure(settings.figure("graph_gantt"), size=(9, 5.2), nrows=len(METHODS), sharex=True) as (
        _,
        axes,
    ):
        for panel, (method, title) in zip(axes, METHODS.items(), strict=True):
            every = [Bar(*entry) for entry in results[method]["bars"]]
            for bar in every:
                if bar.resource != "cloud":
                    _draw_bar(panel, bar, 0.025 * latest)
            in_cloud = [bar for bar in every if bar.resource == "cloud"]
            _draw_cloud(panel, in_cloud, 0.05 * latest)
            makespan = results[method]["makespan"]
            panel.axvline(makespan, color="k", lw=1)
            panel.set_title(f"{title}: {makespan:.2f} s", loc="left")
            panel.set_yticks(range(len(RESOURCES)), RESOURCES)
            panel.invert_yaxis()
            panel.grid(visible=False, axis="y")
            panel.set_xlim(0, 1.01 * latest)
        axes[-1].set_xlabel("seconds")


def _draw_cloud(panel: Any, bars: list[Bar], apart: float) -> None:
    """Marks, as the cloud takes no time; those that are close to each other share a label."""
    row = RESOURCES.index("cloud")
    bars = sorted(bars, key=lambda bar: bar.start)
    names: list[str] = []
    for i, bar in enumerate(bars):
        panel.plot(bar.start, row, "|", color="k", markersize=11, markeredgewidth=2)
        names.append(str(bar.task))
        if i + 1 == len(bars) or bars[i + 1].start - bar.start > apart:
            panel.text(bar.start + apart / 6, row, ", ".join(names), va="center", fontsize=7)
            names = []


def _draw_bar(panel: Any, bar: Bar, least_labelled: float) -> None:
    row, width = RESOURCES.index(bar.resource), bar.finish - bar.start
    color = PALETTE[bar.task % (len(PALETTE) - 1)]
    panel.barh(row, width, left=bar.start, height=0.7, color=color, lw=0.4, ec="w")
    if width > least_labelled:
        middle = bar.start + width / 2
        panel.text(middle, row, str(bar.task), ha="center", va="center", fontsize=7, color="w")


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    rule, search = (results[method]["makespan"] for method in METHODS)
    return (
        "## What a decision does\n\n"
        f"A test graph of {SIZE} tasks. Numbers are tasks; on links, the task whose bytes move. The"
        f" rule takes {rule:.2f} s, search finds {search:.2f} s: links and processors are what"
        " tasks wait for.\n\n![Gantt chart of two decisions](figures/graph_gantt.png)\n"
    )


STAGE = Stage("charts of decisions", compute, _section, _draw, latency_only=True)

if __name__ == "__main__":
    script(STAGE)
