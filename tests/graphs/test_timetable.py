"""The machine as plain loops does what the oracle does, and what cuts say at once is true."""

import itertools
import math

import numpy as np
import pytest

from offload_jax.graphs import at_once
from offload_jax.graphs.request import unpack_rows
from offload_jax.graphs.timetable import longest_first, timetable
from tests import oracle
from tests.graphs import cases


@pytest.mark.parametrize("layout", cases.LAYOUTS)
def test_timetables_are_those_of_the_oracle(layout: str) -> None:
    rng = np.random.default_rng(3)
    for case in range(40):
        graph = cases.random_graph(rng, cases.LAYOUTS[layout], exact=case % 2 == 0)
        place, order = cases.random_decision(rng, graph)
        (request,) = unpack_rows(cases.as_costs(graph))
        found, expected = (
            timetable(request, place, order),
            oracle.simulate_graph(graph, place, order),
        )
        assert found.start.tolist() == pytest.approx(expected.start, rel=1e-12)
        assert found.finish.tolist() == pytest.approx(expected.finish, rel=1e-12)
        assert found.makespan == pytest.approx(expected.makespan, rel=1e-12)
        booked = sorted(
            (kind, hop) for (kind, *_), moved in expected.transfers.items() for hop in moved
        )
        own = sorted((hop.kind, (hop.link, hop.start, hop.finish)) for hop in found.hops)
        assert [kind for kind, _ in own] == [kind for kind, _ in booked]
        for (_, mine), (_, theirs) in zip(own, booked, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-12)
        # By rank, every task follows what it needs.
        ranked = longest_first(request, place).tolist()
        assert math.isfinite(oracle.simulate_graph(graph, place, ranked).makespan) == math.isfinite(
            expected.makespan
        )


def test_at_once_bounds_every_schedule_and_keeps_the_best_single_place() -> None:
    rng = np.random.default_rng(5)
    layouts = [cases.in_a_row((0, 1, 2)), cases.in_a_row((1, 0, 2), send_once=True)]
    layouts.append(cases.LAYOUTS["four places"])
    for case in range(24):
        layout = layouts[case % 3]
        graph = cases.random_graph(rng, layout, 3, alive=True)
        found = at_once.at_once(cases.as_costs(graph))
        decision = found.place.tolist(), found.order.tolist()
        makespan = oracle.simulate_graph(graph, *decision).makespan
        assert found.timetable.makespan == pytest.approx(makespan, rel=1e-12)
        assert found.lower_bound <= oracle.best_decision(graph) * (1 + 1e-12)
        for place in graph.places:
            (request,) = unpack_rows(cases.as_costs(graph))
            single = [place] * len(graph.tasks)
            order = longest_first(request, single).tolist()
            assert makespan <= oracle.simulate_graph(graph, single, order).makespan * (1 + 1e-12)


def slower(graph: oracle.Graph, links: list[int], factor: float) -> oracle.Graph:
    rates = [r * factor if link in links else r for link, r in enumerate(graph.seconds_per_byte)]
    return graph._replace(seconds_per_byte=tuple(rates))


def excess(graph: oracle.Graph, best: tuple[int, ...], links: list[int], factor: float) -> float:
    """How far a placement is above the best one when the bandwidth of links is so much larger."""
    other = slower(graph, links, 1 / factor)
    return oracle.serial_latency(other, best) / oracle.least_serial_latency(other) - 1


@pytest.mark.parametrize("send_once", [False, True])
def test_bandwidths_at_which_the_best_placement_changes(send_once: bool) -> None:
    """Against all placements, a little inside of the ends and a little outside."""
    rng = np.random.default_rng([6, send_once])
    layout = cases.in_a_row((0, 1, 2), send_once=send_once)
    ends = {"none": 0, "below": 0, "above": 0}
    for _ in range(75):
        graph = cases.random_graph(rng, layout, 4, exact=False)
        if not any(any(seconds) for seconds in graph.seconds):
            continue
        every = [*itertools.product(graph.places, repeat=4)]
        best = min(every, key=lambda place: oracle.serial_latency(graph, place))
        found = at_once.steady_bandwidths(cases.as_costs(graph), np.array(best))
        assert found is not None
        for number, (least, greatest) in enumerate(found):
            links = [2 * number, 2 * number + 1]
            assert least <= 1 <= greatest

            inside = [
                1e-4 if least == 0 else least * 1.001,
                1e4 if greatest == math.inf else greatest / 1.001,
            ]
            assert all(excess(graph, best, links, factor) < 1e-9 for factor in inside)
            for name, end, factor in (("below", least, 0.99), ("above", greatest, 1.01)):
                if 0 < end < math.inf:
                    ends[name] += 1
                    assert excess(graph, best, links, end * factor) > 0
                else:
                    ends["none"] += 1
        worse = max(every, key=lambda place: oracle.serial_latency(graph, place))
        assert at_once.steady_bandwidths(cases.as_costs(graph), np.array(worse)) is None
    assert min(ends.values()) > 5


@pytest.mark.parametrize("send_once", [False, True])
def test_placements_over_two_speeds(send_once: bool) -> None:
    """At every point as good as any: where corners agree, nothing inside was looked at."""
    rng = np.random.default_rng([8, send_once])
    layout = cases.in_a_row((0, 1, 2), send_once=send_once)
    x, y = np.geomspace(0.02, 50, 14), np.geomspace(0.1, 10, 11)
    distinct = 0
    for case in range(4):
        graph = cases.random_graph(rng, layout, 4, exact=False)
        second = at_once.Part(places=(1,)) if case % 2 else at_once.Part((2, 3))
        parts = at_once.Part((0, 1)), second
        found = at_once.places_over(cases.as_costs(graph), parts, x, y)
        distinct += len(np.unique(found.reshape(-1, 4), axis=0))
        for i, j in np.ndindex(11, 14):
            other = slower(graph, [0, 1], 1 / x[j])
            if case % 2:
                seconds = tuple((a, b / y[i], c) for a, b, c in other.seconds)
                other = other._replace(seconds=seconds)
            else:
                other = slower(other, [2, 3], 1 / y[i])
            least = oracle.least_serial_latency(other)
            assert oracle.serial_latency(other, found[i, j].tolist()) == pytest.approx(least)
    assert distinct > 8


def test_places_that_are_in_no_row_have_no_such_bandwidths() -> None:
    graph = cases.random_graph(np.random.default_rng(7), cases.LAYOUTS["four places"], alive=True)
    assert at_once.steady_bandwidths(cases.as_costs(graph), np.zeros(5, int)) is None
