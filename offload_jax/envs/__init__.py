"""Offloading as environments of reinforcement learning, in the form of gymnax 1.0.

`reset(key, params)` gives an observation and a state, `step(key, state, action, params)` the next
ones, reward, terminated, truncated and `info`. Both are pure functions of JAX, so thousands of
episodes are one `vmap`. Neither gymnax nor Gymnasium is needed; `to_gymnasium` needs the latter.
"""

from typing import TYPE_CHECKING

from offload_jax.envs.chains import ChainEnv, ChainState
from offload_jax.envs.environment import Box, Discrete, Environment, Params
from offload_jax.envs.graphs import GraphEnv, GraphState
from offload_jax.envs.streams import StreamEnv, StreamState
from offload_jax.validation import check_class

if TYPE_CHECKING:
    import gymnasium

__all__ = [
    "Box",
    "ChainEnv",
    "ChainState",
    "Discrete",
    "Environment",
    "GraphEnv",
    "GraphState",
    "Params",
    "StreamEnv",
    "StreamState",
    "to_gymnasium",
]


def to_gymnasium(env: Environment, params: Params | None = None) -> "gymnasium.Env":
    """An environment for one episode at a time, as Gymnasium has it.

    Args:
      env: a `ChainEnv`, `GraphEnv` or `StreamEnv`.
      params: as in `Environment.reset`.

    Returns:
      The environment; `action_masks()` is its mask as sb3-contrib asks for it.

    Raises:
      ImportError: the extra `gym` is not installed.
    """
    from offload_jax.envs.wrapper import GymnasiumEnv

    check_class("env", env, Environment)
    return GymnasiumEnv(env, params)
