"""Between which bandwidths of a link a placement stays one of least serial latency.

For a fixed placement the serial latency is a line in r, the seconds a byte takes on that link over
what it takes now; the least of all placements is the lowest of such lines, so a placement is best
on one interval. Its end is found from outside: a cut far away gives a line, where that meets the
line of the placement the next cut is made, until the placement itself is best there. Every cut
gives a line that is lower there than all before, so a few cuts suffice and the end is exact.
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


class _Line(NamedTuple):
    """Serial latency of a placement: `fixed` + r `moving`."""

    fixed: float
    moving: float

    def at(self, ratio: float) -> float:
        return self.fixed + ratio * self.moving


class Steady:
    """A request whose links can be made slower and faster."""

    def __init__(self, request: Request, row: Row) -> None:
        self._request, self._layers = request, Layers(Bytes.of(request), row)
        self._position = np.argsort(row.order)

    def factors(self, place: np.ndarray, links: Sequence[int]) -> tuple[float, float] | None:
        """Least and greatest factor of the bandwidths of these links that keep a placement.

        Args:
          place: `[N]`.
          links: numbers of links that are up.

        Returns:
          The two, 0 and `inf` where it stays for ever; None if it is not one of least serial
          latency now.
        """
        request, layers = self._request, self._layers
        slowed = np.zeros_like(request.startup)
        slowed[[*links]] = request.seconds_per_byte[[*links]]
        rest = request.seconds_per_byte.copy()
        rest[[*links]] = 0.0
        fixed = layers.charges(Prices(request.seconds, rest, request.startup))
        moving = layers.charges(Prices(np.zeros_like(request.seconds), slowed, 0 * slowed))

        def line(paid: np.ndarray) -> _Line:
            return _Line(float(fixed[paid].sum()), float(moving[paid].sum()))

        def cheapest(ratio: float) -> _Line:
            return line(layers.cut(fixed + ratio * moving).used)

        kept = line(layers.paid(self._position[place][:, None] > np.arange(layers.num_bounds)))

        def end(far: float) -> float:
            ratio = far
            while True:
                other = cheapest(ratio)
                if not other.at(ratio) < kept.at(ratio) * (1 - _ROUNDING):
                    return ratio
                ratio = (other.fixed - kept.fixed) / (kept.moving - other.moving)

        if not kept.at(1.0) <= cheapest(1.0).at(1.0) * (1 + _ROUNDING):
            return None
        slowest, fastest = end(_SLOWEST), end(0.0)
        return 1 / slowest if slowest < _SLOWEST else 0.0, 1 / fastest if fastest else math.inf
