"""The placement of least additive cost, exactly, where places are in a row: one minimum cut.

What is additive: a cost for each task at its place, and for each link that bytes cross, a cost per
byte and one for the start. Seconds give the serial latency, that of doing everything one after the
other; joules, money or sums of such costs with weights that are not negative serve as well.

With positions 0..K - 1 in the row, node (v, c) is on the side of the source where task v is at
position c or beyond (Ishikawa 2003). The arc from (v, c) to (v, c + 1), with the ends as source and
sink, carries the cost of v at c; an endless arc back keeps the two consistent. Bytes from u to v
that cross from c - 1 to c are an arc from (v, c) to (u, c), those that cross back one from (u, c)
to (v, c). A result that is sent once crosses if any of its readers is beyond, so its arc ends at a
node of its own, joined to the readers by endless arcs. The device is a task that has its place.

Capacities are whole units, rounded down. A unit is 2^-b of the power of two above the cost of the
best single place (or, where none is possible, above the sum of all finite costs); b is 52 or a
little less with OR-Tools (46 for 10 000 tasks and three places) and 29 with SciPy. The value of the
cut is therefore a lower bound, and the placement, whose cost is summed up again in float64, is
above the optimum by less than a unit for each charge that it pays: exact where all costs are
multiples of the unit.

Among placements that are equally cheap in units the one is taken in which every task is nearest to
the first place of the row; there is one such, since cuts form a lattice.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow import maximum_flow
from offload_jax.graphs._flow.row import Row
from offload_jax.graphs.costs import Route
from offload_jax.graphs.request import Request, link_entries

# A unit that float64 divides by without loss.
_LEAST_EXPONENT = -1000


class Bytes(NamedTuple):
    """What has to move between N tasks, and between them and the device.

    Attributes:
      source: int `[M]` the task that each edge comes from.
      reader: int `[M]` the task that it leads to.
      data: `[M]` bytes.
      input, output: `[N]` bytes from and to place 0.
      send_once: whether all edges out of a task carry one result, which crosses each link at most
        once in each direction.
      user: int `[N]` whose links a task's bytes take; those of user 0 if None.
    """

    source: np.ndarray
    reader: np.ndarray
    data: np.ndarray
    input: np.ndarray
    output: np.ndarray
    send_once: bool
    user: np.ndarray | None = None

    @classmethod
    def of(cls, request: Request) -> "Bytes":
        """Those of one row of `GraphCosts`."""
        reader = np.repeat(np.arange(len(request.user)), np.diff(request.first_edge))
        sizes = request.data, request.input, request.output
        return cls(request.source, reader, *sizes, request.send_once, request.user)


class Prices(NamedTuple):
    """Additive costs, not negative; `inf` forbids.

    Attributes:
      execution: `[N, K]` of each task at each place.
      per_byte: `[U, L]` of each link for each user, or `[L]` of each link.
      startup: likewise, for every transfer of more than 0 bytes.
    """

    execution: np.ndarray
    per_byte: np.ndarray
    startup: np.ndarray

    @classmethod
    def of(cls, request: Request) -> "Prices":
        """Seconds: what takes long is dear."""
        entries = link_entries(request)
        return cls(request.seconds, request.seconds_per_byte[entries], request.startup[entries])


class Cut(NamedTuple):
    """A placement of least cost.

    Attributes:
      place: int8 `[N]`.
      used: bool `[A]`, which charges it pays; see `Layers`.
      cost: their sum in float64; `inf` where every placement is impossible.
      lower_bound: no placement costs less, up to the rounding of float64.
    """

    place: np.ndarray
    used: np.ndarray
    cost: float
    lower_bound: float


class Layers:
    """The layered graph of a request, which can be cut again for other prices.

    Prices become A `charges`, of which a placement pays some: for each task its position `[K]`; for
    each task the bounds between neighbours that part it from the device `[K - 1]`; for each result
    the bounds that it crosses on its way up, then those on its way down.
    """

    def __init__(self, moved: Bytes, row: Row) -> None:
        self.row, self.moved = row, moved
        self.order = np.array(row.order, np.int8)
        self.num_tasks, self.num_bounds = num_tasks, num_bounds = len(moved.input), len(row.up)
        bounds = np.arange(num_bounds, dtype=np.int32)
        self.held = np.broadcast_to(row.order.index(0) > bounds, (num_tasks, num_bounds))
        self.user = np.zeros(num_tasks, int) if moved.user is None else moved.user
        moves = np.flatnonzero(moved.data > 0)
        self.reader, self.writer = moved.reader[moves], moved.source[moves]
        self.data, self.result = moved.data[moves], np.arange(len(moves))
        first = self.result
        if moved.send_once:
            self.writer, first, self.result = np.unique(
                self.writer, return_index=True, return_inverse=True
            )
            self.data = self.data[first]
        many = np.bincount(self.result, minlength=len(self.writer)) > 1

        size = num_tasks * num_bounds
        node = np.arange(size, dtype=np.int32).reshape(num_tasks, num_bounds)
        up, down, writer = node[self.reader[first]], node[self.reader[first]], node[self.writer]
        # A result with several readers has nodes of its own.
        own = size + np.arange(2 * many.sum() * num_bounds, dtype=np.int32)
        up[many], down[many] = own.reshape(2, many.sum(), num_bounds)
        shared = many[self.result]
        reader, result = node[self.reader[shared]], self.result[shared]
        self.node, self.num_nodes = node, size + len(own) + 2
        tails = (node[:, :-1], up, writer), (node[:, 1:], reader, down[result])
        heads = (node[:, 1:], writer, down), (node[:, :-1], up[result], reader)
        # All arcs but those of the ends: first the ones that carry charges, then endless ones.
        self.tails, self.heads = (
            np.concatenate([array.ravel() for arrays in ends for array in arrays])
            for ends in (tails, heads)
        )
        self.num_endless = sum(array.size for array in tails[1])

    def charges(self, prices: Prices) -> np.ndarray:
        """`[A]`: what a placement may have to pay."""
        moved, row = self.moved, self.row
        up, down = (_hop_prices(hops, prices) for hops in (row.up, row.down))
        home = np.zeros((self.num_tasks, self.num_bounds))
        for sizes, near, far in ((moved.input, down, up), (moved.output, up, down)):
            some = np.flatnonzero(sizes)
            moves = sizes[some], self.user[some]
            crossing = near(*moves), far(*moves)
            home[some] += np.where(self.held[some], *crossing)
        execution = prices.execution[:, row.order]
        moves = self.data, self.user[self.writer]
        parts = execution, home, up(*moves), down(*moves)
        return np.concatenate([part.ravel() for part in parts])

    def paid(self, beyond: np.ndarray) -> np.ndarray:
        """bool `[A]`: what a placement pays where task v is beyond the bounds `beyond[v]`."""
        at = beyond.sum(1, keepdims=True) == np.arange(self.num_bounds + 1)
        written, read = beyond[self.writer], beyond[self.reader]
        unread = ~read
        if self.moved.send_once:
            read, unread = (self._by_any(side) for side in (read, unread))
        parts = at, beyond != self.held, read & ~written, written & unread
        return np.concatenate([part.ravel() for part in parts])

    def _by_any(self, side: np.ndarray) -> np.ndarray:
        """Whether any reader of a result is on that side of a bound."""
        found = np.zeros((len(self.writer), self.num_bounds), bool)
        pair, bound = np.nonzero(side)
        found[self.result[pair], bound] = True
        return found

    def cut(self, charges: np.ndarray, solver: maximum_flow.Solver | None = None) -> Cut:
        """A placement that pays the least.

        Args:
          charges: `[A]`, not negative.
          solver: of maximum flows; the best that is installed if None.
        """
        solver = solver or maximum_flow.installed()
        bits = maximum_flow.capacity_bits(solver, self.node.size)
        units, unit = self.in_units(charges, bits)
        side = maximum_flow.source_side(solver, *self.network(units, 1 << bits))
        beyond = side[: self.node.size].reshape(self.node.shape)
        paid = self.paid(beyond)
        cost = float(charges[paid].sum())
        # A possible placement costs less than what is endless, so there is none.
        least = float(units[paid].sum()) * unit if cost < math.inf else cost
        return Cut(self.order[beyond.sum(1)], paid, cost, least)

    def in_units(self, charges: np.ndarray, bits: int) -> tuple[np.ndarray, float]:
        """Charges in whole units, 2^bits for all that no good placement pays, and the unit."""
        exponent = math.frexp(self._reached(charges))[1] - bits
        unit = math.ldexp(1.0, max(exponent, _LEAST_EXPONENT))
        return np.minimum(charges / unit, 1 << bits).astype(np.int64), unit

    def network(
        self, units: np.ndarray, endless: int
    ) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """Number of nodes, tails, heads and capacities of charges in whole units."""
        execution, home, crossing = self._parts(units)
        # What pulls a node to both ends cancels.
        pull = np.where(self.held, home, -home)
        pull[:, :1] += execution[:, :1]
        pull[:, -1:] -= execution[:, -1:]
        pull, node = pull.ravel(), self.node.ravel()
        source, sink = self.num_nodes - 2, self.num_nodes - 1
        # The last arc is there so that both ends are, too.
        tails = self.tails, np.where(pull > 0, source, node), [source]
        heads = self.heads, np.where(pull > 0, node, sink), [sink]
        endless_arcs = np.full(self.num_endless, endless)
        capacities = execution[:, 1:-1].ravel(), crossing, endless_arcs, np.abs(pull), [0]
        return (
            self.num_nodes,
            np.concatenate(tails, dtype=np.int32),
            np.concatenate(heads, dtype=np.int32),
            np.concatenate(capacities),
        )

    def _parts(self, charges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Charges of tasks `[N, K]`, of their ways home `[N, K - 1]`, and of results."""
        tasks = self.num_tasks * (self.num_bounds + 1)
        homes = tasks + self.node.size
        return (
            charges[:tasks].reshape(self.num_tasks, -1),
            charges[tasks:homes].reshape(self.node.shape),
            charges[homes:],
        )

    def _reached(self, charges: np.ndarray) -> float:
        """What the best single place costs; where that is impossible, all finite charges."""
        execution, home, _ = self._parts(charges)
        back = np.where(self.held, home, 0.0).sum(0)
        out = np.where(self.held, 0.0, home).sum(0)
        single = execution.sum(0)
        single[:-1] += np.cumsum(back[::-1])[::-1]
        single[1:] += np.cumsum(out)
        least = float(single.min())
        return least if least < math.inf else float(charges[np.isfinite(charges)].sum())


