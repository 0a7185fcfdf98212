"""Where the serial latency would have tasks: messages against brute force, cuts and laws."""

import itertools
import math
import typing
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs._jax import ways as jax_ways
from offload_jax.graphs._jax.beliefs import beliefs as beliefs_in_jax
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._numba import beliefs as compiled
from offload_jax.graphs._numba.ranks import pair_costs
from offload_jax.graphs._numba.ways import paths
from offload_jax.graphs.request import unpack_rows
from tests import oracle
from tests.graphs import cases
from tests.graphs.test_cut import cut

NEVER = 1024.0


class Said(NamedTuple):
    """`Beliefs` of a request as NumPy arrays."""

    extra: np.ndarray
    place: np.ndarray
    tail: np.ndarray
    sent: np.ndarray
    rank: np.ndarray


@numba.njit
@typing.no_type_check
def _in_loops(request, never):
    rate, delay = pair_costs(request)
    _, _, _, input_seconds, output_seconds = paths(request, rate, delay)
    return compiled.beliefs(request, rate, delay, input_seconds, output_seconds, never)


def in_loops(graph: oracle.Graph) -> Said:
    (request,) = unpack_rows(cases.as_costs(graph))
    return Said(*_in_loops(request, NEVER))


def with_edges(rng: np.random.Generator, layout: str, pairs: list[tuple[int, int]]) -> oracle.Graph:
    """Rough numbers, no dead link, these edges."""
    number = max(map(max, pairs)) + 1
    graph = cases.random_graph(rng, cases.LAYOUTS[layout], number, exact=False, alive=True)
    return graph._replace(edges={pair: float(rng.integers(0, 5)) for pair in pairs})


@pytest.mark.parametrize("layout", ["paper", "four places"])
def test_on_chains_they_are_what_every_other_placement_costs_more(layout: str) -> None:
    rng = np.random.default_rng(90)
    for _ in range(4):
        graph = with_edges(rng, layout, [(v - 1, v) for v in range(1, 4)])
        least = np.full((4, len(graph.places)), math.inf)
        for place in itertools.product(graph.places, repeat=4):
            cost = oracle.serial_latency(graph, place)
            for v, k in enumerate(place):
                least[v, k] = min(least[v, k], cost)
        said = in_loops(graph)
        np.testing.assert_allclose(said.extra, least - least.min(), atol=1e-5)
        np.testing.assert_array_equal(said.place, least.argmin(1))


def test_on_trees_nearly_all_places_are_the_best() -> None:
    rng, best = np.random.default_rng(91), 0
    for case in range(30):
        pairs = [(int(rng.integers(v)), v) for v in range(1, 5)]
        if case % 2:
            pairs = [(4 - v, 4 - u) for u, v in pairs]
        graph = with_edges(rng, "paper", pairs)
        cost = oracle.serial_latency(graph, in_loops(graph).place.tolist())
        least = oracle.least_serial_latency(graph)
        assert least * (1 - 1e-6) <= cost <= 1.05 * least
        best += cost <= least * (1 + 1e-6)
    assert best >= 28


def test_on_layered_graphs_they_come_close_to_the_minimum_cut() -> None:
    rng, ratios, same = np.random.default_rng(92), [], []
    for _ in range(30):
        pairs = [
            (3 * layer + int(u), 3 * layer + 3 + v)
            for layer in range(5)
            for v in range(3)
            for u in rng.choice(3, rng.integers(1, 4), replace=False)
        ]
        graph = with_edges(rng, "paper", pairs)
        place, exact = in_loops(graph).place, cut(graph)
        ratios.append(oracle.serial_latency(graph, place.tolist()) / exact.cost)
        same.append((place == exact.place).mean())
    assert min(ratios) >= 1 - 1e-6
    assert np.mean(ratios) < 1.01
    assert np.mean(same) > 0.9


def test_what_follows_a_task_adds_up() -> None:
    """To the serial latency of all, and without contention to when the last one is home."""
    rng = np.random.default_rng(93)
    for case in range(20):
        layout = cases.LAYOUTS["four places" if case % 2 else "paper"]
        graph = cases.random_graph(rng, layout, 8, exact=False)._replace(release=(0.0,) * 8)
        said = in_loops(graph)
        place = said.place.tolist()

        def inputs(v: int, k: int, graph: oracle.Graph = graph) -> float:
            return oracle.route_seconds(graph, v, graph.input[v], 0, k)

        longest = max(inputs(v, place[v]) + said.rank[v] for v in graph.tasks)
        assert longest == pytest.approx(oracle.longest_path(graph, place), rel=1e-5)
        serial = oracle.serial_latency(graph, place)
        total = sum(
            inputs(v, place[v]) + graph.seconds[v][place[v]] + said.sent[v, place[v]]
            for v in graph.tasks
        )
        assert total == pytest.approx(serial, rel=1e-5)
        for v, k in itertools.product(graph.tasks, graph.places):
            if graph.needs(v):
                continue
            moved = oracle.serial_latency(graph, [*place[:v], k, *place[v + 1 :]]) - serial
            expected = inputs(v, k) + graph.seconds[v][k] + said.sent[v, k]
            expected -= inputs(v, place[v]) + graph.seconds[v][place[v]] + said.sent[v, place[v]]
            assert moved == pytest.approx(expected, abs=1e-4)


