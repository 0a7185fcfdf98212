"""One decision at a time, in microseconds: what an edge server runs for each request.

A jitted JAX call costs tens of microseconds on a CPU whatever it computes. The callables here run
loops compiled by numba instead and give the same decisions as `solve` and learned policies, away
from ties. numba is imported, and compiles for some seconds, when the first one is made; calling
them compiles nothing. They may be called from several threads at once.

    decide = oj.single.exact()
    decide([8e8, 4e8], [2e6, 4e6, 1e5], 5e8, 3e9, 1.5e6, 2e6)  # array([...], dtype=int8)
"""

import math
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from offload_jax import graphs
from offload_jax.chains import lowering
from offload_jax.chains.costs import ChainCosts, validate_costs
from offload_jax.chains.problem import ChainProblem, validate
from offload_jax.objectives import LATENCY, Objective, energy_of
from offload_jax.validation import as_float64

if TYPE_CHECKING:
    import offload_jax.chains.learned
    import offload_jax.graphs._jax.policy

Decide = Callable[[Any, Any, Any, Any, Any, Any], np.ndarray]
"""`(cycles [A], data [A + 1], device_speed, edge_speed, device_edge_bandwidth,
edge_cloud_bandwidth)`, units and rules of `ChainProblem`, to an int8 decision `[A]`. Lists, plain
numbers and NumPy arrays are taken, NumPy float64 fastest."""


def exact(*, objective: Objective = LATENCY) -> Decide:
    """A callable that finds the decision of least cost, exactly, for chains of any length.

    The recursion of `solve`, in float64; among equal costs it is the lexicographically smallest
    decision.

    Args:
      objective: what to minimise; its weights and powers are plain numbers.

    Returns:
      A `Decide`; it raises the ValueError of `validate` on a bad request.

    Raises:
      ValueError: the objective holds something else than numbers.
    """
    prices = lowering.prices(objective)
    from offload_jax.chains._numba import dynamic_programming

    return _decider(dynamic_programming.exact, prices)


DecideTable = Callable[[Any, Any], np.ndarray]
"""`(execution [A, K], transfer [A + 1, K, K])`, rules of `ChainCosts`, to int8 decisions `[A]`."""


def table() -> DecideTable:
    """A callable that finds the decision of least cost for a table of costs, any A and K.

    The recursion of `solve`, in float64; among equal costs it is the lexicographically smallest
    decision, and all 0 where none is possible.

    Returns:
      A `DecideTable`; it raises the ValueError of `solve` on a bad table.
    """
    from offload_jax.chains._numba import dynamic_programming

    kernel = dynamic_programming.exact_table

    def decide(execution: Any, transfer: Any) -> np.ndarray:
        decision = _INVALID
        try:
            costs, moves = as_float64("execution", execution), as_float64("transfer", transfer)
            if costs.ndim == 2 and costs.size and moves.shape == _moves(costs):
                decision = kernel(costs, moves)
        except (TypeError, ValueError):
            pass
        if not len(decision):
            _raise_table(execution, transfer)
        return decision

    return decide


def _moves(costs: np.ndarray) -> tuple[int, int, int]:
    num_subtasks, num_places = costs.shape
    return num_subtasks + 1, num_places, num_places


