"""What a decision must keep to: limits on latency and energy, and rules about places.

A limit breaks the dynamic program of the free problem: the cheapest way to finish a chain depends
on what was already spent. So does "at most two subtasks on the edge". But the number of subtasks on
the edge is an additive cost of the chain like any other, 1 for each subtask there, so that all of
these are the same thing: an additive table and the most that it may add up to.
"""

from typing import Any, NamedTuple

import numpy as np

from offload_jax.chains.costs import ChainCosts, validate_costs
from offload_jax.chains.problem import ChainProblem
from offload_jax.objectives import LATENCY, PERIOD, Objective, Period, PowerModel, energy_of
from offload_jax.side_constraints import RELATIVE_TOLERANCE, SideConstraints
from offload_jax.validation import (
    Array,
    ArrayLike,
    as_float_array,
    broadcast_shapes,
    check_kind,
    is_traced,
    require,
)

__all__ = ["NO_LIMITS", "RELATIVE_TOLERANCE", "Limits", "budgets", "limits_of"]


class Limits(NamedTuple):
    """What a decision may spend; None is no limit.

    Attributes:
      latency: `[...]` seconds, end to end.
      energy: `[...]` joules of the device.
      total: `[...]` what the costs of `table` may add up to.
      table: further costs of the same chains.
      period: `[...]` seconds.
      budgets: further tables, and what their costs may add up to.
    """

    latency: Array | None = None
    energy: Array | None = None
    total: Array | None = None
    table: ChainCosts | None = None
    period: Array | None = None
    budgets: tuple[tuple[ChainCosts, Array], ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if nothing is limited."""
        return not self.by_name

    @property
    def by_name(self) -> dict[str, Array]:
        """The limits that there are, by the arguments of `solve`."""
        given = {
            "max_latency": self.latency,
            "max_energy": self.energy,
            "max_period": self.period,
            "limit": self.total,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The broadcast shape of the limits."""
        tables = [] if self.table is None else [self.table]
        tables += [table for table, _ in self.budgets]
        limits = map(np.shape, self.by_name.values())
        return np.broadcast_shapes(*(table.batch_shape for table in tables), *limits)

    def by_quantity(
        self, source: ChainProblem | ChainCosts, power: PowerModel
    ) -> list[tuple[Any, Objective | Period, Array]]:
        """Whose costs are limited, under which objective, energy by `power`, and to what."""
        limited = (
            (source, LATENCY, self.latency),
            (source, energy_of(power), self.energy),
            (source, PERIOD, self.period),
            (self.table, LATENCY, self.total),
            *((table, LATENCY, most) for table, most in self.budgets),
        )
        return [each for each in limited if each[-1] is not None]  # type: ignore[misc]


NO_LIMITS = Limits()


def limits_of(
    source: ChainProblem | ChainCosts,
    max_latency: ArrayLike | None,
    max_energy: ArrayLike | None,
    limit: tuple[ChainCosts, ArrayLike] | None,
    max_period: ArrayLike | None = None,
) -> Limits:
    """The limits that `solve` was given.

    Args:
      source: what they go with.
      max_latency, max_energy, limit, max_period: see `solve`; values are looked at unless they are
        traced.

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
        as_float_array("max_period", max_period),
    )
    given = limits.by_name
    if isinstance(source, ChainCosts) and given.keys() & {"max_latency", "max_energy"}:
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


def budgets(
    constraints: SideConstraints | None, allowed: Array | None, source: ChainProblem | ChainCosts
) -> tuple[tuple[ChainCosts, Array], ...]:
    """Side constraints, and the places that are allowed, as tables and limits.

    Args:
      constraints: may be None.
      allowed: bool `[..., A, K]` or None.
      source: the problem or table that they apply to; only `max_cycles` reads its values.

    Returns:
      Pairs of a table `[..., A, K]`, whose transfers are 0, and the most it may add up to.

    Raises:
      ValueError: a place or subtask does not exist, cycles are limited of a table, or the memory of
        subtasks cannot fit.
    """
    num_subtasks, num_places = source.num_subtasks, source.num_places
    at_place = np.eye(num_places)
    found: list[tuple[Any, float]] = []
    if constraints is not None:
        constraints.check(num_subtasks, num_places)
        for place, count in constraints.max_subtasks.items():
            found.append((np.tile(at_place[int(place)], (num_subtasks, 1)), count))
        for place, most in constraints.max_cycles.items():
            if not isinstance(source, ChainProblem):
                raise ValueError("max_cycles: a table of costs has no cycles; give a ChainProblem")
            found.append((_float64(source.cycles)[..., None] * at_place[int(place)], most))
        for place, most in constraints.max_memory.items():
            found.append((constraints.memory[..., None] * at_place[int(place)], most))
        if constraints.forbidden:
            banned = np.zeros((num_subtasks, num_places))
            for t, places in constraints.forbidden.items():
                banned[int(t), [int(place) for place in places]] = 1.0
            found.append((banned, 0.0))
    if allowed is not None:
        found.append((1.0 - allowed, 0.0))
    still = np.zeros((num_subtasks + 1, num_places, num_places))
    return tuple((ChainCosts(spent, still), np.asarray(most, float)) for spent, most in found)


def _float64(values: Array) -> Any:
    """On the host where values are known."""
    return values if is_traced(values) else np.asarray(values, np.float64)
