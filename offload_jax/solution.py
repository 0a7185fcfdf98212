"""What solvers return."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int8

from offload_jax.summary import summarize


class Solution(NamedTuple):
    """What a solver found: JAX arrays, or NumPy arrays from solvers that run on the host.

    Attributes:
      decision: int8 `[..., A]` place of each subtask.
      cost: `[...]` its cost; seconds for latency, joules for energy.
      optimal: bool `[...]` True only where the decision is proven optimal.
    """

    decision: Int8[jax.Array | np.ndarray, "*batch A"]
    cost: Float[jax.Array | np.ndarray, "*batch"]
    optimal: Bool[jax.Array | np.ndarray, "*batch"]

    def __repr__(self) -> str:
        return summarize(self)
