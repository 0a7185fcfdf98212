"""What works where only jax, jaxtyping and NumPy are installed, and what the other parts say there.

Run by such a Python; prints one JSON object.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from offload_jax import workloads


def ratio(cost: Any, least: Any) -> float:
    return float(np.mean(np.asarray(cost, np.float64)) / np.mean(np.asarray(least, np.float64)))


def error_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except ImportError as error:
        return str(error)
    return "no ImportError"


def main() -> None:
    chains = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 500)
    solution = oj.solve(chains)
    by_hand = oj.ChainProblem([8e8, 4e8], [2e6, 4e6, 1e5], 5e8, 3e9, 1.5e6, 2e6)
    layered = oj.graphs.scenarios.layered(8)
    graphs = oj.graphs.scenarios.sample(jax.random.key(0), layered, 200)
    greedy = oj.graphs.solve(graphs)  # "auto"
    decided = oj.graphs.policies.student()(graphs)
    student = oj.policies.student()
    parts = {
        "solve cpsat": lambda: oj.solve(by_hand, method="cpsat"),
        "graphs cpsat": lambda: importlib.import_module("offload_jax.graphs._cpsat.solve"),
        "graphs search": lambda: oj.graphs.solve(graphs, method="search"),
        "graphs heft": lambda: oj.graphs.policies.heft(graphs),
        "single exact": oj.single.exact,
        "single table": oj.single.table,
        "single graph": oj.single.graph,
        "single learned": lambda: oj.single.learned(student),
        "load": lambda: oj.policies.load("folder"),
        "graphs load": lambda: oj.graphs.policies.load("folder"),
        "train": lambda: importlib.import_module("offload_jax.chains.imitation"),
        "train graphs": lambda: importlib.import_module("offload_jax.graphs.training"),
        "network": lambda: workloads.alexnet,
        "write": lambda: oj.datasets.write("data", oj.datasets.DatasetConfig(1, oj.scenarios.WIDE)),
        "read": lambda: oj.datasets.scenario_from_data({}),
        "gymnasium": lambda: oj.envs.to_gymnasium(oj.envs.ChainEnv()),
        "read onnx": lambda: oj.models.read_onnx("model.onnx"),
        "split": lambda: importlib.import_module("offload_jax.models.onnx_split"),
        "check": lambda: oj.models.check("folder"),
        "measure": lambda: oj.models.measure("model.onnx"),
        "plot": lambda: oj.plot.front([(1.0, 2.0)]),
    }
    result = {
        "file": str(Path(oj.__file__).parent),
        "decision": np.asarray(oj.solve(by_hand).decision).tolist(),
        "optimal": bool(np.all(solution.optimal)),
        "student": ratio(oj.latency(chains, student(chains)), solution.cost),
        "graph_bound": ratio(oj.graphs.lower_bound(graphs), greedy.cost),
        "graph_student": ratio(oj.graphs.simulate(graphs, *decided).makespan, greedy.cost),
        "errors": {name: error_of(call) for name, call in parts.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
