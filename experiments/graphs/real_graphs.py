"""Real task graphs over named links: does a true split beat the best single place?

Networks as graphs of their operations, and whatever task graphs lie in the folder `--graph_dir`.
Writes results/real_graphs.json and figures/real_graphs.png.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

import offload_jax as oj
from experiments.graphs import test_sets
from experiments.reporting import tables
from experiments.reporting.plots import PALETTE, figure
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax import workloads

NETWORKS = {
    "GoogLeNet": workloads.googlenet,
    "ResNet-50": workloads.resnet50,
    "MobileNetV2": workloads.mobilenet_v2,
}
NUM_TASKS = 20
# A split that saves less than this is a tie in float32.
_LEAST_GAIN = 1e-4
_SUFFIXES = (".gv", ".dot", ".json", ".stg")


def read_graphs(folder: Path | None) -> dict[str, oj.graphs.TaskGraph]:
    """Every task graph of a folder, by file name.

    Raises:
      ValueError: there is none, or one is damaged.
    """
    if folder is None:
        return {}
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    if not files:
        raise ValueError(f"{folder}: holds no task graph ({', '.join(_SUFFIXES)})")
    return {path.name: oj.graphs.read(path) for path in files}


def compute(settings: Settings) -> dict[str, Any]:
    """Search and rules against the best single place, over named conditions and processors.

    Returns:
      By graph: `tasks`, `edges`, and `cases`, a row for each condition and pair of processors with
      the makespans of the best single place, of greedy, of the cut and of search.

    Raises:
      ValueError: a graph of the folder is damaged, or the folder holds none.
    """
    graphs = read_graphs(settings.graph_dir)

    def compute_all() -> dict[str, Any]:
        profiled = {
            name: workloads.profile_graph(network, max_tasks=NUM_TASKS)
            for name, network in NETWORKS.items()
        }
        return {name: _cases(graph) for name, graph in (profiled | graphs).items()}

    config = {
        "networks": list(NETWORKS),
        "num_tasks": NUM_TASKS,
        "graphs": {name: [len(g.names), float(g.cycles.sum())] for name, g in graphs.items()},
    }
    return cached(settings.result("real_graphs"), config, compute_all)


def _combinations() -> list[tuple[workloads.NetworkCondition, workloads.ProcessorSpeeds]]:
    return list(itertools.product(workloads.NETWORK_CONDITIONS, workloads.PROCESSOR_SPEEDS))


def requests(graph: oj.graphs.TaskGraph) -> oj.graphs.GraphProblem:
    """A graph over every named link and pair of processors."""
    pairs = _combinations()
    return graph.to_problem(
        np.array([speeds.device_speed for _, speeds in pairs]),
        np.array([speeds.edge_speed for _, speeds in pairs]),
        np.array([link.device_edge_bandwidth for link, _ in pairs]),
        np.array([link.edge_cloud_bandwidth for link, _ in pairs]),
    )


def _cases(graph: oj.graphs.TaskGraph) -> dict[str, Any]:
    problem = requests(graph)
    policies = oj.graphs.policies
    single = {
        policy.__name__: _makespan(problem, policy(problem))
        for policy in (policies.local, policies.edge, policies.cloud)
    }
    best = np.min(list(single.values()), axis=0)
    names = np.array(list(single))[np.argmin(list(single.values()), axis=0)]
    greedy = np.minimum(best, _makespan(problem, policies.greedy(problem)))
    cut = np.minimum(best, _makespan(problem, policies.cut(problem)))
    search = _makespan(problem, policies.search(problem))
    cases = [
        {
            "condition": link.name,
            "processors": speeds.name,
            "best_place": str(names[i]),
            "single": float(best[i]),
            "greedy": float(greedy[i]),
            "cut": float(cut[i]),
            "search": float(search[i]),
        }
        for i, (link, speeds) in enumerate(_combinations())
    ]
    return {"tasks": graph.num_tasks, "edges": graph.num_edges, "cases": cases}


def _makespan(problem: oj.graphs.GraphProblem, decision: oj.graphs.Decision) -> np.ndarray:
    return test_sets.makespans(oj.graphs.graph_costs(problem, library=np), *decision)


def _gains(cases: list[dict[str, Any]], method: str) -> np.ndarray:
    """By how much a method beats the best single place, as a share of its makespan."""
    gains = np.array([1 - case[method] / case["single"] for case in cases])
    return np.where(gains > _LEAST_GAIN, gains, 0.0)


def _named(results: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in results.items() if isinstance(each, dict)}


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    rows = []
    for name, each in _named(results).items():
        cells = [name, each["tasks"], each["edges"]]
        for method in ("greedy", "cut", "search"):
            gains = _gains(each["cases"], method)
            better = gains[gains > 0]
            cells.append(f"{100 * (gains > 0).mean():.0f} %")
            cells.append(f"{100 * better.mean():.1f} %" if len(better) else "–")
        cells.append(f"{100 * gains.max():.1f} %")
        rows.append(cells)
    num = len(next(iter(_named(results).values()))["cases"])
    headers = [
        "graph",
        "tasks",
        "edges",
        "greedy splits",
        "gains",
        "cut splits",
        "gains",
        "search splits",
        "gains",
        "most",
    ]
    return (
        "## Real task graphs\n\n"
        f"Each graph over {num} combinations of link and processors: how often a decision that uses"
        " more than one place beats the best single place, and by how much of its makespan on"
        " average where it does. Networks are the graphs of their operations, fused into at most"
        f" {NUM_TASKS} tasks; workflows are read from the folder `--graph_dir`, with their seconds"
        " at 1 GHz.\n\n"
        + tables.markdown(headers, rows)
        + "\n\n![Gain over the best single place](figures/real_graphs.png)\n"
    )


def _draw(results: dict[str, Any], settings: Settings) -> None:
    named = _named(results)
    with figure(settings.figure("real_graphs"), size=(8, 1.2 + 0.45 * len(named))) as (_, axes):
        for row, each in enumerate(named.values()):
            gains = 100 * _gains(each["cases"], "search")
            jitter = np.linspace(-0.25, 0.25, len(gains))
            axes.scatter(gains, row + jitter, s=14, color=PALETTE[0], alpha=0.8, linewidths=0)
            axes.plot([gains.mean()] * 2, [row - 0.35, row + 0.35], color=PALETTE[3], lw=2)
        axes.set_yticks(range(len(named)), list(named))
        axes.invert_yaxis()
        axes.set_xlim(left=-0.5)
        axes.set_xlabel("gain of search over the best single place, % of its makespan (line: mean)")


STAGE = Stage("real task graphs", compute, _section, _draw, latency_only=True, flags=("graph_dir",))

if __name__ == "__main__":
    script(STAGE)
