"""Losses of imitation: cross-entropy on labels, and the expected cost of the policy."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from offload_jax.chains.costs import problem_terms, stack_terms
from offload_jax.chains.features import physical_times
from offload_jax.chains.problem import ChainProblem, broadcast_batch
from offload_jax.objectives import LATENCY, Objective

# Entries of the cost table above this many time scales are cut: expectations stay finite on links
# that are dead or nearly so, and no good decision comes near.
_HIGHEST = 1e3


def cross_entropy(
    logits: Float[Array, "*batch A K"],
    target: Float[Array, "*batch A K"],
    *,
    temperature: float = 1.0,
) -> Float[Array, "*batch"]:
    """Cross-entropy summed over subtasks (section 3.3; Hinton et al. 2015 for the temperature).

    Args:
      logits: of the network that learns.
      target: probabilities; one-hot for exact labels.
      temperature: the network's logits are divided by it, and the loss multiplied by its square
        so that gradients keep their size.
    """
    log_probability = jax.nn.log_softmax(logits / temperature)
    return -(temperature**2) * jnp.sum(target * log_probability, axis=(-2, -1))


def log_expected_cost(
    logits: Float[Array, "*batch A K"], problem: ChainProblem, objective: Objective = LATENCY
) -> Float[Array, "*batch"]:
    """Logarithm of the expected cost of the factorised policy, relative to a scale.

    Every subtask draws its place from its own distribution, independently; the expectation of the
    cost is then a sum over the cost table, and differentiable. The logarithm of its ratio to the
    optimal cost differs from this by a constant, so this loss needs no label at all: the least
    value over all distributions is reached at the optimal decision. Alone it gets stuck in
    decisions that no change of a single subtask improves, so it goes together with cross-entropy.

    Args:
      logits: of the policy.
      problem: the requests.
      objective: the cost.
    """
    problem = broadcast_batch(problem)
    _, constants = physical_times(problem, objective)
    scale = jnp.minimum(constants[0], jnp.minimum(constants[1], constants[2]))
    scale = jnp.where(scale > 0, scale, 1.0)[..., None, None]
    costs = stack_terms(problem_terms(problem, objective), problem.batch_shape)
    execution = jnp.minimum(costs.execution / scale, _HIGHEST)
    transfer = jnp.minimum(costs.transfer / scale[..., None], _HIGHEST)
    probability = jax.nn.softmax(logits)
    home = jnp.zeros_like(probability[..., :1, :]).at[..., 0].set(1.0)
    source = jnp.concatenate([home, probability], axis=-2)
    target = jnp.concatenate([probability, home], axis=-2)
    moving = jnp.einsum("...tj,...tk,...tjk->...", source, target, transfer)
    expected = jnp.sum(probability * execution, axis=(-2, -1)) + moving
    return jnp.log(jnp.maximum(expected, 1e-12))
