"""What a decision must keep to: limits on latency and energy, and rules about places.

A limit breaks the dynamic program of the free problem: the cheapest way to finish a chain depends
on what was already spent. So does "at most two subtasks on the edge". But the number of subtasks on
the edge is an additive cost of the chain like any other, 1 for each subtask there, so that all of
these are the same thing: an additive table and the most that it may add up to.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.costs import ChainCosts, validate_costs
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import LATENCY, Objective, PowerModel, energy_of
from offload_jax.validation import (
    FINITE,
    Array,
    ArrayLike,
    as_float64,
    as_float_array,
    broadcast_shapes,
    check_class,
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
      total: `[...]` what the costs of `table` may add up to.
      table: further costs of the same chains.
    """

    latency: Array | None = None
    energy: Array | None = None
    total: Array | None = None
    table: ChainCosts | None = None

    @property
    def is_empty(self) -> bool:
        """True if nothing is limited."""
        return not self.by_name

    @property
    def by_name(self) -> dict[str, Array]:
        """The limits that there are, by the arguments of `solve`."""
        given = {"max_latency": self.latency, "max_energy": self.energy, "limit": self.total}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The broadcast shape of the limits."""
        table = () if self.table is None else self.table.batch_shape
        return np.broadcast_shapes(table, *map(np.shape, self.by_name.values()))

    def by_quantity(
        self, source: ChainProblem | ChainCosts, power: PowerModel
    ) -> list[tuple[Any, Objective, Array]]:
        """Whose costs are limited, under which objective, energy by `power`, and to what."""
        limited = (
            (source, LATENCY, self.latency),
            (source, energy_of(power), self.energy),
            (self.table, LATENCY, self.total),
        )
        return [each for each in limited if each[-1] is not None]  # type: ignore[misc]


NO_LIMITS = Limits()


def limits_of(
    source: ChainProblem | ChainCosts,
    max_latency: ArrayLike | None,
    max_energy: ArrayLike | None,
    limit: tuple[ChainCosts, ArrayLike] | None,
) -> Limits:
    """The limits that `solve` was given.

    Args:
      source: what they go with.
      max_latency, max_energy, limit: see `solve`; values are looked at unless they are traced.

    Raises:
      ValueError: a limit is not for such a source, negative, NaN, no number, or does not broadcast
        with the batch; names the limit and its first bad index. `inf` is a legal limit that nothing
        exceeds.
    """
    table, total = None, None
    if limit is not None:
        if isinstance(source, ChainProblem):
            raise ValueError(
                "limit: for tables of costs; a ChainProblem has max_latency and max_energy"
            )
        if not (isinstance(limit, tuple) and len(limit) == 2 and limit[1] is not None):
            raise ValueError(
                "limit: must be a pair, a ChainCosts and the most that it may add up to"
            )
        table, total = limit
        validate_costs(table, "limit[0]")
        if table.execution.shape[-2:] != source.execution.shape[-2:]:
            raise ValueError(
                f"limit[0]: execution {table.execution.shape} is of other subtasks or places than"
                f" {source.execution.shape}, that of the costs"
            )
    limits = Limits(
        as_float_array("max_latency", max_latency),
        as_float_array("max_energy", max_energy),
        as_float_array("limit", total),
        table,
    )
    given = limits.by_name
    if isinstance(source, ChainCosts) and given.keys() - {"limit"}:
        raise ValueError(
            "max_latency, max_energy: a table says nothing of latency and energy; give a"
            " ChainProblem, or limit=(table, most) with the table of what is limited"
        )
    for name, value in given.items():
        check_kind(name, value)
    tables = {} if table is None else {"limit[0]": table.batch_shape}
    shapes = {name: np.shape(value) for name, value in given.items()}
    broadcast_shapes({"problem": source.batch_shape, **tables, **shapes})
    for name, value in given.items():
        if not is_traced(value):
            require(name, value, np.asarray(value) >= 0, "a limit must not be negative or NaN")
    return limits


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
        for name in ("max_subtasks", "max_cycles", "forbidden"):
            check_class(name, getattr(self, name), Mapping)
        for name in ("max_subtasks", "max_cycles"):
            for place, limit in getattr(self, name).items():
                most = as_float64(f"{name}[{place}]", limit)
                require(f"{name}[{place}]", most, FINITE.holds(most), FINITE.wording)
        for t, places in self.forbidden.items():
            check_class(f"forbidden[{t}]", places, Iterable)
        frozen = {t: tuple(places) for t, places in self.forbidden.items()}
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
                banned[int(t), [int(place) for place in places]] = 1.0
            add(banned, 0.0)
        return found

    def _check(self, num_subtasks: int, num_places: int) -> None:
        forbidden = [k for places in self.forbidden.values() for k in places]
        for name, kind, number, keys in (
            ("max_subtasks", "place", num_places, self.max_subtasks),
            ("max_cycles", "place", num_places, self.max_cycles),
            ("forbidden", "place", num_places, forbidden),
            ("forbidden", "subtask", num_subtasks, self.forbidden),
        ):
            for key in keys:
                if key not in range(number):
                    raise ValueError(f"{name}: unknown {kind} {key!r}, {kind}s are 0..{number - 1}")
