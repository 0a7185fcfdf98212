"""What a decision must keep to: limits on latency and energy, and rules about places.

A limit breaks the dynamic program of the free problem: the cheapest way to finish a chain depends
on what was already spent. So does "at most two subtasks on the edge". But the number of subtasks on
the edge is an additive cost of the chain like any other, 1 for each subtask there, so that all of
these are the same thing: an additive table and the most that it may add up to.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from offload_jax.chains.costs import ChainCosts
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import LATENCY, Objective, PowerModel, energy_of
from offload_jax.validation import (
    FINITE,
    Array,
    broadcast_shapes,
    check_kind,
    is_traced,
    require,
)

RELATIVE_TOLERANCE = 1e-6
"""A limit counts as met up to this fraction of it.

Latencies are float32 in JAX, so a deadline computed as the latency of some decision is off by a
few times 1e-7; without a tolerance that very decision could miss it.
"""


class Limits(NamedTuple):
    """What a decision may spend; None is no limit.

    Attributes:
      latency: `[...]` seconds, end to end.
      energy: `[...]` joules of the device.
    """

    latency: Array | None = None
    energy: Array | None = None

    @property
    def is_empty(self) -> bool:
        """True if nothing is limited."""
        return self.latency is None and self.energy is None

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The broadcast shape of the limits."""
        return np.broadcast_shapes(*(np.shape(value) for value in self if value is not None))

    def by_quantity(self, power: PowerModel) -> list[tuple[Objective, Array]]:
        """What is limited, energy by `power`, each with its limit."""
        pairs = ((LATENCY, self.latency), (energy_of(power), self.energy))
        return [(quantity, limit) for quantity, limit in pairs if limit is not None]


NO_LIMITS = Limits()


def check_limits(limits: Limits, batch_shape: tuple[int, ...]) -> None:
    """Checks limits against the batch they go with.

    Args:
      limits: the limits; values are looked at unless they are traced.
      batch_shape: the batch shape of the problem.

    Raises:
      ValueError: a limit is negative, NaN, no number, or does not broadcast with the batch; names
        the limit and its first bad index. `inf` is a legal limit that nothing exceeds.
    """
    given = {"max_latency": limits.latency, "max_energy": limits.energy}
    shapes = {name: np.shape(value) for name, value in given.items() if value is not None}
    for name in shapes:
        check_kind(name, given[name])
    broadcast_shapes({"problem": batch_shape, **shapes})
    for name, value in given.items():
        if value is not None and not is_traced(value):
            require(name, value, np.asarray(value) >= 0, "a limit must not be negative or NaN")


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
                require(f"{name}[{int(place)}]", limit, FINITE.holds(limit), FINITE.wording)
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
        at_place = np.eye(num_places)
        found = []

        def add(execution: np.ndarray, limit: float) -> None:
            transfer = np.zeros((num_subtasks + 1, num_places, num_places))
            found.append((ChainCosts(execution, transfer), float(limit)))

        for place, most in self.max_subtasks.items():
            add(np.tile(at_place[int(place)], (num_subtasks, 1)), most)
        for place, limit in self.max_cycles.items():
            if not isinstance(source, ChainProblem):
                raise ValueError("max_cycles: a table of costs has no cycles; give a ChainProblem")
            add(np.asarray(source.cycles, np.float64)[..., None] * at_place[int(place)], limit)
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
