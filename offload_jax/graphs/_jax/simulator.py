"""The simulator in JAX: processors, links and their queues as one scan over tasks.

On a CPU the compiled loop of `_numba.simulator` is faster for one request. This one is for batches
and accelerators, for composition with `jit` and `vmap`, and for training.

It is a serial schedule-generation scheme: tasks are booked one after the other. For each, all K
places are tried on the present state of links and servers, a function chooses one of them, and the
state it leads to is kept. `greedy` chooses what is done first, a learned policy what a network
says; `simulate` tries the place that it was told. They are all this one loop.

The batch is the last axis of every array and tasks stand in booking order, so a step is a few
passes over contiguous vectors. Which tasks one needs differs from row to row: their times are
gathered, and a step takes as many passes as some row of the batch needs tasks. Where nearly all
tasks before may be needed, all are looked at instead and nothing is gathered.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from offload_jax.graphs._jax.hops import Crossed, Hops
from offload_jax.graphs._jax.hops import move as move_data
from offload_jax.graphs._jax.platform import Platform
from offload_jax.graphs._jax.users import row_of, with_row
from offload_jax.graphs.costs import copies


class Tasks(NamedTuple):
    """The tasks of all rows, in booking order; position first, batch last.

    Attributes:
      seconds: `[N, K, B]`.
      source: int `[N, D, B]` positions of the tasks that each needs, ascending, then N where there
        are no more; None where D is N and column j is the task in position j.
      data: `[N, D, B]` bytes from them; -1 where there is none.
      most: int `[N]` columns that are used in some row.
      input, output, release: `[N, B]`.
      user: int `[N, B]`, None where there is one.
      seconds_per_byte, startup: of each of L links `[V, B]` or `[V, 1]`, V users or one for all.
    """

    seconds: Array
    source: Array | None
    data: Array
    most: Array
    input: Array
    output: Array
    release: Array
    user: Array | None
    seconds_per_byte: tuple[Array, ...]
    startup: tuple[Array, ...]


class Candidates(NamedTuple):
    """What would become of a task at each of the K places, entries `[B]`; or where it was told.

    Attributes:
      ready: seconds at which all that it needs has arrived.
      start: seconds at which it starts.
      finish: seconds at which it is done.
      back: seconds at which its output is home.
      free: K tuples of L, when each link is free after it.
    """

    ready: tuple[Array, ...]
    start: tuple[Array, ...]
    finish: tuple[Array, ...]
    back: tuple[Array, ...]
    free: tuple[tuple[Array, ...], ...]


class State(NamedTuple):
    """What the machine has booked so far.

    Attributes:
      place: int `[N, B]` of the tasks before; others unset.
      finish: `[N, B]` likewise.
      free: L entries `[V, B]`, when each link is free, V users or one for all.
      busy: for each place `[V, S, B]`, until when its servers are busy, the first one first.
      crossed: L entries `[N, B]`, when the result of a task came out of a link, -1 where it has not
        crossed it; empty without `send_once`.
    """

    place: Array
    finish: Array
    free: tuple[Array, ...]
    busy: tuple[Array, ...]
    crossed: tuple[Array, ...]


class Queues(NamedTuple):
    """What a machine still has to do: `free` and `busy` of `State`."""

    free: tuple[Array, ...]
    busy: tuple[Array, ...]


class Log(NamedTuple):
    """The hops of all that moves for one task.

    Attributes:
      input: its input.
      data: `[D, H, B]` what comes from the tasks that it needs.
      output: its output.
    """

    input: Hops
    data: Hops
    output: Hops


Choose = Callable[[Any, State, Candidates, Any], tuple[Any, Array, Any]]
"""(memory, state, candidates, what `xs` holds of this task) -> (memory, place `[B]`, to stack)."""


def run(
    platform: Platform,
    tasks: Tasks,
    choose: Choose,
    memory: Any,
    xs: Any,
    *,
    queues: Queues | None = None,
    told: Array | None = None,
    with_log: bool = False,
) -> tuple[Any, State, Any, Log | None]:
    """Books all tasks.

    Args:
      platform: the static part.
      tasks: N tasks, B rows.
      choose: places a task.
      memory: what `choose` carries from task to task.
      xs: arrays `[N, ...]` that `choose` gets a row of.
      queues: that tasks find; none if None.
      told: int `[N, B]` places; `choose` then sees what becomes of a task there, one entry in place
        of K, and must choose it.
      with_log: whether to keep every hop.

    Returns:
      The last memory, the last state, what `choose` gave to stack, and the hops `[N, ...]` by the
      position of the task that they are for.
    """
    state, num_tasks = first_state(platform, tasks), len(tasks.seconds)
    if queues is not None:
        state = state._replace(free=queues.free, busy=queues.busy)

    def step(carry: tuple[Any, State], inputs: tuple) -> tuple[tuple[Any, State], Any]:
        memory, state = carry
        index, task, x, place = inputs
        if told is None:
            targets = everywhere(platform)
        else:
            targets = [[place == k for k in range(platform.num_places)]]
        candidates, crossed, logs = try_task(platform, tasks, state, task, targets, with_log)
        memory, place, stacked = choose(memory, state, candidates, x)
        log = jax.tree.map(lambda *entries: chosen(place, entries), *logs) if with_log else None
        state = commit(state, candidates, crossed, index, task, place)
        return (memory, state), (stacked, log)

    (memory, state), (stacked, log) = jax.lax.scan(
        step, (memory, state), (jnp.arange(num_tasks), by_position(tasks), xs, told)
    )
    return memory, state, stacked, log


def first_state(platform: Platform, tasks: Tasks) -> State:
    """Nothing is booked."""
    num_tasks, _, batch = tasks.seconds.shape
    num_links, dtype = len(platform.serial), tasks.seconds.dtype
    # More servers than tasks are never all in use.
    queues = empty_queues(platform, batch, dtype, most=num_tasks)
    return State(
        place=jnp.zeros((num_tasks, batch), jnp.int32),
        finish=jnp.zeros((num_tasks, batch), dtype),
        free=queues.free,
        busy=queues.busy,
        crossed=(jnp.full((num_tasks, batch), -1, dtype),) * (num_links * platform.send_once),
    )


def empty_queues(platform: Platform, rows: int, dtype: Any, most: int | None = None) -> Queues:
    """Of the links and servers, at most so many of each place, of all users."""
    servers = [number or 0 for number in platform.servers]
    if most is not None:
        servers = [min(number, most) for number in servers]
    places = copies(platform.own_places, platform.num_users)
    return Queues(
        tuple(
            jnp.zeros((users, rows), dtype)
            for users in copies(platform.own_links, platform.num_users)
        ),
        tuple(
            jnp.zeros((users, number, rows), dtype)
            for users, number in zip(places, servers, strict=True)
        ),
    )


def by_position(tasks: Tasks) -> Tasks:
    """What has a row for each task; rates of links have none, and steps read them from `tasks`."""
    return tasks._replace(seconds_per_byte=(), startup=())


def seen_by(state: State, user: Array | None) -> State:
    """The state with what users `[B]` have of links `[B]` and of servers `[S, B]`."""
    return state._replace(
        free=tuple(row_of(times, user) for times in state.free),
        busy=tuple(row_of(times, user) for times in state.busy),
    )


def everywhere(platform: Platform) -> list[list["Mask"]]:
    """The targets of `try_task` that are every place, for all rows."""
    places = range(platform.num_places)
    return [[k == place for place in places] for k in places]


Mask = Any
"""Rows `[B]`, or a plain bool for all or none of them."""


def _both(a: Mask, b: Mask) -> Mask:
    if isinstance(a, bool):
        a, b = b, a
    return a & b if not isinstance(b, bool) else b and a


def try_task(
    platform: Platform,
    tasks: Tasks,
    state: State,
    task: Tasks,
    targets: list[list[Mask]],
    with_log: bool,
) -> tuple[Candidates, list[Crossed], list[Log | None]]:
    """Tries a task at several places.

    Args:
      targets: entries of K: for each place the rows that try it.

    Returns:
      What would become of it; with `send_once` the links `[D, B]` that the results that it needs
      would then have crossed; with a log the hops that it would take.
    """
    places = range(platform.num_places)
    width, batch = task.data.shape
    state = seen_by(state, task.user)
    rates, startups = (
        [row_of(values, task.user) for values in by_link]
        for by_link in (tasks.seconds_per_byte, tasks.startup)
    )
    move = functools.partial(move_data, platform, rates, startups)
    home: list[Mask] = [j == 0 for j in places]

    def ways(origin: list[Mask], target: list[Mask]) -> list[tuple[Sequence[int] | None, Mask]]:
        pairs = (
            (platform.routes[j][k], _both(origin[j], target[k])) for j in places for k in places
        )
        return [(route, rows) for route, rows in pairs if rows is not False]

    at, finish = (gathered(values, task.source) for values in (state.place, state.finish))
    times = {link: gathered(times, task.source) for link, times in enumerate(state.crossed)}
    none = jnp.full((width, platform.num_hops, batch), math.nan, tasks.seconds.dtype)
    carry, inputs = [], []
    for target in targets:
        ready, free, hops = move(
            ways(home, target), task.release, task.input, task.input > 0, state.free
        )
        routes = [route for route, _ in ways([True] * len(places), target)]
        crossed = {
            link: times[link] for link in {link for r in routes for link in r or ()} & {*times}
        }
        carry.append((ready, free, crossed, Hops(none, none) if with_log else None))
        inputs.append(hops)

    def fetch(j: Array, carry: list[tuple]) -> list[tuple]:
        """What comes from one of the tasks that it needs."""
        num_bytes = task.data[j]
        origin, after = [at[j] == p for p in places], []
        for target, (ready, free, crossed, log) in zip(targets, carry, strict=True):
            before = {link: values[j] for link, values in crossed.items()}
            arrived, free, hops = move(
                ways(origin, target), finish[j], num_bytes, num_bytes > 0, free, before
            )
            crossed = {link: values.at[j].set(before[link]) for link, values in crossed.items()}
            ready = jnp.maximum(ready, jnp.where(num_bytes >= 0, arrived, 0))
            if with_log:
                log = jax.tree.map(lambda entry, new: entry.at[j].set(new), log, hops)
            after.append((ready, free, crossed, log))
        return after

    carry = jax.lax.fori_loop(0, task.most, fetch, carry)
    columns: list[tuple] = []
    logs: list[Log | None] = []
    for target, taken, (ready, free, _, log) in zip(targets, inputs, carry, strict=True):
        start, duration = ready, jnp.zeros(batch, ready.dtype)
        for k, rows in enumerate(target):
            if rows is False:
                continue
            seconds = task.seconds[k]
            if len(state.busy[k]):
                waits = _both(rows, seconds > 0)
                start = jnp.where(waits, jnp.maximum(ready, state.busy[k][0]), start)
            duration = jnp.where(rows, seconds, duration)
        end = start + duration
        back, free, hops = move(ways(target, home), end, task.output, task.output > 0, free)
        columns.append((ready, start, end, back, free))
        logs.append(Log(taken, log, hops) if with_log else None)
    return Candidates(*zip(*columns, strict=True)), [crossed for _, _, crossed, _ in carry], logs


def gathered(values: Array, source: Array | None) -> Array:
    """`[N, B]` by position as `[D, B]` of the positions `source`; all of them if None."""
    if source is None:
        return values
    return values.at[source, jnp.arange(values.shape[1])].get(mode="clip")


def commit(
    state: State,
    candidates: Candidates,
    crossed: Sequence[Crossed],
    index: Array,
    task: Tasks,
    place: Array,
) -> State:
    """The state once the task runs at `place` `[B]`."""
    finish = chosen(place, candidates.finish)
    busy = []
    for k, queue in enumerate(seen_by(state, task.user).busy):
        # The first server is taken out of the sorted queue and comes back where its end belongs.
        later = jnp.concatenate([queue[1:], jnp.full_like(queue[:1], jnp.inf)])
        moved_up = jnp.minimum(jnp.maximum(queue, finish[None]), later)
        takes = (place == k) & (task.seconds[k] > 0)
        queue = jnp.where(takes[None], moved_up, queue)
        busy.append(with_row(state.busy[k], task.user, queue))
    columns = jnp.arange(place.shape[0])

    def after(link: int, old: Array) -> Array:
        """When results came out of a link."""
        if task.source is None:
            return chosen(place, [each.get(link, old) for each in crossed])
        before = gathered(old, task.source)
        new = chosen(place, [each.get(link, before) for each in crossed])
        return old.at[task.source, columns].set(new, mode="drop")

    return State(
        place=state.place.at[index].set(place),
        finish=state.finish.at[index].set(finish),
        free=tuple(
            with_row(old, task.user, chosen(place, times))
            for old, times in zip(state.free, zip(*candidates.free, strict=True), strict=True)
        ),
        busy=tuple(busy),
        crossed=tuple(after(link, old) for link, old in enumerate(state.crossed)),
    )


def chosen(place: Array, entries: Sequence[Array]) -> Array:
    """Of entries `[..., B]`, one for each place, that of the place of each row.

    A single entry is that of the place that was told.
    """
    result = entries[-1]
    for k in reversed(range(len(entries) - 1)):
        result = jnp.where(place == k, entries[k], result)
    return result
