"""Gantt charts: what processors and links do while a decision about a task graph is carried out."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from offload_jax.graphs.costs import GraphCosts, as_costs
from offload_jax.graphs.decision import Schedule, Transfers
from offload_jax.graphs.problem import GraphProblem
from offload_jax.plot.style import (
    SMALL,
    Axes,
    Colour,
    amount,
    axes_or_new,
    characters,
    formatted,
    ink,
    place_colour,
    place_names,
    shortened,
    size_in_points,
    tint,
)
from offload_jax.validation import as_names, check_class, check_positive

Link = tuple[int, int]
"""The places that a link leaves and reaches; the number of a link of unknown ends, and -1."""

# Of so many users each device has a row; of more they share one.
_MOST_DEVICES = 8


class _At(NamedTuple):
    """A place; of one that each user has, whose it is."""

    place: int
    user: int | None = None


class _Bar(NamedTuple):
    """Whose it is, and seconds from when to when."""

    task: int
    start: float
    finish: float


def gantt(
    schedule: Schedule,
    problem: GraphProblem | GraphCosts | None = None,
    *,
    names: Sequence[str] | None = None,
    places: Sequence[str] | None = None,
    until: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a schedule: a row for each place and each link that carries something.

    The devices of a few users have rows of their own. Bars have the names of tasks where these fit;
    on links, of the task whose bytes move. Tasks that run beside each other share the height of
    their row; what takes no time is a mark. What never happens is not drawn but counted under the
    axis.

    Args:
      schedule: of one request, as `oj.graphs.simulate` gives it; with `transfers=True` for links.
      problem: whose schedule it is; it tells which links transfers take, and without it there are
        no rows for links.
      names: N names of the tasks, such as `TaskGraph.names`; numbers if None.
      places: K names of the places, such as `Network.place_names`.
      until: seconds at which the axis ends, so that schedules can be compared; where this one does
        if None.
      ax: where to draw; a new figure if None.

    Returns:
      The Axes.

    Raises:
      ValueError: the schedule is none, or of a batch, or names or problem do not fit it.
      ImportError: matplotlib is not installed; names the extra.
    """
    check_class("schedule", schedule, Schedule)
    place = np.asarray(schedule.place)
    if place.ndim != 1:
        raise ValueError(f"schedule: must be of one request, got a batch {place.shape[:-1]}")
    num_tasks, least = len(place), int(place.max(initial=0)) + 1
    costs = None
    if problem is not None:
        check_class("problem", problem, GraphProblem, GraphCosts)
        costs = as_costs(problem, library=np)
        if costs.batch_shape or costs.num_tasks != num_tasks or costs.num_places < least:
            raise ValueError(
                f"problem: must be one request of {num_tasks} tasks on at least {least} places, as"
                f" the schedule is, got {costs.num_tasks} tasks on {costs.num_places} places in a"
                f" batch {costs.batch_shape}"
            )
        least = costs.num_places
    names = as_names("names", range_names(num_tasks) if names is None else names)
    if len(names) != num_tasks:
        raise ValueError(f"names: must be those of {num_tasks} tasks, got {len(names)}")
    place_of = place_names(places, least)
    if until is not None:
        check_positive("until", until)
    at_places, on_links = _bars(schedule, costs)
    rows = _rows(at_places, on_links, len(place_of))
    ax = axes_or_new(ax, (9.0, max(1.6, 0.7 + 0.38 * len(rows))))
    latest = _prepare(ax, schedule, rows, place_of, until)
    width, height = size_in_points(ax)
    for row, key in enumerate(rows):
        bars, colour = (
            (at_places[key], place_colour(key.place))
            if isinstance(key, _At)
            else (on_links[key], tint(place_colour(key[0]), 0.45))
        )
        if all(bar.start == bar.finish for bar in bars):
            _draw_marks(ax, row, bars, names, width / latest, latest)
            continue
        lanes = _lanes(bars)
        thick = 0.76 / len(lanes)
        for lane, members in enumerate(lanes):
            middle = row - 0.38 + (lane + 0.5) * thick
            _draw_bars(ax, middle, thick, members, colour, width / latest)
            if thick * height / len(rows) > SMALL:
                _write(ax, middle, members, names, width / latest, ink(colour))
    return ax


def range_names(number: int) -> list[str]:
    """Numbers as names."""
    return [str(index) for index in range(number)]


def _bars(
    schedule: Schedule, costs: GraphCosts | None
) -> tuple[dict[_At, list[_Bar]], dict[Link, list[_Bar]]]:
    """Everything that happens, by place and by link; not what never does."""
    at_places: dict[_At, list[_Bar]] = defaultdict(list)
    place = np.asarray(schedule.place).tolist()
    few = costs is not None and 1 < costs.num_users <= _MOST_DEVICES
    owners = np.asarray(costs.user).tolist() if costs is not None and few else []
    own = costs.own_places if costs is not None else ()
    for task, (at, start, finish) in enumerate(
        zip(place, np.asarray(schedule.start), np.asarray(schedule.finish), strict=True)
    ):
        if np.isfinite(finish):
            where = _At(at, owners[task]) if few and own[at] else _At(at)
            at_places[where].append(_Bar(task, float(start), float(finish)))
    # With results that are sent once, several readers name one and the same hop.
    on_links: dict[Link, set[_Bar]] = defaultdict(set)
    if costs is not None and schedule.transfers is not None:
        ends = _ends(costs)
        for route, bars in _hops(schedule, costs):
            for link, bar in zip(route, bars, strict=False):
                if np.isfinite(bar.finish):
                    on_links[ends.get(link, (link, -1))].add(bar)
    return at_places, {link: sorted(bars) for link, bars in on_links.items()}


