"""An environment of Gymnasium around one of JAX; the extra `gym`."""

from typing import Any

import jax
import numpy as np

from offload_jax.envs.environment import Environment, Params
from offload_jax.extras import needs

with needs("gym"):
    import gymnasium


class GymnasiumEnv(gymnasium.Env):
    """What `to_gymnasium` gives; compiled functions are shared by all wrappers of one `env`."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, env: Environment, params: Params | None = None) -> None:
        self.env, self.params = env, env.default_params if params is None else params
        space = env.observation_space(self.params)
        self.observation_space = gymnasium.spaces.Box(space.low, space.high, space.shape)
        self.action_space = gymnasium.spaces.Discrete(env.num_places)
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode about a request that `seed` draws."""
        super().reset(seed=seed)
        key = jax.random.key(int(self.np_random.integers(2**31)))
        obs, self._state = self.env.reset(key, self.params)
        return np.asarray(obs), {"action_mask": self.action_masks()}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes an action; a new episode is for `reset` to begin."""
        obs, self._state, reward, terminated, info = _step(
            self.env, self._state, action, self.params
        )
        info = {name: np.asarray(value) for name, value in info.items()}
        return np.asarray(obs), float(reward), bool(terminated), False, info

    def action_masks(self) -> np.ndarray:
        """bool `[K]`: places that the next action may be."""
        return np.asarray(self.env.action_mask(self._state))


def _step_env(env: Environment, state: Any, action: Any, params: Params) -> tuple[Any, ...]:
    *results, info = env.step_env(jax.random.key(0), state, action, params)
    return *results, {**info, "action_mask": env.action_mask(results[1])}


_step = jax.jit(_step_env, static_argnums=0)
