"""Placements of least serial latency where links or places are faster or slower than they are.

For a fixed placement the serial latency is linear in r, the seconds that a byte takes on a link, or
a task at a place, over what it takes now; the least of all placements is the lowest of such planes.
So the points at which a placement is best are convex: an interval of r, and if it is best at the
four corners of a rectangle, it is best inside.

An end of an interval is found from outside: a cut far away gives a line, where that meets the line
of the placement the next cut is made, until the placement itself is best there. Every cut gives a
line that is lower there than all before, so a few cuts suffice and the end is exact.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.cut import Bytes, Layers, Prices
from offload_jax.graphs._flow.row import Row
from offload_jax.graphs.request import Request

# Sums of the same charges in another order may differ by so much.
_ROUNDING = 1e-9
# Slower than this by so much is for ever.
_SLOWEST = 1e6


class Part(NamedTuple):
    """What becomes faster or slower together.

    Attributes:
      links: their numbers; those that are down stay so.
      places: their numbers; what cannot run there never can.
    """

    links: tuple[int, ...] = ()
    places: tuple[int, ...] = ()


class _Line(NamedTuple):
    """Serial latency of a placement: `fixed` + r `moving`."""

    fixed: float
    moving: float

    def at(self, ratio: float) -> float:
        return self.fixed + ratio * self.moving


class Scaled:
    """A request some parts of which have other speeds.

    Args:
      request: with places in a row.
      row: that row.
      parts: what has other speeds; none in two of them.
    """

    def __init__(self, request: Request, row: Row, parts: Sequence[Part]) -> None:
        self._layers = layers = Layers(Bytes.of(request), row)
        self._position = np.argsort(row.order)
        prices = Prices.of(request)
        seconds, per_byte = prices.execution.copy(), prices.per_byte.copy()
        self._moving = []
        for part in parts:
            slow, rate = np.zeros_like(seconds), np.zeros_like(per_byte)
            for link in part.links:
                alive = per_byte[:, link] < math.inf
                rate[alive, link], per_byte[alive, link] = per_byte[alive, link], 0.0
            for place in part.places:
                can = seconds[:, place] < math.inf
                slow[can, place], seconds[can, place] = seconds[can, place], 0.0
            self._moving.append(layers.charges(Prices(slow, rate, np.zeros_like(rate))))
        self._fixed = layers.charges(Prices(seconds, per_byte, prices.startup))

    def place_at(self, ratios: Sequence[float]) -> np.ndarray:
        """int8 `[N]`, the best placement where part i takes `ratios[i]` times as long."""
        pairs = zip(ratios, self._moving, strict=True)
        return self._layers.cut(sum((r * charges for r, charges in pairs), self._fixed)).place

    def steady(self, place: np.ndarray, part: int) -> tuple[float, float] | None:
        """Least and greatest factor of the speed of one part that keep a placement.

        Args:
          place: `[N]`.
          part: its number.

        Returns:
          The two, 0 and `inf` where it stays for ever; None if it is not one of least serial
          latency now.
        """
        layers, moving = self._layers, self._moving[part]
        others = self._moving[:part] + self._moving[part + 1 :]
        fixed = sum(others, self._fixed)

        def line(paid: np.ndarray) -> _Line:
            return _Line(float(fixed[paid].sum()), float(moving[paid].sum()))

        def cheapest(ratio: float) -> _Line:
            return line(layers.cut(fixed + ratio * moving).used)

        kept = line(layers.paid(self._position[place][:, None] > np.arange(layers.num_bounds)))

        def end(ratio: float) -> float:
            while True:
                other = cheapest(ratio)
                if not other.at(ratio) < kept.at(ratio) * (1 - _ROUNDING):
                    return ratio
                ratio = (other.fixed - kept.fixed) / (kept.moving - other.moving)

        if not kept.at(1.0) <= cheapest(1.0).at(1.0) * (1 + _ROUNDING):
            return None
        slowest, fastest = end(_SLOWEST), end(0.0)
        return 1 / slowest if slowest < _SLOWEST else 0.0, 1 / fastest if fastest else math.inf

    def plane(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The best placement where two parts have other speeds.

        Args:
          first: `[X]` increasing factors of the speed of part 0.
          second: `[Y]` the same of part 1.

        Returns:
          int8 `[Y, X, N]`.
        """
        known: dict[tuple[int, int], np.ndarray] = {}

        def at(y: int, x: int) -> np.ndarray:
            if (y, x) not in known:
                known[y, x] = self.place_at((1 / first[x], 1 / second[y]))
            return known[y, x]

        found = np.empty((len(second), len(first), self._layers.num_tasks), np.int8)
        left = [(0, len(second) - 1, 0, len(first) - 1)]
        while left:
            top, bottom, near, far = left.pop()
            corners = [at(y, x) for y in (top, bottom) for x in (near, far)]
            height, width = bottom - top, far - near
            if all(np.array_equal(corner, corners[0]) for corner in corners[1:]):
                found[top : bottom + 1, near : far + 1] = corners[0]
            elif height <= 1 and width <= 1:
                found[[top, top, bottom, bottom], [near, far, near, far]] = corners
            elif height > width:
                middle = (top + bottom) // 2
                left += [(top, middle, near, far), (middle, bottom, near, far)]
            else:
                middle = (near + far) // 2
                left += [(top, bottom, near, middle), (top, bottom, middle, far)]
        return found
