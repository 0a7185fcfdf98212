"""One transfer of the simulator: hop after hop over the links of a route."""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from offload_jax.graphs._jax.platform import Platform

Crossed = dict[int, Array]
"""By link, when results `[B]` or `[D, B]` came out of it; -1 where they have not crossed it."""


class Hops(NamedTuple):
    """Start and finish of the hops of one transfer, `[H, B]`; NaN where none is."""

    start: Array
    finish: Array


def move(
    platform: Platform,
    seconds_per_byte: Sequence[Array],
    startup: Sequence[Array],
    ways: Sequence[tuple[Sequence[int] | None, Any]],
    begin: Array,
    num_bytes: Array,
    moves: Array,
    free: Sequence[Array],
    crossed: Crossed | None = None,
) -> tuple[Array, tuple[Array, ...], Hops]:
    """Moves data along one of `ways`, routes with the rows that take them.

    Every hop of every route is passed in turn, first hops first. Links that are in `crossed`, which
    is changed, are not crossed again.

    Returns:
      When the data is there, when each link is free, and the hops taken.
    """
    here, free, crossed = begin, list(free), {} if crossed is None else crossed
    starts = [jnp.full_like(num_bytes, math.nan)] * platform.num_hops
    finishes = list(starts)
    users: dict[tuple[int, int], list[Array]] = {}
    for route, rows in ways:
        for number, link in enumerate(route or ()):
            users.setdefault((number, link), []).append(rows)
    for number, link in sorted(users):
        uses = moves & functools.reduce(operator.or_, users[number, link])
        start = jnp.maximum(here, free[link]) if platform.serial[link] else here
        finish = start + num_bytes * seconds_per_byte[link]
        out, books = finish + startup[link], uses
        if link in crossed:
            books = uses & (crossed[link] < 0)
            out = jnp.where(books, out, crossed[link])
            crossed[link] = jnp.where(uses, out, crossed[link])
        if platform.serial[link]:
            free[link] = jnp.where(books, finish, free[link])
        here = jnp.where(uses, out, here)
        starts[number] = jnp.where(books, start, starts[number])
        finishes[number] = jnp.where(books, finish, finishes[number])
    for route, rows in ways:
        if route is None:
            here = jnp.where(moves & rows, math.inf, here)
    return here, tuple(free), Hops(jnp.stack(starts), jnp.stack(finishes))
