"""What cuts say about one request, with nothing to compile."""

from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.bound import lower_bound
from offload_jax.graphs._flow.row import find_row, row_or_none
from offload_jax.graphs._flow.scaled import Part, Scaled
from offload_jax.graphs._flow.solve import least_serial
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
    links = [Part((link, link + 1)) for link in range(0, len(costs.serial), 2)]
    scaled = Scaled(next(unpack_rows(costs)), row, links)
    found = [scaled.steady(place, part) for part in range(len(links))]
    return None if None in found else found  # type: ignore[return-value]


def places_over(
    costs: GraphCosts, parts: tuple[Part, Part], x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """The placement of least serial latency over two speeds.

    Args:
      costs: one request, with places in a row.
      parts: what becomes faster, nothing of it in both.
      x: `[X]` increasing factors of the speed of the first.
      y: `[Y]` the same of the second.

    Returns:
      int8 `[Y, X, N]`.

    Raises:
      ValueError: places are not in a row.
    """
    return Scaled(next(unpack_rows(costs)), find_row(costs.routes), parts).plane(x, y)
