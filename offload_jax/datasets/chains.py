"""Labelled datasets of chains: their configuration, samples, labels and columns."""

import dataclasses
import types
from typing import Any

import jax
import numpy as np

from offload_jax import configs
from offload_jax.chains import exhaustive
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.scenarios import Scenario, sample
from offload_jax.chains.solve import solve
from offload_jax.datasets.config import Column, Config
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective
from offload_jax.solution import Solution
from offload_jax.validation import check_known

METHODS = ("auto", "dp", "exhaustive", "cpsat")  # those of `solve` that need no limits
_MAX_SHARD_SIZE = 250_000
_SHARD_SUBTASKS = 1_500_000  # about 20 MB a shard
_CPSAT_SHARD_SIZE = 1_000


@dataclasses.dataclass(frozen=True)
class DatasetConfig(Config):
    """Everything the samples and labels of a dataset depend on.

    Attributes:
      num: samples, at least 1.
      scenario: the distribution of the problems.
      seed: 0 .. 2**32 - 1. Shard i is drawn with `fold_in(key(seed), i)`.
      method: how labels are computed, a method of `solve`: "auto", "dp", "exhaustive", "cpsat".
      objective: what the labels minimise; plain numbers.
      shard_size: samples a shard, the last one may hold fewer; also what is solved, and held in
        memory, at a time. 0 chooses: about 20 MB a shard, and 1000 samples for "cpsat".
    """

    num: int
    scenario: Scenario
    seed: int = 0
    method: str = "auto"
    objective: Objective = LATENCY
    shard_size: int = 0
    stored_format = types.MappingProxyType({"dtype": "float32", "format_version": 1})

    def __post_init__(self) -> None:
        self.check_numbers()
        check_known("method", self.method, METHODS, "method ")
        if self.method == "exhaustive":
            exhaustive.check_size(self.scenario.num_subtasks, len(Place))
        if self.shard_size == 0:
            size = min(_MAX_SHARD_SIZE, max(1, _SHARD_SUBTASKS // self.scenario.num_subtasks))
            size = min(size, _CPSAT_SHARD_SIZE) if self.method == "cpsat" else size
            object.__setattr__(self, "shard_size", size)

    def draw(self, key: jax.Array, num: int) -> ChainProblem:
        """Samples of the scenario."""
        return sample(key, self.scenario, num)

    def label(self, problem: ChainProblem) -> Solution:
        """Their optimal decisions."""
        return solve(problem, method=self.method, objective=self.objective)

    @property
    def pads_labels(self) -> bool:  # type: ignore[override]
        """All but CP-SAT solve a batch as one; there each problem takes time of its own."""
        return self.method != "cpsat"

    @property
    def packages(self) -> dict[str, str]:  # type: ignore[override]
        """OR-Tools where it solves."""
        return {"ortools": "cpsat"} if self.method == "cpsat" else {}

    @property
    def columns(self) -> dict[str, Column]:
        """Fields of problem and solution."""
        num_subtasks = self.scenario.num_subtasks
        shapes = {"cycles": (num_subtasks,), "data": (num_subtasks + 1,)}
        return {n: Column(np.float32, shapes.get(n, ())) for n in ChainProblem.own_axes} | {
            "decision": Column(np.int8, (num_subtasks,)),
            "cost": Column(np.float32),
            "optimal": Column(np.bool_),
        }

    def from_columns(self, columns: dict[str, np.ndarray]) -> tuple[ChainProblem, Solution]:
        """The inverse of `to_columns`."""
        fields = {name: columns[name] for name in ChainProblem.own_axes}
        label: dict[str, Any] = {name: columns[name] for name in Solution._fields}
        return ChainProblem(**fields), Solution(**label)


def scenario_from_data(data: Any) -> Scenario:
    """A scenario from JSON types, as they stand in a manifest.

    Args:
      data: an object with every field of `Scenario`; ranges are lists `[low, high]`, SI units.

    Raises:
      ValueError: a field is missing, unknown or no range; names it.
    """
    return configs.from_data(data, Scenario)
