"""Random graphs have the shape and the quantities that their scenario says."""

import dataclasses
import math

import jax
import numpy as np
import pytest

import offload_jax as oj

NUM = 500


def layer_of(depends: np.ndarray) -> list[int]:
    """Length of the longest path to each task."""
    layers: list[int] = []
    for v in range(len(depends)):
        layers.append(max((layers[u] + 1 for u in range(v) if depends[u, v]), default=0))
    return layers


@pytest.fixture(name="problem", scope="module", params=[12, 20])
def _problem(request: pytest.FixtureRequest) -> oj.graphs.GraphProblem:
    scenario = oj.graphs.scenarios.layered(request.param)
    problem = oj.graphs.scenarios.sample(jax.random.key(0), scenario, NUM)
    return jax.tree.map(np.asarray, problem)


def test_requests_are_valid(problem: oj.graphs.GraphProblem) -> None:
    oj.graphs.validate(problem)
    assert problem.batch_shape == (NUM,)
    assert not problem.send_once
    assert problem.edge_servers == 1
    np.testing.assert_array_equal(problem.release, 0)


def test_layers_are_as_wide_as_daggen_draws_them(problem: oj.graphs.GraphProblem) -> None:
    """Each graph fits one of the three widths, and each width is drawn in about a third."""
    number = problem.num_tasks
    widths = [round(math.exp(f * math.log(number))) for f in (0.3, 0.5, 0.7)]
    widest = []
    for depends in problem.depends:
        layers = layer_of(depends)
        assert layers == sorted(layers)
        for u, v in np.argwhere(depends):
            assert layers[v] == layers[u] + 1
        sizes = np.bincount(layers)
        fits = [
            (sizes[:-1] >= max(1, w // 2)).all() and (sizes <= math.floor(1.5 * w)).all()
            for w in widths
        ]
        assert any(fits), sizes
        widest.append(sizes.max())
    for w, share in zip(widths, (1 / 3, 2 / 3), strict=False):
        below = np.mean(np.array(widest) <= math.floor(1.5 * w))
        assert below > share - 0.1
    assert np.mean(np.array(widest) > math.floor(1.5 * widths[1])) > 0.15


def test_density_of_the_edges(problem: oj.graphs.GraphProblem) -> None:
    """Of the pairs between neighbouring layers half are edges, and a little more for the forced."""
    edges = pairs = 0
    for depends in problem.depends:
        sizes = np.bincount(layer_of(depends))
        edges += depends.sum()
        pairs += (sizes[1:] * sizes[:-1]).sum()
    assert 0.48 < edges / pairs < 0.68


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("cycles", 0, 2000e6),
        ("data", 0, 2e6),
        ("input", 0, 5e6),
        ("output", 0, 1e6),
        ("device_speed", 100e6, 1000e6),
        ("edge_speed", 500e6, 5000e6),
        ("device_edge_bandwidth", 0.25e6, 4e6),
        ("edge_cloud_bandwidth", 0.25e6, 6e6),
    ],
)
def test_quantities(problem: oj.graphs.GraphProblem, name: str, low: float, high: float) -> None:
    """Uniform in their range; input for entries only, output of exits only."""
    values = getattr(problem, name)
    entry, leaving = ~problem.depends.any(1), ~problem.depends.any(2)
    where = {"data": problem.depends, "input": entry, "output": leaving}.get(name)
    if name in ("input", "output"):
        np.testing.assert_array_equal(values[~where], 0)
    drawn = values if where is None else values[where]
    assert low <= drawn.min() < low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) < drawn.max() <= high
    error = (high - low) / math.sqrt(12 * drawn.size)
    assert abs(drawn.mean() - (low + high) / 2) < 4 * error


def test_keys_and_changed_scenarios() -> None:
    scenario = dataclasses.replace(
        oj.graphs.scenarios.layered(12), device_speed=(2e8, 2e8), edge_servers=3
    )
    first, again, other = (
        oj.graphs.scenarios.sample(jax.random.key(seed), scenario, NUM) for seed in (1, 1, 2)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert (np.asarray(first.cycles) != np.asarray(other.cycles)).mean() > 0.99
    assert first.edge_servers == 3
    np.testing.assert_array_equal(first.device_speed, np.float32(2e8))


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_tasks", 0), ("edge_servers", 0), ("density", ()), ("data", (2.0, 1.0)),
     ("device_speed", (0.0, 1.0)), ("cycles", (0.0, math.inf))],
)  # fmt: skip
def test_bad_scenarios(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} = "):
        dataclasses.replace(oj.graphs.scenarios.layered(12), **{field: value})