def test_numbers_of_tasks_do_not_matter() -> None:
    rng = np.random.default_rng(94)
    for _ in range(10):
        graph = cases.random_graph(rng, cases.LAYOUTS["four places"], 8, exact=False)
        order = cases.random_order(rng, graph)
        number = {v: i for i, v in enumerate(order)}
        fields = ("seconds", "input", "output", "release")
        renumbered = graph._replace(
            edges={(number[u], number[v]): size for (u, v), size in graph.edges.items()},
            **{name: tuple(getattr(graph, name)[v] for v in order) for name in fields},
        )
        for ours, theirs in zip(in_loops(graph), in_loops(renumbered), strict=True):
            np.testing.assert_allclose(theirs, ours[order], atol=1e-6)


def test_forbidden_places_stay_empty() -> None:
    rng = np.random.default_rng(95)
    for _ in range(20):
        graph = cases.random_graph(rng, cases.LAYOUTS["four places"], 8, exact=False, alive=True)
        forbidden = rng.random((8, 4)) < 0.6
        forbidden[range(8), rng.integers(0, 4, 8)] = False
        seconds = np.where(forbidden, math.inf, graph.seconds)
        place = in_loops(graph._replace(seconds=tuple(map(tuple, seconds)))).place
        assert not forbidden[range(8), place].any()


def test_the_cut_inside_jit_is_nearly_the_cut() -> None:
    rng = np.random.default_rng(97)
    requests = [cases.random_request(rng, exact=False) for _ in range(cases.BATCH)]
    problem = cases.as_problem(requests)
    exact = oj.graphs.policies.cut(problem)
    nearly = jax.jit(oj.graphs.policies.cut)(problem)
    np.testing.assert_array_equal(nearly.order, exact.order)
    assert (nearly.place == exact.place).mean() > 0.95
    for request, *places in zip(requests, nearly.place, exact.place, strict=True):
        graph = oracle.three_places(*request)
        found, least = (oracle.serial_latency(graph, place.tolist()) for place in places)
        assert least * (1 - 1e-5) <= found <= 1.2 * least


@pytest.mark.parametrize(
    ("name", "lists"),
    [
        ("paper", False),
        ("pairs apart", True),
        ("one place", False),
        ("users", False),
        ("users", True),
    ],
)
def test_jax_says_the_same(monkeypatch: pytest.MonkeyPatch, name: str, lists: bool) -> None:
    """Of exact graphs, with ties, dead links and forbidden places, and of rough ones."""
    monkeypatch.setattr(jax_ways, "is_wide", lambda *_: not lists)
    rng, graphs = np.random.default_rng(96), []
    for case in range(12):
        if name == "users":
            several = cases.several_users(rng, cases.PAPER, 3, 2, exact=case % 2 > 0)
            first = graphs[0] if graphs else several  # a batch shares what is static
            graphs.append(several._replace(own_links=first.own_links))
        else:
            graphs.append(cases.random_graph(rng, cases.LAYOUTS[name], 6, exact=case % 2 > 0))
    costs = cases.as_costs(graphs)
    platform = platform_of(costs)

    @jax.jit
    def in_jax() -> tuple:
        ways, needs = jax_ways.ways_of(platform, costs).by_task(costs), jax_ways.needs_of(costs)
        assert (needs.lists is None) is not lists
        found = jax_ways.paths_of(ways, needs, len(graphs), costs)
        seconds = jax_ways.batch_last(costs.seconds)
        never = jnp.full(len(graphs), NEVER)
        return beliefs_in_jax(
            ways, needs, seconds, found.input_seconds, found.output_seconds, never
        )

    said = Said(*in_jax())
    for row, ours in enumerate(map(in_loops, graphs)):
        for field, expected, all_rows in zip(Said._fields, ours, said, strict=True):
            np.testing.assert_allclose(all_rows[..., row], expected, atol=2e-3, err_msg=field)
