"""The best of several schedules, and search from there, against rules on 100 000 graphs.

Run by name:
python -m pytest tests/graphs/never_worse.py
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj


@pytest.mark.parametrize(("num_tasks", "num"), [(5, 40_000), (12, 40_000), (20, 20_000)])
def test_never_worse_than_rules(num_tasks: int, num: int) -> None:
    """A tenth of the graphs has a dead link; schedules are carried out by `simulate`."""
    key = jax.random.key(num_tasks)
    problem = oj.graphs.scenarios.sample(key, oj.graphs.scenarios.layered(num_tasks), num)
    dead = np.arange(num) % 10 == 0
    problem = dataclasses.replace(
        problem,
        edge_cloud_bandwidth=jnp.where(dead, 0.0, problem.edge_cloud_bandwidth),
    )
    costs, policies = oj.graphs.graph_costs(problem, library=np), oj.graphs.policies
    student, makespans = policies.student(), []
    for decide in (policies.local, policies.edge, policies.cloud, policies.cut, policies.greedy):
        makespans.append(oj.graphs.simulate(costs, *decide(costs)).makespan)
    best = rule = jnp.min(jnp.stack(makespans), axis=0)
    for policy in (student.best_of(4), student.then_search(20, best_of=4)):
        makespan = oj.graphs.simulate(costs, *policy(costs, key)).makespan
        assert int(jnp.sum(makespan > best)) == 0
        # The rules alone would pass as well.
        assert float(jnp.mean(makespan < rule)) > 0.5
        best = makespan
