"""Losses of policies that draw each of several choices from its own distribution."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Entries of a cost table above this many scales are cut: expectations stay finite where something
# is impossible or nearly so, and no good decision comes near.
_HIGHEST = 1e3


def cross_entropy(
    logits: Float[Array, "*batch N K"],
    target: Float[Array, "*batch N K"],
    *,
    temperature: float = 1.0,
) -> Float[Array, "*batch"]:
    """Cross-entropy summed over choices (section 3.3; Hinton et al. 2015 for the temperature).

    Args:
      logits: of the network that learns.
      target: probabilities; one-hot for exact labels.
      temperature: the network's logits are divided by it, and the loss multiplied by its square
        so that gradients keep their size.
    """
    log_probability = jax.nn.log_softmax(logits / temperature)
    return -(temperature**2) * jnp.sum(target * log_probability, axis=(-2, -1))


def log_expected_cost(
    logits: Float[Array, "*batch A K"],
    execution: Float[Array, "*batch A K"],
    transfer: Float[Array, "*batch A+1 K K"],
) -> Float[Array, "*batch"]:
    """Logarithm of the expected cost of a factorised policy over a chain, relative to a scale.

    Every choice draws its option from its own distribution, independently; the expectation of the
    cost is then a sum over the cost table, and differentiable. The scale is the cost of the best
    constant decision. The logarithm of the ratio to the optimal cost differs from this by a
    constant, so this loss needs no label at all: the least value over all distributions is reached
    at the optimal decision. Alone it gets stuck in decisions that no change of a single choice
    improves, so it goes together with cross-entropy.

    Args:
      logits: of the policy.
      execution: cost of option k for choice t; may be `inf`.
      transfer: cost of going from option j of choice t - 1 to option k of choice t; the chain
        starts and ends at option 0; may be `inf`.
    """
    constant = jnp.sum(execution, axis=-2) + transfer[..., 0, 0, :] + transfer[..., -1, :, 0]
    constant += jnp.sum(jnp.diagonal(transfer[..., 1:-1, :, :], axis1=-2, axis2=-1), axis=-2)
    scale = jnp.min(constant, axis=-1)
    scale = jnp.where(scale > 0, scale, 1.0)[..., None, None]
    execution = jnp.minimum(execution / scale, _HIGHEST)
    transfer = jnp.minimum(transfer / scale[..., None], _HIGHEST)
    probability = jax.nn.softmax(logits)
    home = jnp.zeros_like(probability[..., :1, :]).at[..., 0].set(1.0)
    source = jnp.concatenate([home, probability], axis=-2)
    target = jnp.concatenate([probability, home], axis=-2)
    moving = jnp.einsum("...tj,...tk,...tjk->...", source, target, transfer)
    expected = jnp.sum(probability * execution, axis=(-2, -1)) + moving
    return jnp.log(jnp.maximum(expected, 1e-12))
