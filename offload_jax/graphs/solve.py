"""`solve` for task graphs: check the request, choose the method, call it."""

import functools
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.extras import is_installed
from offload_jax.graphs._flow import solve as flow
from offload_jax.graphs._flow.row import row_or_none
from offload_jax.graphs._jax.lower_bound import lower_bound
from offload_jax.graphs._jax.rules import filled, greedy
from offload_jax.graphs._jax.simulate import simulate_costs
from offload_jax.graphs._numba.search import Searched, default_simulations, search
from offload_jax.graphs.costs import GraphCosts, as_costs, check_source
from offload_jax.graphs.decision import (
    Decided,
    Decision,
    GraphSolution,
    OnSolution,
    check_decision,
    decision_of,
)
from offload_jax.graphs.goals import goals_of, is_makespan, limits_of, only_allowed
from offload_jax.graphs.objectives import Prices, SerialLatency, UserLatency
from offload_jax.graphs.priced import solve as solve_priced
from offload_jax.graphs.problem import GraphProblem
from offload_jax.objectives import LATENCY, Objective, Period
from offload_jax.side_constraints import PLACE_NAMES, Allowed, SideConstraints
from offload_jax.validation import ArrayLike, check_class, is_for_host, is_traced


def solve(
    problem: GraphProblem | GraphCosts,
    *,
    method: str = "auto",
    objective: Objective | SerialLatency | Period | Prices | UserLatency = LATENCY,
    max_latency: ArrayLike | None = None,
    max_energy: ArrayLike | None = None,
    max_period: ArrayLike | None = None,
    side_constraints: SideConstraints | None = None,
    allowed: Allowed | None = None,
    time_limit: float | None = None,
    start: Decided | Sequence[Decided] | None = None,
    seed: int = 0,
    progress: bool | None = None,
    on_solution: OnSolution | None = None,
) -> GraphSolution:
    """Finds places and an order of small makespan, or of small cost under another objective.

    What the methods promise:

    | method | what it does | proves | without a time limit | in `jit`, `vmap` | extra |
    |---|---|---|---|---|---|
    | "cpsat" | OR-Tools CP-SAT: places, any order on processors and links, gaps used; starts \
from "search", without numba from what "auto" finds | yes | until the proof | no | `cpsat` |
    | "search" | annealing from the best of `start`, every single place, the cut, greedy, HEFT \
and greedy that looks ahead; never worse than any of them | no | 20 000 simulations, of more than \
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
    or of 1 ms a task. "search" bounds first, and stops where nothing can be better.
    With `SERIAL_LATENCY`, which "cut" and so "auto" take, `cost` is the serial latency and proven,
    but for a rounding of at most 2^-51 of that of the best single place for each task and transfer
    (2^-45 at 10 000 tasks; 2^-28 by SciPy).

    | what is asked | "cut" | "search" | "cpsat" | "auto" |
    |---|---|---|---|---|
    | energy, `Prices` without such weights | proven, places in a row | yes | proven | "cut" \
where it proves |
    | `oj.PERIOD` | best corner, with the bound of loads | yes | proven, or a bound | "search" |
    | `Objective` of seconds and joules, `Prices` with weights of makespan or period | best corner \
| yes | proven, or a bound | "search" |
    | `oj.MEAN_LATENCY`, `oj.MAX_LATENCY` | best corner, also user after user | yes | proven, or a \
bound | "search"; "greedy" too: the best of user after user, shortest first, and by rank |
    | any of these, or the makespan, within limits or memory | best corner that keeps them | keeps \
them where it finds how | proven, or a bound | "search" |
    | `allowed` | yes | yes | yes | yes; also all other methods |

    "Best corner": the best placement, ordered by upward rank, among the single places and the
    corners of the lower hull of serial latency and price, found by parametric cuts. All other
    methods minimise the makespan alone and refuse the rest by name. With these objectives answers
    are NumPy arrays in float64.

    Single places and the cut are tried whatever the time limit. The clock is looked at every
    millisecond of annealing, between greedy decisions and while a model is built, and CP-SAT looks
    at it itself; requests of 2 000 tasks come back some tenths of a second late, smaller ones
    sooner. Compiling or loading compiled loops, once a process, comes on top.

    Args:
      problem: problem or costs, leading dimensions free.
      method: see above.
      objective: `oj.LATENCY`, the makespan; `oj.graphs.SERIAL_LATENCY`; `oj.ENERGY`, the device's,
        or a weighted sum of both, an `oj.Objective`, of a `GraphProblem` whose device draws no
        power while it idles; `oj.MEAN_LATENCY`, `oj.MAX_LATENCY` or an `oj.graphs.UserLatency` of
        several users; `oj.graphs.Prices` of anything that adds up; `oj.PERIOD`, the seconds
        between the results of a stream, see `period`.
      max_latency: seconds of the makespan; a number or an array that broadcasts to the batch. A
        limit counts as met up to a 1e-6 of it, for rounding.
      max_energy: joules, or what `Prices` count, likewise.
      max_period: seconds, likewise.
      side_constraints: memory of places, `oj.SideConstraints(memory=, max_memory=)`.
      allowed: bool `[..., N, K]`, the places where each task may run, or a mapping from tasks to
        places, all others being free. The places of a `GraphProblem` may be "device", "edge" and
        "cloud" there; for names of tasks and other places see `oj.allowed_places`.
      time_limit: seconds for each request.
      start: a decision, schedule or solution for each request, or several, to begin with; what is
        returned is never worse.
      seed: of the random numbers of "search", from which "cpsat" starts.
      progress: whether "cpsat" shows a bar over a batch; on a terminal only if None.
      on_solution: called as `on_solution(cost, lower_bound, decision)` with the best first decision
        and whatever is better, of annealing after every 1 000 simulations or millisecond; the
        method stops where it returns True. For one request.

    Returns:
      A solution with the batch shape of the problem. Where no schedule is possible, or none keeps
      the limits, the cost is `inf`, and `optimal` True if that is proven.

    Raises:
      ValueError: bad shapes or values (names field, rule and first bad index), an unknown method,
        an option that the method does not take, places that are not in a row for "cut", or a method
        that cannot be traced inside `jit` or `vmap`.
      ImportError: a package that the method needs is not installed; names the extra.
    """
    check_source(problem)
    check_class("objective", objective, Objective, SerialLatency, Period, Prices, UserLatency)
    check_class("side_constraints", side_constraints, SideConstraints, type(None))
    limits = {"max_latency": max_latency, "max_energy": max_energy, "max_period": max_period}
    limited = [name for name, value in limits.items() if value is not None]
    limited += ["side_constraints"] if side_constraints is not None else []
    serial = isinstance(objective, SerialLatency)
    traced = is_traced(problem)
    if method == "auto" and (serial or traced):
        method = "cut" if serial else "greedy"
    options = Options(time_limit, start, seed, progress, on_solution)
    _check_method(method, traced, options)
    if serial and (method != "cut" or limited):
        raise ValueError(
            'objective: oj.graphs.SERIAL_LATENCY is for "cut" alone, without limits or memory'
        )
    chosen = METHODS[method]
    priced = not serial and (bool(limited) or not is_makespan(objective))
    costs = as_costs(problem, library=None if chosen.traces and not priced else np)
    costs = only_allowed(costs, allowed, PLACE_NAMES if isinstance(problem, GraphProblem) else ())
    if priced:
        methods = (*_PRICED, "greedy") if isinstance(objective, UserLatency) else _PRICED
        _check_priced(method, methods, traced, limited, options)
        given = [] if start is None else _decisions(start, costs)
        bounds = limits_of(costs.batch_shape, **limits)
        goals = goals_of(problem, costs, cast(Any, objective), bounds, side_constraints)
        return solve_priced(costs, goals, method, start=given, time_limit=time_limit, seed=seed)
    if on_solution is not None and math.prod(costs.batch_shape) != 1:
        raise ValueError(f"on_solution: needs one request, got a batch {costs.batch_shape}")
    if serial:
        return _least_serial_latency(costs)
    given = [] if start is None else _decisions(start, costs)
    return chosen.run(costs, options._replace(start=given))


