"""What a network sees of an offloading request.

Three sets, all of fixed size for a fixed number of subtasks A:

`raw`, 2A + 5 numbers (17 at A = 6): the request S itself, every quantity scaled to [-1, 1] by the
range it has in a scenario (min-max scaling, what the paper feeds its networks).

`physical`, 2A + 5 numbers: logarithms of times, relative to a time scale U of the request. Only
ratios of times matter to a decision, so nothing is lost, and requests that differ by a factor in
speed and size look the same. In order: execution times on the device (A), transfer times between
device and edge (A + 1), device speed over edge speed, bandwidth b1 over b2, latency of "all on
the device" over U, latency of "all on the edge" over U.

`times`, 8A + 4 numbers: the four physical times of each subtask (execution on device
and edge, transfer over either link) relative to U, once linear and once as logarithms. The optimal
latency is piecewise linear in these times, which is what a network of rectified units can express.

U is the least of three latencies: everything on the device, on the edge, in the cloud. It is an
upper bound of the optimum, so no optimal decision contains a single time above U, and the linear
times can be cut at U without changing the optimal decision.

For another objective than latency, costs stand where times do; what comes back over the link
between device and edge costs a fixed multiple of what goes there.

Empty data, dead links (bandwidth 0) and empty subtasks give finite features.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from offload_jax.batching import broadcast_batch
from offload_jax.chains.costs import problem_terms
from offload_jax.chains.problem import ChainProblem, validate_shapes
from offload_jax.chains.scenarios import WIDE, Scenario
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import check_known

FEATURE_SETS = ("raw", "physical", "times")

TINY = 1e-30
# Logarithms are cut at these multiples of U: smaller times do not decide, larger are never used.
LOWEST, HIGHEST = 1e-3, 1e2


def num_features(feature_set: str, num_subtasks: int) -> int:
    """Length of the last axis of `features`."""
    if feature_set == "times":
        return 2 * (4 * num_subtasks + 2)
    check_known("features", feature_set, FEATURE_SETS, "set ")
    return 2 * num_subtasks + 5


def features(
    problem: ChainProblem,
    feature_set: str,
    *,
    scenario: Scenario = WIDE,
    objective: Objective = LATENCY,
) -> Float[Array, "*batch features"]:
    """Features of requests.

    Args:
      problem: leading dimensions free; SI units.
      feature_set: one of `FEATURE_SETS`.
      scenario: whose ranges scale the `raw` features; not used by the others.
      objective: what is minimised; not used by `raw`.

    Returns:
      `[..., num_features]` finite float32 numbers without unit.

    Raises:
      ValueError: unknown feature set, or the shapes of the problem do not fit.
    """
    check_known("features", feature_set, FEATURE_SETS, "set ")
    validate_shapes(problem)
    problem = broadcast_batch(problem)
    if feature_set == "raw":
        return _raw(problem, scenario)
    return (_physical if feature_set == "physical" else _times)(problem, objective)


def _raw(problem: ChainProblem, scenario: Scenario) -> Array:
    columns = []
    for name in ("cycles", "data"):
        columns.append(_min_max(getattr(problem, name), *getattr(scenario, name)))
    for name in ("device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth"):
        columns.append(_min_max(getattr(problem, name), *getattr(scenario, name))[..., None])
    return jnp.concatenate(columns, axis=-1)


def _min_max(value: Any, low: float, high: float) -> Array:
    value = jnp.asarray(value, jnp.float32)
    return (value - low) * (2.0 / max(high - low, TINY)) - 1.0


def physical_times(
    problem: ChainProblem, objective: Objective = LATENCY
) -> tuple[tuple[Array, Array, Array, Array], tuple[Array, Array, Array]]:
    """Times in seconds that make up every latency of a request; costs, for another objective.

    Args:
      problem: fields of full batch shape.
      objective: what is minimised.

    Returns:
      Execution on device and on edge `[..., A]`, transfer device-edge and edge-cloud
      `[..., A + 1]` (`inf` on a dead link); and the latencies `[...]` of everything on the device,
      on the edge and in the cloud.
    """
    terms = problem_terms(problem, objective)
    device, edge, hop1, back1, hop2 = (
        jnp.moveaxis(jnp.asarray(time, jnp.float32), 0, -1)
        for time in (
            terms.execution[0],
            terms.execution[1],
            terms.transfer[0][1],
            terms.transfer[1][0],
            terms.transfer[1][2],
        )
    )
    ends1, ends2 = hop1[..., 0] + back1[..., -1], hop2[..., 0] + hop2[..., -1]
    return (device, edge, hop1, hop2), (
        jnp.sum(device, axis=-1),
        jnp.sum(edge, axis=-1) + ends1,
        ends1 + ends2,
    )


def _scale(constants: tuple[Array, Array, Array]) -> Array:
    local, edge, cloud = constants
    return jnp.maximum(jnp.minimum(local, jnp.minimum(edge, cloud)), TINY)


def _log(ratio: Array) -> Array:
    # Halved, so that the usual range is about that of the linear features.
    return 0.5 * jnp.log(jnp.clip(ratio, LOWEST, HIGHEST))


def _physical(problem: ChainProblem, objective: Objective) -> Array:
    (device, _, hop1, _), constants = physical_times(problem, objective)
    scale = _scale(constants)
    local, edge, _ = constants
    links = problem.device_edge_bandwidth / jnp.maximum(problem.edge_cloud_bandwidth, TINY)
    singles = [problem.device_speed / problem.edge_speed, links, local / scale, edge / scale]
    return jnp.concatenate(
        [
            _log(device / scale[..., None]),
            _log(hop1 / scale[..., None]),
            _log(jnp.stack([jnp.asarray(v, jnp.float32) for v in singles], axis=-1)),
        ],
        axis=-1,
    )


def _times(problem: ChainProblem, objective: Objective) -> Array:
    times, constants = physical_times(problem, objective)
    relative = jnp.concatenate(times, axis=-1) / _scale(constants)[..., None]
    return jnp.concatenate([2.0 * jnp.minimum(relative, 1.0) - 0.5, _log(relative)], axis=-1)
