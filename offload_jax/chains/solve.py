"""`solve`: check the request, choose the method, call it."""

import functools
import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.chains import dynamic_programming, exhaustive, label_setting
from offload_jax.chains.constraints import Limits, budgets, limits_of
from offload_jax.chains.costs import ChainCosts, chain_costs, validate_source
from offload_jax.chains.evaluation import cost_of_decision
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.objectives import LATENCY, Objective, Period
from offload_jax.side_constraints import PLACE_NAMES, Allowed, SideConstraints, as_allowed
from offload_jax.solution import Solution
from offload_jax.validation import Array, ArrayLike, check_class, check_known, is_traced

# Above this, "auto" leaves limits on concrete problems to label setting.
_MAX_ENUMERATED = 60_000


def solve(
    problem: ChainProblem | ChainCosts,
    *,
    method: str = "auto",
    objective: Objective | Period = LATENCY,
    max_latency: ArrayLike | None = None,
    max_energy: ArrayLike | None = None,
    max_period: ArrayLike | None = None,
    limit: tuple[ChainCosts, ArrayLike] | None = None,
    side_constraints: SideConstraints | None = None,
    allowed: Allowed | None = None,
    contiguous: bool = False,
    time_limit: float | None = None,
    progress: bool | None = None,
) -> Solution:
    """Finds the decision of least cost, exactly, if wanted within limits and side constraints.

    What the methods promise (K places, A subtasks):

    | method | solves | among equal costs | precision | in `jit`, `vmap`, `grad` |
    |---|---|---|---|---|
    | "dp" | any A and K, fastest; no limits, no period | lexicographically smallest | that of JAX \
| yes |
    | "exhaustive" | K^A up to 2 000 000 | lexicographically smallest | that of JAX | yes |
    | "label_setting" | any A; with limits only | least latency, then least energy (of a table \
least limited cost), then lexicographically smallest \
| float64, NumPy | yes, by a call back to the host, rounded to JAX's |
    | "contiguous" | the period of one stage a place; any A, K up to 12 | any | float64, NumPy; \
tables by the extra `single` | no |
    | "cpsat" | any A and K | any | float64, NumPy; proven up to 1e-9 of the cost | no |

    All of them are exact. What else they take:

    | | "dp" | "exhaustive" | "label_setting" | "contiguous" | "cpsat" |
    |---|---|---|---|---|---|
    | `oj.LATENCY`, `oj.ENERGY`, an `Objective` | yes | yes | yes | | yes |
    | `oj.PERIOD` | | yes | | yes | yes |
    | `max_latency`, `max_energy`, `limit` | | yes | one or both; `limit` of a table | | yes |
    | `max_period` | | yes | | | yes |
    | `side_constraints` | | yes | | yes | yes |
    | `allowed` | yes | yes | of a table | yes | yes |
    | `contiguous=True` | | | | yes | yes |
    | `time_limit`, `progress` | | | | | yes |

    Lexicographic order is device < edge < cloud, first subtask most significant. Costs that differ
    by rounding are not equal, and rounding may make equal ones differ. "auto" takes "dp" where that
    is enough and "contiguous" for pipelines; else "exhaustive" for K^A up to 60 000 (for all that
    it can enumerate while tracing and for the period), unless a `time_limit` asks for "cpsat"; of
    larger ones "label_setting" for limits that it takes, "cpsat" for all else. "dp" and
    "exhaustive" also work inside `shard_map` and on a mesh of explicit axes.

    While tracing, values are unknown and cannot be validated: call `validate` before. The cost
    differentiates through its optimal decision, which is piecewise constant; limits have no
    gradient.

    Args:
      problem: a problem or a table of additive costs, leading dimensions free.
      method: one of the table, or "auto".
      objective: what to minimise. A table already is an objective: leave it out there, but for
        `oj.PERIOD`, of tables of seconds: the largest load of any resource, see `oj.period`.
      max_latency: seconds; a number or an array that broadcasts with the batch. For problems, not
        tables. A limit counts as met up to a 1e-6 of it, for rounding.
      max_energy: joules of the device by `objective.power`, likewise.
      max_period: seconds between the results of a stream of such requests, likewise; for tables of
        seconds, too.
      limit: for tables, not problems: a second table of the same places and subtasks, in whatever
        it counts, and the most that a decision may add up to there, likewise.
      side_constraints: limits on what a place may run and hold, places forbidden to subtasks; with
        or without limits.
      allowed: bool `[..., A, K]`, the places where each subtask may run, or a mapping from subtasks
        to places, all others being free. The places of a problem may be "device", "edge" and
        "cloud" there; for names of subtasks and other places see `oj.allowed_places`.
      contiguous: whether each place runs one stage at most, of subtasks in a row. The places come
        in any order, and need not all be used.
      time_limit: seconds per problem, after which "cpsat" gives the best that it has.
      progress: whether "cpsat" shows a bar, if it takes more than a second; on a terminal only if
        None.

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
    _check(problem, objective, side_constraints, time_limit)
    limits = limits_of(problem, max_latency, max_energy, limit, max_period)
    names = PLACE_NAMES if isinstance(problem, ChainProblem) else ()
    places = as_allowed(
        allowed, problem.num_subtasks, problem.num_places, problem.batch_shape, names
    )
    if places is not None and isinstance(problem, ChainCosts):
        problem, places = _forbid(problem, places), None
    request = Request(
        problem, objective, limits, side_constraints, places, contiguous, time_limit, progress
    )
    if method == "auto":
        method = _choose(request)
    _check_method(method, request)
    if not METHODS[method].finds_invalid:
        _check_values(request.source)
    return METHODS[method].run(request)


class Request(NamedTuple):
    """What `solve` was asked; its arguments mean the same."""

    source: ChainProblem | ChainCosts
    objective: Objective | Period
    limits: Limits
    side_constraints: SideConstraints | None
    allowed: Array | None
    contiguous: bool
    time_limit: float | None
    progress: bool | None

    @property
    def is_traced(self) -> bool:
        return is_traced(self.source, self.objective, self.limits, self.allowed)

    @property
    def options(self) -> list[str]:
        """The options that not every method takes, of those that were given."""
        given = {
            "side_constraints": self.side_constraints,
            "allowed": self.allowed,
            "contiguous": self.contiguous or None,
            "time_limit": self.time_limit,
            "oj.PERIOD": self.objective if isinstance(self.objective, Period) else None,
        }
        return [*self.limits.by_name, *(n for n, value in given.items() if value is not None)]

    @property
    def all_limits(self) -> Limits:
        """With side constraints and forbidden places as limits on further tables."""
        further = budgets(self.side_constraints, self.allowed, self.source)
        return self.limits._replace(budgets=further)


def _forbid(costs: ChainCosts, allowed: Array) -> ChainCosts:
    """Costs that are `inf` where a place is not allowed."""
    execution = (jnp if is_traced(costs, allowed) else np).where(allowed, costs.execution, math.inf)
    return ChainCosts(execution, costs.transfer)


class Method(NamedTuple):
    """One way to solve.

    Attributes:
      run: the method itself.
      takes: the options that it takes, of those that not every method does.
      needs: options of which one has to be given.
      traces: whether it works inside `jit`.
      finds_invalid: whether it looks at the values of a problem itself.
    """

    run: Callable[[Request], Solution]
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    traces: bool = True
    finds_invalid: bool = False


def _check(source: Any, objective: Any, side_constraints: Any, time_limit: Any) -> None:
    validate_source(source)
    check_class("objective", objective, Objective, Period)
    check_class("side_constraints", side_constraints, SideConstraints, type(None))
    check_class("time_limit", time_limit, numbers.Real, type(None))
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit = {time_limit}: must be greater than 0")
    if isinstance(objective, Period):
        return
    if isinstance(source, ChainCosts) and not _is_latency(objective):
        raise ValueError("objective: a table of costs already is one; give it a ChainProblem")


def _check_values(source: ChainProblem | ChainCosts) -> None:
    if isinstance(source, ChainProblem) and not is_traced(source):
        validate(source)


def _is_latency(objective: Objective) -> bool:
    if objective is LATENCY or is_traced(objective):
        return objective is LATENCY
    return all(map(np.array_equal, jax.tree.leaves(objective), jax.tree.leaves(LATENCY)))


def _choose(request: Request) -> str:
    options = set(request.options)
    if options - {"time_limit"} <= set(METHODS["dp"].takes):
        return "dp"
    if {"contiguous", "oj.PERIOD"} <= options <= set(METHODS["contiguous"].takes):
        return "contiguous"
    source = request.source
    exact = request.is_traced or "oj.PERIOD" in options
    largest = exhaustive.MAX_DECISIONS if exact else _MAX_ENUMERATED
    is_small = source.num_subtasks * math.log(source.num_places) <= math.log(largest)
    by_labels = not options - set(METHODS["label_setting"].takes)
    if "limit" in options and by_labels:
        return "label_setting"
    if is_small and not options - set(METHODS["exhaustive"].takes):
        return "exhaustive"
    return "label_setting" if by_labels else "cpsat"


def _check_method(name: str, request: Request) -> None:
    check_known("method", name, ("auto", *METHODS), "method ")
    method, options = METHODS[name], request.options
    for option in options:
        if option not in method.takes:
            others = ", ".join(f'"{other}"' for other in METHODS if option in METHODS[other].takes)
            raise ValueError(f'{option}: not for method "{name}", only for {others}')
    if method.needs and not any(option in options for option in method.needs):
        raise ValueError(f'method "{name}": needs {" or ".join(method.needs)}; use "dp"')
    if not method.traces and request.is_traced:
        raise ValueError(f'method "{name}": runs on the host and cannot be traced; use "dp"')


def _run_by_jax(request: Request, *, method: str) -> Solution:
    objective = request.objective
    return _run_jitted(
        request.source,
        objective,
        request.all_limits,
        method=method,
        weightless=objective.weightless,
    )


def _run_dp(request: Request) -> Solution:
    source, objective = request.source, cast(Objective, request.objective)
    if isinstance(source, ChainProblem) and request.allowed is not None:
        costs = _forbid(chain_costs(source, objective), request.allowed)
        return _run_dp(request._replace(source=costs, objective=LATENCY, allowed=None))
    if isinstance(source, ChainCosts) or is_traced(source) or 0 in source.batch_shape:
        _check_values(source)
        return _run_by_jax(request, method="dp")
    # What JAX narrows to `inf` is refused below, and NumPy need not warn of it.
    with np.errstate(over="ignore", under="ignore"):
        solution, valid = _run_checked(source, objective, weightless=objective.weightless)
    # What cannot be told apart on the way, such as infinitely fast work of no size, is told here.
    if not (is_traced(valid) or valid):
        validate(source)
    return solution


def _run_label_setting(request: Request) -> Solution:
    if request.is_traced:
        return _run_by_jax(request, method="label_setting")
    objective = cast(Objective, request.objective)
    decision, cost = label_setting.minimize(request.source, objective, request.limits)
    return Solution(decision, cost, np.ones(cost.shape, bool))


def _run_cpsat(request: Request) -> Solution:
    from offload_jax.chains import cpsat

    return cpsat.solve_batch(
        request.source,
        objective=request.objective,
        limits=request.all_limits,
        contiguous=request.contiguous,
        time_limit=request.time_limit,
        progress=request.progress,
    )


def _run_contiguous(request: Request) -> Solution:
    from offload_jax.chains import contiguous

    return contiguous.minimize(request.source, request.all_limits.budgets)


_LIMITS = ("max_latency", "max_energy", "limit")
_RULES = ("side_constraints", "allowed", "oj.PERIOD")

METHODS = {
    "dp": Method(_run_dp, takes=("allowed",), finds_invalid=True),
    "exhaustive": Method(
        functools.partial(_run_by_jax, method="exhaustive"), takes=(*_LIMITS, "max_period", *_RULES)
    ),
    "label_setting": Method(_run_label_setting, takes=_LIMITS, needs=_LIMITS),
    "contiguous": Method(
        _run_contiguous, takes=("contiguous", *_RULES), needs=("oj.PERIOD",), traces=False
    ),
    "cpsat": Method(
        _run_cpsat,
        takes=(*_LIMITS, "max_period", *_RULES, "contiguous", "time_limit"),
        traces=False,
    ),
}


@functools.partial(jax.jit, static_argnames=("method", "weightless"))
def _run_jitted(
    source: ChainProblem | ChainCosts,
    objective: Objective | Period,
    limits: Limits,
    *,
    method: str,
    weightless: tuple[bool, bool],
) -> Solution:
    # The choice is piecewise constant, so limits have no gradient.
    limits = jax.lax.stop_gradient(jax.tree.map(lambda v: jnp.asarray(v, float), limits))
    decision, cost = _minimize(method, weightless, source, objective, limits)
    return Solution(decision, cost, jnp.ones(cost.shape, bool))


@functools.partial(jax.jit, static_argnames="weightless")
def _run_checked(
    problem: ChainProblem, objective: Objective, *, weightless: tuple[bool, bool]
) -> tuple[Solution, jax.Array]:
    """By the dynamic program, and whether no cost is NaN, as that of an invalid problem is."""
    decision, cost = dynamic_programming.minimize(
        problem, objective.without(weightless), mark_invalid=True
    )
    return Solution(decision, cost, jnp.ones(cost.shape, bool)), ~jnp.any(jnp.isnan(cost))


def _minimize(
    method: str, weightless: tuple[bool, bool], source: Any, objective: Any, limits: Limits
) -> tuple[jax.Array, jax.Array]:
    objective = objective.without(weightless)
    fixed_source, fixed_objective = jax.lax.stop_gradient((source, objective))
    if method == "exhaustive":
        decision, cost = exhaustive.minimize(fixed_source, fixed_objective, limits)
    elif method == "label_setting":
        decision, cost = _call_label_setting(fixed_source, fixed_objective, limits)
    else:
        decision, cost = dynamic_programming.minimize(fixed_source, fixed_objective)
    return decision, _with_derivative(cost, decision, source, objective)


@jax.custom_jvp
def _with_derivative(
    cost: jax.Array, decision: jax.Array, source: Any, objective: Objective | Period
) -> jax.Array:
    """The least cost, whose derivative is that of the cost of the decision (envelope theorem)."""
    del decision, source, objective
    return cost


@_with_derivative.defjvp
def _with_derivative_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    least, decision = primals[:2]

    def cost(source: Any, objective: Objective | Period) -> jax.Array:
        return cost_of_decision(source, decision, objective)

    _, tangent = jax.jvp(cost, primals[2:], tangents[2:])
    # Where no decision fits, there is nothing to differentiate.
    return least, jnp.where(least < math.inf, tangent, 0.0)


def _call_label_setting(
    source: ChainProblem | ChainCosts, objective: Objective, limits: Limits
) -> tuple[jax.Array, jax.Array]:
    """Label setting while tracing: a call back to the host when the program runs."""
    batch = np.broadcast_shapes(source.batch_shape, limits.batch_shape)
    dtype = jnp.result_type(float)
    shapes = (
        jax.ShapeDtypeStruct((*batch, source.num_subtasks), jnp.int8),
        jax.ShapeDtypeStruct(batch, dtype),
    )

    def on_host(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        # Nothing but NumPy in here: a call into JAX could wait for the program that waits for us.
        decision, cost = label_setting.minimize(*jax.tree.map(np.asarray, arguments))
        return decision, cost.astype(dtype)

    return jax.pure_callback(on_host, shapes, source, objective, limits, vmap_method="sequential")
