"""The period of a stream of chains: exact solvers agree with looking at every decision."""

import functools
import math

import jax
import numpy as np
import pytest

import offload_jax as oj
from tests import cases, oracle, period_oracle


@pytest.mark.parametrize("num_subtasks", [1, 3])
def test_period_is_the_largest_load(num_subtasks: int) -> None:
    chains = cases.chains(num_subtasks)
    decisions = np.array([*oracle.all_decisions(num_subtasks)])
    found = oj.period(cases.as_problem(chains), decisions[:, None])
    expected = [[period_oracle.chain_period(chain, d) for chain in chains] for d in decisions]
    np.testing.assert_allclose(found, expected, 1e-5)


def test_every_place_and_pair_of_a_table_is_a_resource() -> None:
    rows = cases.table_rows(2, 3)
    decisions = np.array([*oracle.all_decisions(2, 3)])
    found = oj.period(rows.source, decisions[:, None])
    tables = [*zip(rows.source.execution, rows.source.transfer, strict=True)]
    expected = [[period_oracle.table_period(*table, d) for table in tables] for d in decisions]
    np.testing.assert_allclose(found, expected, 1e-5)


def _table(rng: np.random.Generator, num_subtasks: int, num_places: int) -> oj.ChainCosts:
    """Random, tied, or in part impossible."""
    kind = rng.integers(3)
    draw = cases.integer_table if kind else cases.random_table
    costs = draw(rng, num_subtasks, num_places)
    if kind == 2:
        costs.execution[rng.random(costs.execution.shape) < 0.2] = math.inf
        costs.transfer[rng.random(costs.transfer.shape) < 0.2] = math.inf
    return costs


def _rules(rng: np.random.Generator, num_subtasks: int, num_places: int) -> dict:
    """Memory that may fit, and places for each subtask; or neither."""
    if rng.random() < 0.3:
        return {}
    memory = rng.integers(0, 4, num_subtasks)
    limits = {k: int(rng.choice([2, 3, 5, 99])) for k in range(num_places)}
    allowed = rng.random((num_subtasks, num_places)) < 0.8
    allowed[np.arange(num_subtasks), rng.integers(0, num_places, num_subtasks)] = True
    constraints = oj.SideConstraints(memory=memory, max_memory=limits)
    return {"allowed": allowed, "side_constraints": constraints}


def _keeps(decision: tuple, rules: dict) -> bool:
    constraints = rules.get("side_constraints")
    if constraints is not None:
        for place, most in constraints.max_memory.items():
            if constraints.memory[np.array(decision) == place].sum() > most:
                return False
    allowed = rules.get("allowed")
    return allowed is None or all(allowed[t, k] for t, k in enumerate(decision))


def check_period(seed: int, methods: tuple[str, ...]) -> bool:
    """One table and one request, with and without rules; False where the rules are refused."""
    rng = np.random.default_rng(seed)
    # Few shapes, so that little is compiled.
    num_subtasks, num_places = ((1, 3), (2, 4), (4, 3), (5, 2))[seed % 4]
    is_table = seed % 8 < 4
    num_places = num_places if is_table else 3
    if is_table:
        costs = _table(rng, num_subtasks, num_places)
        cost = functools.partial(period_oracle.table_period, costs.execution, costs.transfer)
    else:
        chains = cases.chains(num_subtasks)
        chain = chains[rng.integers(len(chains))]
        costs = cases.as_problem([chain])[0]
        cost = functools.partial(period_oracle.chain_period, chain)
    rules = _rules(rng, num_subtasks, num_places)
    decisions = [*oracle.all_decisions(num_subtasks, num_places)]
    try:
        if "side_constraints" in rules:
            rules["side_constraints"].check(num_subtasks, num_places)
    except ValueError:
        assert not any(_keeps(d, rules) for d in decisions)
        return False
    fitting = [d for d in decisions if _keeps(d, rules)]
    for method in methods:
        contiguous = method.startswith("contiguous")
        among = [d for d in fitting if period_oracle.is_contiguous(d)] if contiguous else fitting
        _, least = oracle.minimize(cost, among)
        found = oj.solve(
            costs,
            method=method.removeprefix("contiguous "),
            objective=oj.PERIOD,
            contiguous=contiguous,
            **rules,
        )
        assert found.optimal, (seed, method)
        np.testing.assert_allclose(found.cost, least, 1e-5 if method == "exhaustive" else 1e-9)
        decision = tuple(np.asarray(found.decision).tolist())
        if least < math.inf:
            assert decision in among
            np.testing.assert_allclose(cost(decision), least, 1e-5)
    return True


