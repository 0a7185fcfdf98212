"""A lower bound on the makespan: loads of processors and links, weighed against each other by cuts.

Whatever a serial resource does lies between the first moment at which it can have something to do
and the shortest time that anything takes that comes after. With c for the sum of these two, both on
an otherwise empty machine, the makespan is at least c + load. That also holds where the resource
stays idle, if no c is taken to be more than the longest path. So the makespan is at least every
mean of such sums with weights w that add up to 1; the least of it over all placements is a cut:

    bound = max over w of (w c + min over placements of w load).

The function of w is concave. A cut gives its value and a line above it; once no w is left at which
all lines are higher than the best value, that one is the maximum (Kelley's cutting planes).
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.cut import Bytes, Layers, Prices
from offload_jax.graphs._flow.row import find_row
from offload_jax.graphs.costs import GraphCosts, Route
from offload_jax.graphs.request import Request

# A handful of cuts comes within the gap, relative, of the best that weights can do.
_MOST_CUTS, _GAP = 50, 1e-4


class _Resource(NamedTuple):
    """What has a load: factors of seconds at places `[K]` and on links `[L]`, and c."""

    place: np.ndarray
    link: np.ndarray
    least: float


def lower_bound(request: Request, horizon: float, costs: GraphCosts) -> float:
    """A time that no schedule is faster than, unless it is faster than `horizon`.

    Args:
      request: one row of `costs`.
      horizon: the makespan of a known schedule: no task is where it could only be in longer ones.
      costs: for what is the same for all rows; with places in a row.

    Returns:
      Seconds, at least the longest path. What rounding may add is taken off.

    Raises:
      ValueError: the places are not in a row.
    """
    paths = _Paths(request, costs)
    through = paths.head + request.seconds + paths.rest
    bound = longest = float(through.min(1).max())
    resources = _resources(request, costs, paths, through <= horizon, longest)
    if resources and longest < math.inf:
        seconds = np.where(through <= horizon, request.seconds, math.inf)
        prices = Prices(seconds, request.seconds_per_byte, np.zeros_like(request.startup))
        layers = Layers(Bytes.of(request), find_row(costs.routes))
        bound = max(longest, _largest_mean(layers, prices, resources))
    return bound * (1 - 8 * len(through) * np.finfo(float).eps)


def least_period(request: Request, costs: GraphCosts) -> float:
    """A period that no placement is below: the largest mean of loads, without what is around them.

    Args:
      request: one row of `costs`.
      costs: for what is the same for all rows; with places in a row.

    Returns:
      Seconds, `inf` where no placement is possible. What rounding may add is taken off.

    Raises:
      ValueError: the places are not in a row.
    """
    no_place, no_link = np.zeros(len(costs.servers)), np.zeros(len(costs.serial))
    found = [
        _Resource(np.eye(len(no_place))[k] / servers, no_link, 0.0)
        for k, servers in enumerate(costs.servers)
        if servers is not None
    ]
    each = np.eye(len(no_link))
    found += [_Resource(no_place, each[i], 0.0) for i, one in enumerate(costs.serial) if one]
    if not found:
        return 0.0
    prices = Prices(request.seconds, request.seconds_per_byte, np.zeros_like(request.startup))
    bound = _largest_mean(Layers(Bytes.of(request), find_row(costs.routes)), prices, found)
    return bound * (1 - 8 * len(request.user) * np.finfo(float).eps)


def _largest_mean(layers: Layers, prices: Prices, resources: list[_Resource]) -> float:
    """The bound by loads; `inf` where no placement is possible."""
    from scipy.optimize import linprog

    def charges(place: np.ndarray, link: np.ndarray) -> np.ndarray:
        weighed = _times(prices.execution, place), _times(prices.per_byte, link)
        return layers.charges(Prices(*weighed, prices.startup))

    place, link, least = (np.array(values) for values in zip(*resources, strict=True))
    each = [charges(*factors) for factors in zip(place, link, strict=True)]
    weights = np.full(len(resources), 1 / len(resources))
    best, lines = 0.0, []
    for _ in range(_MOST_CUTS):
        cut = layers.cut(charges(weights @ place, weights @ link))
        best = max(best, cut.lower_bound + float(weights @ least))
        if cut.cost == math.inf:
            return math.inf
        # A line: the value at other weights is at most that of this placement.
        lines.append([-one[cut.used].sum() - c for one, c in zip(each, least, strict=True)] + [1.0])
        highest = linprog(
            [0.0] * len(weights) + [-1.0],
            A_ub=lines,
            b_ub=[0.0] * len(lines),
            A_eq=[[1.0] * len(weights) + [0.0]],
            b_eq=[1.0],
            bounds=(0, None),
        )
        if highest.x is None or -highest.fun <= best * (1 + _GAP):
            break
        weights = np.maximum(highest.x[:-1], 0.0)
        weights /= weights.sum()
    return best


def _times(costs: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Products; what is impossible stays so."""
    return np.multiply(costs, factors, out=costs.copy(), where=costs < math.inf)


