"""Side constraints through CP-SAT agree with looking at every decision."""

import dataclasses
import math

import numpy as np
import pytest

import offload_jax as oj
from offload_jax import Place, SideConstraints
from tests import cases, oracle


def _sample(seed: int, num: int) -> oj.ChainProblem:
    """Good radio, bad link to the cloud: much is to be done on the edge."""
    rng = np.random.default_rng(seed)
    return dataclasses.replace(
        cases.wide_problem(rng, 5, (num,)),
        device_edge_bandwidth=rng.uniform(5e5, 2e6, num),
        edge_cloud_bandwidth=rng.uniform(0, 2e5, num),
    )


@pytest.mark.parametrize(
    "constraints",
    [
        SideConstraints(max_subtasks={Place.EDGE: 2}),
        SideConstraints(max_subtasks={Place.EDGE: 0, Place.CLOUD: 1}),
        SideConstraints(max_cycles={Place.EDGE: 2.5e9}),
        SideConstraints(forbidden={0: (Place.EDGE, Place.CLOUD), 3: (Place.EDGE,)}),
        SideConstraints(
            max_subtasks={Place.EDGE: 2}, max_cycles={Place.EDGE: 2e9}, forbidden={4: [2]}
        ),
    ],
)
def test_agrees_with_enumeration(constraints: SideConstraints) -> None:
    problem = _sample(0, 6)
    solution = oj.solve(problem, side_constraints=constraints)
    changed = 0
    for i in range(6):
        chain = cases.as_chain(problem[i])

        def allowed(decision: tuple[int, ...], chain: oracle.Chain = chain) -> bool:
            cycles = {k: sum(chain.cycles[t] for t in range(5) if decision[t] == k) for k in (1, 2)}
            return (
                all(decision.count(k) <= n for k, n in constraints.max_subtasks.items())
                and all(cycles[k] <= c for k, c in constraints.max_cycles.items())
                and all(decision[t] not in ks for t, ks in constraints.forbidden.items())
            )

        decisions = filter(allowed, oracle.all_decisions(5))
        _, best = oracle.minimize(lambda d, chain=chain: oracle.latency(chain, d), decisions)
        np.testing.assert_allclose(solution.cost[i], best, rtol=1e-5)
        assert allowed(tuple(np.asarray(solution.decision[i]).tolist()))
        changed += best > oracle.optimum(chain)[1] * (1 + 1e-9)
    assert np.asarray(solution.optimal).all()
    assert changed > 0


def test_goes_together_with_limits_and_infeasible_rows() -> None:
    problem = _sample(1, 2)
    constraints = SideConstraints(forbidden=dict.fromkeys(range(5), (1, 2)))
    local = oj.latency(problem, oj.policies.local(problem))
    limits = np.asarray(local) * [1.0, 0.5]
    solution = oj.solve(problem, side_constraints=constraints, max_latency=limits)
    np.testing.assert_allclose(solution.cost, [local[0], math.inf], rtol=1e-5)
    assert np.asarray(solution.optimal).all()
    assert not np.asarray(solution.decision).any()


def test_applies_to_tables_of_more_places() -> None:
    generator = np.random.default_rng(0)
    costs = oj.ChainCosts(generator.random((4, 5)), generator.random((5, 5, 5)))
    solution = oj.solve(costs, side_constraints=SideConstraints(max_subtasks={4: 1, 3: 1, 0: 0}))
    decisions = [
        d
        for d in oracle.all_decisions(4, 5)
        if d.count(4) <= 1 and d.count(3) <= 1 and d.count(0) == 0
    ]
    _, best = oracle.minimize(
        lambda d: oracle.table_cost(costs.execution, costs.transfer, d), decisions
    )
    np.testing.assert_allclose(solution.cost, best, rtol=1e-6)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"max_subtasks": {7: 1}}, "max_subtasks: unknown place 7"),
        ({"max_cycles": {-1: 1.0}}, "max_cycles: unknown place -1"),
        ({"forbidden": {0: (3,)}}, "forbidden: unknown place 3"),
        ({"forbidden": {9: (1,)}}, "forbidden: unknown subtask 9"),
        ({"max_subtasks": {1: -1}}, r"max_subtasks\[1\] = -1"),
        ({"max_cycles": {1: math.nan}}, r"max_cycles\[1\] = nan"),
    ],
)
def test_bad_constraints_are_refused(constraints: dict, message: str) -> None:
    problem = _sample(0, 2)
    with pytest.raises(ValueError, match=message):
        oj.solve(problem, side_constraints=SideConstraints(**constraints))


def test_dynamic_programming_does_not_take_them() -> None:
    problem = _sample(0, 2)
    with pytest.raises(ValueError, match='side_constraints: not for method "dp", only for "exh'):
        oj.solve(problem, method="dp", side_constraints=SideConstraints())
    costs = oj.chain_costs(problem)
    with pytest.raises(ValueError, match="max_cycles: a table of costs has no cycles"):
        oj.solve(costs, side_constraints=SideConstraints(max_cycles={1: 1.0}))