METHODS = ("exhaustive", "contiguous", "contiguous cpsat", "cpsat")


def test_no_decision_has_a_smaller_period() -> None:
    # Programs are compiled for one shape only.
    assert sum(check_period(seed, METHODS[seed % 8 != 1 :]) for seed in range(40)) > 25


def test_least_latency_within_a_period_and_the_other_way_round() -> None:
    """And the front between the two, each point of which is both."""
    rng = np.random.default_rng(3)
    costs = cases.random_table(rng, 4, 3)
    latency = functools.partial(oracle.table_cost, costs.execution, costs.transfer)
    period = functools.partial(period_oracle.table_period, costs.execution, costs.transfer)
    decisions = [*oracle.all_decisions(4, 3)]
    points = sorted({(latency(d), period(d)) for d in decisions})
    front = [p for i, p in enumerate(points) if all(p[1] < other for _, other in points[:i])]
    found = oj.period_front(costs)
    np.testing.assert_allclose(np.stack([found.latency, found.period], 1), front)
    assert found.optimal.all()
    assert len(front) > 2
    for point, decision in zip(front, found.decision.tolist(), strict=True):
        assert (latency(decision), period(decision)) == pytest.approx(point)
    most = np.array([[p for _, p in front], [seconds for seconds, _ in front]])
    for method in ("exhaustive", "cpsat"):
        within = oj.solve(costs, method=method, max_period=most[0])
        np.testing.assert_allclose(within.cost, most[1], 1e-5)
        within = oj.solve(costs, method=method, objective=oj.PERIOD, limit=(costs, most[1]))
        np.testing.assert_allclose(within.cost, most[0], 1e-5)
    assert oj.solve(costs, max_period=front[-1][1] / 2).cost == math.inf


