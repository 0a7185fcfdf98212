"""Labelled datasets of task graphs: their configuration, samples, labels and columns.

| column | type | what |
|---|---|---|
| `cycles_0` .. `cycles_{N-1}`, `input_…`, `output_…` | float32 | fields of the tasks |
| `depends`, `data` | lists of N² bool, float32 | [u, v] in C order: v needs u, and bytes |
| `device_speed`, `edge_speed` | float32 | cycles per second |
| `device_edge_bandwidth`, `edge_cloud_bandwidth` | float32 | bytes per second |
| `place_0` .. `place_{N-1}` | int8 | 0 device, 1 edge, 2 cloud |
| `order_0` .. `order_{N-1}` | int32 | the tasks in the order in which they are booked |
| `cost`, `lower_bound` | float64 | seconds |
| `optimal` | bool | the cost is proven to be the least of all schedules |
| `status` | int8 | an index into `STATUSES`: what CP-SAT said |
"""

import dataclasses
import math
import types
from typing import Any

import jax
import numpy as np

from offload_jax.datasets.config import Column, Config
from offload_jax.graphs.decision import GraphSolution
from offload_jax.graphs.problem import AXES, GraphProblem
from offload_jax.graphs.scenarios import Scenario, sample
from offload_jax.validation import check_known

METHODS = ("search", "greedy", "heft", "cpop", "peft", "cut", "cpsat")
STATUSES = ("NOT ASKED", "OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN")
_SHARD_ENTRIES = 4_000_000  # about 20 MB a shard
_SLOW_SHARD_SIZE = 1_000


@dataclasses.dataclass(frozen=True)
class DatasetConfig(Config):
    """Everything the samples and labels of a dataset depend on.

    Attributes:
      num: samples, at least 1.
      scenario: the distribution of the graphs.
      seed: 0 .. 2**32 - 1. Shard i is drawn with `fold_in(key(seed), i)`.
      method: how labels are computed, one of `METHODS`.
      time_limit: seconds for each graph, for "search" and "cpsat"; None is as in
        `oj.graphs.solve`. With a limit the labels depend on how fast the machine is.
      shard_size: samples a shard; 0 chooses: about 20 MB, and at most 1000 samples for "search" and
        "cpsat".
    """

    num: int
    scenario: Scenario
    seed: int = 0
    method: str = "search"
    time_limit: float | None = None
    shard_size: int = 0
    pads_labels = False
    stored_format = types.MappingProxyType({"family": "graphs", "format_version": 1})

    def __post_init__(self) -> None:
        self.check_numbers()
        check_known("method", self.method, METHODS, "method ")
        slow = self.method in ("search", "cpsat")
        if self.time_limit is not None and not (slow and 0 < self.time_limit < math.inf):
            raise ValueError(
                f"time_limit = {self.time_limit}: must be finite and above 0, for search and cpsat"
            )
        if self.shard_size == 0:
            size = max(1, _SHARD_ENTRIES // self.scenario.num_tasks**2)
            object.__setattr__(self, "shard_size", min(size, _SLOW_SHARD_SIZE) if slow else size)

    def draw(self, key: jax.Array, num: int) -> GraphProblem:
        """Samples of the scenario."""
        return sample(key, self.scenario, num)

    def label(self, problem: GraphProblem) -> GraphSolution:
        """Decisions about them."""
        from offload_jax.graphs.solve import solve

        return solve(problem, method=self.method, time_limit=self.time_limit)

    @property
    def packages(self) -> dict[str, str]:  # type: ignore[override]
        """What solves."""
        if self.method in ("greedy", "cut"):
            return {}
        return {"numba": "single"} | ({"ortools": "cpsat"} if self.method == "cpsat" else {})

    @property
    def columns(self) -> dict[str, Column]:
        """Fields of problem and solution, and the status."""
        tasks = (self.scenario.num_tasks,)
        kinds = {"depends": np.bool_}
        return {
            name: Column(kinds.get(name, np.float32), tasks * len(axes))
            for name, axes in AXES.items()
            if name not in ("release", "user")
        } | {
            "place": Column(np.int8, tasks),
            "order": Column(np.int32, tasks),
            "cost": Column(np.float64),
            "lower_bound": Column(np.float64),
            "optimal": Column(np.bool_),
            "status": Column(np.int8),
        }

    def to_columns(self, problem: GraphProblem, solution: GraphSolution) -> dict[str, Any]:
        """Fields by name; what a scenario fixes for all samples is left out."""
        return super().to_columns(problem, solution) | {"status": self._status(solution)}

    def _status(self, solution: GraphSolution) -> np.ndarray:
        if self.method != "cpsat":
            return np.zeros(np.shape(solution.cost), np.int8)
        from offload_jax.cpsat import statuses

        return np.vectorize(STATUSES.index, otypes=[np.int8])(statuses(solution))

    def from_columns(self, columns: dict[str, np.ndarray]) -> tuple[GraphProblem, GraphSolution]:
        """The inverse of `to_columns`, without the status, which `optimal` and `cost` imply."""
        names = [name for name in AXES if name in columns]
        fields: dict[str, Any] = {name: columns[name] for name in names}
        problem = GraphProblem(**fields, edge_servers=self.scenario.edge_servers)
        label: dict[str, Any] = {
            name: columns[name] for name in GraphSolution._fields if name in columns
        }
        return problem, GraphSolution(**label)
