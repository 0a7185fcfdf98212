"""A thousand random episodes of each environment: rewards sum to minus the cost.

Run by name: python -m pytest tests/envs/episodes_campaign.py
"""

import dataclasses

import jax
import pytest

import offload_jax as oj
from offload_jax.envs import ChainEnv, GraphEnv, StreamEnv
from tests.envs import test_environments

NUM, NUM_GRAPHS = 1_000, 50


def graphs(seed: int, num_tasks: int) -> oj.graphs.GraphProblem:
    layered = dataclasses.replace(oj.graphs.scenarios.layered(num_tasks), edge_servers=2)
    return oj.graphs.scenarios.sample(jax.random.key(seed), layered, NUM_GRAPHS)


def users() -> oj.graphs.GraphProblem:
    """Three to a graph, who share the edge of the first."""
    first, *others = (graphs(seed, 2) for seed in range(3))
    shared = {name: getattr(first, name) for name in ("edge_speed", "edge_cloud_bandwidth")}
    return oj.graphs.merge([first, *(dataclasses.replace(one, **shared) for one in others)])


@pytest.mark.parametrize(
    "env",
    [
        ChainEnv(oj.scenarios.WIDE),
        ChainEnv(oj.scenarios.WIDE, objective=oj.ENERGY),
        test_environments.TABLE_ENV,
    ],
    ids=["latency", "energy", "table"],
)
def test_chains_pay_their_cost(env: ChainEnv) -> None:
    test_environments.test_chains_pay_their_cost_and_regret_what_is_over_the_optimum(env, NUM)


@pytest.mark.parametrize("problem", [graphs(3, 6), users()], ids=["one user", "three users"])
def test_graphs_pay_their_makespan(problem: oj.graphs.GraphProblem) -> None:
    test_environments.test_graphs_pay_their_makespan(GraphEnv(problem), NUM)


def test_streams_pay_their_sojourns() -> None:
    problem = graphs(4, 6)
    env = StreamEnv(problem, rate=0.5, num_requests=5, num_users=3)
    test_environments.test_streams_pay_their_sojourns(env, problem, NUM)
