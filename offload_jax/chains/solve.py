"""`solve`: validation, choice of the method, and the gradient of the optimal cost."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from offload_jax.chains import constraints as constrained
from offload_jax.chains import dynamic_programming, exhaustive, label_setting
from offload_jax.chains.costs import ChainCosts, evaluate_terms, terms_of, validate_costs
from offload_jax.chains.problem import ChainProblem, validate, validate_shapes
from offload_jax.chains.side_constraints import SideConstraints
from offload_jax.objectives import LATENCY, Objective, is_zero
from offload_jax.solution import Solution

METHODS = ("auto", "dp", "exhaustive", "label_setting", "cpsat")


def solve(
    problem: ChainProblem | ChainCosts,
    *,
    method: str = "auto",
    objective: Objective = LATENCY,
    max_latency: Any = None,
    max_energy: Any = None,
    side_constraints: SideConstraints | None = None,
    time_limit: float | None = None,
) -> Solution:
    """Finds the decision of least cost, exactly, if wanted within limits and side constraints.

    Among equal costs it is the lexicographically smallest decision (device < edge < cloud, first
    subtask most significant), up to floating-point rounding of near-ties.

    Works inside `jit`, `vmap`, `grad` and `shard_map` (except "cpsat", which runs on the host): the
    cost differentiates through its optimal decision. While tracing, values are unknown and cannot
    be validated; call `validate` before.

    Args:
      problem: a problem or a table of additive costs, leading dimensions free.
      method: "dp", exact dynamic program, any A and K, fastest; "exhaustive", enumeration of all
        K^A decisions; "label_setting", for limits only, any A, on the host in float64; "cpsat",
        OR-Tools CP-SAT on the host in float64. "auto" takes "dp" without limits; with limits
        "exhaustive" for small K^A or under tracing, else "label_setting".
      objective: what to minimise. A table already is an objective: leave it out there.
      max_latency: seconds; a number or an array that broadcasts with the batch. For problems, not
        tables. A limit counts as met up to a 1e-6 of it, for rounding.
      max_energy: joules of the device by `objective.power`, likewise.
      side_constraints: limits on what a place may run, places forbidden to subtasks; by "cpsat",
        which "auto" then means, and with or without limits.
      time_limit: seconds per problem, for "cpsat" only.

    Returns:
      A `Solution` with the batch shape of the problem and the limits. Where a table makes every
      decision impossible, or none keeps within the limits, the cost is `inf`, the decision all 0
      (everything on the device) and `optimal` True: that it is infeasible is proven. Other rows
      are not affected.

    Raises:
      ValueError: bad shapes or values (names field, rule and first bad index), unknown method, a
        decision space too large to enumerate, a limit that is negative or NaN, or options that do
        not go together.
    """
    if method not in METHODS:
        raise ValueError(f"method: unknown method {method!r}, known are {', '.join(METHODS)}")
    if time_limit is not None:
        if method != "cpsat" and side_constraints is None:
            raise ValueError('time_limit: only method "cpsat" takes one')
        if not time_limit > 0:
            raise ValueError(f"time_limit = {time_limit}: must be greater than 0")
    _check_source(problem, objective)
    limits = constrained.Limits(max_latency, max_energy)
    if side_constraints is not None:
        if method not in ("auto", "cpsat"):
            raise ValueError(f'method "{method}": side_constraints need "cpsat"')
        return _solve_by_cpsat(
            problem, objective, limits, side_constraints=side_constraints, time_limit=time_limit
        )
    if not limits.is_empty:
        return _solve_within(problem, objective, limits, method=method, time_limit=time_limit)
    if method == "label_setting":
        raise ValueError('method "label_setting": needs max_latency or max_energy; use "dp"')
    if method == "cpsat":
        from offload_jax.chains import cpsat

        return cpsat.solve_batch(problem, objective=objective, time_limit=time_limit)
    if method == "exhaustive":
        exhaustive.check_size(problem.num_subtasks, problem.num_places)
    return _solve_jitted(
        problem,
        objective,
        method="dp" if method == "auto" else method,
        weightless=_weightless(objective),
    )


def _solve_within(
    problem: Any,
    objective: Objective,
    limits: constrained.Limits,
    *,
    method: str,
    time_limit: float | None,
) -> Solution:
    _check_limits(problem, limits)
    if method == "dp":
        raise ValueError('method "dp": does not take max_latency or max_energy; use "auto"')
    if method == "cpsat":
        return _solve_by_cpsat(problem, objective, limits, time_limit=time_limit)
    num_subtasks, num_places = problem.num_subtasks, problem.num_places
    traced = any(isinstance(v, jax.core.Tracer) for v in jax.tree.leaves((problem, limits)))
    if method == "auto":
        small = traced or constrained.prefers_enumeration(num_subtasks, num_places)
        method = "exhaustive" if small else "label_setting"
    if method == "exhaustive":
        exhaustive.check_size(num_subtasks, num_places)
        return _solve_within_jitted(problem, objective, limits, weightless=_weightless(objective))
    if traced:
        raise ValueError('method "label_setting": runs on the host and cannot be traced')
    decision, cost = label_setting.minimize(problem, objective, limits)
    return Solution(decision, cost, jnp.ones(cost.shape, bool))


def _check_limits(problem: ChainProblem | ChainCosts, limits: constrained.Limits) -> None:
    if limits.is_empty:
        return
    if isinstance(problem, ChainCosts):
        raise ValueError(
            "max_latency, max_energy: a table says nothing of latency and energy; give a"
            " ChainProblem"
        )
    constrained.check_limits(limits, problem.batch_shape)


def _solve_by_cpsat(
    problem: ChainProblem | ChainCosts,
    objective: Objective,
    limits: constrained.Limits,
    *,
    side_constraints: SideConstraints | None = None,
    time_limit: float | None,
) -> Solution:
    from offload_jax.chains import cpsat

    _check_limits(problem, limits)
    return cpsat.solve_batch(
        problem,
        objective=objective,
        max_latency=limits.latency,
        max_energy=limits.energy,
        budgets_of_all=[] if side_constraints is None else side_constraints.budgets(problem),
        time_limit=time_limit,
    )


def _weightless(objective: Objective) -> tuple[bool, bool]:
    return is_zero(objective.latency_weight), is_zero(objective.energy_weight)


def _with_zeros(objective: Objective, weightless: tuple[bool, bool]) -> Objective:
    """Weights are traced inside `jit`; puts plain zeros back so unused terms are not computed."""
    latency_weight, energy_weight = (
        0.0 if zero else weight
        for zero, weight in zip(
            weightless, (objective.latency_weight, objective.energy_weight), strict=True
        )
    )
    return Objective(latency_weight, energy_weight, objective.power)


@functools.partial(jax.jit, static_argnames="weightless")
def _solve_within_jitted(
    problem: ChainProblem,
    objective: Objective,
    limits: constrained.Limits,
    *,
    weightless: tuple[bool, bool],
) -> Solution:
    decision, cost = constrained.minimize(problem, _with_zeros(objective, weightless), limits)
    return Solution(decision, cost, jnp.ones(cost.shape, bool))


def _check_source(problem: ChainProblem | ChainCosts, objective: Objective) -> None:
    if isinstance(problem, ChainCosts):
        if objective is not LATENCY:
            raise ValueError("objective: a table of costs already is one; give it a ChainProblem")
        validate_costs(problem)
    elif not isinstance(problem, ChainProblem):
        raise ValueError(
            f"problem: must be a ChainProblem or ChainCosts, got {type(problem).__name__}"
        )
    elif any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(problem)):
        validate_shapes(problem)
    else:
        validate(problem)


@functools.partial(jax.jit, static_argnames=("method", "weightless"))
def _solve_jitted(
    source: ChainProblem | ChainCosts,
    objective: Objective,
    *,
    method: str,
    weightless: tuple[bool, bool],
) -> Solution:
    objective = _with_zeros(objective, weightless)
    decision, cost = _minimize(method, source, objective)
    return Solution(decision, cost, jnp.ones(cost.shape, bool))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _minimize(method: str, source: Any, objective: Objective) -> tuple[Array, Array]:
    if method == "exhaustive":
        return exhaustive.minimize(source, objective)
    return dynamic_programming.minimize(source, objective)


@_minimize.defjvp
def _minimize_jvp(method: str, primals: tuple, tangents: tuple) -> tuple:
    """d cost = d evaluate(decision): the decision is piecewise constant (envelope theorem)."""
    decision, cost = _minimize(method, *primals)

    def cost_of_decision(source: Any, objective: Objective) -> Array:
        return evaluate_terms(terms_of(source, objective), decision)

    _, cost_tangent = jax.jvp(cost_of_decision, primals, tangents)
    return (decision, cost), (np.zeros(decision.shape, jax.dtypes.float0), cost_tangent)
