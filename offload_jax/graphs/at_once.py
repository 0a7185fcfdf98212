"""What cuts say about one request, with nothing to compile."""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.bound import lower_bound
from offload_jax.graphs._flow.row import row_or_none
from offload_jax.graphs._flow.solve import least_serial
from offload_jax.graphs._flow.steady import Steady
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.request import unpack_rows
from offload_jax.graphs.timetable import Timetable, longest_first, timetable


class AtOnce(NamedTuple):
    """A placement of one request.

    Attributes:
      place: int8 `[N]`.
      order: int32 `[N]`.
      timetable: what they give.
      lower_bound: seconds; no schedule is faster.
    """

    place: np.ndarray
    order: np.ndarray
    timetable: Timetable
    lower_bound: float


def at_once(costs: GraphCosts) -> AtOnce:
    """The best of the minimum cut, where places are in a row, and of every single place.

    Args:
      costs: one request, in float64 on the host.
    """
    request = next(unpack_rows(costs))
    row = row_or_none(costs.routes)
    places = [np.full(costs.num_tasks, place, np.int8) for place in range(costs.num_places)]
    if row is not None:
        places.insert(0, least_serial(request, row).place)
    orders = [longest_first(request, place) for place in places]
    tables = [timetable(request, *one) for one in zip(places, orders, strict=True)]
    best = min(range(len(tables)), key=lambda i: tables[i].makespan)
    found = tables[best]
    bound = 0.0 if row is None else min(lower_bound(request, found.makespan, costs), found.makespan)
    return AtOnce(places[best], orders[best], found, bound)


def steady_bandwidths(costs: GraphCosts, place: np.ndarray) -> list[tuple[float, float]] | None:
    """Between which factors of the bandwidth of each two-way link a placement stays as it is.

    Args:
      costs: one request, of `network_costs`.
      place: `[N]` a placement.

    Returns:
      For each link of the network the least and the greatest factor, of both directions at once,
      at which the placement is one of least serial latency; None if it is not one now, or places
      are not in a row.
    """
    row = row_or_none(costs.routes)
    if row is None:
        return None
    request = next(unpack_rows(costs))
    steady, found = Steady(request, row), []
    for first in range(0, len(costs.serial), 2):
        up = [link for link in (first, first + 1) if request.seconds_per_byte[link] < math.inf]
        factors = steady.factors(place, up)
        if factors is None:
            return None
        found.append(factors)
    return found