def within(*, objective: Objective = LATENCY) -> Callable[..., np.ndarray | None]:
    """A callable that finds the decision of least cost within a deadline or a budget of energy.

    Among equal costs it is the lexicographically smallest decision; costs and limits are compared
    in float64, and a limit counts as met up to a 1e-6 of it, as in `solve`.

    Args:
      objective: what to minimise; its power model also measures the energy that is limited.

    Returns:
      A `Decide` that also takes `max_latency`, seconds, and `max_energy`, joules, by name, for
      chains of up to 13 subtasks (`solve` takes longer ones); None where no decision keeps within
      them. It raises the ValueError of `validate` on a bad request, and one that names the limit on
      a bad limit.

    Raises:
      ValueError: the objective holds something else than numbers.
    """
    quantities = objective, LATENCY, energy_of(objective.power)
    prices = np.stack([lowering.prices(quantity) for quantity in quantities])
    from offload_jax.chains._numba import dynamic_programming
    from offload_jax.chains.constraints import RELATIVE_TOLERANCE

    kernel, longest = dynamic_programming.within, dynamic_programming.LONGEST_LIMITED
    slack = 1 + RELATIVE_TOLERANCE

    def decide(
        cycles: Any,
        data: Any = None,
        device_speed: Any = None,
        edge_speed: Any = None,
        device_edge_bandwidth: Any = None,
        edge_cloud_bandwidth: Any = None,
        *,
        max_latency: float = math.inf,
        max_energy: float = math.inf,
    ) -> np.ndarray | None:
        for name, limit in (("max_latency", max_latency), ("max_energy", max_energy)):
            if not (limit if type(limit) in _NUMBERS else as_float64(name, limit)) >= 0:
                raise ValueError(f"{name} = {limit}: must not be negative or NaN")
        p1, p2, b1, b2 = device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
        decision = _INVALID
        try:
            if not type(p1) is type(p2) is type(b1) is type(b2) is float:
                p1, p2, b1, b2 = _floats(p1, p2, b1, b2)
            if len(cycles) <= longest:
                most = np.array([math.inf, max_latency * slack, max_energy * slack])
                amounts = as_float64("cycles", cycles), as_float64("data", data)
                decision = kernel(*amounts, p1, p2, b1, b2, prices, most)
        except (TypeError, ValueError):
            pass
        if not len(decision):
            _raise(cycles, data, p1, p2, b1, b2, longest=longest)
        return decision if decision[0] >= 0 else None

    return decide


DecideGraph = Callable[..., "graphs.Decision"]
"""The fields of an `oj.graphs.GraphProblem` of one user, in their order, without batch dimensions,
to a `Decision` of NumPy arrays `[N]`."""


@typing.overload
def learned(policy: "offload_jax.chains.learned.LearnedPolicy") -> Decide: ...


@typing.overload
def learned(
    policy: "offload_jax.graphs._jax.policy.LearnedGraphPolicy",
    *,
    best_of: int | None = None,
    simulations: int = 0,
    seed: int = 0,
) -> DecideGraph: ...


def learned(
    policy: Any, *, best_of: int | None = None, simulations: int = 0, seed: int = 0
) -> "Decide | DecideGraph":
    """A callable that decides as a small trained network does, features included.

    Args:
      policy: from `policies.load`; an imitation network with `raw` or `physical` features, "relu"
        units and neither residual connections nor averaging over the reversed chain, such as the
        distilled student; `physical` features only for latency. Or a policy for task graphs, from
        `graphs.policies.student` or `graphs.policies.load`. Its parameters are copied.
      best_of: for task graphs; None decides the most probable schedule. A number is as in
        `LearnedGraphPolicy.best_of`: the best of so many sampled schedules, the most probable one
        and those of rules.
      simulations: for task graphs; annealing from there, as in `LearnedGraphPolicy.then_search`,
        which then also says how many schedules None samples.
      seed: of the random numbers, those of `jax.random.key(seed)`.

    Returns:
      A `Decide` for chains of the length the network was made for; it raises the ValueError of
      `validate` on a bad request, and one that names both lengths on another length. For a policy
      for task graphs a `DecideGraph` for graphs of any size, which raises as that of `graph` does.

    Raises:
      ValueError: the network is of another kind; names what is not supported. A number is
        negative, or one of samples or simulations is given for chains.
    """
    from offload_jax.graphs._jax.policy import LearnedGraphPolicy

    if isinstance(policy, LearnedGraphPolicy):
        from offload_jax.graphs._numba.decide import by_network

        return by_network(policy, best_of, simulations, seed)
    if best_of is not None or simulations:
        raise ValueError("best_of: only policies for task graphs sample schedules and search")
    config = policy.config
    lowering.check_supported(config, "one decision at a time")
    from offload_jax.chains._numba import features, network

    weights, sizes, num_networks = _flat(lowering.layers(config, policy.params))
    low, factor = lowering.raw_ranges(config.scenario)
    physical = config.feature_set == "physical"
    feature_set = features.PHYSICAL if physical else features.RAW
    return _decider(
        network.decide,
        feature_set,
        low,
        factor,
        sizes,
        num_networks,
        weights,
        num_subtasks=config.num_subtasks,
    )


