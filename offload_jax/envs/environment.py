"""What all environments share: the form of gymnax 1.0, and requests that episodes are about."""

import dataclasses
import functools
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.batching import broadcast_batch

# What a time is of the request's own scale at most, and a logarithm on either side.
_MOST, _LIMIT = 1e6, 20.0

TState = TypeVar("TState", bound=Any)


class Params(NamedTuple):
    """What an environment can be called with.

    Attributes:
      max_steps_in_episode: steps of every episode; not read, for trainers that ask.
      requests: problem or table whose rows episodes are about, one drawn for each; None where a
        scenario draws them.
    """

    max_steps_in_episode: int
    requests: Any = None


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The numbers 0 to n - 1."""

    n: int

    shape: ClassVar[tuple[int, ...]] = ()
    dtype: ClassVar[Any] = jnp.int32

    def sample(self, key: Array) -> Array:
        """One of them."""
        return jax.random.randint(key, self.shape, 0, self.n, self.dtype)

    def contains(self, x: Any) -> Array:
        """Whether `x` is one of them."""
        return jnp.logical_and(jnp.asarray(x) >= 0, jnp.asarray(x) < self.n)


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of one shape with entries between two numbers."""

    low: float
    high: float
    shape: tuple[int, ...]

    dtype: ClassVar[Any] = jnp.float32

    def sample(self, key: Array) -> Array:
        """One of them."""
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: Any) -> Array:
        """Whether `x`, of that shape, is one of them."""
        return jnp.all((jnp.asarray(x) >= self.low) & (jnp.asarray(x) <= self.high))


class Environment(Generic[TState]):
    """Episodes that place one subtask or task a step; rewards sum to minus the cost.

    All episodes of an environment have the same length, and none is truncated. `info` has

    - `action_mask` bool `[K]`: places that the next action may be; see `action_mask`;
    - `cost`: of the episode so far, what rewards have summed to with the other sign;
    - `regret`: see each environment; never negative;
    - `terminated`, `truncated` and `final_observation`, as in gymnax.
    """

    def __init__(self, source: Any, *, length: int, num_places: int) -> None:
        self.source, self.length, self.num_places = source, length, num_places

    @property
    def name(self) -> str:
        """Of the class."""
        return type(self).__name__

    @property
    def num_actions(self) -> int:
        """K, the number of places."""
        return self.num_places

    @property
    def default_params(self) -> Params:
        """The requests that the environment was made with."""
        return Params(self.length, self.source if hasattr(self.source, "batch_shape") else None)

    def action_space(self, params: Params | None = None) -> Discrete:
        """Places."""
        del params
        return Discrete(self.num_places)

    def observation_space(self, params: Params | None = None) -> Box:
        """Numbers without unit."""
        shape = jax.eval_shape(self.reset, jax.random.key(0), params)[0].shape
        return Box(-_LIMIT, _LIMIT, shape)

    @functools.partial(jax.jit, static_argnames="self")
    def reset(self, key: Array, params: Params | None = None) -> tuple[Array, TState]:
        """Begins an episode.

        Args:
          key: JAX random key; draws the request.
          params: `default_params` if None.

        Returns:
          Observation and state.
        """
        return self.reset_env(key, self.default_params if params is None else params)

    @functools.partial(jax.jit, static_argnames="self")
    def step(
        self, key: Array, state: TState, action: Array | int, params: Params | None = None
    ) -> tuple[Array, TState, Array, Array, Array, dict[str, Any]]:
        """Takes an action, and begins the next episode where it was the last one.

        Args:
          key: JAX random key; draws the next request.
          state: of the step before.
          action: a place.
          params: as in `reset`.

        Returns:
          Observation, state, reward, terminated, truncated and `info`. After the last step of an
          episode observation, state and `action_mask` are the next one's.
        """
        params = self.default_params if params is None else params
        key, key_reset = jax.random.split(key)
        seen, after, reward, terminated, info = self.step_env(key, state, action, params)
        truncated = jnp.zeros_like(terminated)
        obs, state = jax.tree.map(
            lambda new, old: jnp.where(terminated, new, old),
            self.begin_again(key_reset, after, params),
            (seen, after),
        )
        info |= {
            "action_mask": self.action_mask(state),
            "terminated": terminated,
            "truncated": truncated,
            "final_observation": seen,
        }
        return obs, state, reward, terminated, truncated, info

    def reset_env(self, key: Array, params: Params) -> tuple[Array, TState]:
        """`reset` inside a program that is compiled."""
        raise NotImplementedError

    def begin_again(self, key: Array, ended: TState, params: Params) -> tuple[Array, TState]:
        """The episode that follows one that ended."""
        del ended
        return self.reset_env(key, params)

    def step_env(
        self, key: Array, state: TState, action: Array | int, params: Params
    ) -> tuple[Array, TState, Array, Array, dict[str, Any]]:
        """`step` without the next episode and without truncated."""
        raise NotImplementedError

    def action_mask(self, state: TState, params: Params | None = None) -> Array:
        """bool `[K]`: places from which the episode can still end at a finite cost; all if none."""
        raise NotImplementedError

    def is_terminated(self, state: TState, params: Params | None = None) -> Array:
        """Whether everything is placed; never of a state that `step` gave."""
        del params
        return state.time >= self.length


def one_of(requests: Any, key: Array) -> Any:
    """A row of a batch of problems or tables, drawn uniformly; a single one as it is."""
    rows = jax.tree.map(jnp.asarray, broadcast_batch(requests))
    axes = len(rows.batch_shape)
    sizes = rows.batch_shape
    row = jax.random.randint(key, (), 0, int(np.prod(sizes)))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[axes:])[row], rows)


def relative(times: Array, scale: Array) -> Array:
    """Logarithms of 1 + times over a scale, for observations; `inf` is cut."""
    return jnp.log1p(jnp.minimum(times / scale, _MOST))


def bounded_log(scale: Array) -> Array:
    """The logarithm of a scale, for observations."""
    return jnp.clip(jnp.log(scale), -_LIMIT, _LIMIT)


def positive_or_one(scale: Array) -> Array:
    """A scale to divide by."""
    return jnp.where(jnp.isfinite(scale) & (scale > 0), scale, 1.0)
