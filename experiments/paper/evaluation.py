"""Test requests, what is measured on them, and the trained policies that lie in a folder."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.reporting import own_policies as own
from experiments.reporting.stage import Settings
from experiments.reporting.statistics import mean_and_interval
from offload_jax.chains.policies import Policy
from offload_jax.learning import checkpoints

BANDWIDTH_FLOOR = 0.5e6
"""Bytes per second: with bandwidths from here up, the mean latency of every policy exists."""
NO_MEAN = ("edge", "cloud", "random")
"""Policies without a mean cost where bandwidths reach 0; docs/model.md says why."""
NUM_SUBTASKS = 6
"""What the trained policies take."""
PARTS = 10
"""Parts of the test requests that give a policy without training its interval."""
AGGREGATES = oj.metrics.NormalizedLatency._fields

_TEST_KEY = 7


def scenarios() -> dict[str, oj.scenarios.Scenario]:
    """The test distributions by name: wide and narrow, literal bandwidths and floored ones."""
    return {
        scenario.name: scenario
        for base in (oj.scenarios.WIDE, oj.scenarios.NARROW)
        for scenario in (base, base.with_bandwidth_floor(BANDWIDTH_FLOOR))
    }


LITERAL, FLOORED, NARROW = list(scenarios())[:3]


def sample_requests(scenario: str, num: int) -> oj.ChainProblem:
    """Test requests of one of `scenarios()`, the same in every run."""
    return oj.scenarios.sample(jax.random.key(_TEST_KEY), scenarios()[scenario], num)


def evaluate(
    policy: Policy, problem: oj.ChainProblem, objective: oj.Objective, *, parts: int = 1
) -> dict[str, Any]:
    """Every aggregate of the cost over that of the optimum, and the agreement with it.

    Args:
      policy: what decides.
      problem: requests `[n]`.
      objective: what is compared.
      parts: more than one adds `ratio_of_means_interval`, half width of the 95 % interval that the
        ratio of means has over so many equal parts of the requests.

    Returns:
      `mean_cost`, the fields of `oj.metrics.NormalizedLatency`, and `accuracy_per_subtask`,
      `accuracy`, `accuracy_whole_decision`.
    """
    decision, optimum = policy(problem), oj.solve(problem, objective=objective)
    cost = oj.evaluate(oj.chain_costs(problem, objective), decision)
    accuracy = oj.metrics.accuracy(decision, optimum.decision)
    costs = np.asarray([cost, optimum.cost], np.float64)
    metrics = {
        "mean_cost": costs[0].mean(),
        **oj.metrics.aggregate(cost, optimum.cost)._asdict(),
        "accuracy_per_subtask": accuracy.per_subtask,
        "accuracy": accuracy.mean,
        "accuracy_whole_decision": accuracy.whole_decision,
    }
    if parts > 1:
        means = [part.mean(axis=1) for part in np.array_split(costs, parts, axis=1)]
        ratios = [mean / best for mean, best in means]
        metrics["ratio_of_means_interval"] = mean_and_interval(ratios)[1]
    return metrics


def load_policies(settings: Settings) -> dict[str, Any]:
    """Every policy for chains under `checkpoints/` by its name, and the user's own.

    Policies for task graphs lie beside them; their names begin with "graph_".

    Raises:
      ValueError: a checkpoint cannot be restored, or a policy is bad.
    """
    folder = settings.workdir / "checkpoints"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        path.name: oj.policies.load(path)
        for path in paths
        if path.is_dir() and not path.name.startswith((".", "graph_"))
    } | own_policies(settings)


def own_policies(settings: Settings) -> dict[str, Policy]:
    """The user's own policies.

    Raises:
      ValueError: one cannot be imported or does not decide.
    """
    problem = sample_requests(LITERAL, 2)
    return own.load(settings.policies, "policy", problem, oj.latency)


def digests(policies: Mapping[str, Any]) -> dict[str, str]:
    """What results depend on, by name: the weights of trained policies, the code of the user's."""
    return {
        name: checkpoints.digest(policy.params) if hasattr(policy, "params") else own.digest(name)
        for name, policy in policies.items()
    }


def at_any_length(policy: Policy, objective: oj.Objective = oj.LATENCY) -> Policy:
    """A policy for six subtasks as one for chains of any length.

    Args:
      policy: takes `NUM_SUBTASKS` subtasks.
      objective: what the best merge of a longer chain keeps.
    """

    def decide(problem: oj.ChainProblem) -> Any:
        fitted = oj.resize_with_segments(problem, NUM_SUBTASKS, objective=objective)
        return fitted.expand(policy(fitted.problem))

    return decide