class _Paths:
    """Longest paths on an empty machine, places chosen anew for each of them.

    Attributes:
      head: `[N, K]` seconds before task v can start at place k.
      rest: `[N, K]` least seconds from its end until all is done and home.
      delay: `[K, K]` start-up delays on the way between places.
      ways: `[M, K, K]` seconds that inputs, edges and outputs of some bytes take between places.
      begin: `[M, K]` seconds before they can leave a place where they come to be.
      then: `[M, K]` least seconds from when they are at their last place until all is done.
    """

    def __init__(self, request: Request, costs: GraphCosts) -> None:
        source, seconds, tasks = request.source, request.seconds, np.arange(len(request.user))
        reader = np.repeat(tasks, np.diff(request.first_edge))
        sizes = np.concatenate([request.input, request.data, request.output])
        moves = sizes > 0
        rate, delay = (
            np.array([[_total(values, route) for route in row] for row in costs.routes])
            for values in (request.seconds_per_byte.tolist(), request.startup.tolist())
        )
        ways = np.zeros((len(sizes), *rate.shape))
        ways[moves] = sizes[moves, None, None] * rate + delay
        fetched, moved, returned = np.split(ways, [len(tasks), len(tasks) + len(source)])
        edges_into = [slice(*ends) for ends in itertools.pairwise(request.first_edge)]
        head = request.release[:, None] + fetched[:, 0]
        rest = returned[:, :, 0]
        for v, edges in enumerate(edges_into):
            done = head[source[edges]] + seconds[source[edges]]
            arrived = (done[:, :, None] + moved[edges]).min(1)
            head[v] = np.maximum(head[v], arrived.max(0, initial=0.0))
        for v, edges in reversed(list(enumerate(edges_into))):
            onward = (moved[edges] + (seconds[v] + rest[v])).min(2)
            rest[source[edges]] = np.maximum(rest[source[edges]], onward)
        self.head, self.rest, self.ways, self.delay = head, rest, ways[moves], delay
        home = np.where(np.arange(rate.shape[0]) == 0, 0.0, math.inf)
        home = np.broadcast_to(home, seconds.shape)
        done, needed = head + seconds, seconds + rest
        self.begin = np.concatenate([request.release[:, None] + home, done[source], done])[moves]
        self.then = np.concatenate([needed, needed[reader], home])[moves]

    def around(self, before: tuple[int, ...], after: tuple[int, ...]) -> float:
        """Least seconds before and after what occupies the hop from `before[-1]` to `after[0]`.

        Whatever passes it comes from one of the former places and goes to one of the latter.
        """
        near, far = list(before), list(after)
        leave = self.begin[:, near] + self.ways[:, near, before[-1]]
        arrive = self.ways[:, after[0], far] + self.then[:, far]
        delay = self.delay[before[-1], after[0]]
        return float(leave.min(initial=math.inf) + delay + arrive.min(initial=math.inf))


def _total(values: list[float], route: Route) -> float:
    return math.inf if route is None else sum(values[link] for link in route)


def _resources(
    request: Request, costs: GraphCosts, paths: _Paths, possible: np.ndarray, longest: float
) -> list[_Resource]:
    """Places with so many servers, and serial links."""
    no_place, no_link = np.zeros(len(costs.servers)), np.zeros(len(costs.serial))
    found = []
    for k, servers in enumerate(costs.servers):
        busy = possible[:, k] & (request.seconds[:, k] > 0)
        if servers is not None and busy.any():
            least = paths.head[busy, k].min() + paths.rest[busy, k].min()
            share = np.eye(len(no_place))[k] / servers
            found.append(_Resource(share, no_link, min(float(least), longest)))
    row = find_row(costs.routes)
    around = dict.fromkeys(range(len(no_link)), math.inf)
    for bound, hops in enumerate(zip(row.up, row.down, strict=True), 1):
        lower, upper = row.order[:bound], row.order[bound:]
        for hop, ends in zip(hops, ((lower, upper), (upper[::-1], lower[::-1])), strict=True):
            for link in hop or ():
                around[link] = min(around[link], paths.around(*ends))
    for link, serial in enumerate(costs.serial):
        if serial:
            found.append(
                _Resource(no_place, np.eye(len(no_link))[link], min(around[link], longest))
            )
    return found
