"""Ways from place to place, and the longest paths over them: a graph without any contention.

Arrays have the batch of R rows (or 1, where all rows share a value) as their last axis.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.users import rows_of
from offload_jax.graphs.costs import GraphCosts


class Ways(NamedTuple):
    """`[V, K, K, R]` from place to place, user by user: seconds per byte, and delay.

    The rate is `inf` without a route.
    """

    rate: Array
    delay: Array

    def by_task(self, costs: GraphCosts) -> "Ways":
        """The same task by task, or of all tasks where users share all links."""
        user = batch_last(costs.user)
        return Ways(rows_of(self.rate, user), rows_of(self.delay, user))

    def of(self, task: Array) -> "Ways":
        """The ways of one of all tasks."""
        return self if len(self.rate) == 1 else Ways(self.rate[task][None], self.delay[task][None])

    def seconds(self, num_bytes: Array, j: int, k: int) -> Array:
        """Of moving bytes `[N, R]` of tasks from place j to place k; 0 bytes take none."""
        moving = num_bytes * self.rate[:, j, k] + self.delay[:, j, k]
        return jnp.where(num_bytes > 0, moving, 0.0)


def batch_last(value: Any) -> Array:
    """`[R, ...]` as `[..., R]`."""
    return jnp.moveaxis(jnp.asarray(value), 0, -1)


def ways_of(platform: Platform, costs: GraphCosts) -> Ways:
    """The ways of rows of costs."""
    pairs = [route for row in platform.routes for route in row]

    def table(values: Any, missing: float) -> Array:
        links = platform.by_link(batch_last(values))
        none = jnp.zeros((max(map(len, links), default=1), values.shape[0]), values.dtype)
        totals = [
            jnp.full_like(none, missing)
            if route is None
            else sum((links[link] for link in route), none)
            for route in pairs
        ]
        joined = jnp.stack(totals, axis=1)
        return joined.reshape(len(none), len(platform.routes), -1, joined.shape[-1])

    return Ways(table(costs.seconds_per_byte, jnp.inf), table(costs.startup, 0.0))


class Needs(NamedTuple):
    """What tasks get from each other, by number; the one that needs it first.

    Attributes:
      lists: int `[N, D, R]` the tasks that each needs, N where there is none; None where `data` has
        a column for every task.
      data: `[N, D, R]` bytes from them, -1 where there is none.
    """

    lists: Array | None
    data: Array

    def of(self, v: Array) -> Array:
        """What task v gets from each of all, `[N, R]`; -1 from those that it does not need."""
        if self.lists is None:
            return self.data[v]
        rows = jnp.arange(self.data.shape[-1])
        none = jnp.full((len(self.data), len(rows)), -1, self.data.dtype)
        return none.at[self.lists[v], rows].set(self.data[v], mode="drop")

    def sums(self, *values: Array) -> tuple[Array, ...]:
        """Sums `[N, R]` over those that need a task, of values like `data` or `[N, 1, R]`."""
        return self._over_readers(jnp.add, "add", values)

    def most(self, values: Array) -> Array:
        """The largest of them, 0 at least."""
        return self._over_readers(jnp.maximum, "max", (values,))[0]

    def last(self, position: Array) -> Array:
        """Of positions `[N, R]` the last one among those that each needs, -1 if it needs none."""
        if self.lists is None:
            position = position[None]
        else:
            position = position.at[self.lists, jnp.arange(position.shape[1])].get(mode="clip")
        return jnp.max(jnp.where(self.data >= 0, position, -1), axis=1)

    def _over_readers(
        self, join: Callable, scatter: str, values: tuple[Array, ...]
    ) -> tuple[Array, ...]:
        number, rows = len(self.data), self.data.shape[-1]
        zero = jnp.zeros((number, rows), self.data.dtype)
        if self.lists is not None:
            at = zero.at[self.lists, jnp.arange(rows)]
            every = (jnp.broadcast_to(each, self.data.shape) for each in values)
            return tuple(getattr(at, scatter)(each, mode="drop") for each in every)

        def add(v: Array, found: tuple[Array, ...]) -> tuple[Array, ...]:
            reads = self.data[v] >= 0
            pairs = zip(found, values, strict=True)
            return tuple(join(old, jnp.where(reads, each[v], 0)) for old, each in pairs)

        return jax.lax.fori_loop(0, number, add, (zero,) * len(values))


def is_wide(width: int, num_tasks: int) -> bool:
    """Whether a column for each of N tasks costs less than lists of `width`, which are gathered."""
    return 4 * width > num_tasks


def needs_of(costs: GraphCosts) -> Needs:
    """What the tasks of rows of costs get from each other."""
    num_tasks, width = costs.num_tasks, costs.predecessors.shape[-1]
    lists, data = jnp.broadcast_arrays(batch_last(costs.predecessors), batch_last(costs.data))
    data = jnp.where(lists < 0, -1.0, data)
    lists = jnp.where(lists < 0, num_tasks, lists)
    if is_wide(width, num_tasks):
        return Needs(None, by_column(lists, data))
    return Needs(lists, data)


def by_column(column: Array, data: Array) -> Array:
    """What rows `[N, D, R]` hold, each in its column of `[N, N, R]`, and -1 elsewhere.

    A problem that is traced has all in the right columns already.

    Args:
      column: int `[N, D, R]`; N is left out.
      data: `[N, D, R]`.
    """
    num_tasks, width, rows = data.shape

    def scattered(column: Array, data: Array) -> Array:
        none = jnp.full((num_tasks, num_tasks, rows), -1, data.dtype)
        at = jnp.arange(num_tasks)[:, None, None], column, jnp.arange(rows)
        return none.at[at].set(data, mode="drop", unique_indices=True)

    def straight(column: Array, data: Array) -> Array:
        data = jnp.where(column < num_tasks, data, -1)[:, :num_tasks]
        more = num_tasks - data.shape[1]
        return jnp.pad(data, [(0, 0), (0, more), (0, 0)], constant_values=-1)

    if width < num_tasks - 1:
        return scattered(column, data)
    number = np.arange(width)[:, None]
    there = jnp.all((column == num_tasks) | (column == number[None]))
    return jax.lax.cond(there, straight, scattered, column, data)


class Paths(NamedTuple):
    """Least seconds of tasks and transfers alone, each task where that suits the path best.

    Attributes:
      head: `[N, K, R]` until the task is done at a place.
      tail: `[N, K, R]` from its end at a place until all that follows is home.
      input_seconds: `[N, K, R]` of moving its input to a place.
      output_seconds: `[N, K, R]` of moving its output home.
    """

    head: Array
    tail: Array
    input_seconds: Array
    output_seconds: Array


def paths_of(ways: Ways, needs: Needs, rows: int, costs: GraphCosts) -> Paths:
    """The paths of rows of costs; `ways` task by task."""
    num_tasks, num_places = costs.num_tasks, costs.num_places
    places, columns = range(num_places), jnp.arange(rows)
    seconds = batch_last(costs.seconds)
    lists, data = needs
    if lists is not None:
        lists, data = (jnp.broadcast_to(v, (*v.shape[:2], rows)) for v in (lists, data))
    taken, given = batch_last(costs.input), batch_last(costs.output)
    inputs = jnp.stack([ways.seconds(taken, 0, k) for k in places], axis=1)
    outputs = jnp.stack([ways.seconds(given, k, 0) for k in places], axis=1)
    begin = batch_last(costs.release)[:, None] + inputs

    # An array of two axes for each place: XLA makes no vector code of three and broadcasts.
    def least(v: Array, num_bytes: Array, times: Sequence[Array], *, back: bool) -> list[Array]:
        """For each place the least over all of a time there and of moving bytes to it, or back."""
        own = ways.of(v)

        def at(k: int) -> Array:
            pairs = [(k, q) if back else (q, k) for q in places]
            each = (own.seconds(num_bytes, *pairs[q]) + times[q] for q in places if q != k)
            return functools.reduce(jnp.minimum, each, times[k])

        return [at(k) for k in places]

    def backwards(i: Array, tails: list[Array]) -> list[Array]:
        """A task tells those that it needs how long it takes from their end on."""
        v = num_tasks - 1 - i
        after = [(seconds[v, k] + tails[k][v])[None] for k in places]
        onwards = least(v, data[v], after, back=True)
        if lists is not None:
            pairs = zip(tails, onwards, strict=True)
            return [tail.at[lists[v], columns].max(new, mode="drop") for tail, new in pairs]
        return later(tails, data[v], onwards)

    def forwards(v: Array, heads: list[Array]) -> list[Array]:
        """A task is done, and where there are columns for all tells those that need it."""
        if lists is not None:
            before = [head.at[lists[v], columns].get(mode="clip") for head in heads]
            there = least(v, data[v], before, back=False)
            ready = [jnp.max(jnp.where(data[v] < 0, 0.0, each), axis=0) for each in there]
            pairs = zip(heads, ready, strict=True)
            heads = [head.at[v].max(each) for head, each in pairs]
        heads = [heads[k].at[v].add(seconds[v, k]) for k in places]
        if lists is not None:
            return heads
        done = [head[v][None] for head in heads]
        return later(heads, data[:, v], least(v, data[:, v], done, back=False))

    def later(times: list[Array], num_bytes: Array, others: list[Array]) -> list[Array]:
        """The later of two times of each task, where there is something to move."""
        pairs = zip(times, others, strict=True)
        return [jnp.maximum(own, jnp.where(num_bytes >= 0, new, 0.0)) for own, new in pairs]

    shape = (num_tasks, num_places, rows)
    dtype = jnp.result_type(seconds, jnp.float32)
    inputs, outputs, begin = (
        jnp.broadcast_to(v, shape).astype(dtype) for v in (inputs, outputs, begin)
    )
    seconds = jnp.broadcast_to(seconds, shape)
    by_place = ([times[:, k] for k in places] for times in (outputs, begin))
    tail, head = (
        jnp.stack(jax.lax.fori_loop(0, num_tasks, step, times), axis=1)
        for step, times in zip((backwards, forwards), by_place, strict=True)
    )
    return Paths(head, tail, inputs, outputs)