def _check_priced(
    method: str, methods: tuple[str, ...], traced: bool, limited: list[str], options: "Options"
) -> None:
    what = limited[0] if limited else "objective"
    if method not in methods:
        raise ValueError(
            f'{what}: method "{method}" minimises the makespan alone, without limits;'
            f" {', '.join(methods)} do more"
        )
    if traced:
        raise ValueError(f"{what}: works on the host and cannot be traced")
    for name in ("progress", "on_solution"):
        if getattr(options, name) is not None:
            raise ValueError(f"{name}: for the makespan alone, without limits")


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
        parts = check_decision(costs.predecessors, costs.num_places, *decision)
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
        share = options._replace(time_limit=limit and limit / 10, on_solution=None)
        start = _searched(costs, share, default_simulations(costs.num_tasks)).decision
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
    limit = options.time_limit
    bounded = _has_loads(costs, limit or 1e-3 * costs.num_tasks)
    if limit is not None:
        # What is left to do takes some time, too.
        limit -= min(limit / 10, 0.01 + 1e-5 * costs.num_tasks)
    found = _searched(costs, options._replace(time_limit=limit), bounded=bounded)
    return _at_least(_scored(costs, zip(*found.decision, strict=True)), found.lower_bound)


def _searched(
    costs: GraphCosts,
    options: Options,
    num_simulations: int | None = None,
    *,
    bounded: bool = False,
) -> Searched:
    given = options._asdict()
    del given["progress"]
    return search(costs, num_simulations=num_simulations, bounded=bounded, **given)