def _decider(kernel: Callable[..., np.ndarray], *rest: Any, num_subtasks: int = 0) -> Decide:
    """A `Decide` by a compiled loop that takes the fields of a request and then `rest`."""

    def decide(
        cycles: Any,
        data: Any = None,
        device_speed: Any = None,
        edge_speed: Any = None,
        device_edge_bandwidth: Any = None,
        edge_cloud_bandwidth: Any = None,
    ) -> np.ndarray:
        p1, p2, b1, b2 = device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth
        decision = _INVALID
        try:
            if not type(p1) is type(p2) is type(b1) is type(b2) is float:
                p1, p2, b1, b2 = _floats(p1, p2, b1, b2)
            if not num_subtasks or len(cycles) == num_subtasks:
                # Copies: of whatever layout the arguments are, the compiled loop sees one.
                decision = kernel(
                    as_float64("cycles", cycles), as_float64("data", data), p1, p2, b1, b2, *rest
                )
        except (TypeError, ValueError):
            pass
        if not len(decision):
            _raise(cycles, data, p1, p2, b1, b2, num_subtasks=num_subtasks)
        return decision

    return decide


# Classes of numbers that need no further look.
_NUMBERS = frozenset({float, int, np.float64})


def _floats(a: Any, b: Any, c: Any, d: Any) -> tuple[float, float, float, float]:
    """Speeds and bandwidths as a compiled loop takes them."""
    if not type(a) is type(b) is type(c) is type(d) in _NUMBERS:
        a, b, c, d = (x if type(x) in _NUMBERS else as_float64("rate", x) for x in (a, b, c, d))
    return float(a), float(b), float(c), float(d)


_INVALID = np.empty(0, np.int8)


def _raise_table(execution: Any, transfer: Any) -> None:
    """Says what is wrong with a table that the compiled loop refused."""
    costs = ChainCosts(execution, transfer)
    validate_costs(costs)
    raise ValueError(
        f"execution: one table at a time has no batch dimensions, got {costs.execution.shape}"
        f" and {costs.transfer.shape}; solve takes batches"
    )


def _raise(*fields: Any, num_subtasks: int = 0, longest: int | None = None) -> None:
    """Says what is wrong with a request that the compiled loop refused."""
    if isinstance(fields[0], ChainProblem):
        raise ValueError("cycles: takes the six fields of a ChainProblem, got the problem itself")
    problem = ChainProblem(*fields)
    for name, wanted in problem.own_axes.items():
        value = getattr(problem, name)
        if hasattr(value, "shape") and len(value.shape) > wanted:
            raise ValueError(
                f"{name}: one request at a time has no batch dimensions, got shape"
                f" {value.shape}; solve takes batches"
            )
    validate(problem)
    if num_subtasks:
        from offload_jax.chains.imitation_network import check_num_subtasks

        check_num_subtasks(num_subtasks, problem)
    if longest is not None and problem.num_subtasks > longest:
        raise ValueError(
            f"cycles: with limits at most A = {longest} subtasks one request at a time, got"
            f" {problem.num_subtasks}; solve takes longer chains"
        )
    raise ValueError(f"a quantity of the request is negative or not a number: {fields}")


def _flat(layers: lowering.Layers) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights as `network.decide` reads them, widths, and how many networks there are."""
    num_networks = len(layers[0][0])
    parts = [part[n].ravel() for n in range(num_networks) for layer in layers for part in layer]
    sizes = [layers[0][0].shape[1], *(kernel.shape[2] for kernel, _ in layers)]
    return np.concatenate(parts), np.array(sizes, np.int64), num_networks


def graph(*, method: str = "greedy") -> DecideGraph:
    """A callable that decides about one task graph by a rule or by a minimum cut.

    Args:
      method: "greedy", "heft", "cpop", "peft" or "cut", as in `oj.graphs.solve`.

    Returns:
      A callable with the fields of `oj.graphs.GraphProblem` as arguments; it raises the ValueError
      of `oj.graphs.validate` on a bad request. NumPy float64 arrays, and bool for `depends`, are
      taken fastest.

    Raises:
      ValueError: unknown method.
    """
    from offload_jax.graphs._numba.decide import by_rule

    return by_rule(method)
