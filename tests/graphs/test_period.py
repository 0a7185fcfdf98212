"""Loads of processors and links, and the period that they allow."""

import dataclasses
import math

import numpy as np
import pytest

import offload_jax as oj
from tests import oracle, period_oracle
from tests.graphs import cases


@pytest.mark.parametrize("layout", cases.LAYOUTS.values(), ids=cases.LAYOUTS)
def test_period_is_the_largest_load(layout: cases.Layout) -> None:
    rng = np.random.default_rng(0)
    graphs = [cases.random_graph(rng, layout, exact=i % 2 > 0) for i in range(40)]
    places = rng.integers(0, len(layout.servers), (40, cases.NUM_TASKS))
    found = oj.graphs.period(cases.as_costs(graphs), places)
    each = zip(graphs, places.tolist(), strict=True)
    np.testing.assert_allclose(found, [period_oracle.graph_period(*row) for row in each], 1e-6)


def test_places_and_problems_broadcast() -> None:
    rng = np.random.default_rng(1)
    requests = [cases.random_request(rng) for _ in range(3)]
    problem = cases.as_problem(requests)
    places = np.array([[k] * cases.NUM_TASKS for k in range(3)])[:, None]
    found = oj.graphs.period(problem, places)
    assert found.shape == (3, 3)
    # On the device alone nothing moves, and in the cloud nothing takes time.
    np.testing.assert_allclose(found[0], [sum(r.cycles) / r.p1 for r in requests])
    moved = [max(sum(r.input), sum(r.output)) / min(r.b1, r.b2) if r.b1 * r.b2 else math.inf
             for r in requests]  # fmt: skip
    np.testing.assert_allclose(found[2], moved)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ([0, 1], r"place: last axis must be N = 5, got \(2,\)"),
        ([0, 0, 0, 0, 3], r"place\[4\] = 3: places are 0..2"),
        ([0.0] * 5, "place: must hold integers"),
    ],
)
def test_bad_places_are_refused(place: list, message: str) -> None:
    problem = cases.as_problem(cases.random_request(np.random.default_rng(2)))
    with pytest.raises(ValueError, match=message):
        oj.graphs.period(problem, place)


def _stages(graph: oracle.Graph, place: list[int]) -> list[int]:
    """Periods after the begin of a request in which each task runs: one more for every hop."""
    stages: list[int] = []
    for v in graph.tasks:
        hops = len(graph.routes[0][place[v]] or ())
        before = [2 * hops] + [
            stages[u] + 2 * len(graph.routes[place[u]][place[v]] or ()) for u in graph.needs(v)
        ]
        stages.append(max(before))
    return stages


def _stream(costs: oj.graphs.GraphCosts, num: int) -> oj.graphs.GraphCosts:
    """So many equal requests at once as one graph."""
    size = costs.num_tasks
    offset = np.repeat(np.arange(num) * size, size)[:, None]
    needed = np.tile(costs.predecessors, (num, 1))
    fields = {name: np.tile(getattr(costs, name), num) for name in ("input", "output", "release")}
    return dataclasses.replace(
        costs,
        seconds=np.tile(costs.seconds, (num, 1)),
        predecessors=np.where(needed >= 0, needed + offset, -1),
        data=np.tile(costs.data, (num, 1)),
        user=np.tile(costs.user, num),
        **fields,
    )


@pytest.mark.parametrize("send_once", [False, True])
def test_a_stream_reaches_the_promised_period(send_once: bool) -> None:
    """Request after request, each task some periods later; no rules but the machine's."""
    rng = np.random.default_rng(int(send_once))
    layout = cases.PAPER._replace(send_once=send_once)
    for _ in range(3):
        graph = cases.random_graph(rng, layout, alive=True, exact=False)
        graph = graph._replace(release=(0.0,) * len(graph.tasks))
        costs, num = cases.as_costs(graph), 1000
        found = oj.graphs.solve(costs, method="cpsat", objective=oj.PERIOD)
        stages, size = _stages(graph, found.place.tolist()), len(graph.tasks)
        steps = sorted((r + stages[v], r, v) for r in range(num) for v in graph.tasks)
        order = [v + r * size for _, r, v in steps]
        stream = _stream(costs, num)
        makespan = oj.graphs.simulate(stream, np.tile(found.place, num), order).makespan
        assert 1 - 1e-5 <= makespan / num / found.cost <= 1.01