def test_a_long_front_is_walked_along(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = cases.wide_problem(np.random.default_rng(0), 4)
    whole = oj.period_front(problem)
    monkeypatch.setattr("offload_jax.chains.exhaustive.MAX_DECISIONS", 1)
    walked = oj.period_front(problem)
    np.testing.assert_allclose(walked.latency, whole.latency, 1e-5)
    np.testing.assert_allclose(walked.period, whole.period, 1e-5)
    assert len(oj.period_front(problem, time_limit=1e-9).latency) == 1


def test_works_inside_jit_and_differentiates() -> None:
    problem = cases.wide_problem(np.random.default_rng(1), 3, (2,))

    def least(problem: oj.ChainProblem) -> oj.Solution:
        return oj.solve(problem, objective=oj.PERIOD)

    compiled, plain = jax.jit(least)(problem), least(problem)
    np.testing.assert_array_equal(compiled.decision, plain.decision)
    np.testing.assert_allclose(compiled.cost, oj.period(problem, plain.decision), 1e-6)
    slope = jax.grad(lambda p: least(p).cost.sum())(problem[0])
    # Twice the cycles and bytes take twice the time.
    weighed = (slope.cycles * problem.cycles[0]).sum() + (slope.data * problem.data[0]).sum()
    np.testing.assert_allclose(weighed, plain.cost[0], 1e-5)


def test_a_pipeline_of_a_hundred_subtasks_on_equal_machines_is_balanced() -> None:
    """The least largest sum of K parts of a row of numbers, by the classic dynamic program."""
    rng = np.random.default_rng(4)
    seconds, num_places = rng.integers(1, 20, 100).astype(float), 8
    sums = np.concatenate([[0.0], np.cumsum(seconds)])
    least = sums.copy()
    for _ in range(num_places - 1):
        least = np.array([min(max(least[s], sums[t] - sums[s]) for s in range(t + 1))
                          for t in range(101)])  # fmt: skip
    costs = oj.ChainCosts(np.tile(seconds[:, None], num_places), np.zeros((101, 8, 8)))
    found = oj.solve(costs, objective=oj.PERIOD, contiguous=True)
    assert found.cost == least[-1]
    assert period_oracle.is_contiguous(found.decision.tolist())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dp", "objective": oj.PERIOD}, 'oj.PERIOD: not for method "dp", only for'),
        ({"method": "contiguous"}, 'method "contiguous": needs oj.PERIOD'),
        ({"method": "label_setting", "max_period": 1.0}, "max_period: not for method"),
        ({"contiguous": True, "method": "exhaustive"}, "contiguous: not for method"),
        ({"max_period": -1.0}, "max_period = -1.0: a limit must not be negative"),
        ({"allowed": np.zeros((3, 3), bool)}, r"allowed\[0\] = False: leaves the task no place"),
        ({"allowed": np.ones((3, 3))}, "allowed: must hold booleans, got dtype float64"),
        ({"allowed": np.ones((2, 3), bool)}, r"allowed: last axes must be 3 tasks and 3 places"),
        ({"allowed": {0: ()}}, r"allowed\[0\] = False: leaves the task no place"),
        ({"allowed": {4: (0,)}}, r"allowed: unknown task 4, tasks are 0..2"),
        ({"allowed": {0: (5,)}}, r"allowed\[0\]: unknown place 5, places are 0..2"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict, message: str) -> None:
    problem = cases.wide_problem(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match=message):
        oj.solve(problem, **options)


@pytest.mark.parametrize(
    ("memory", "limits", "message"),
    [
        ([1, 9, 1], {0: 4, 1: 6, 2: 5}, r"memory\[1\] = 9: fits no place; place 1, .* lacks 3"),
        ([4, 4, 4], {0: 4, 1: 4, 2: 1}, "all places together hold 9 bytes and lack 3 of the 12"),
        ([1, 1], {0: 4}, r"memory: must have shape \(3,\)"),
        ([1, 1, -1], {0: 4}, r"memory\[2\] = -1.0: must be finite and not negative"),
        ([1, 1, 1], {3: 4}, "max_memory: unknown place 3"),
        ([1, 1, 1], {}, "memory, max_memory: one needs the other"),
    ],
)
def test_memory_that_cannot_be_kept_is_refused(memory: list, limits: dict, message: str) -> None:
    problem = cases.wide_problem(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match=message):
        constraints = oj.SideConstraints(memory=memory, max_memory=limits)
        oj.solve(problem, side_constraints=constraints)


def test_allowed_places_go_with_every_method() -> None:
    problem = cases.wide_problem(np.random.default_rng(5), 3)
    pinned = {0: (oj.Place.DEVICE,), 2: [1, 2]}
    kept = [d for d in oracle.all_decisions(3) if d[0] == 0 and d[2] > 0]
    chain = cases.as_chain(problem)
    _, least = oracle.minimize(functools.partial(oracle.latency, chain), kept)
    for method in ("dp", "exhaustive", "cpsat"):
        found = oj.solve(problem, method=method, allowed=pinned)
        np.testing.assert_allclose(found.cost, least, 1e-5)
        assert tuple(np.asarray(found.decision).tolist()) in kept
    with pytest.raises(ValueError, match="allowed: not for"):
        oj.solve(problem, method="label_setting", max_latency=1.0, allowed=pinned)
