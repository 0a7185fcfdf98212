"""Loads of processors and links, and the period that they allow."""

import math

import numpy as np
import pytest

import offload_jax as oj
from tests import period_oracle
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