def _ends(costs: GraphCosts) -> dict[int, Link]:
    """Where links lead, as far as routes of one hop tell."""
    return {
        route[0]: (j, k)
        for j, row in enumerate(costs.routes)
        for k, route in enumerate(row)
        if route is not None and len(route) == 1
    }


def _hops(schedule: Schedule, costs: GraphCosts) -> Iterator[tuple[tuple[int, ...], list[_Bar]]]:
    """The route of every transfer and what happens on it, hop by hop."""
    assert schedule.transfers is not None
    moves = Transfers(*map(np.asarray, schedule.transfers))
    place = np.asarray(schedule.place).tolist()
    found = [
        (u, place[u], place[v], moves.data_start[u, v], moves.data_finish[u, v])
        for u, v in np.argwhere(np.isfinite(moves.data_finish).any(axis=-1)).tolist()
    ]
    for task, at in enumerate(place):
        found.append((task, 0, at, moves.input_start[task], moves.input_finish[task]))
        found.append((task, at, 0, moves.output_start[task], moves.output_finish[task]))
    for task, origin, target, start, finish in found:
        times = zip(start.tolist(), finish.tolist(), strict=True)
        yield costs.routes[origin][target] or (), [_Bar(task, *hop) for hop in times]


def _rows(
    at_places: dict[_At, list[_Bar]], on_links: dict[Link, list[_Bar]], num_places: int
) -> list[_At | Link]:
    """Places in order, each followed by the links between it and later ones."""
    known = sorted((link for link in on_links if link[1] >= 0), key=lambda k: (max(k), k))
    rows: list[_At | Link] = []
    for place in range(num_places):
        mine = sorted(at for at in at_places if at == (place, at.user) and at.user is not None)
        rows += [*(mine or [_At(place)]), *(link for link in known if min(link) == place)]
    return rows + sorted(link for link in on_links if link[1] < 0)


def _prepare(
    ax: Axes,
    schedule: Schedule,
    rows: list[_At | Link],
    place_of: tuple[str, ...],
    until: float | None,
) -> float:
    """Rows, axis and what is written there; gives the last moment that is shown."""

    def label(key: _At | Link) -> str:
        if isinstance(key, _At):
            whose = "" if key.user is None else f" of user {key.user}"
            return shortened(place_of[key.place], 24 - len(whose)) + whose
        if key[1] < 0:
            return f"link {key[0]}"
        return " → ".join(shortened(place_of[end], 12) for end in key)

    makespan, finish = float(schedule.makespan), np.asarray(schedule.finish)
    never = int((~np.isfinite(finish)).sum())
    done = f"done after {amount(makespan, 's')}" if makespan < np.inf else "never done"
    if never:
        done += f", {never} of {len(finish)} tasks never finish"
    latest = max(finish.max(initial=0.0, where=np.isfinite(finish)), 0.0)
    if makespan < np.inf:
        latest = max(latest, makespan)
        ax.axvline(makespan, color="0.2", lw=1)
    latest = 1.02 * float(until or latest or 1.0)
    ax.set_yticks(range(len(rows)), [label(key) for key in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlim(0, latest)
    ax.xaxis.set_major_formatter(formatted("s"))
    ax.set_xlabel(f"time; {done}")
    return latest


def _lanes(bars: list[_Bar]) -> list[list[_Bar]]:
    """Bars in as few lanes as it takes that none overlaps another."""
    lanes: list[list[_Bar]] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.finish)):
        # What follows at once may start early by a rounding of float32.
        early = 1e-5 * bar.finish
        free = next((lane for lane in lanes if lane[-1].finish <= bar.start + early), None)
        if free is None:
            lanes.append(free := [])
        free.append(bar)
    return lanes


def _draw_bars(
    ax: Axes, middle: float, thick: float, bars: list[_Bar], colour: Colour, scale: float
) -> None:
    spans = [(bar.start, bar.finish - bar.start) for bar in bars]
    # A white rim would leave nothing of those that are narrow.
    rims = [colour if width * scale < 2 else "white" for _, width in spans]
    ax.broken_barh(spans, (middle - thick / 2, thick), color=colour, ec=rims, lw=0.4)


def _write(
    ax: Axes, middle: float, bars: list[_Bar], names: Sequence[str], scale: float, colour: str
) -> None:
    """Names on bars, shortened where they do not fit whole."""
    for bar in bars:
        room = characters((bar.finish - bar.start) * scale - 4)
        name = names[bar.task]
        if room >= min(len(name), 6):
            ax.text(
                (bar.start + bar.finish) / 2,
                middle,
                shortened(name, room),
                ha="center",
                va="center",
                fontsize=SMALL,
                color=colour,
            )


def _draw_marks(
    ax: Axes, row: int, marks: list[_Bar], names: Sequence[str], scale: float, end: float
) -> None:
    """Marks of what takes no time; those that are close to each other share a label."""
    marks = sorted(marks, key=lambda mark: mark.start)
    ax.plot([mark.start for mark in marks], [row] * len(marks), "|", color="k", ms=11, mew=1.2)
    group: list[str] = []
    for mark, following in zip(marks, [*(mark.start for mark in marks), end][1:], strict=True):
        group.append(names[mark.task])
        room = characters((following - mark.start) * scale - 6)
        if room < 4:
            continue
        text = ", ".join(group)
        if len(text) > room and len(group) > 1:
            text = f"{len(group)} tasks"
        ax.annotate(
            shortened(text, room),
            (mark.start, row),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )
        group = []
