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

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs._flow.cut import Bytes, Layers, Prices, ways_between
from offload_jax.graphs._flow.row import Row, find_row
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.request import Request, link_entries

# A handful of cuts comes within the gap, relative, of the best that weights can do.
_MOST_CUTS, _GAP = 50, 1e-4


# Of up to so many users, what each has of their own is looked at one by one; of more only what
# the heaviest two have, the others in the mean: 300 tasks of 50 users then take about 50 ms.
_MOST_USERS, _HEAVIEST = 6, 2


class _Resource(NamedTuple):
    """What has a load: factors of seconds at places `[U, K]` and on links `[U, L]`, and c."""

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
        row = find_row(costs.routes)
        bound = max(longest, _largest_mean(request, seconds, row, resources, longest))
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
    found: list[_Resource] = []
    nothing, load = np.zeros(request.num_users), _load(request, costs)
    for k, servers in enumerate(costs.servers):
        if servers is not None:
            found += _of_place(request, k, load, nothing, 0.0)
    for link, serial in enumerate(costs.serial):
        if serial:
            found += _of_link(request, link, load, nothing, 0.0)
    if not found:
        return 0.0
    bound = _largest_mean(request, request.seconds, find_row(costs.routes), found)
    return bound * (1 - 8 * len(request.user) * np.finfo(float).eps)


def least_completion(request: Request, costs: GraphCosts) -> np.ndarray:
    """`[U]` seconds before which no schedule serves each user: the longest path."""
    paths, least = _Paths(request, costs), np.zeros(request.num_users)
    through = (paths.head + request.seconds + paths.rest).min(1)
    np.maximum.at(least, request.user, through)
    return least * (1 - 8 * len(through) * np.finfo(float).eps)


