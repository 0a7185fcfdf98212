"""A trained network as a policy, and its way through a checkpoint."""

import dataclasses
import functools
import math
from pathlib import Path

import jax
from jaxtyping import Array, Int8

from offload_jax.batching import is_known, map_chunks
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.problem import ChainProblem, validate_shapes
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.learning import policies
from offload_jax.learning.parameters import Parameters

PolicyConfig = ImitationConfig | QNetworkConfig

STUDENT = Path(__file__).parent / "student.npz"

# Rows that a CPU decides at once: what the layers of so many rows hold stays in its cache.
_CHUNK_ROWS = 8192


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedPolicy:
    """A callable `ChainProblem` to decision, from a network and its parameters.

    Attributes:
      config: the network and its features.
      params: nested dictionary of arrays, `learning.parameters.initialize` gives its form.
    """

    config: PolicyConfig
    params: Parameters = dataclasses.field(repr=False)

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


def load(path: Path) -> LearnedPolicy:
    """The policy of the newest checkpoint in a folder; see `learning.policies.load`."""
    return LearnedPolicy(*policies.load(path, ImitationConfig, QNetworkConfig))


def student() -> LearnedPolicy:
    """The one that comes with the package."""
    return LearnedPolicy(*policies.read(STUDENT, ImitationConfig))


@functools.partial(jax.jit, static_argnames=("config",))
def _decide(params: Parameters, problem: ChainProblem, *, config: PolicyConfig) -> Array:
    decide = functools.partial(config.decide, params)
    size = math.prod(problem.batch_shape)
    if not is_known(size) or size <= _CHUNK_ROWS:
        return decide(problem)
    in_chunks = functools.partial(map_chunks, decide, chunk_rows=_CHUNK_ROWS)
    return jax.lax.platform_dependent(problem, cpu=in_chunks, default=decide)
