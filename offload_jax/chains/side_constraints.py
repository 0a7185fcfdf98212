"""Side constraints on a decision, written as additive tables with a limit each.

"At most two subtasks on the edge" makes what a subtask may do depend on all the others, which no
dynamic program over places can see. But the number of subtasks on the edge is an additive cost of
the chain like any other, 1 for each subtask there, and CP-SAT takes upper limits on such costs.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from offload_jax.chains.costs import ChainCosts
from offload_jax.chains.problem import ChainProblem


@dataclasses.dataclass(frozen=True, kw_only=True)
class SideConstraints:
    """What every decision of a batch must keep to.

    Attributes:
      max_subtasks: the most subtasks a place may run, by place: `{oj.Place.EDGE: 2}`.
      max_cycles: the most CPU cycles a place may run, by place; needs a `ChainProblem`.
      forbidden: the places a subtask must not run at, by subtask. Private input that stays on the
        device until its third subtask: `{0: (EDGE, CLOUD), 1: (EDGE, CLOUD)}`.
    """

    max_subtasks: Mapping[int, int] = dataclasses.field(default_factory=dict)
    max_cycles: Mapping[int, float] = dataclasses.field(default_factory=dict)
    forbidden: Mapping[int, Iterable[int]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("max_subtasks", "max_cycles"):
            for place, limit in getattr(self, name).items():
                if not 0 <= limit < math.inf:
                    raise ValueError(
                        f"{name}[{int(place)}] = {limit}: must be finite and not negative"
                    )
        frozen = {t: tuple(int(k) for k in places) for t, places in self.forbidden.items()}
        object.__setattr__(self, "forbidden", frozen)

    def budgets(self, source: ChainProblem | ChainCosts) -> list[tuple[ChainCosts, float]]:
        """The constraints as tables and limits.

        Args:
          source: the concrete problem or table they apply to.

        Returns:
          Pairs of a table `[..., A, K]`, whose transfers are 0, and the most it may add up to.

        Raises:
          ValueError: a place or subtask does not exist, or cycles are limited of a table.
        """
        num_subtasks, num_places = source.num_subtasks, source.num_places
        self._check(num_subtasks, num_places)
        if self.max_cycles and not isinstance(source, ChainProblem):
            raise ValueError("max_cycles: a table of costs has no cycles; give a ChainProblem")
        found = []

        def add(execution: np.ndarray, limit: float) -> None:
            transfer = np.zeros((num_subtasks + 1, num_places, num_places))
            found.append((ChainCosts(execution, transfer), float(limit)))

        for place, most in self.max_subtasks.items():
            add(np.tile(np.eye(num_places)[int(place)], (num_subtasks, 1)), most)
        for place, limit in self.max_cycles.items():
            cycles = np.asarray(_concrete(source).cycles, np.float64)
            add(cycles[..., None] * np.eye(num_places)[int(place)], limit)
        if self.forbidden:
            banned = np.zeros((num_subtasks, num_places))
            for t, places in self.forbidden.items():
                banned[t, list(places)] = 1.0
            add(banned, 0.0)
        return found

    def _check(self, num_subtasks: int, num_places: int) -> None:
        named = {
            "max_subtasks": self.max_subtasks,
            "max_cycles": self.max_cycles,
            "forbidden": [k for places in self.forbidden.values() for k in places],
        }
        for name, places in named.items():
            for place in places:
                if not 0 <= place < num_places:
                    raise ValueError(
                        f"{name}: unknown place {place}, places are 0..{num_places - 1}"
                    )
        for t in self.forbidden:
            if not 0 <= t < num_subtasks:
                raise ValueError(
                    f"forbidden: unknown subtask {t}, subtasks are 0..{num_subtasks - 1}"
                )


def _concrete(source: Any) -> Any:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(source)):
        raise ValueError("side_constraints: run on the host and cannot be traced")
    return source
