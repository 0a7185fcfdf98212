"""Placements of small additive cost where places are not in a row, by moves of two places.

A move lets every task that is at one of two places choose between the two, all others staying: a
minimum cut, exact for any costs (alpha-beta swaps, Boykov, Veksler and Zabih 2001, section 3). From
the best single place on, moves are made until no two places gain any more. The result is no proven
optimum, but no single place is better, and no cut between the best one and another.
"""

import itertools
import math

import numpy as np

from offload_jax.graphs._flow.cut import Bytes, Cut, Layers, Prices, ways_between
from offload_jax.graphs._flow.row import Row
from offload_jax.graphs.costs import Route
from offload_jax.graphs.request import Request

_TWO_PLACES = Row((0, 1), ((0,),), ((1,),))


def least_by_swaps(request: Request, routes: tuple[tuple[Route, ...], ...]) -> Cut:
    """A placement of small serial latency for one request whose results go to each reader apart."""
    task = _Additive(request, routes)
    cost, place = task.best_single_place()
    pairs = list(itertools.combinations(range(len(routes)), 2))
    since = 0
    for pair in itertools.cycle(pairs):
        if since == len(pairs):
            break
        moved = task.swapped(place, np.array(pair))
        less = task.cost(moved)
        since += 1
        if less < cost * (1 - 1e-12):
            cost, place, since = less, moved, 0
    least = float(task.alone.min(1).sum()) * (1 - len(place) * np.finfo(float).eps)
    return Cut(place.astype(np.int8), np.zeros(0, bool), cost, min(least, cost))


class _Additive:
    """Serial latency as a sum over tasks and edges.

    Attributes:
      alone: `[N, K]` a task at a place, with its input and output.
      rate, delay: `[U, K, K]` seconds for a byte on the way between two places, and for its start.
    """

    def __init__(self, request: Request, routes: tuple[tuple[Route, ...], ...]) -> None:
        self.rate, self.delay = ways_between(request, routes)
        self.moved, self.user = Bytes.of(request), request.user
        there = self._ways(request.input, self.rate[self.user, 0], self.delay[self.user, 0])
        back = self._ways(request.output, self.rate[self.user, :, 0], self.delay[self.user, :, 0])
        self.alone = request.seconds + there + back
        self.allowed = request.seconds < math.inf

    def _ways(self, sizes: np.ndarray, rate: np.ndarray, delay: np.ndarray) -> np.ndarray:
        """Seconds of sizes `[n]` on ways `[n, ...]`; none for 0 bytes."""
        found = np.zeros(rate.shape)
        some = sizes > 0
        wide = sizes[some].reshape(-1, *[1] * (rate.ndim - 1))
        found[some] = wide * rate[some] + delay[some]
        return found

    def cost(self, place: np.ndarray) -> float:
        """Serial latency of places `[N]`."""
        ends = place[self.moved.source], place[self.moved.reader]
        moves = self._ways(self.moved.data, *self._from(self.user[self.moved.source], *ends))
        return float(self.alone[np.arange(len(place)), place].sum() + moves.sum())

    def best_single_place(self) -> tuple[float, np.ndarray]:
        """What it forbids is where it is allowed first."""
        instead = self.allowed.argmax(1)
        places = [np.where(column, k, instead) for k, column in enumerate(self.allowed.T)]
        return min(((self.cost(place), place) for place in places), key=lambda one: one[0])

    def swapped(self, place: np.ndarray, pair: np.ndarray) -> np.ndarray:
        """The best places where tasks at one of two places choose anew between the two."""
        free = np.isin(place, pair)
        if not free.any():
            return place
        number = np.cumsum(free) - 1
        source, reader, data = self.moved.source, self.moved.reader, self.moved.data
        execution = self.alone[:, pair].copy()
        # What moves between a task that is free and one that stays is a cost of the former.
        out, into = free[source] & ~free[reader], ~free[source] & free[reader]
        away = place[reader[out]][:, None], place[source[into]][:, None]
        users = self.user[source[out]][:, None], self.user[source[into]][:, None]
        leaving = self._from(users[0], pair, away[0])
        np.add.at(execution, source[out], self._ways(data[out], *leaving))
        coming = self._from(users[1], away[1], pair)
        np.add.at(execution, reader[into], self._ways(data[into], *coming))
        both = free[source] & free[reader]
        none = np.zeros(free.sum())
        moved = Bytes(
            number[source[both]],
            number[reader[both]],
            data[both],
            none,
            none,
            send_once=False,
            user=self.user[free],
        )
        layers = Layers(moved, _TWO_PLACES)
        links = self._from(np.arange(len(self.rate))[:, None], pair, pair[::-1])
        found = layers.cut(layers.charges(Prices(execution[free], *links)))
        result = place.copy()
        result[free] = pair[found.place]
        return result

    def _from(
        self, user: np.ndarray, origin: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.rate[user, origin, target], self.delay[user, origin, target]