def _run_auto(costs: GraphCosts, options: Options) -> GraphSolution:
    if is_installed("numba"):
        return _run_search(costs, options)
    return _simulated(costs, _best_start(costs, options.start))


def _best_start(costs: GraphCosts, start: list[Decision]) -> Decision:
    """The best of what is given, every single place, the cut and greedy, in JAX."""
    shape, places = (*costs.batch_shape, costs.num_tasks), range(costs.num_places)
    found = [*start, greedy(costs)]
    found += [filled(costs, np.full(shape, place)) for place in places]
    if row_or_none(costs.routes):
        found.append(flow.cut(costs).decision)
    each = Decision(*(jnp.stack(parts) for parts in zip(*found, strict=True)))
    best = jnp.argmin(simulate_costs(costs, *each).makespan, 0)[None, ..., None]
    place, order = (jnp.take_along_axis(part, best, 0)[0] for part in each)
    return Decision(place.astype(jnp.int8), order)


def _run_list_scheduling(costs: GraphCosts, options: Options, *, method: str) -> GraphSolution:
    from offload_jax.graphs._numba import list_scheduling, rows

    del options
    return _simulated(costs, rows.planned(costs, getattr(list_scheduling, method)))


def _run_greedy(costs: GraphCosts, options: Options) -> GraphSolution:
    del options
    return _simulated(costs, greedy(costs))


def _run_cut(costs: GraphCosts, options: Options) -> GraphSolution:
    del options
    found = _simulated(costs, flow.cut(costs).decision)
    return _with_loads(costs, found, math.inf)


def _with_loads(costs: GraphCosts, found: GraphSolution, seconds: float) -> GraphSolution:
    """With the bound by loads, if that takes less than about a tenth of the method's seconds."""
    if not _has_loads(costs, seconds):
        return found
    return _at_least(found, flow.lower_bounds(costs, found.cost))


def _has_loads(costs: GraphCosts, seconds: float) -> bool:
    """Whether the bound by loads takes less than about a tenth of some seconds."""
    return bool(row_or_none(costs.routes)) and 10 * (0.01 + 5e-5 * costs.num_tasks) <= seconds


def _at_least(found: GraphSolution, bound: np.ndarray) -> GraphSolution:
    """With a further lower bound, which rounding may have put above the cost."""
    cost = np.asarray(found.cost)
    bound = np.reshape(bound * (1 - float(np.finfo(cost.dtype).eps)), cost.shape)
    bound = np.maximum(found.lower_bound, np.minimum(bound.astype(cost.dtype), cost))
    asarray = jax.device_put if isinstance(found.cost, jax.Array) else np.asarray
    return found._replace(lower_bound=asarray(bound))


def _least_serial_latency(costs: GraphCosts) -> GraphSolution:
    decision, cost, bound, optimal = flow.cut(costs)
    return GraphSolution(*decision, cost, bound, optimal)


_SEARCH = ("time_limit", "start", "seed", "on_solution")
_PRICED = ("auto", "cut", "search", "cpsat")
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
    bound = lower_bound(costs)
    library = np if is_for_host(cost, bound) else jnp
    rest = library.minimum(bound, cost), library.zeros(cost.shape, bool)
    return GraphSolution(*decision, cost, *(rest if library is jnp else jax.device_put(rest)))


def _scored(costs: GraphCosts, decisions: Iterable[Any]) -> GraphSolution:
    """Decisions of the rows of concrete costs."""
    shape = (*costs.batch_shape, 2, costs.num_tasks)
    place, order = np.moveaxis(np.array([*decisions], np.int64).reshape(shape), -2, 0)
    decision = Decision(
        jax.device_put(place.astype(np.int8)), jax.device_put(order.astype(np.int32))
    )
    return _simulated(costs, decision)