def _largest_mean(
    request: Request, seconds: np.ndarray, row: Row, resources: list[_Resource], known: float = 0.0
) -> float:
    """The bound by loads, if above what is known; `inf` where no placement is possible."""
    from scipy.optimize import linprog

    layers, rate = Layers(Bytes.of(request), row), Prices.of(request).per_byte
    free = np.zeros_like(rate)

    def charges(place: np.ndarray, link: np.ndarray) -> np.ndarray:
        execution = _times(seconds, place[request.user])
        return layers.charges(Prices(execution, _times(rate, link), free))

    place, link, least = (np.array(values) for values in zip(*resources, strict=True))
    each = [charges(*factors) for factors in zip(place, link, strict=True)]
    weights = np.full(len(resources), 1 / len(resources))
    best, lines = 0.0, []
    mean = functools.partial(np.tensordot, axes=1)
    for _ in range(_MOST_CUTS):
        cut = layers.cut(charges(mean(weights, place), mean(weights, link)))
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
        if highest.x is None or -highest.fun <= max(best, known) * (1 + _GAP):
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
      delay: `[U, K, K]` start-up delays on the way between places.
      user: int `[M]` of what moves.
      ways: `[M, K, K]` seconds that inputs, edges and outputs of some bytes take between places.
      begin: `[M, K]` seconds before they can leave a place where they come to be.
      then: `[M, K]` least seconds from when they are at their last place until all is done.
    """

    def __init__(self, request: Request, costs: GraphCosts) -> None:
        source, seconds, tasks = request.source, request.seconds, np.arange(len(request.user))
        reader = np.repeat(tasks, np.diff(request.first_edge))
        sizes = np.concatenate([request.input, request.data, request.output])
        moves = sizes > 0
        rate, delay = ways_between(request, costs.routes)
        user = np.concatenate([request.user, request.user[source], request.user])
        ways = np.zeros((len(sizes), *rate.shape[1:]))
        ways[moves] = sizes[moves, None, None] * rate[user[moves]] + delay[user[moves]]
        fetched, moved, returned = np.split(ways, [len(tasks), len(tasks) + len(source)])
        edges_into = [slice(*ends) for ends in itertools.pairwise(request.first_edge)]
        head = request.release[:, None] + fetched[:, 0]
        rest = returned[:, :, 0].copy()
        for v, edges in enumerate(edges_into):
            done = head[source[edges]] + seconds[source[edges]]
            arrived = (done[:, :, None] + moved[edges]).min(1)
            head[v] = np.maximum(head[v], arrived.max(0, initial=0.0))
        for v, edges in reversed(list(enumerate(edges_into))):
            onward = (moved[edges] + (seconds[v] + rest[v])).min(2)
            rest[source[edges]] = np.maximum(rest[source[edges]], onward)
        self.head, self.rest, self.ways, self.delay = head, rest, ways[moves], delay
        self.user = user[moves]
        home = np.where(np.arange(rate.shape[1]) == 0, 0.0, math.inf)
        home = np.broadcast_to(home, seconds.shape)
        done, needed = head + seconds, seconds + rest
        self.begin = np.concatenate([request.release[:, None] + home, done[source], done])[moves]
        self.then = np.concatenate([needed, needed[reader], home])[moves]

    def around(self, before: tuple[int, ...], after: tuple[int, ...]) -> np.ndarray:
        """`[3, U]` least seconds around what of a user takes the hop from the end of `before` on:
        before it, its delay, after it.

        Whatever passes it comes from one of the former places and goes to one of the latter.
        """
        near, far = list(before), list(after)
        leave = (self.begin[:, near] + self.ways[:, near, before[-1]]).min(1)
        arrive = (self.ways[:, after[0], far] + self.then[:, far]).min(1)
        delay = self.delay[:, before[-1], after[0]]
        first, last = _least(leave, self.user, len(delay)), _least(arrive, self.user, len(delay))
        return np.stack([first, delay, last])


def _least(values: np.ndarray, user: np.ndarray, num_users: int) -> np.ndarray:
    """`[U]` the least of values `[n]` of each user; `inf` where there is none."""
    least = np.full(num_users, math.inf)
    np.minimum.at(least, user, values)
    return least


def _resources(
    request: Request, costs: GraphCosts, paths: _Paths, possible: np.ndarray, longest: float
) -> list[_Resource]:
    """Places with so many servers, and serial links."""
    load = _load(request, costs)
    found: list[_Resource] = []
    for k, servers in enumerate(costs.servers):
        busy = possible[:, k] & (request.seconds[:, k] > 0)
        if servers is not None and busy.any():
            near = np.stack(
                [
                    _least(part[busy, k], request.user[busy], request.num_users)
                    for part in (paths.head, paths.rest)
                ]
            )
            least = _sum_of_least(near, bool(request.own_place[k]))
            found += _of_place(request, k, load, least, longest)
    row = find_row(costs.routes)
    around = {link: np.full(request.num_users, math.inf) for link in range(len(costs.serial))}
    for bound, hops in enumerate(zip(row.up, row.down, strict=True), 1):
        lower, upper = row.order[:bound], row.order[bound:]
        for hop, ends in zip(hops, ((lower, upper), (upper[::-1], lower[::-1])), strict=True):
            for link in hop or ():
                parts = paths.around(*ends)
                least = _sum_of_least(parts, bool(request.link_step[link]))
                around[link] = np.minimum(around[link], least)
    for link, serial in enumerate(costs.serial):
        if serial:
            found += _of_link(request, link, load, around[link], longest)
    return found


def _sum_of_least(parts: np.ndarray, own: bool) -> np.ndarray:
    """`[U]` sums of parts `[n, U]`, of the least ones of all users where they share."""
    if own:
        return parts.sum(0)
    return np.full(parts.shape[1], parts.min(1).sum())


def _load(request: Request, costs: GraphCosts) -> np.ndarray:
    """`[U]` about what users cannot but load something of their own with, device or radio."""
    seconds = np.where(request.seconds < math.inf, request.seconds, 0.0)
    computing = np.bincount(request.user, seconds[:, 0], request.num_users)
    rate, _ = ways_between(request, costs.routes)
    sent = np.bincount(request.user, request.input, request.num_users)
    returned = np.bincount(request.user, request.output, request.num_users)
    with np.errstate(invalid="ignore"):  # 0 bytes over a dead link
        moving = np.nan_to_num(sent[:, None] * rate[:, 0] + returned[:, None] * rate[:, :, 0])
    least = moving[:, 1:].min(1, initial=math.inf)
    # Where tasks may be split, so much of both is left at best.
    return 1 / (1 / np.maximum(computing, 1e-300) + 1 / np.maximum(least, 1e-300))


def _of_place(
    request: Request, place: int, load: np.ndarray, least: np.ndarray, longest: float
) -> list[_Resource]:
    """The processors of a place, with the seconds `[U]` around what they do."""
    seconds = np.where(request.seconds < math.inf, request.seconds, 0.0)
    work = np.array([np.bincount(request.user, at, request.num_users) for at in seconds.T])
    shared = (request.servers > 0) & (request.own_place == 0)
    # As fast as what users share: there a second is worth as many of each one's own.
    pace = np.divide(
        work[shared].sum(0), work[place], out=np.zeros(len(least)), where=work[place] > 0
    )
    found = []
    for share, c in _shares(bool(request.own_place[place]), load, pace, least, longest):
        factor = np.zeros((request.num_users, request.seconds.shape[1]))
        factor[:, place] = share / request.servers[place]
        found.append(_Resource(factor, np.zeros((request.num_users, len(request.serial))), c))
    return found


def _of_link(
    request: Request, link: int, load: np.ndarray, least: np.ndarray, longest: float
) -> list[_Resource]:
    """A link or that of each user, with the seconds `[U]` around what they do."""
    rate = request.seconds_per_byte[link_entries(request)[:, link]]
    pace = np.divide(1.0, rate, out=np.zeros(len(rate)), where=(rate > 0) & (rate < math.inf))
    found = []
    for share, c in _shares(bool(request.link_step[link]), load, pace, least, longest):
        factor = np.zeros((request.num_users, len(request.serial)))
        factor[:, link] = share
        found.append(_Resource(np.zeros((request.num_users, request.seconds.shape[1])), factor, c))
    return found


def _shares(
    own: bool, load: np.ndarray, pace: np.ndarray, least: np.ndarray, longest: float
) -> list[tuple[np.ndarray, float]]:
    """Factors `[U]` and c: one for what users share, some for what each has one of.

    Of many users those of little load count as one, in the mean by their pace: any mean of sums of
    c and loads bounds the makespan.
    """
    least = np.minimum(least, longest)
    if not own:
        return [(np.ones(len(least)), float(least[0]))]
    found = []
    heaviest = np.argsort(-load)
    single = len(load) if len(load) <= _MOST_USERS else _HEAVIEST
    for group in [*heaviest[:single, None], heaviest[single:]]:
        if not len(group):
            continue
        share = np.zeros(len(load))
        share[group] = pace[group] if pace[group].any() else 1.0
        share /= share.sum()
        found.append((share, float(share @ np.where(share > 0, least, 0.0))))
    return found
