"""`solve` for task graphs: check the request, choose the method, call it."""

import functools
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.extras import is_installed
from offload_jax.graphs._flow import solve as flow
from offload_jax.graphs._flow.row import row_or_none
from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs._jax.rules import greedy, place_filled, rank_order
from offload_jax.graphs._jax.simulate import simulate_costs
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import (
    Decided,
    Decision,
    GraphSolution,
    OnSolution,
    check_decision,
    decision_of,
)
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
    start: Decided | Sequence[Decided] | None = None,
    seed: int = 0,
    progress: bool | None = None,
    on_solution: OnSolution | None = None,
) -> GraphSolution:
    """Finds places and an order of small makespan.

    What the methods promise:

    | method | what it does | proves | without a time limit | in `jit`, `vmap` | extra |
    |---|---|---|---|---|---|
    | "cpsat" | OR-Tools CP-SAT: places, any order on processors and links, gaps used; starts \
from "search", without numba from what "auto" finds | yes | until the proof | no | `cpsat` |
    | "search" | annealing from the best of `start`, every single place, the cut, greedy and \
its perturbations, and HEFT; never worse than any of them | no | 20 000 simulations, of more than \
500 tasks 10^7 / N: the same seed gives the same decision | no | `single` |
    | "heft", "cpop", "peft" | list scheduling with insertion | no | takes none | no | `single` |
    | "greedy" | by upward rank, each task to where it is done first | no | takes none | yes | |
    | "cut" | places of least serial latency, by upward rank | no | takes none | no | |
    | "auto" | "search"; without numba the best of `start`, every single place, the cut and \
greedy, with HEFT and annealing left out and no clock; while tracing "greedy" | | | | |

    | option | methods that take it |
    |---|---|
    | `time_limit`, `start`, `seed`, `on_solution` | "auto" (not while tracing), "search", "cpsat" |
    | `progress` | "cpsat" |

    "greedy" works in JAX's precision; the others work on the host in float64, and all but "cpsat"
    round cost and bound to JAX's. The cost is that of `simulate`, but for "cpsat" the makespan of
    its own schedule: the joint optimum uses gaps, so it may lie below what any place and order can
    express.

    "cut" is one maximum flow, OR-Tools' where it is installed and otherwise SciPy's: milliseconds
    for a thousand tasks. It is exact for places in a row, so that what goes from one to another
    passes those between them. Others are moved to two at a time from the best single place on,
    which proves nothing and needs results that each reader gets apart. Where little can run side
    by side, as in most neural networks, its places are the best ones nearly always. Its
    `lower_bound` weighs loads of processors and links, too; so do those of "search" and of "cpsat"
    without a proof, if 10 ms and 50 µs a task are at most a tenth of their time: of the time limit,
    or of 1 ms a task.
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
      time_limit: seconds for each request.
      start: a decision, schedule or solution for each request, or several, to begin with; what is
        returned is never worse.
      seed: of the random numbers of "search", from which "cpsat" starts.
      progress: whether "cpsat" shows a bar over a batch; on a terminal only if None.
      on_solution: called as `on_solution(cost, lower_bound, decision)` with the best first decision
        and whatever is better, of annealing after every 1 000 simulations or millisecond; the
        method stops where it returns True. For one request.

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
    if method == "auto" and (serial or traced):
        method = "cut" if serial else "greedy"
    options = Options(time_limit, start, seed, progress, on_solution)
    _check_method(method, traced, options)
    if objective is not LATENCY and not (serial and method == "cut"):
        raise ValueError(
            "objective: all methods for graphs minimise the makespan, oj.LATENCY, and only"
            f' "cut" minimises oj.graphs.SERIAL_LATENCY, too; got {objective!r:.60}'
        )
    chosen = METHODS[method]
    costs = as_costs(problem, library=jnp if chosen.traces else np)
    if on_solution is not None and math.prod(costs.batch_shape) != 1:
        raise ValueError(f"on_solution: needs one request, got a batch {costs.batch_shape}")
    if serial:
        return _least_serial_latency(costs)
    given = [] if start is None else _decisions(start, costs)
    return chosen.run(costs, options._replace(start=given))


class Options(NamedTuple):
    """What only some methods take; see `solve`. These are the values of what is not given."""

    time_limit: float | None = None
    start: Any = None
    seed: int = 0
    progress: bool | None = None
    on_solution: OnSolution | None = None


class Method(NamedTuple):
    """One way to solve.

    Attributes:
      run: the method itself, from checked costs and options.
      takes: names of the options that it takes.
      traces: whether it works inside `jit` and `vmap`; if not, its costs are in float64.
    """

    run: Callable[[GraphCosts, Options], GraphSolution]
    takes: tuple[str, ...] = ()
    traces: bool = False


def _check_method(name: str, traced: bool, options: Options) -> None:
    if name not in METHODS:
        raise ValueError(f"method: unknown method {name!r}, known are {', '.join(METHODS)}")
    if traced and not METHODS[name].traces:
        raise ValueError(f'method "{name}": runs on the host and cannot be traced; use "greedy"')
    for option, default in Options._field_defaults.items():
        takers = [taker for taker, method in METHODS.items() if option in method.takes]
        if getattr(options, option) is not default and name not in takers:
            raise ValueError(f'{option}: method "{name}" takes none, only {", ".join(takers)} do')
    limit, seed = options.time_limit, options.seed
    if limit is not None and not (isinstance(limit, numbers.Real) and 0 < limit < math.inf):
        raise ValueError(f"time_limit = {limit!r}: must be finite and greater than 0")
    if not (isinstance(seed, numbers.Integral) and 0 <= seed < 2**32):
        raise ValueError(f"seed = {seed!r}: must be a whole number from 0 to 2^32 - 1")


def _decisions(start: Any, costs: GraphCosts) -> list[Decision]:
    """The decisions of `start`, checked, int64 `[..., N]`."""
    several = isinstance(start, list | tuple) and not hasattr(start, "place")
    shape, found = (*costs.batch_shape, costs.num_tasks), []
    for one in start if several else [start]:
        decision = decision_of("start", one)
        parts = check_decision(costs, *decision)
        for part in parts:
            if np.broadcast_shapes(np.shape(part), shape) != shape:
                raise ValueError(f"start: must fit the shape {shape}, got {np.shape(part)}")
        found.append(Decision(*(np.broadcast_to(part, shape).astype(np.int64) for part in parts)))
    return found


def _run_cpsat(costs: GraphCosts, options: Options) -> GraphSolution:
    from offload_jax.graphs._cpsat import solve as cpsat

    # A good schedule to start from bounds every time; at most a tenth of the limit goes to search.
    limit = options.time_limit
    if is_installed("numba"):
        from offload_jax.graphs._numba.search import default_simulations

        share = options._replace(time_limit=limit and limit / 10, on_solution=None)
        start = _searched(costs, share, default_simulations(costs.num_tasks))
        limit = limit and 0.9 * limit
    else:
        start = _best_start(costs, options.start)
    found = cpsat.solve_batch(
        costs,
        start,
        time_limit=limit,
        progress=options.progress,
        on_solution=options.on_solution,
    )
    return found if np.all(found.optimal) else _with_loads(costs, found, limit or math.inf)


def _run_search(costs: GraphCosts, options: Options) -> GraphSolution:
    found = _scored(costs, zip(*_searched(costs, options), strict=True))
    return _with_loads(costs, found, options.time_limit or 1e-3 * costs.num_tasks)


def _searched(costs: GraphCosts, options: Options, num_simulations: int | None = None) -> Decision:
    from offload_jax.graphs._numba.search import search

    given = options._asdict()
    del given["progress"]
    return search(costs, num_simulations=num_simulations, **given)


def _run_auto(costs: GraphCosts, options: Options) -> GraphSolution:
    if is_installed("numba"):
        return _run_search(costs, options)
    return _simulated(costs, _best_start(costs, options.start))


def _best_start(costs: GraphCosts, start: list[Decision]) -> Decision:
    """The best of what is given, every single place, the cut and greedy, in JAX."""
    order = rank_order(costs)
    shape, places = order.shape, range(costs.num_places)
    found = [*start, greedy(costs)]
    found += [Decision(place_filled(costs, jnp.full(shape, place)), order) for place in places]
    if row_or_none(costs.routes):
        found.append(flow.cut(costs).decision)
    each = Decision(*(jnp.stack(parts) for parts in zip(*found, strict=True)))
    best = jnp.argmin(simulate_costs(costs, *each).makespan, 0)[None, ..., None]
    place, order = (jnp.take_along_axis(part, best, 0)[0] for part in each)
    return Decision(place.astype(jnp.int8), order)


def _run_list_scheduling(costs: GraphCosts, options: Options, *, method: str) -> GraphSolution:
    from offload_jax.graphs._numba import list_scheduling
    from offload_jax.graphs.request import unpack_rows

    del options
    number = getattr(list_scheduling, method)
    return _scored(costs, (list_scheduling.plan(row, number)[:2] for row in unpack_rows(costs)))


def _run_greedy(costs: GraphCosts, options: Options) -> GraphSolution:
    del options
    return _simulated(costs, greedy(costs))


def _run_cut(costs: GraphCosts, options: Options) -> GraphSolution:
    del options
    decision = flow.cut(costs).decision
    if is_installed("numba"):
        rows = (np.reshape(part, (-1, costs.num_tasks)) for part in decision)
        found = _scored(costs, zip(*rows, strict=True))
    else:
        found = _simulated(costs, decision)
    return _with_loads(costs, found, math.inf)


def _with_loads(costs: GraphCosts, found: GraphSolution, seconds: float) -> GraphSolution:
    """With the bound by loads, if that takes less than about a tenth of the method's seconds."""
    if not row_or_none(costs.routes) or 10 * (0.01 + 5e-5 * costs.num_tasks) > seconds:
        return found
    bound = np.maximum(found.lower_bound, flow.lower_bounds(costs, found.cost))
    library = jnp if isinstance(found.cost, jax.Array) else np
    return found._replace(lower_bound=library.asarray(bound))


def _least_serial_latency(costs: GraphCosts) -> GraphSolution:
    decision, cost, bound, optimal = flow.cut(costs)
    return GraphSolution(*decision, cost, bound, optimal)


_SEARCH = ("time_limit", "start", "seed", "on_solution")
METHODS = {
    "auto": Method(_run_auto, _SEARCH),
    "cpsat": Method(_run_cpsat, (*_SEARCH, "progress")),
    "search": Method(_run_search, _SEARCH),
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