def _hop_prices(
    hops: tuple[Route, ...], prices: Prices
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function from sizes `[n]`, above 0 bytes, of users `[n]` to costs of hops `[n, K - 1]`."""
    per_byte, startup = (
        total_over(np.atleast_2d(values), hops) for values in (prices.per_byte, prices.startup)
    )
    return lambda sizes, users: sizes[:, None] * per_byte[users] + startup[users]


def ways_between(
    request: Request, routes: tuple[tuple[Route, ...], ...]
) -> tuple[np.ndarray, np.ndarray]:
    """`[U, K, K]` twice: seconds per byte on the way between places, and start-up delays."""
    entries, flat = link_entries(request), [route for row in routes for route in row]
    shape = (len(entries), len(routes), len(routes))
    rate = total_over(request.seconds_per_byte[entries], flat).reshape(shape)
    return rate, total_over(request.startup[entries], flat).reshape(shape)


def total_over(values: np.ndarray, routes: Sequence[Route]) -> np.ndarray:
    """Sums `[..., n]` of values `[..., L]` over the links of n routes; `inf` for no route."""
    total = np.full((*values.shape[:-1], len(routes)), math.inf)
    for i, route in enumerate(routes):
        if route is not None:
            total[..., i] = values[..., list(route)].sum(-1)
    return total
