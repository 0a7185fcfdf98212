"""Makespans beside reference ones."""

import math

import jaxtyping
import numpy as np
import pytest

import offload_jax as oj
from tests import oracle
from tests.graphs import cases
from tests.graphs.test_simulate import decisions


def test_normalized_makespan_by_hand() -> None:
    rng = np.random.default_rng(51)
    requests = [cases.random_request(rng, exact=False) for _ in range(cases.BATCH)]
    graphs = [oracle.three_places(*request) for request in requests]
    decision = oj.graphs.Decision(*decisions(rng, graphs))
    makespan = np.array(
        [oracle.simulate_graph(g, p.tolist(), o.tolist()).makespan
         for g, p, o in zip(graphs, *decision, strict=True)]
    )  # fmt: skip
    reference = rng.uniform(1, 10, cases.BATCH)
    found = oj.graphs.metrics.normalized_makespan(cases.as_problem(requests), decision, reference)
    ratios = sorted(makespan / reference)
    assert found.ratio_of_means == pytest.approx(makespan.mean() / reference.mean(), rel=1e-5)
    assert found.mean == pytest.approx(sum(ratios) / len(ratios), rel=1e-5)
    middle = (ratios[cases.BATCH // 2 - 1] + ratios[cases.BATCH // 2]) / 2
    assert found.median == pytest.approx(middle, rel=1e-5)
    logs = [math.log(ratio) for ratio in ratios]
    assert found.geometric_mean == pytest.approx(math.exp(sum(logs) / len(logs)), rel=1e-5)
    assert ratios[-2] <= found.p99 <= ratios[-1] * (1 + 1e-6)


@pytest.mark.parametrize("reference", [0.0, -1.0, math.nan])
def test_bad_references(reference: float) -> None:
    problem = cases.as_problem(cases.Request([8], {}, [1], [1], 1, 4, 1, 1))
    decision = oj.graphs.Decision(np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="^reference"):
        oj.graphs.metrics.normalized_makespan(problem, decision, reference)


def test_what_is_swapped_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would complain first
    problem = cases.as_problem(cases.Request([8], {}, [1], [1], 1, 4, 1, 1))
    decision = oj.graphs.Decision(np.array([0], np.int8), np.array([0], np.int32))
    normalized = oj.graphs.metrics.normalized_makespan
    assert normalized(problem, oj.graphs.solve(problem, method="greedy"), 4.0).mean == 1
    with pytest.raises(ValueError, match="^decision: must be a Decision, .* got float"):
        normalized(problem, 8.0, decision)
    with pytest.raises(ValueError, match="^decision: must be a Decision, .* got GraphProblem"):
        normalized(decision, problem, 8.0)
    with pytest.raises(ValueError, match="^reference: "):
        normalized(problem, decision, problem)
