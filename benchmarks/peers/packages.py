"""The same problems solved by general packages for chains (`pip install '.[bench]'`).

Both look for the most probable path of a chain of states: states are places, probabilities are
exp(-latency). Everything is scaled by the latency of running all subtasks on the device, which no
optimal decision exceeds: a step that is dearer may get probability 0 without harm.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import offload_jax as oj
from benchmarks.peers import peers

# exp(-80) is still a normal float32 number, exp(-88) is none.
_DYNAMAX_RANGE = 80.0
# Everything on the device has -1; infinities would become NaN in torch-struct.
_FORBIDDEN = -100.0


def hidden_markov_model(problem: oj.ChainProblem) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Probabilities whose most probable path is the decision of least latency.

    They are not normalised: paths are only compared. Execution and the way home are given as
    logarithms; transfers must be probabilities.

    Args:
      problem: `[...]` chains of at least 2 subtasks.

    Returns:
      Probability of the first place `[..., 3]` and of a place given the one before
      `[..., A - 1, 3, 3]`, and log-likelihood `[..., A, 3]`.

    Raises:
      ValueError: a chain of one subtask has no transition.
    """
    if problem.num_subtasks < 2:
        raise ValueError("dynamax needs chains of at least 2 subtasks")
    costs = oj.chain_costs(problem)
    scale = _DYNAMAX_RANGE / _local_latency(problem, jnp)
    transfer = costs.transfer * scale[..., None, None, None]
    log_likelihood = -costs.execution * scale[..., None, None]
    log_likelihood = log_likelihood.at[..., -1, :].add(-transfer[..., -1, :, 0])
    return jnp.exp(-transfer[..., 0, 0, :]), jnp.exp(-transfer[..., 1:-1, :, :]), log_likelihood


def dynamax_policy() -> Callable[[oj.ChainProblem], jax.Array]:
    """dynamax's Viterbi recursion as a policy."""
    from dynamax.hidden_markov_model.inference import hmm_posterior_mode

    def policy(problem: oj.ChainProblem) -> jax.Array:
        decide = hmm_posterior_mode
        for _ in problem.batch_shape:
            decide = jax.vmap(decide)
        return decide(*hidden_markov_model(problem)).astype(jnp.int8)

    return policy


def log_potentials(*fields: Any) -> np.ndarray:
    """Edges of a linear chain whose best path is the decision of least latency.

    Args:
      *fields: of `[N]` problems, as `peers.numpy_dp` takes them.

    Returns:
      `[N, A, 3, 3]` with the later place first: an edge is the way into a subtask and its
      execution; the last one also has the way home. The first node is the device.
    """
    execution, transfer = peers.chain_tables(*fields)
    edges = transfer[:, :-1] + execution[:, :, None, :]
    edges[:, -1] += transfer[:, -1, None, :, 0]
    edges[:, 0, 1:, :] = math.inf
    local = _local_latency(oj.ChainProblem(*fields), np)
    scaled = np.maximum(-edges / local[:, None, None, None], _FORBIDDEN)
    return np.ascontiguousarray(np.swapaxes(scaled, -1, -2))


def torch_struct_policy() -> Callable[..., np.ndarray]:
    """torch-struct's linear chain on fields as `peers.numpy_dp` takes them, on one thread.

    Its operations are small: shared between threads they are slower, on a busy machine by far.
    """
    import torch
    from torch_struct import LinearChain, MaxSemiring

    torch.set_num_threads(1)
    chain = LinearChain(MaxSemiring)

    def policy(*fields: Any) -> np.ndarray:
        # 1 where the best path takes an edge: `[N, A, later place, place before]`.
        taken = chain.marginals(torch.from_numpy(log_potentials(*fields)))
        return taken.sum(-1).argmax(-1).to(torch.int8).numpy()

    return policy


def _local_latency(problem: oj.ChainProblem, library: Any) -> Any:
    """Seconds `[...]` of running everything on the device, not 0."""
    seconds = library.sum(problem.cycles, axis=-1) / problem.device_speed
    return library.maximum(seconds, 1e-30)
