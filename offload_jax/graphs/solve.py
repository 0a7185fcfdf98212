"""`solve` for task graphs: check the request, choose the method, call it."""

import functools
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from offload_jax.extras import is_installed
from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs._jax.rules import greedy
from offload_jax.graphs._jax.simulate import simulate_costs
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import GraphSolution
from offload_jax.graphs.problem import GraphProblem
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import is_traced


def solve(
    problem: GraphProblem | GraphCosts,
    *,
    method: str = "auto",
    objective: Objective = LATENCY,
    time_limit: float | None = None,
) -> GraphSolution:
    """Finds places and an order of small makespan.

    What the methods promise:

    | method | what it does | proves | without a time limit | in `jit`, `vmap` | extra |
    |---|---|---|---|---|---|
    | "cpsat" | OR-Tools CP-SAT: places, any order on processors and links, gaps used; starts \
from "search", without numba from "greedy" | yes | until the proof | no | `cpsat` |
    | "search" | annealing from the best of 64 perturbed greedy decisions | no | 20 000 \
simulations from seed 0: always the same decision | no | `single` |
    | "heft", "cpop", "peft" | list scheduling with insertion | no | takes none | no | `single` |
    | "greedy" | by upward rank, each task to where it is done first | no | takes none | yes | |
    | "auto" | "search"; while tracing, and without numba, "greedy" | | | | |

    "greedy" works in JAX's precision; the others work on the host in float64, and all but "cpsat"
    round cost and bound to JAX's. The cost is that of `simulate`, but for "cpsat" the makespan of
    its own schedule: the joint optimum uses gaps, so it may lie below what any place and order can
    express.

    A first decision is made whatever the time limit. The clock is looked at every millisecond of
    annealing, between greedy decisions and while a model is built, and CP-SAT looks at it itself;
    requests of 2 000 tasks come back some tenths of a second late, smaller ones sooner. Compiling
    or loading compiled loops, once a process, comes on top.

    Args:
      problem: problem or costs, leading dimensions free.
      method: see above.
      objective: the makespan, which is what all methods minimise; `energy` gives a schedule's
        joules.
      time_limit: seconds for each request, for "search" and "cpsat".

    Returns:
      A solution with the batch shape of the problem. Where no schedule is possible the cost is
      `inf`.

    Raises:
      ValueError: bad shapes or values (names field, rule and first bad index), an unknown method,
        an option that the method does not take, or a method that cannot be traced inside `jit` or
        `vmap`.
      ImportError: a package that the method needs is not installed; names the extra.
    """
    check_source(problem)
    if objective is not LATENCY:
        raise ValueError(
            "objective: all methods for graphs minimise the makespan; oj.graphs.energy gives the"
            f" joules of a schedule; got {objective!r:.60}"
        )
    traced = is_traced(problem)
    if method == "auto":
        method = "search" if is_installed("numba") and not traced else "greedy"
    _check_method(method, traced, time_limit)
    chosen = METHODS[method]
    costs = as_costs(problem, library=jnp if chosen.traces else np)
    return chosen.run(costs, time_limit)


class Method(NamedTuple):
    """One way to solve.

    Attributes:
      run: the method itself, from checked costs and the time limit.
      traces: whether it works inside `jit` and `vmap`; if not, its costs are in float64.
      takes_time: whether it takes a time limit.
    """

    run: Callable[[GraphCosts, float | None], GraphSolution]
    traces: bool = False
    takes_time: bool = False


def _check_method(name: str, traced: bool, time_limit: float | None) -> None:
    if name not in METHODS:
        raise ValueError(f"method: unknown method {name!r}, known are auto, {', '.join(METHODS)}")
    if traced and not METHODS[name].traces:
        raise ValueError(f'method "{name}": runs on the host and cannot be traced; use "greedy"')
    if time_limit is None:
        return
    takers = [taker for taker, method in METHODS.items() if method.takes_time]
    if name not in takers:
        raise ValueError(f'time_limit: method "{name}" takes none, only {", ".join(takers)} do')
    if not (isinstance(time_limit, numbers.Real) and 0 < time_limit < math.inf):
        raise ValueError(f"time_limit = {time_limit!r}: must be finite and greater than 0")


def _run_cpsat(costs: GraphCosts, time_limit: float | None) -> GraphSolution:
    from offload_jax.graphs._cpsat import solve as cpsat

    # A good schedule to start from bounds every time; at most a tenth of the limit goes to search.
    if is_installed("numba"):
        from offload_jax.graphs._numba.search import NUM_SIMULATIONS, search

        share = None if time_limit is None else time_limit / 10
        start = search(costs, num_simulations=NUM_SIMULATIONS, time_limit=share)
        time_limit = None if time_limit is None else 0.9 * time_limit
    else:
        start = greedy(costs)
    return cpsat.solve_batch(costs, start, time_limit=time_limit)


def _run_search(costs: GraphCosts, time_limit: float | None) -> GraphSolution:
    from offload_jax.graphs._numba.search import search

    return _scored(costs, zip(*search(costs, time_limit=time_limit), strict=True))


def _run_list_scheduling(
    costs: GraphCosts, time_limit: float | None, *, method: str
) -> GraphSolution:
    from offload_jax.graphs._numba import list_scheduling
    from offload_jax.graphs._numba.request import unpack_rows

    del time_limit
    number = getattr(list_scheduling, method)
    return _scored(costs, (list_scheduling.plan(row, number)[:2] for row in unpack_rows(costs)))


def _run_greedy(costs: GraphCosts, time_limit: float | None) -> GraphSolution:
    del time_limit
    decision = greedy(costs)
    cost = simulate_costs(costs, *decision).makespan
    bound = jnp.minimum(lower_bound(costs), cost)
    return GraphSolution(*decision, cost, bound, jnp.zeros(cost.shape, bool))


METHODS = {
    "cpsat": Method(_run_cpsat, takes_time=True),
    "search": Method(_run_search, takes_time=True),
    "heft": Method(functools.partial(_run_list_scheduling, method="HEFT")),
    "cpop": Method(functools.partial(_run_list_scheduling, method="CPOP")),
    "peft": Method(functools.partial(_run_list_scheduling, method="PEFT")),
    "greedy": Method(_run_greedy, traces=True),
}


def _scored(costs: GraphCosts, decisions: Iterable[Any]) -> GraphSolution:
    """Decisions of the rows of concrete costs, scored by compiled loops.

    A program of JAX would be compiled anew for each number of tasks and places, which takes longer
    than the method by orders of magnitude.
    """
    from offload_jax.graphs._numba.lower_bound import score
    from offload_jax.graphs._numba.request import unpack_rows

    batch, num_tasks = costs.batch_shape, costs.num_tasks
    chosen = np.array([*decisions], np.int64).reshape(-1, 2, num_tasks)
    rows = zip(unpack_rows(costs), chosen, strict=True)
    scores = np.array([score(row, *decision) for row, decision in rows]).reshape(*batch, 2)
    place, order = np.moveaxis(chosen.reshape(*batch, 2, num_tasks), -2, 0)
    cost, bound = np.moveaxis(scores, -1, 0)
    # No bound may rise by rounding, neither by that of the sums nor by that to JAX's precision.
    eps = np.finfo(jnp.result_type(float)).eps
    bound = np.minimum(cost, bound * (1 - 8 * num_tasks * np.finfo(float).eps - eps))
    return GraphSolution(
        jnp.asarray(place, jnp.int8),
        jnp.asarray(order, jnp.int32),
        jnp.asarray(cost, float),
        jnp.asarray(bound, float),
        jnp.zeros(batch, bool),
    )
