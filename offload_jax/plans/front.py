"""What a plan can trade: latency against energy, or against the period of a stream."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs.pareto import GraphFront, GraphPeriodFront, pareto_front, period_front
from offload_jax.graphs.request import unpack_rows
from offload_jax.network import Network
from offload_jax.plans import answer, limits
from offload_jax.plans.make import joules, require_watts, single
from offload_jax.plans.plan import Total
from offload_jax.plans.table import columns, seconds
from offload_jax.plans.task import costs_of
from offload_jax.validation import check_known

AGAINST = ("energy", "period")


class Front(NamedTuple):
    """Trade-offs of one task on a network; `print` shows them as a table.

    Attributes:
      against: "energy" or "period".
      points: the front.
      places: names of the places.
      singles: what it takes to run everything at one place, by its name.
    """

    against: str
    points: GraphFront | GraphPeriodFront
    places: tuple[str, ...]
    singles: dict[str, Total]

    def __str__(self) -> str:
        rows = [("latency", self.against, *(f"layers on {name}" for name in self.places))]
        for latency, other, place in zip(*self.points[:3], strict=True):
            counts = np.bincount(place, minlength=len(self.places)).tolist()
            spent = f"{other:.4g} J" if self.against == "energy" else seconds(other)
            rows.append((seconds(latency), spent, *map(str, counts)))
        proven, number = int(self.points.optimal.sum()), len(self.points.optimal)
        return "\n".join([*columns(rows), "", f"{proven} of {number} proven"])


def front(
    what: Any,
    network: Network | None = None,
    *,
    against: str = "energy",
    max_memory: Mapping[str, float] | None = None,
    allowed: Mapping[str, Sequence[str]] | None = None,
    time_limit: float | None = None,
) -> Front:
    """The trade-offs between the latency of a plan and its energy or period.

    Up to 20 layers by CP-SAT, if it is installed, for 10 s without a time limit; more by search.

    Args:
      what, network, max_memory, allowed: as for `plan`.
      against: "energy" or "period".
      time_limit: seconds in all.

    Raises:
      ValueError: as `plan`.
    """
    check_known("against", against, AGAINST)
    limits.check_positive_or_none("time_limit", time_limit)
    task, network, costs = costs_of(what, network)
    memory = limits.memory_limits(task, network, max_memory)
    costs = limits.keep_to_allowed(task, network, costs, allowed or {})
    request = next(unpack_rows(costs))
    few = answer.is_provable(request.seconds)
    options: Any = {
        "method": "cpsat" if few else "search",
        "side_constraints": limits.side_constraints(task, memory),
        "time_limit": answer.PROOF_SECONDS if few and time_limit is None else time_limit,
    }
    points: GraphFront | GraphPeriodFront
    if against == "energy":
        require_watts("against", network)
        prices = joules(network, costs, (0.0, 1.0, 0.0))
        points = pareto_front(costs, prices=prices, **options)
    else:
        points = period_front(costs, **options)
    if not len(points.latency):
        raise ValueError(f"{task.name}: no plan within these limits was found")
    singles = {name: single(network, request, k) for k, name in enumerate(network.place_names)}
    return Front(against, points, network.place_names, singles)
