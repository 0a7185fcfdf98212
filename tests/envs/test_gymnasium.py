"""The wrapper passes Gymnasium's own checks and pays what the environment pays."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from offload_jax.envs import to_gymnasium
from tests.envs.test_environments import CHAIN_ENV, GRAPH_ENV, STREAM_ENV


def make(kind: str) -> gymnasium.Env:
    return to_gymnasium({"chain": CHAIN_ENV, "graph": GRAPH_ENV, "stream": STREAM_ENV}[kind])


@pytest.mark.parametrize("kind", ["chain", "graph", "stream"])
def test_its_own_check(kind: str) -> None:
    with warnings.catch_warnings():
        # Of render modes, which need a registered name.
        warnings.filterwarnings("ignore", message=".*not having a spec")
        check_env(make(kind))


@pytest.mark.parametrize(("kind", "num_episodes"), [("chain", 50), ("graph", 10), ("stream", 3)])
def test_an_episode_pays_its_cost(kind: str, num_episodes: int) -> None:
    env = make(kind)
    env.action_space.seed(0)
    for seed in range(num_episodes):
        obs, info = env.reset(seed=seed)
        np.testing.assert_array_equal(obs, env.reset(seed=seed)[0])
        total, steps, over = 0.0, 0, False
        while not over:
            action = env.action_space.sample(info["action_mask"].astype(np.int8))
            obs, reward, over, truncated, info = env.step(action)
            total, steps = total + reward, steps + 1
            assert not truncated and obs in env.observation_space
        assert steps == env.unwrapped.env.length
        assert -total == pytest.approx(float(info["cost"]), rel=1e-5)
        np.testing.assert_array_equal(env.unwrapped.action_masks(), info["action_mask"])
