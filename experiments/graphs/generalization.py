"""The student on requests that it was not trained for: larger graphs, other links, real graphs.

Writes results/graph_generalization.json.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.graphs import contenders, real_graphs, training, training_sets
from experiments.graphs.presets import PACKAGED, STUDENT
from experiments.reporting import statistics, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import TRAINING, Settings, Stage, script
from offload_jax import workloads
from offload_jax.learning import checkpoints

NUM = {"default": 100, "paper": 1000}
SIMULATIONS = 20_000
RULES = ["greedy", "cut"]
SAMPLES = 64
_KEY = 12
# Graphs are filled up to such a size: fewer programs to compile.
_MULTIPLE = 16
_BASE = oj.graphs.scenarios.layered(20)
SCENARIOS = {
    "20 tasks, as in training": _BASE,
    "50 tasks": oj.graphs.scenarios.layered(50),
    "100 tasks": oj.graphs.scenarios.layered(100),
    "2 servers at the edge": dataclasses.replace(_BASE, edge_servers=2),
    "4 servers at the edge": dataclasses.replace(_BASE, edge_servers=4),
    "links 0.05 to 0.25 MB/s": dataclasses.replace(
        _BASE, device_edge_bandwidth=(0.05e6, 0.25e6), edge_cloud_bandwidth=(0.05e6, 0.25e6)
    ),
    "links 10 to 50 MB/s": dataclasses.replace(
        _BASE, device_edge_bandwidth=(10e6, 50e6), edge_cloud_bandwidth=(10e6, 50e6)
    ),
    "device 1 to 5 GHz, edge 5 to 20 GHz": dataclasses.replace(
        _BASE, device_speed=(1e9, 5e9), edge_speed=(5e9, 20e9)
    ),
    "device 20 to 100 MHz": dataclasses.replace(_BASE, device_speed=(20e6, 100e6)),
}


def compute(settings: Settings) -> dict[str, Any]:
    """Means of makespan over the shortest one that anything here finds.

    Returns:
      By kind of requests: the number of `graphs`, and by policy the mean ratio and its interval.

    Raises:
      ValueError: a graph of the folder is damaged, or the folder holds none.
    """
    graphs = real_graphs.read_graphs(settings.graph_dir)
    student = training.trained(STUDENT, settings)
    packaged = oj.graphs.policies.student()
    config = {
        "student": student["digest"],
        "packaged": checkpoints.digest(packaged.params),
        "num": NUM[settings.preset],
        "rules": RULES,
        "scenarios": {name: dataclasses.asdict(each) for name, each in SCENARIOS.items()},
        "graphs": {name: [len(g.names), float(g.cycles.sum())] for name, g in graphs.items()},
    }

    def compute_all() -> dict[str, Any]:
        policies = {
            "student": oj.graphs.policies.load(training.checkpoint(STUDENT, settings)),
            PACKAGED: packaged,
        }
        ways = {name: contenders.one_at_a_time(oj.single.graph(method=name)) for name in RULES}
        for name, policy in policies.items():
            for way, num in ((name, None), (f"{name}, best of {SAMPLES}", SAMPLES)):
                ways[way] = contenders.one_at_a_time(oj.single.learned(policy, best_of=num))
        ways[f"search, {SIMULATIONS} simulations"] = contenders.search(SIMULATIONS)
        results = {}
        for number, (name, scenario) in enumerate(SCENARIOS.items()):
            key = jax.random.fold_in(jax.random.key(_KEY), number)
            problem = oj.graphs.scenarios.sample(key, scenario, config["num"])
            results[name] = _judge(ways, [problem])
        profiled = [
            workloads.profile_graph(network, max_tasks=real_graphs.NUM_TASKS)
            for network in real_graphs.NETWORKS.values()
        ]
        results["profiled networks"] = _judge(ways, [_requests(graph) for graph in profiled])
        if graphs:
            imported = [_requests(graph) for graph in graphs.values()]
            results["imported workflows"] = _judge(ways, imported)
        return results

    return cached(settings.result("graph_generalization"), config, compute_all)


def _requests(graph: oj.graphs.TaskGraph) -> oj.graphs.GraphProblem:
    size = -(-graph.num_tasks // _MULTIPLE) * _MULTIPLE
    return training_sets.filled(real_graphs.requests(graph), size)


def _judge(
    ways: dict[str, Callable[[Any], contenders.Outcome]], problems: list[oj.graphs.GraphProblem]
) -> dict[str, Any]:
    makespans = {
        name: np.concatenate([decide(problem).makespan for problem in problems])
        for name, decide in ways.items()
    }
    best = np.min(list(makespans.values()), axis=0)
    result: dict[str, Any] = {"graphs": len(best)}
    for name, makespan in makespans.items():
        mean, interval = statistics.mean_and_interval(makespan / best)
        result[name] = {
            "ratio": float(mean),
            "interval": None if interval is None else float(interval),
        }
    return result


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    named = {name: each for name, each in results.items() if isinstance(each, dict)}
    ways = [way for way in next(iter(named.values())) if way != "graphs"]
    rows = [
        [name, each["graphs"]]
        + [
            statistics.plus_minus(each[way]["ratio"], each[way]["interval"], digits=3)
            for way in ways
        ]
        for name, each in named.items()
    ]
    return (
        "## The student on requests it was not trained for\n\n"
        "Mean of makespan over the shortest one that any column finds, with its 95 % interval over"
        " graphs. The student was trained on random graphs of 8 to 128 tasks over links of 0.25 to"
        " 6 MB/s, fewer with two and four servers at the edge, and on networks fused to at most 64"
        " tasks; networks and workflows are those of the section above, over the same links and"
        " processors.\n\n" + tables.markdown(["requests", "graphs", *ways], rows) + "\n"
    )


STAGE = Stage(
    "student elsewhere", compute, _section, latency_only=True, flags=(*TRAINING, "graph_dir")
)

if __name__ == "__main__":
    script(STAGE)
