"""The simulator in JAX: processors, links and their queues as one scan over tasks.

On a CPU the compiled loop of `_numba.simulator` is faster for one request. This one is for batches
and accelerators, for composition with `jit` and `vmap`, and for training.

It is a serial schedule-generation scheme: tasks are booked one after the other. For each, all K
places are tried on the present state of links and servers, a function chooses one of them, and the
state it leads to is kept. `simulate` chooses what it was told, `greedy` what is done first, a
learned policy what a network says; they are all this one loop.

The batch is the last axis of every array and tasks stand in booking order, so a step is a few
passes over contiguous vectors. Step i looks at all i tasks before, whether or not the task needs
them: which ones it needs differs from row to row.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from offload_jax.graphs.costs import GraphCosts


class Platform(NamedTuple):
    """What is the same for all rows; hashable.

    Attributes:
      routes, servers, serial, send_once: as in `GraphCosts`.
      home: the one place where all inputs lie and all outputs go, None if tasks differ.
    """

    routes: tuple[tuple[tuple[int, ...] | None, ...], ...]
    servers: tuple[int | None, ...]
    serial: tuple[bool, ...]
    send_once: bool
    home: int | None

    @property
    def num_places(self) -> int:
        return len(self.servers)

    @property
    def num_hops(self) -> int:
        """H, the hops of the longest route, at least 1."""
        return max(1, *(len(route or ()) for row in self.routes for route in row))


class Tasks(NamedTuple):
    """The tasks of all rows, in booking order; position first, batch last.

    Attributes:
      seconds: `[N, K, B]`.
      needs: `[N, N, B]` bytes that the task in position i gets from the one in position j at
        [i, j]; -1 where it needs nothing of it.
      input, output, release: `[N, B]`.
      home: `[N, B]`, not read where the platform has one home.
      seconds_per_byte, startup: `[L, B]` or `[L, 1]`.
    """

    seconds: Array
    needs: Array
    input: Array
    output: Array
    release: Array
    home: Array
    seconds_per_byte: Array
    startup: Array


class Candidates(NamedTuple):
    """What would become of a task at each of the K places, entries `[B]`.

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
      free: L entries `[B]`, when each link is free.
      busy: for each place `[S, B]`, until when its servers are busy, the first one first.
      crossed: L entries `[N, B]`, when the result of a task came out of a link, -1 where it has not
        crossed it; empty without `send_once`.
    """

    place: Array
    finish: Array
    free: tuple[Array, ...]
    busy: tuple[Array, ...]
    crossed: tuple[Array, ...]


Crossed = dict[int, Array]
"""By link, when results came out of it; -1 where they have not crossed it."""


class Hops(NamedTuple):
    """Start and finish of the hops of one transfer, `[H, B]`; NaN where none is."""

    start: Array
    finish: Array


class Log(NamedTuple):
    """The hops of all that moves for one task.

    Attributes:
      input: its input.
      data: `[N, H, B]` what comes from the tasks before, by their positions.
      output: its output.
    """

    input: Hops
    data: Hops
    output: Hops


Choose = Callable[[Any, State, Candidates, Any], tuple[Any, Array, Any]]
"""(memory, state, candidates, what `xs` holds of this task) -> (memory, place `[B]`, to stack)."""


def platform_of(costs: GraphCosts) -> Platform:
    """The static part of costs; `home` is static where it is known to be one place."""
    home = None
    if not isinstance(costs.home, jax.Array):
        places = set(costs.home.ravel().tolist())
        home = places.pop() if len(places) == 1 else None
    return Platform(costs.routes, costs.servers, costs.serial, costs.send_once, home)


def run(
    platform: Platform,
    tasks: Tasks,
    choose: Choose,
    memory: Any,
    xs: Any,
    *,
    with_log: bool = False,
) -> tuple[Any, State, Any, Log | None]:
    """Books all tasks.

    Args:
      platform: the static part.
      tasks: N tasks, B rows.
      choose: places a task.
      memory: what `choose` carries from task to task.
      xs: arrays `[N, ...]` that `choose` gets a row of.
      with_log: whether to keep every hop.

    Returns:
      The last memory, the last state, what `choose` gave to stack, and the hops `[N, ...]` by the
      position of the task that they are for.
    """
    num_tasks, _, batch = tasks.seconds.shape
    num_links, dtype = len(platform.serial), tasks.seconds.dtype
    zero = jnp.zeros(batch, dtype)
    state = State(
        place=jnp.zeros((num_tasks, batch), jnp.int32),
        finish=jnp.zeros((num_tasks, batch), dtype),
        free=(zero,) * num_links,
        busy=tuple(
            # More servers than tasks are never all in use.
            jnp.zeros((min(number or 0, num_tasks), batch), dtype)
            for number in platform.servers
        ),
        crossed=(jnp.full((num_tasks, batch), -1, dtype),) * (num_links * platform.send_once),
    )

    def step(carry: tuple[Any, State], inputs: tuple) -> tuple[tuple[Any, State], Any]:
        memory, state = carry
        index, task, x = inputs
        candidates, crossed, logs = _try_places(platform, tasks, state, index, task, with_log)
        memory, place, stacked = choose(memory, state, candidates, x)
        log = jax.tree.map(lambda *entries: chosen(place, entries), *logs) if with_log else None
        state = _commit(platform, state, candidates, crossed, index, task, place)
        return (memory, state), (stacked, log)

    # Rates of links have no task axis to scan over; the steps read them from `tasks`.
    per_task = tasks._replace(seconds_per_byte=(), startup=())  # type: ignore[arg-type]
    (memory, state), (stacked, log) = jax.lax.scan(
        step, (memory, state), (jnp.arange(num_tasks), per_task, xs)
    )
    return memory, state, stacked, log


def _try_places(
    platform: Platform,
    tasks: Tasks,
    state: State,
    index: Array,
    task: Tasks,
    with_log: bool,
) -> tuple[Candidates, list[Crossed], list[Log | None]]:
    """Tries a task at every place.

    Returns:
      What would become of it, by place; with `send_once` the links that results would then have
      crossed; with a log the hops that it would take.
    """
    places = range(platform.num_places)
    num_tasks, _, batch = tasks.seconds.shape
    home = [task.home == j if platform.home is None else platform.home == j for j in places]
    move = functools.partial(_move, platform, tasks)
    routes_to = list(zip(*platform.routes, strict=True))
    none = jnp.full((num_tasks, platform.num_hops, batch), math.nan, tasks.seconds.dtype)
    carry, inputs = [], []
    for k in places:
        ways = list(zip(routes_to[k], home, strict=True))
        ready, free, hops = move(ways, task.release, task.input, task.input > 0, state.free)
        into = {link for route in routes_to[k] for link in route or ()}
        crossed = {link: state.crossed[link] for link in sorted(into) if platform.send_once}
        carry.append((ready, free, crossed, Hops(none, none) if with_log else None))
        inputs.append(hops)

    def gather(j: Array, carry: list[tuple]) -> list[tuple]:
        """What comes from the task in position j, at every place."""
        num_bytes, finish = task.needs[j], state.finish[j]
        origin = [state.place[j] == p for p in places]
        after = []
        for k, (ready, free, crossed, log) in enumerate(carry):
            before = {link: times[j] for link, times in crossed.items()}
            ways = list(zip(routes_to[k], origin, strict=True))
            arrived, free, hops = move(ways, finish, num_bytes, num_bytes > 0, free, before)
            crossed = {link: times.at[j].set(before[link]) for link, times in crossed.items()}
            ready = jnp.maximum(ready, jnp.where(num_bytes >= 0, arrived, 0))
            if with_log:
                log = jax.tree.map(lambda entry, new: entry.at[j].set(new), log, hops)
            after.append((ready, free, crossed, log))
        return after

    # Only tasks booked before this one can be needed, so the loop ends at its own position.
    carry = jax.lax.fori_loop(0, index, gather, carry)
    columns: list[tuple] = []
    logs: list[Log | None] = []
    for k, (ready, free, _, log) in enumerate(carry):
        duration = task.seconds[k]
        start = ready
        if len(state.busy[k]):
            start = jnp.where(duration > 0, jnp.maximum(ready, state.busy[k][0]), ready)
        finish = start + duration
        ways = list(zip(platform.routes[k], home, strict=True))
        back, free, hops = move(ways, finish, task.output, task.output > 0, free)
        columns.append((ready, start, finish, back, free))
        logs.append(Log(inputs[k], log, hops) if with_log else None)
    candidates = Candidates(*zip(*columns, strict=True))
    return candidates, [crossed for _, _, crossed, _ in carry], logs


def _commit(
    platform: Platform,
    state: State,
    candidates: Candidates,
    crossed: list[Crossed],
    index: Array,
    task: Tasks,
    place: Array,
) -> State:
    """The state once the task runs at `place` `[B]`."""
    finish = chosen(place, candidates.finish)
    busy = []
    for k, queue in enumerate(state.busy):
        # The first server is taken out of the sorted queue and comes back where its end belongs.
        later = jnp.concatenate([queue[1:], jnp.full_like(queue[:1], jnp.inf)])
        moved_up = jnp.minimum(jnp.maximum(queue, finish[None]), later)
        takes = (place == k) & (task.seconds[k] > 0)
        busy.append(jnp.where(takes[None], moved_up, queue))
    return State(
        place=state.place.at[index].set(place),
        finish=state.finish.at[index].set(finish),
        free=tuple(chosen(place, times) for times in zip(*candidates.free, strict=True)),
        busy=tuple(busy),
        crossed=tuple(
            chosen(place, [after.get(link, old) for after in crossed])
            for link, old in enumerate(state.crossed)
        ),
    )


def chosen(place: Array, entries: Sequence[Array]) -> Array:
    """Of entries `[..., B]`, one for each place, that of the place of each row."""
    result = entries[-1]
    for k in reversed(range(len(entries) - 1)):
        result = jnp.where(place == k, entries[k], result)
    return result


def _move(
    platform: Platform,
    tasks: Tasks,
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
        finish = start + num_bytes * tasks.seconds_per_byte[link]
        out, books = finish + tasks.startup[link], uses
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
