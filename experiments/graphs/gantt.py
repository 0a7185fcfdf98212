"""Gantt charts: what processors and links do while decisions about one task graph are carried out.

Writes results/graph_gantt.json and figures/graph_gantt.png.
"""

from typing import Any

import offload_jax as oj
from experiments.graphs import test_sets
from experiments.reporting.plots import figure
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script

SIZE, ROW = 12, 3
METHODS = {"greedy": "greedy rule", "search": "search"}


def compute(settings: Settings) -> dict[str, Any]:
    """Decides about one test graph by a rule and by search: cost, place and order of each."""

    def compute_all() -> dict[str, Any]:
        problem = test_sets.problems(SIZE)[ROW]
        found = {method: oj.graphs.solve(problem, method=method) for method in METHODS}
        return {
            method: {"makespan": each.cost, "place": each.place, "order": each.order}
            for method, each in found.items()
        }

    config = {"size": SIZE, "row": ROW, "digest": test_sets.digest(test_sets.problems(SIZE))}
    return cached(settings.result("graph_gantt"), config, compute_all)


def _draw(results: dict[str, Any], settings: Settings) -> None:
    problem = test_sets.problems(SIZE)[ROW]
    latest = max(results[method]["makespan"] for method in METHODS)
    panels = figure(settings.figure("graph_gantt"), size=(9, 5.6), nrows=len(METHODS), sharex=True)
    with panels as (_, axes):
        for panel, (method, title) in zip(axes, METHODS.items(), strict=True):
            found = results[method]
            schedule = oj.graphs.simulate(problem, found["place"], found["order"], transfers=True)
            oj.plot.gantt(schedule, problem, until=latest, ax=panel)
            panel.set_title(f"{title}: {found['makespan']:.2f} s", loc="left")
            panel.set_xlabel("")


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
