"""Places in a row: every route is made of hops between neighbours."""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from offload_jax.graphs.costs import Route


class Row(NamedTuple):
    """K places from one end to the other.

    Attributes:
      order: the numbers of the places; the end of the lower number comes first.
      up: for each of the K - 1 neighbours the links from the former to the latter, None where there
        are none.
      down: the links back.
    """

    order: tuple[int, ...]
    up: tuple[Route, ...]
    down: tuple[Route, ...]


# Device, edge and cloud, and the links of `GraphCosts` that a `GraphProblem` becomes.
PAPER = Row((0, 1, 2), ((0,), (2,)), ((1,), (3,)))


@functools.lru_cache(maxsize=64)
def find_row(routes: tuple[tuple[Route, ...], ...]) -> Row:
    """The row in which places stand, found from the routes between all pairs.

    Places that nothing joins make rows of their own, which are put one after the other.

    Args:
      routes: `routes[j][k]`, the links from place j to place k, None where nothing leads there.

    Returns:
      The row.

    Raises:
      ValueError: some route is not the hops between neighbours, one after the other.
    """
    places = range(len(routes))
    hops = np.full((len(routes), len(routes)), math.inf)
    for j in places:
        for k in places:
            there_or_back = [len(r) for r in (routes[j][k], routes[k][j]) if r is not None]
            hops[j, k] = min(there_or_back, default=math.inf)
    for middle in places:
        hops = np.minimum(hops, hops[:, [middle]] + hops[middle])
    order: list[int] = []
    for k in places:
        if k not in order:
            joined = np.flatnonzero(hops[k] < math.inf).tolist()
            # The place farthest from any is an end; the one farthest from that is the other end.
            end = max(joined, key=hops[k].__getitem__)
            other = max(joined, key=hops[end].__getitem__)
            order += sorted(joined, key=hops[min(end, other)].__getitem__)
    neighbours = list(itertools.pairwise(order))
    row = Row(
        tuple(order),
        tuple(routes[j][k] for j, k in neighbours),
        tuple(routes[k][j] for j, k in neighbours),
    )
    for first in places:
        for last in range(first, len(order)):
            ends = order[first], order[last]
            back = _joined(row.down[first:last][::-1])
            if (routes[ends[0]][ends[1]], routes[ends[1]][ends[0]]) != (
                _joined(row.up[first:last]),
                back,
            ):
                raise ValueError(
                    f"routes: the places are not in a row, as a minimum cut needs them: between"
                    f" {ends[0]} and {ends[1]} data does not pass from neighbour to neighbour of"
                    f" {', '.join(map(str, order))}"
                )
    return row


def row_or_none(routes: tuple[tuple[Route, ...], ...]) -> Row | None:
    """The row of `find_row`, None where the places are in none."""
    try:
        return find_row(routes)
    except ValueError:
        return None


def _joined(hops: tuple[Route, ...]) -> Route:
    links: tuple[int, ...] = ()
    for hop in hops:
        if hop is None:
            return None
        links += hop
    return links
