"""Where the serial latency would have each task: messages along the edges.

Sequential tree-reweighted message passing (Kolmogorov, "Convergent tree-reweighted message passing
for energy minimization", IEEE TPAMI 2006) on the sum of running times and of transfers, one after
the other. On chains one round is exact; on trees and layered graphs two agree with the minimum cut
about 97 to 99 of 100 tasks, for the price of three longest paths, inside `jit` and over places in
any layout. A result counts for each of its readers, also where it is sent once. The batch of R rows
is the last axis.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from offload_jax.graphs._jax.ways import Needs, Ways
from offload_jax.graphs.columns import ROUNDS, SAME


class Beliefs(NamedTuple):
    """What messages say of each task, and what follows it where all are as they say.

    Attributes:
      extra: `[N, K, R]` seconds of serial latency over those of the best place.
      place: int `[N, R]` a place of least serial latency, given those of what the task needs.
      tail: `[N, K, R]` seconds from its end at a place until all that follows is home.
      sent: `[N, K, R]` seconds of moving its results on and home, one after the other.
      rank: `[N, R]` seconds from its start at its own place until all is home.
    """

    extra: Array
    place: Array
    tail: Array
    sent: Array
    rank: Array


class _Edges(NamedTuple):
    """The edges into each of the N tasks, D of them.

    Attributes:
      ways: task by task.
      lists: int `[N, D, R]` where they come from, or None, as in `Needs`.
      data: `[N, D, R]` bytes, -1 where there is none.
      never: `[1, R]` seconds that count as infinitely many.
    """

    ways: Ways
    lists: Array | None
    data: Array
    never: Array

    def there(self, v: Array) -> Array:
        """bool `[D, R]`."""
        return self.data[v] >= 0

    def moving(self, v: Array, j: int, k: int) -> Array:
        """`[D, R]` seconds from the ends at place j to task v at place k."""
        if j == k:
            return jnp.zeros_like(self.data[v])
        return jnp.minimum(self.ways.of(v).seconds(self.data[v], j, k), self.never)

    def ends(self, values: Array, v: Array) -> Array:
        """`[N, R]` of all tasks as `[D, R]` of those that v needs."""
        if self.lists is None:
            return values
        return values.at[self.lists[v], jnp.arange(values.shape[1])].get(mode="clip")

    def join(self, how: str, values: Array, v: Array, more: Array) -> Array:
        """Joins `[D, R]` to the values `[N, R]` of those that v needs, by "add" or "max"."""
        if self.lists is None:
            return values + more if how == "add" else jnp.maximum(values, more)
        at = values.at[self.lists[v], jnp.arange(values.shape[1])]
        return getattr(at, how)(more, mode="drop")


def beliefs(
    ways: Ways,
    needs: Needs,
    seconds: Array,
    input_seconds: Array,
    output_seconds: Array,
    never: Array,
) -> Beliefs:
    """The beliefs of rows.

    Args:
      ways: task by task.
      needs: of the tasks.
      seconds, input_seconds, output_seconds: `[N, K, R]` of tasks at places, `inf` where they
        cannot be.
      never: `[R]` seconds that count as infinitely many.
    """
    num_tasks, num_places, rows = seconds.shape
    lists, data = needs
    data = jnp.broadcast_to(data, (*data.shape[:2], rows))
    lists = None if lists is None else jnp.broadcast_to(lists, data.shape)
    edges, places = _Edges(ways, lists, data, never[None]), range(num_places)
    # A list of arrays, one for each place: XLA makes no vector code of more axes.
    own, running, home = (
        [jnp.minimum(values[:, k], never[None]) for k in places]
        for values in (seconds + input_seconds + output_seconds, seconds, output_seconds)
    )
    there = (data >= 0).astype(seconds.dtype)
    (readers,) = needs.sums(there)
    share = 1 / jnp.maximum(jnp.maximum(readers, jnp.sum(there, axis=1)), 1.0)

    def messages(v: Array, times: list[Array], way: Callable[[int, int], Array]) -> list[Array]:
        """`[D, R]` about each place: the least over places of a time there and the way, from 0."""
        found = [
            functools.reduce(jnp.minimum, (times[q] + way(q, k) for q in places)) for k in places
        ]
        least = functools.reduce(jnp.minimum, found)
        return [jnp.where(edges.there(v), each - least, 0.0) for each in found]

    def put(values: list[Array], v: Array, new: list[Array]) -> list[Array]:
        return [old.at[v].set(each) for old, each in zip(values, new, strict=True)]

    # To and fro a message takes the place of the one that answers it.
    def forwards(v: Array, carry: tuple) -> tuple:
        belief, message, behind = carry
        part = edges.ends(share, v)
        told = [part * edges.ends(belief[k], v) - message[k][v] for k in places]
        new = messages(v, told, lambda j, k: edges.moving(v, j, k))
        mine = [own[k][v] + behind[k][v] + jnp.sum(new[k], axis=0) for k in places]
        return put(belief, v, mine), put(message, v, new), behind

    def back(i: Array, carry: tuple) -> tuple:
        belief, message, behind = carry
        v = num_tasks - 1 - i
        mine = [own[k][v] + behind[k][v] + jnp.sum(message[k][v], axis=0) for k in places]
        told = [(share[v] * mine[k])[None] - message[k][v] for k in places]
        new = messages(v, told, lambda k, j: edges.moving(v, j, k))
        behind = [edges.join("add", behind[k], v, new[k]) for k in places]
        return put(belief, v, mine), put(message, v, new), behind

    def decide(v: Array, place: Array) -> Array:
        before, totals = edges.ends(place, v), []
        for k in places:
            way = sum(jnp.where(before == j, edges.moving(v, j, k), 0.0) for j in places)
            moved = jnp.sum(jnp.where(edges.there(v), way, 0.0), axis=0)
            totals.append(own[k][v] + behind[k][v] + moved)
        total = jnp.stack(totals)
        good = total <= jnp.min(total, axis=0, keepdims=True) + SAME * edges.never
        return place.at[v].set(jnp.argmax(good, axis=0).astype(place.dtype))

    nothing = [jnp.zeros_like(each) for each in own]
    carry = own, [jnp.zeros_like(data) for _ in places], nothing
    for _ in range(ROUNDS):
        carry = jax.lax.fori_loop(0, num_tasks, forwards, carry)
        carry = jax.lax.fori_loop(0, num_tasks, back, (*carry[:2], nothing))
    belief, _, behind = carry
    place = jax.lax.fori_loop(0, num_tasks, decide, jnp.zeros((num_tasks, rows), jnp.int32))
    extra = jnp.stack(belief, axis=1)
    extra = extra - jnp.min(extra, axis=1, keepdims=True)
    return Beliefs(extra, place, *_what_follows(edges, running, home, place))


def _what_follows(
    edges: _Edges, running: list[Array], home: list[Array], place: Array
) -> tuple[Array, Array, Array]:
    """`tail`, `sent` and `rank` of `Beliefs`."""
    num_tasks, places = len(place), range(len(home))

    def step(i: Array, carry: tuple) -> tuple:
        tail, sent, rank = carry
        v = num_tasks - 1 - i
        here = [place[v] == k for k in places]
        there = [jnp.where(here[k], running[k][v] + tail[k][v], 0.0) for k in places]
        mine = functools.reduce(jnp.add, there)
        for k in places:
            way = sum(jnp.where(here[q][None], edges.moving(v, k, q), 0.0) for q in places)
            moved, after = (
                jnp.where(edges.there(v), each, 0.0) for each in (way, way + mine[None])
            )
            tail = [*tail[:k], edges.join("max", tail[k], v, after), *tail[k + 1 :]]
            sent = [*sent[:k], edges.join("add", sent[k], v, moved), *sent[k + 1 :]]
        return tail, sent, rank.at[v].set(mine)

    tail, sent, rank = jax.lax.fori_loop(
        0, num_tasks, step, (home, home, jnp.zeros_like(running[0]))
    )
    return jnp.stack(tail, axis=1), jnp.stack(sent, axis=1), rank
