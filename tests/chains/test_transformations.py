"""`solve` inside jit, vmap, grad and shard_map, and how often it is traced."""

import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import offload_jax as oj
from offload_jax.chains import dynamic_programming
from tests import cases

METHODS = cases.ORDERED_METHODS


@pytest.fixture(name="problem", scope="module")
def _problem() -> oj.ChainProblem:
    """Six requests: a dead wide-area link, no data at all, both, no work, and two plain ones."""
    problem = cases.wide_problem(np.random.default_rng(0), 3, (6,))
    problem.edge_cloud_bandwidth[0] = 0.0
    problem.data[1] = 0.0
    problem.data[2, 1:3] = 0.0
    problem.device_edge_bandwidth[2] = problem.edge_cloud_bandwidth[2] = 0.0
    problem.cycles[3] = 0.0
    return problem


def total_cost(problem: oj.ChainProblem, objective: oj.Objective, method: str = "dp") -> jax.Array:
    return jnp.sum(oj.solve(problem, objective=objective, method=method).cost)


@functools.partial(jax.jit, static_argnames="method")
def gradients(
    problem: oj.ChainProblem, objective: oj.Objective, method: str = "dp"
) -> tuple[oj.ChainProblem, oj.Objective]:
    return jax.grad(total_cost, argnums=(0, 1))(problem, objective, method)


def assert_same(solution: oj.Solution, expected: oj.Solution) -> None:
    np.testing.assert_array_equal(solution.decision, expected.decision)
    np.testing.assert_allclose(solution.cost, expected.cost, rtol=1e-6)
    np.testing.assert_array_equal(solution.optimal, expected.optimal)


@pytest.mark.parametrize("method", METHODS)
def test_jit_and_vmap(problem: oj.ChainProblem, method: str) -> None:
    solve = functools.partial(oj.solve, method=method)
    expected = solve(problem)
    assert_same(jax.jit(jax.vmap(solve))(problem), expected)
    assert_same(jax.jit(jax.vmap(lambda p: solve(oj.chain_costs(p))))(problem), expected)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_over_one_quantity(problem: oj.ChainProblem, method: str) -> None:
    """The inner batch `[6]` shares a bandwidth, over which the outer axis `[2]` runs."""

    def solve(bandwidth: jax.Array) -> oj.Solution:
        changed = dataclasses.replace(problem, device_edge_bandwidth=bandwidth)
        return oj.solve(changed, method=method)

    bandwidths = jnp.array([0.0, 1e6])
    expected = [solve(bandwidth) for bandwidth in bandwidths]
    expected = jax.tree.map(lambda *rows: jnp.stack(rows), *expected)
    assert_same(jax.vmap(solve)(bandwidths), expected)


@pytest.mark.parametrize("method", METHODS)
def test_gradient_equals_finite_differences(problem: oj.ChainProblem, method: str) -> None:
    """Moves the logarithm of every number by a little, up and down, all in one batch."""
    objective = oj.Objective(1.0, 0.7, oj.PowerModel(idle_watts=0.2))
    leaves, structure = jax.tree.flatten(problem)
    size = sum(leaf[0].size for leaf in leaves)
    step = 1e-6

    def moved(sign: float) -> oj.ChainProblem:
        """`[size, 6]` problems."""
        factors = np.split(1 + sign * step * np.eye(size), np.cumsum([3, 4, 1, 1, 1]), axis=1)
        fields = [
            leaf * factor.reshape((size, 1, *leaf.shape[1:]))
            for leaf, factor in zip(leaves, factors, strict=True)
        ]
        return jax.tree.unflatten(structure, fields)

    with jax.enable_x64(True):
        gradient, _ = gradients(problem, objective, method)
        up, down = (
            oj.solve(moved(sign), objective=objective, method=method).cost for sign in (1, -1)
        )
        expected = ((up - down) / (2 * step)).T
        scaled = jax.tree.map(lambda g, v: (g * v).reshape(6, -1), gradient, problem)
        actual = jnp.concatenate(jax.tree.leaves(scaled), axis=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "objective", [oj.LATENCY, oj.ENERGY, oj.Objective(1.0, 1.0)], ids=["latency", "energy", "both"]
)
def test_gradients_are_finite(
    problem: oj.ChainProblem, objective: oj.Objective, method: str
) -> None:
    for leaf in jax.tree.leaves(gradients(problem, objective, method)):
        assert np.all(np.isfinite(leaf))


def test_gradient_by_the_weights(problem: oj.ChainProblem) -> None:
    objective = oj.Objective(1.0, 2.0)
    decision = oj.solve(problem, objective=objective).decision
    _, gradient = gradients(problem, objective)
    seconds = jax.jit(oj.latency)(problem, decision).sum()
    joules = jax.jit(oj.energy)(problem, decision).sum()
    assert float(gradient.latency_weight) == pytest.approx(float(seconds), rel=1e-5)
    assert float(gradient.energy_weight) == pytest.approx(float(joules), rel=1e-5)


def test_second_derivative() -> None:
    """One subtask on the device: cycles / speed twice by speed is 2 cycles / speed^3."""

    def cost(speed: jax.Array) -> jax.Array:
        return oj.solve(oj.ChainProblem([3.0], [1.0, 1.0], speed, 1.0, 0.0, 0.0)).cost

    assert float(jax.jit(jax.hessian(cost))(2.0)) == pytest.approx(2 * 3.0 / 2.0**3)


