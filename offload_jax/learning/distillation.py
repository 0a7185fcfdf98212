"""Knowledge distillation: softened answers of a teacher."""

import jax
from jaxtyping import Array, Float


def soften(
    log_probability: Float[Array, "*batch K"], temperature: float
) -> Float[Array, "*batch K"]:
    """Softened probabilities q_i = p_i^(1/T) / sum_j p_j^(1/T) (section 4).

    Works on logarithms, so that probabilities too small for a float, and exact zeros (`-inf`), give
    finite results.

    Args:
      log_probability: `[..., K]` log-probabilities of the teacher, or unnormalised ones.
      temperature: T >= 1; at 1 they stay as they are.

    Raises:
      ValueError: T is below 1.
    """
    if not temperature >= 1:
        raise ValueError(f"temperature = {temperature}: must be at least 1")
    return jax.nn.softmax(log_probability / temperature, axis=-1)
