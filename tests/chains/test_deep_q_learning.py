"""Deep Q-learning on chains: rewards by hand, and that it learns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import offload_jax as oj
from offload_jax.chains.deep_q_learning import DqnTraining, reward_of, train_dqn
from offload_jax.chains.q_network import QNetworkConfig


def test_reward_orders_decisions_by_latency():
    problem = oj.ChainProblem([1e9, 1e9], [1e6, 1e6, 1e6], 1e9, 4e9, 10e6, 10e6)
    decisions = jnp.array([[0, 0], [1, 1], [0, 1]], jnp.int8)
    # 2 s on the device; 0.5 + 0.2 s on the edge; 1.25 + 0.2 s split.
    expected = -np.log(np.array([2.0, 0.7, 1.45]) / 2.0)
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], problem)
    reward = jax.jit(functools.partial(reward_of, floor=-4.0))
    np.testing.assert_allclose(reward(batch, decisions), expected, rtol=1e-5)
    dead = oj.ChainProblem([[1e9, 1e9]], [[1e6, 1e6, 1e6]], [1e9], [4e9], [0.0], [10e6])
    np.testing.assert_allclose(reward(dead, decisions[1:2]), [-4.0], rtol=1e-6)


def test_learns_the_best_action_of_few_requests(tmp_path):
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 8)
    rewards = []
    recipe = DqnTraining(
        num_epochs=10, steps_per_epoch=50, actors=64, batch_size=64, replay_size=10_000
    )
    policy = train_dqn(
        problem,
        model=QNetworkConfig(hidden=(64,), feature_set="physical"),
        training=recipe,
        checkpoint=tmp_path / "run",
        on_epoch=lambda epoch, metrics: rewards.append(metrics["reward"]),
    )
    assert rewards[-1] > rewards[0] + 1.0
    assert oj.metrics.normalized_latency(problem, policy(problem)).mean < 1.2
    loaded = oj.policies.load(tmp_path / "run")
    assert loaded.config == policy.config
    jax.tree.map(np.testing.assert_array_equal, loaded.params, policy.params)
