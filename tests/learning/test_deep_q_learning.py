"""Deep Q-learning: targets by hand, rewards, exploration, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np

import offload_jax as oj
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.learning.deep_q_learning import (
    DqnTraining,
    double_q_target,
    epsilon_at,
    reward_of,
    train_dqn,
)


def test_double_q_target_by_hand():
    reward = jnp.array([1.0, -2.0])
    # The online network prefers actions 2 and 0; the target network says what they are worth.
    online = jnp.array([[0.0, 1.0, 3.0], [5.0, 4.0, 4.0]])
    target = jnp.array([[9.0, 8.0, 0.5], [-1.0, 7.0, 7.0]])
    result = double_q_target(reward, jnp.array([0.9, 0.5]), online, target)
    np.testing.assert_allclose(result, [1.0 + 0.9 * 0.5, -2.0 - 0.5 * 1.0], rtol=1e-6)
    np.testing.assert_allclose(double_q_target(reward, 0.0, online, target), reward)


def test_reward_orders_decisions_by_latency():
    problem = oj.ChainProblem([1e9, 1e9], [1e6, 1e6, 1e6], 1e9, 4e9, 10e6, 10e6)
    decisions = jnp.array([[0, 0], [1, 1], [0, 1]], jnp.int8)
    # 2 s on the device; 0.5 + 0.2 s on the edge; 1.25 + 0.2 s split.
    expected = -np.log(np.array([2.0, 0.7, 1.45]) / 2.0)
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], problem)
    np.testing.assert_allclose(reward_of(batch, decisions, floor=-4.0), expected, rtol=1e-5)
    dead = oj.ChainProblem([[1e9, 1e9]], [[1e6, 1e6, 1e6]], [1e9], [4e9], [0.0], [10e6])
    np.testing.assert_allclose(reward_of(dead, decisions[1:2], floor=-4.0), [-4.0], rtol=1e-6)


def test_epsilon_falls_linearly_and_stays():
    recipe = DqnTraining(
        num_epochs=10, steps_per_epoch=10, epsilon_start=1.0, epsilon_end=0.2, exploration=0.5
    )
    epsilon = [float(epsilon_at(recipe, step)) for step in (0, 25, 50, 99)]
    np.testing.assert_allclose(epsilon, [1.0, 0.6, 0.2, 0.2], rtol=1e-6)


def test_learns_the_best_action_of_few_requests():
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 8)
    rewards = []
    recipe = DqnTraining(
        num_epochs=10, steps_per_epoch=60, actors=64, batch_size=128, replay_size=10_000
    )
    policy = train_dqn(
        problem,
        model=QNetworkConfig(hidden=(64,), feature_set="physical"),
        training=recipe,
        on_epoch=lambda epoch, metrics: rewards.append(metrics["reward"]),
    )
    assert rewards[-1] > rewards[0] + 1.0
    assert oj.metrics.normalized_latency(problem, policy(problem)).mean < 1.2


def test_a_discount_uses_the_target_network():
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 8)
    recipe = DqnTraining(
        num_epochs=1, steps_per_epoch=2, actors=4, batch_size=4, replay_size=8, discount=0.5
    )
    policy = train_dqn(problem, model=QNetworkConfig(hidden=(4,)), training=recipe)
    assert policy(problem).shape == (8, 6)
