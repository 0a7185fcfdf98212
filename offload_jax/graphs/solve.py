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
from offload_jax.graphs.decision import Decision, GraphSolution
from offload_jax.graphs.objectives import SerialLatency
from offload_jax.graphs.problem import GraphProblem
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import is_traced


def solve(
    problem: GraphProblem | GraphCosts,
    *,
    method: str = "auto",
    objective: Objective | SerialLatency = LATENCY,
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
    | "cut" | places of least serial latency, by upward rank | no | takes none | no | |
    | "auto" | "search"; while tracing, and without numba, "greedy" | | | | |

    "greedy" works in JAX's precision; the others work on the host in float64, and all but "cpsat"
    round cost and bound to JAX's. The cost is that of `simulate`, but for "cpsat" the makespan of
    its own schedule: the joint optimum uses gaps, so it may lie below what any place and order can
    express.

    "cut" is one maximum flow, OR-Tools' where it is installed and otherwise SciPy's: milliseconds
    for a thousand tasks. It needs places in a row, so that what goes from one to another passes
    those between them. Where little can run side by side, as in most neural networks, its places
    are the best ones nearly always. Its `lower_bound` weighs loads of processors and links, too.
    With `SERIAL_LATENCY`, which "cut" and so "auto" take, `cost` is the serial latency and proven,
    but for a rounding of at most 2^-51 of that of the best single place for each task and transfer
    (2^-45 at 10 000 tasks; 2^-28 by SciPy).

    A first decision is made whatever the time limit. The clock is looked at every millisecond of
    annealing, between greedy decisions and while a model is built, and CP-SAT looks at it itself;
    requests of 2 000 tasks come back some tenths of a second late, smaller ones sooner. Compiling
    or loading compiled loops, once a process, comes on top.

    Args:
      problem: problem or costs, leading dimensions free.
      method: see above.
      objective: `oj.LATENCY`, the makespan, or `oj.graphs.SERIAL_LATENCY`; `energy` gives a
        schedule's joules.
      time_limit: seconds for each request, for "search" and "cpsat".

    Returns:
      A solution with the batch shape of the problem. Where no schedule is possible the cost is
      `inf`.

    Raises:
      ValueError: bad shapes or values (names field, rule and first bad index), an unknown method,
        an option that the method does not take, places that are not in a row for "cut", or a method
        that cannot be traced inside `jit` or `vmap`.
      ImportError: a package that the method needs is not installed; names the extra.
    """
    check_source(problem)
    serial = isinstance(objective, SerialLatency)
    traced = is_traced(problem)
    if method == "auto" and serial:
        method = "cut"
    elif method == "auto":
        method = "search" if is_installed("numba") and not traced else "greedy"
    _check_method(method, traced, time_limit)
    if objective is not LATENCY and not (serial and method == "cut"):
        raise ValueError(
            "objective: all methods for graphs minimise the makespan, oj.LATENCY, and only"
            f' "cut" minimises oj.graphs.SERIAL_LATENCY, too; got {objective!r:.60}'
        )
    chosen = METHODS[method]
    costs = as_costs(problem, library=jnp if chosen.traces else np)
    return _least_serial_latency(costs) if serial else chosen.run(costs, time_limit)


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
    from offload_jax.graphs.request import unpack_rows

    del time_limit
    number = getattr(list_scheduling, method)
    return _scored(costs, (list_scheduling.plan(row, number)[:2] for row in unpack_rows(costs)))


def _run_greedy(costs: GraphCosts, time_limit: float | None) -> GraphSolution:
    del time_limit
    return _simulated(costs, greedy(costs))


def _run_cut(costs: GraphCosts, time_limit: float | None) -> GraphSolution:
    from offload_jax.graphs._flow import solve as flow

    del time_limit
    decision = flow.cut(costs).decision
    if is_installed("numba"):
        rows = (np.reshape(part, (-1, costs.num_tasks)) for part in decision)
        found = _scored(costs, zip(*rows, strict=True))
    else:
        found = _simulated(costs, decision)
    return found._replace(lower_bound=flow.lower_bounds(costs, found.cost))


def _least_serial_latency(costs: GraphCosts) -> GraphSolution:
    from offload_jax.graphs._flow import solve as flow

    decision, cost, bound = flow.cut(costs)
    return GraphSolution(*decision, cost, bound, jnp.ones(cost.shape, bool))


METHODS = {
    "cpsat": Method(_run_cpsat, takes_time=True),
    "search": Method(_run_search, takes_time=True),
    "heft": Method(functools.partial(_run_list_scheduling, method="HEFT")),
    "cpop": Method(functools.partial(_run_list_scheduling, method="CPOP")),
    "peft": Method(functools.partial(_run_list_scheduling, method="PEFT")),
    "greedy": Method(_run_greedy, traces=True),
    "cut": Method(_run_cut),
}


def _simulated(costs: GraphCosts, decision: Decision) -> GraphSolution:
    cost = simulate_costs(costs, *decision).makespan
    bound = jnp.minimum(lower_bound(costs), cost)
    return GraphSolution(*decision, cost, bound, jnp.zeros(cost.shape, bool))


def _scored(costs: GraphCosts, decisions: Iterable[Any]) -> GraphSolution:
    """Decisions of the rows of concrete costs, scored by compiled loops.

    A program of JAX would be compiled anew for each number of tasks and places, which takes longer
    than the method by orders of magnitude.
    """
    from offload_jax.graphs._numba.lower_bound import score
    from offload_jax.graphs.request import unpack_rows

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
