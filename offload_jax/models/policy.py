"""A trained network as a policy."""

import dataclasses
import functools

import jax
from jaxtyping import Array, Int8

from offload_jax.models.imitation import ImitationConfig
from offload_jax.models.parameters import Parameters
from offload_jax.models.q_network import QNetworkConfig
from offload_jax.problem import ChainProblem, validate_shapes

PolicyConfig = ImitationConfig | QNetworkConfig


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedPolicy:
    """A callable `ChainProblem` to decision, from a network and its parameters.

    Attributes:
      config: the network and its features.
      params: nested dictionary of arrays, `offload_jax.models.initialize` gives its form.
    """

    config: PolicyConfig
    params: Parameters

    def __call__(self, problem: ChainProblem) -> Int8[Array, "*batch A"]:
        """Decides; works inside `jit` and `vmap`.

        Args:
          problem: leading dimensions free.

        Returns:
          int8 `[..., A]` places.

        Raises:
          ValueError: the problem has another number of subtasks than the network.
        """
        validate_shapes(problem)
        return _decide(self.params, problem, config=self.config)


@functools.partial(jax.jit, static_argnames=("config",))
def _decide(params: Parameters, problem: ChainProblem, *, config: PolicyConfig) -> Array:
    return config.decide(params, problem)