def sharded(function: Callable, num_devices: int, shared: tuple[str, ...] = ()) -> Callable:
    """`function` of a problem, spread over devices but for the `shared` fields."""
    mesh = Mesh(np.array(jax.devices()[:num_devices]), ("batch",))
    names = [field.name for field in dataclasses.fields(oj.ChainProblem)]
    batch = PartitionSpec("batch")
    specs = tuple(PartitionSpec() if name in shared else batch for name in names)
    mapped = jax.shard_map(
        lambda *fields: function(oj.ChainProblem(*fields)),
        mesh=mesh,
        in_specs=specs,
        out_specs=batch,
    )
    return lambda problem: jax.jit(mapped)(*(getattr(problem, name) for name in names))


@pytest.mark.parametrize("method", METHODS)
def test_shard_map(problem: oj.ChainProblem, method: str) -> None:
    solve = functools.partial(oj.solve, method=method)
    assert_same(sharded(solve, 1)(problem), solve(problem))


def test_shard_map_of_long_chains_on_one_network() -> None:
    rng = np.random.default_rng(1)
    tasks, network = cases.wide_problem(rng, 40, (4,)), cases.wide_problem(rng)
    shared = ("device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth")
    problem = dataclasses.replace(tasks, **{name: getattr(network, name) for name in shared})
    assert_same(sharded(oj.solve, 1, shared)(problem), oj.solve(problem))


def test_shard_map_of_greedy_on_one_task() -> None:
    rng = np.random.default_rng(2)
    task, networks = cases.wide_problem(rng, 3), cases.wide_problem(rng, 3, (4,))
    problem = dataclasses.replace(networks, cycles=task.cycles, data=task.data)
    decision = sharded(oj.policies.greedy, 1, ("cycles", "data"))(problem)
    np.testing.assert_array_equal(decision, oj.policies.greedy(problem))


def test_many_devices() -> None:
    """Four, in a process of its own, as their number is fixed when JAX starts.

    `shard_map` first; then a mesh of explicit axes, where solvers, policies and metrics take what
    is sharded by name and give it back so.
    """
    code = """
import jax, numpy as np
import offload_jax as oj
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from tests import cases
from tests.chains.test_transformations import assert_same, sharded
assert len(jax.devices()) == 4
problem = cases.wide_problem(np.random.default_rng(0), 3, (8,))
task = oj.ChainProblem(problem.cycles, problem.data, *list(vars(problem[0]).values())[2:])
decision = oj.policies.greedy(problem)
ratios = oj.metrics.normalized_latency(problem, decision)
shares = oj.metrics.accuracy(decision, oj.solve(problem).decision)
limits = {"method": "exhaustive", "objective": oj.ENERGY, "max_latency": 20.0}
requests = [{"method": method} for method in cases.ORDERED_METHODS] + [limits]
expected = [[oj.solve(source, **options) for options in requests] for source in (problem, task)]
for options, solution in zip(requests, expected[0]):
    found = sharded(lambda p: oj.solve(p, **options), 4)(problem)
    assert len(found.cost.sharding.device_set) == 4
    assert_same(found, solution)

def slowest(p):
    return oj.metrics.normalized_latency(p, oj.policies.greedy(p)).p99[None]

found = sharded(slowest, 4)(problem)
np.testing.assert_allclose(found, [slowest(problem[i : i + 2])[0] for i in (0, 2, 4, 6)], rtol=1e-6)
rates = jax.grad(lambda p: oj.solve(p).cost.sum())
jax.tree.map(np.testing.assert_allclose, sharded(rates, 4)(problem), rates(problem))

mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Explicit,))
sharding = NamedSharding(mesh, PartitionSpec("batch"))
with jax.set_mesh(mesh):
    def spread(leaf):
        return jax.device_put(leaf, sharding) if np.ndim(leaf) else leaf

    for source, solutions in zip((problem, task), expected):
        for options, solution in zip(requests, solutions):
            found = oj.solve(jax.tree.map(spread, source), **options)
            assert found.cost.sharding.spec == PartitionSpec("batch"), found.cost.sharding
            assert_same(found, solution)
    problem = jax.tree.map(spread, problem)
    inside = jax.jit(lambda p: oj.solve(p, method="exhaustive"))(problem)
    assert_same(inside, expected[0][1])
    placed = oj.policies.greedy(problem)
    np.testing.assert_array_equal(placed, decision)
    found = oj.metrics.normalized_latency(problem, placed)
    np.testing.assert_allclose(found, ratios, rtol=1e-6)
    found = oj.metrics.accuracy(placed, oj.solve(problem).decision)
    jax.tree.map(np.testing.assert_allclose, found, shares)
"""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": flags,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_one_trace_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """New values, weights and containers of arrays reuse what was compiled."""
    shapes, minimize = [], dynamic_programming.minimize

    def counted(source: oj.ChainProblem, *rest: oj.Objective, **options: bool) -> tuple:
        shapes.append(source.batch_shape)
        return minimize(source, *rest, **options)

    monkeypatch.setattr(dynamic_programming, "minimize", counted)
    rng = np.random.default_rng(0)
    for _ in range(3):
        problem = cases.wide_problem(rng, 2, (1009,))
        oj.solve(problem)
        oj.solve(jax.tree.map(jnp.asarray, problem), method="auto")
        oj.solve(problem, objective=oj.Objective(rng.random()), method="dp")
    assert shapes == [(1009,)]
    for _ in range(3):
        oj.solve(cases.wide_problem(rng, 2, (1009,)), objective=oj.Objective(rng.random(), 0.5))
    assert shapes == [(1009,)] * 2
    oj.solve(cases.wide_problem(rng, 2, (1013,)))
    assert shapes == [(1009,), (1009,), (1013,)]


def test_cpsat_cannot_be_traced(problem: oj.ChainProblem) -> None:
    with pytest.raises(ValueError, match='method "cpsat".*cannot be traced'):
        jax.jit(functools.partial(oj.solve, method="cpsat"))(problem)
