"""`solve` for task graphs: check the request, choose the method, call it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs._jax.rules import greedy
from offload_jax.graphs._jax.simulate import simulate_costs
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import Decision, GraphSolution
from offload_jax.graphs.problem import GraphProblem
from offload_jax.validation import is_traced


class Method(NamedTuple):
    """One way to solve.

    Attributes:
      call: from costs (float64 and concrete, unless it traces) and the time limit.
      traces: whether it runs inside `jit` and `vmap`.
      takes_time: whether it takes a time limit.
    """

    call: Callable[[GraphCosts, float | None], Decision | GraphSolution]
    traces: bool = False
    takes_time: bool = False


def _list_scheduling(name: str) -> Method:
    def call(costs: GraphCosts, time_limit: float | None) -> Decision:
        from offload_jax.graphs._numba import list_scheduling
        from offload_jax.graphs._numba.request import unpack_rows

        del time_limit
        method = getattr(list_scheduling, name)
        plans = [list_scheduling.plan(request, method) for request in unpack_rows(costs)]
        return _decision(costs, [p[0] for p in plans], [p[1] for p in plans])

    return Method(call)


def _search(costs: GraphCosts, time_limit: float | None) -> Decision:
    from offload_jax.graphs._numba.search import search

    return _decision(costs, *search(costs, time_limit=time_limit))


def _cpsat(costs: GraphCosts, time_limit: float | None) -> GraphSolution:
    from offload_jax.graphs._cpsat import solve as cpsat
    from offload_jax.graphs._numba.search import NUM_SIMULATIONS, search

    # A good schedule to start from bounds every time; at most a tenth of the limit goes to it.
    share = None if time_limit is None else time_limit / 10
    known = search(costs, num_simulations=NUM_SIMULATIONS, time_limit=share)
    hints = [Decision(*row) for row in zip(*known, strict=True)]
    rest = None if time_limit is None else 0.9 * time_limit
    return cpsat.solve_batch(costs, hints, time_limit=rest)


def _greedy(costs: GraphCosts, time_limit: float | None) -> Decision:
    del time_limit
    return greedy(costs)


METHODS = {
    "cpsat": Method(_cpsat, takes_time=True),
    "search": Method(_search, takes_time=True),
    "heft": _list_scheduling("HEFT"),
    "cpop": _list_scheduling("CPOP"),
    "peft": _list_scheduling("PEFT"),
    "greedy": Method(_greedy, traces=True),
}


def solve(
    problem: GraphProblem | GraphCosts, *, method: str = "auto", time_limit: float | None = None
) -> GraphSolution:
    """Finds places and an order of small makespan.

    | method | what it does | proves | traces | time limit |
    |---|---|---|---|---|
    | "cpsat" | OR-Tools CP-SAT: places, any order on processors and links | yes | no | yes |
    | "search" | annealing from the best of 64 perturbed greedy decisions | no | no | yes |
    | "heft", "cpop", "peft" | list scheduling with insertion | no | no | no |
    | "greedy" | by upward rank, each task to where it is done first | no | yes | no |
    | "auto" | "search", and "greedy" while tracing | | | |

    Without a time limit, "search" makes 20 000 simulations for each request from seed 0 and always
    finds the same decision, and "cpsat" goes on until it has a proof. The joint optimum of "cpsat"
    uses gaps, so it may lie below what any place and order can express. Methods that do not trace
    work on the host in float64; the cost of a decision is that of `simulate`, in JAX's precision.

    Args:
      problem: problem or costs, leading dimensions free.
      method: see above.
      time_limit: seconds for each request.

    Returns:
      A solution with the batch shape of the problem. Where no schedule is possible the cost is
      `inf`.

    Raises:
      ValueError: bad shapes or values (names field, rule and first bad index), an unknown method,
        a time limit that is not above 0 or that the method does not take, or a method that cannot
        be traced inside `jit` or `vmap`.
      ImportError: numba, or for "cpsat" OR-Tools, is not installed.
    """
    check_source(problem)
    chosen = _choose(problem, method, time_limit)
    costs = as_costs(problem)
    found = chosen.call(costs if chosen.traces else as_costs(problem, library=np), time_limit)
    if isinstance(found, GraphSolution):
        return found
    cost = simulate_costs(costs, *found).makespan
    bound = jnp.minimum(lower_bound(costs), cost)
    return GraphSolution(*found, cost, bound, jnp.zeros(cost.shape, bool))


def _choose(problem: Any, name: str, time_limit: float | None) -> Method:
    if name != "auto" and name not in METHODS:
        raise ValueError(f"method: unknown method {name!r}, known are auto, {', '.join(METHODS)}")
    traced = is_traced(problem)
    if name == "auto":
        name = "greedy" if traced else "search"
    method = METHODS[name]
    if traced and not method.traces:
        raise ValueError(f'method "{name}": runs on the host and cannot be traced; use "greedy"')
    if time_limit is not None:
        if not method.takes_time:
            takers = ", ".join(f'"{n}"' for n, m in METHODS.items() if m.takes_time)
            raise ValueError(f'time_limit: method "{name}" takes none, only {takers} do')
        if not time_limit > 0:
            raise ValueError(f"time_limit = {time_limit}: must be greater than 0")
    return method


def _decision(costs: GraphCosts, place: Any, order: Any) -> Decision:
    shape = (*costs.batch_shape, costs.num_tasks)
    return Decision(
        jnp.asarray(np.reshape(place, shape), jnp.int8),
        jnp.asarray(np.reshape(order, shape), jnp.int32),
    )
