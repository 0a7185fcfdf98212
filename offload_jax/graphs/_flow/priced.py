"""Cuts for prices: the cheapest placement, and the trade-offs between prices and serial latency."""

import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.cut import Bytes, Cut, Layers, Prices
from offload_jax.graphs._flow.row import Row
from offload_jax.graphs.request import Request, link_entries

# A corner has to lie this far, relative, below the line between its neighbours.
_GAP = 1e-9


def cheapest(request: Request, row: Row, execution: np.ndarray, per_byte: np.ndarray) -> Cut:
    """The placement of least price.

    Args:
      request: what has to move.
      row: of the places.
      execution: `[N, K]` prices of tasks.
      per_byte: `[R]` prices of links.
    """
    layers = Layers(Bytes.of(request), row)
    rate = per_byte[link_entries(request)]
    return layers.cut(layers.charges(Prices(execution, rate, np.zeros_like(rate))))


class Corner(NamedTuple):
    """A placement int8 `[N]`, its serial latency and its price."""

    place: np.ndarray
    seconds: float
    price: float


def hull(request: Request, row: Row, execution: np.ndarray, per_byte: np.ndarray) -> list[Corner]:
    """The corners of the lower hull of serial latencies and prices, by increasing latency.

    Each is the cheapest placement for some weights of the two; between neighbours nothing lies
    below the line. There are at most twice as many cuts as corners.

    Returns:
      None where no placement is possible.
    """
    layers = Layers(Bytes.of(request), row)
    forbidden = np.isinf(execution)
    per_byte, slow = per_byte[link_entries(request)], Prices.of(request)
    seconds = np.where(forbidden, math.inf, slow.execution)
    rate = np.where(np.isinf(per_byte), math.inf, slow.per_byte)
    charges = [
        layers.charges(Prices(seconds, rate, slow.startup)),
        layers.charges(Prices(execution, per_byte, np.zeros_like(rate))),
    ]
    impossible = np.isinf(charges[0]) | np.isinf(charges[1])
    finite = [np.where(impossible, 0.0, each) for each in charges]

    def corner(slow: float, dear: float) -> Corner:
        weighed = np.where(impossible, math.inf, slow * finite[0] + dear * finite[1])
        found = layers.cut(weighed)
        if found.cost == math.inf:
            return Corner(found.place, math.inf, math.inf)
        return Corner(found.place, *(float(each[found.used].sum()) for each in finite))

    def between(first: Corner, last: Corner) -> list[Corner]:
        """Corners strictly between two."""
        slow, dear = first.price - last.price, last.seconds - first.seconds
        if slow <= 0 or dear <= 0:
            return []
        found = corner(slow, dear)
        line = slow * first.seconds + dear * first.price
        if slow * found.seconds + dear * found.price >= line * (1 - _GAP):
            return []
        return [*between(first, found), found, *between(found, last)]

    fastest, cheapest_one = corner(1.0, 0.0), corner(0.0, 1.0)
    if fastest.seconds == math.inf:
        return []
    corners = [fastest, *between(fastest, cheapest_one), cheapest_one]
    # Of ends that are equal in one of the two, only the better one is a corner.
    kept: list[Corner] = []
    for one in corners:
        if kept and one.seconds <= kept[-1].seconds * (1 + _GAP):
            if one.price < kept[-1].price:
                kept[-1] = one
        elif not kept or one.price < kept[-1].price * (1 - _GAP):
            kept.append(one)
    return kept
