"""What decides about task graphs: rules, perturbed rules, search, CP-SAT; each with its time."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

import offload_jax as oj
from experiments.graphs import test_sets
from experiments.reporting import own_policies as own
from experiments.reporting.stage import Settings
from offload_jax.graphs._flow.row import find_row
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.graphs._numba.search import search_request
from offload_jax.graphs.decision import check_decision
from offload_jax.graphs.problem import AXES
from offload_jax.graphs.request import unpack_rows

Problem = oj.graphs.GraphProblem


class Outcome(NamedTuple):
    """What a contender made of n graphs.

    Attributes:
      makespan: `[n]` seconds.
      seconds: what one decision took.
      proven: share of the graphs for which the makespan is proven to be the least; None where
        nothing is ever proven.
    """

    makespan: np.ndarray
    seconds: float
    proven: float | None = None


Contender = Callable[[Problem], Outcome]

PLACES = ("local", "edge", "cloud")
LIST_SCHEDULING = ("heft", "cpop", "peft")


def in_a_batch(policy: Callable[[Problem], oj.graphs.Decision]) -> Contender:
    """A policy in JAX: all graphs in one compiled call, the second one timed."""
    return as_it_is(jax.jit(policy))


def as_it_is(policy: Callable[[Problem], oj.graphs.Decision]) -> Contender:
    """All graphs in one call, the second one timed."""

    def decide(problem: Problem) -> Outcome:
        decision = jax.block_until_ready(policy(problem))
        start = time.perf_counter()
        jax.block_until_ready(policy(problem))
        seconds = (time.perf_counter() - start) / len(problem)
        return Outcome(_makespan(problem, decision), seconds)

    return decide


def learned(policy: LearnedGraphPolicy) -> Contender:
    """The most probable schedule."""
    return as_it_is(policy)


def sampled(policy: LearnedGraphPolicy, num: int | None = None, simulations: int = 0) -> Contender:
    """The best of `num` sampled schedules and of rules, then annealing, graph after graph."""
    return one_at_a_time(oj.single.learned(policy, best_of=num, simulations=simulations))


def one_at_a_time(decided: oj.single.DecideGraph) -> Contender:
    """What `oj.single` gives, graph after graph."""

    def decide(problem: Problem) -> Outcome:
        rows = _rows(problem)
        decided(*rows[0])
        return _one_by_one(lambda row: decided(*row), rows, problem)

    return decide


def search(num_simulations: int) -> Contender:
    """Annealing, one graph after the other on one core."""

    def decide(problem: Problem) -> Outcome:
        costs = oj.graphs.graph_costs(problem, library=np)
        row, requests = find_row(costs.routes), list(unpack_rows(costs))
        decided = functools.partial(search_request, row=row, num_simulations=num_simulations)
        search_request(requests[0], row, num_simulations=100)
        return _one_by_one(decided, requests, problem)

    return decide


def _one_by_one(decided: Callable[[Any], Any], rows: list[Any], problem: Problem) -> Outcome:
    start = time.perf_counter()
    decisions = [decided(row)[:2] for row in rows]
    seconds = (time.perf_counter() - start) / len(rows)
    place, order = (np.stack(part) for part in zip(*decisions, strict=True))
    return Outcome(_makespan(problem, oj.graphs.Decision(place, order)), seconds)


def cpsat(time_limit: float) -> Contender:
    """CP-SAT for at most so many seconds a graph."""

    def decide(problem: Problem) -> Outcome:
        start = time.perf_counter()
        rows = [
            oj.graphs.solve(problem[row], method="cpsat", time_limit=time_limit)
            for row in range(len(problem))
        ]
        seconds = (time.perf_counter() - start) / len(problem)
        return Outcome(
            np.array([float(row.cost) for row in rows]),
            seconds,
            float(np.mean([bool(row.optimal) for row in rows])),
        )

    return decide


def _makespan(problem: Problem, decision: oj.graphs.Decision) -> np.ndarray:
    return test_sets.makespans(oj.graphs.graph_costs(problem, library=np), *decision)


def _rows(problem: Problem) -> list[tuple[Any, ...]]:
    """The arguments of a `oj.single.DecideGraph` for each request."""
    columns = []
    for name, axes in AXES.items():
        if name not in ("release", "user"):  # 0 in all of them
            value = np.asarray(getattr(problem, name))
            own = value.shape[value.ndim - len(axes) :]
            value = np.broadcast_to(value, (len(problem), *own))
            columns.append(value if value.dtype == bool else value.astype(np.float64))
    return [(*row, problem.edge_servers) for row in zip(*columns, strict=True)]


def rules() -> Mapping[str, Contender]:
    """Every rule by name; what takes a place alone comes first."""
    policies = oj.graphs.policies
    found = {name: in_a_batch(getattr(policies, name)) for name in (*PLACES, "random", "greedy")}
    single = {name: one_at_a_time(oj.single.graph(method=name)) for name in LIST_SCHEDULING}
    return found | single | {"cut": as_it_is(policies.cut)}


def perturbed(num: int) -> Contender:
    """Perturbed greedy, the best of `num`."""
    return in_a_batch(lambda problem: oj.graphs.policies.perturbed(problem, num=num))


def own_policies(settings: Settings) -> dict[str, Callable[[Problem], oj.graphs.Decision]]:
    """The user's own policies.

    Raises:
      ValueError: one cannot be imported or does not decide.
    """
    problem = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(6), 2)
    return own.load(settings.graph_policies, "graph_policy", problem, _judge)


def _judge(problem: Problem, decision: oj.graphs.Decision) -> None:
    costs = oj.graphs.graph_costs(problem)
    check_decision(costs.predecessors, costs.num_places, *decision)
