"""Results print as a few readable lines: what, where, cost, proven."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax import workloads

REQUEST = oj.ChainProblem([8e8, 4e8], [2e6, 4e6, 1e5], 5e8, 3e9, 1.5e6, 2e6)
MANY = oj.ChainProblem(np.full((400, 30), 8e8), np.full(31, 2e6), 5e8, 3e9, 1.5e6, 2e6)


def test_a_solution_says_what_where_and_whether_proven() -> None:
    solution = oj.Solution(np.array([0, 1], np.int8), np.float64(2.25), np.True_)
    lines = ["Solution", "  decision  int8[2] [0 1]", "  cost      2.25", "  optimal   True"]
    assert str(solution) == repr(solution) == "\n".join(lines)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MANY,
        lambda: oj.solve(MANY),
        lambda: oj.chain_costs(MANY),
        lambda: oj.pareto_front(REQUEST),
        lambda: oj.pareto_fronts(REQUEST),
        lambda: oj.resize_with_segments(MANY, 4),
        lambda: oj.metrics.normalized_latency(REQUEST, [0, 1]),
        lambda: oj.metrics.accuracy([0, 1], [0, 1]),
        lambda: workloads.markov_trace(0),
        lambda: workloads.replay(
            REQUEST, workloads.markov_trace(0), oj.policies.optimal, start=np.arange(2.0, 60.0)
        ),
    ],
)
def test_results_are_a_line_for_each_field(make: Callable[[], Any]) -> None:
    result = make()
    name, *lines = repr(result).splitlines()
    assert name == type(result).__name__
    assert len(lines) <= 9 and all(line.startswith("  ") and len(line) < 120 for line in lines)
    assert repr(result) == str(result)


def test_a_solution_of_cpsat_is_as_short_as_any() -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(6), 1)[0]
    solution = oj.graphs.solve(problem, method="cpsat")
    name, *lines = repr(solution).splitlines()
    assert name == "GraphSolution"
    assert [line.split()[0] for line in lines] == list(solution._fields)
    assert f"cost         {float(solution.cost):.6g}" in repr(solution)
    assert lines[4].split() == ["optimal", "True"]
    assert "nan" not in repr(solution)
    for part in (solution.schedule, solution.schedule.transfers):
        name, *lines = repr(part).splitlines()
        assert (name, len(lines)) == (type(part).__name__, len(part._fields))
        assert max(map(len, lines)) < 120
    decision = oj.graphs.Decision(solution.place, solution.order)
    assert len(repr(decision).splitlines()) == 3
    ratios = oj.graphs.metrics.normalized_makespan(problem, decision, solution.cost)
    assert repr(ratios).splitlines()[0] == "Normalized"


def test_what_has_no_values_yet_prints_too() -> None:
    seen = []

    @jax.jit
    def decide(problem: oj.ChainProblem) -> oj.Solution:
        solution = oj.solve(problem, method="dp")
        seen.append(repr(solution))
        return solution

    solution = decide(jax.tree.map(jnp.asarray, REQUEST))
    assert "cost      float32 without values" in seen[0]
    solution.cost.delete()
    assert "cost      float32 without values" in repr(solution)
    assert "decision  <object" in repr(jax.tree.map(lambda _: object(), solution))
    assert (
        repr(solution._replace(cost=REQUEST))
        .splitlines()[2]
        .startswith("  cost      ChainProblem of cycles, data")
    )


def test_results_stay_pytrees() -> None:
    assert len(jax.tree.leaves(oj.solve(REQUEST))) == len(oj.Solution._fields)
