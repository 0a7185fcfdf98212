"""The best of samples and rules, and annealing from it: never worse than what it begins with."""

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs._flow.row import row_or_none
from offload_jax.graphs._jax import rules
from tests.graphs import cases
from tests.graphs.test_learned import POLICY
from tests.graphs.test_single import fields_of, hostile

NUM, KEY = 400, jax.random.key(70)
LAYOUTS = cases.LAYOUTS | {"five in a row": cases.in_a_row([3, 0, 2, 4, 1], servers=2)}


def makespan(problem: oj.graphs.GraphCosts, decision: oj.graphs.Decision) -> np.ndarray:
    """Exact graphs: float32 makes no error."""
    return np.asarray(oj.graphs.simulate(problem, *decision).makespan)


@pytest.mark.parametrize("name", [*LAYOUTS, "three users"])
def test_never_worse_than_rules_and_samples(name: str) -> None:
    """With ties, dead links, forbidden places and empty tasks."""
    rng = np.random.default_rng(71)
    if name in LAYOUTS:
        graphs = [cases.random_graph(rng, LAYOUTS[name]) for _ in range(NUM)]
    else:
        graphs = [cases.several_users(rng, cases.PAPER, 3, 2) for _ in range(NUM)]
    costs = cases.as_costs(graphs)
    single = [makespan(costs, rules.filled(costs, k)) for k in range(costs.num_places)]
    known = [makespan(costs, decide(costs)) for decide in (POLICY, oj.graphs.policies.greedy)]
    if row_or_none(costs.routes) is not None:
        known.append(makespan(costs, oj.graphs.policies.cut(costs)))
    sampled = makespan(costs, POLICY.best_of(3)(costs, KEY))
    searched = makespan(costs, POLICY.then_search(40, best_of=3)(costs, KEY))
    assert (sampled <= np.min([*single, *known], axis=0)).all()
    assert (searched <= sampled).all()
    assert len(costs.servers) == 1 or (searched < sampled).any()


@pytest.mark.parametrize("objective", [oj.MEAN_LATENCY, oj.MAX_LATENCY])
def test_users_wait_no_longer_than_by_rules_and_samples(objective: oj.graphs.UserLatency) -> None:
    rng = np.random.default_rng(73)
    costs = cases.as_costs([cases.several_users(rng, cases.PAPER, 3, 2) for _ in range(100)])

    def waits(decision: oj.graphs.Decision) -> np.ndarray:
        seconds = np.asarray(oj.graphs.user_latency(costs, decision), np.float64)
        return seconds.max(-1) if objective.largest else seconds.mean(-1)

    known = [waits(decide) for decide in (POLICY(costs), POLICY.best_of(3)(costs, KEY))]
    known += [oj.graphs.solve(costs, method=m, objective=objective).cost for m in ("greedy", "cut")]
    sampled = waits(POLICY.best_of(3, objective=objective)(costs, KEY))
    searched = waits(POLICY.then_search(40, best_of=3, objective=objective)(costs, KEY))
    assert (sampled <= np.min(known, axis=0) * (1 + 1e-6)).all()
    assert (searched <= sampled).all() and (searched < sampled).any()


def test_one_by_one_as_in_a_batch() -> None:
    """In every way that there is to ask, and again."""
    requests = hostile(24)
    problem = cases.as_problem(requests)
    for num, steps in ((5, 0), (20, 60)):
        policy = POLICY.then_search(steps, best_of=num)
        alone = oj.single.learned(POLICY, best_of=num, simulations=steps, seed=72)
        together = policy(problem, jax.random.key(72))
        jax.tree.map(np.testing.assert_array_equal, together, policy(problem, jax.random.key(72)))
        if not steps:
            sampled = POLICY.best_of(num)(problem, jax.random.key(72))
            jax.tree.map(np.testing.assert_array_equal, together, sampled)
        for row, request in enumerate(requests):
            one = policy(problem[row], jax.random.key(72))
            for found in (one, alone(*fields_of(request))):
                np.testing.assert_array_equal(found.place, together.place[row])
                np.testing.assert_array_equal(found.order, together.order[row])


def test_another_key_walks_another_way() -> None:
    problem = oj.graphs.scenarios.sample(KEY, oj.graphs.scenarios.layered(12), 20)
    policy = POLICY.then_search(300, best_of=0)
    found = [policy(problem, jax.random.key(seed)) for seed in (0, 1)]
    assert (np.asarray(found[0].place) != found[1].place).any(-1).mean() > 0.5


def test_what_is_no_search() -> None:
    problem = oj.graphs.scenarios.sample(KEY, oj.graphs.scenarios.layered(5), 2)
    with pytest.raises(ValueError, match="problem: search runs on the host"):
        jax.jit(POLICY.then_search(5))(problem, KEY)
    with pytest.raises(ValueError, match=r"objective: must be oj\.LATENCY, oj\.MEAN_LATENCY"):
        POLICY.best_of(1, objective=oj.ENERGY)
    with pytest.raises(ValueError, match="num_simulations = -1: must not be negative"):
        POLICY.then_search(-1)
    with pytest.raises(ValueError, match="best_of = -1: must not be negative"):
        POLICY.then_search(1, best_of=-1)
