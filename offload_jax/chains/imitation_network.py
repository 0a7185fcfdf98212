"""Imitation networks of chains: one categorical distribution over places per subtask."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int8

from offload_jax.chains.features import features, num_features
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.scenarios import WIDE, Scenario
from offload_jax.chains.symmetry import is_symmetric, reverse
from offload_jax.learning.networks import ACTIVATIONS, SHARING, separate_networks, shared_trunk
from offload_jax.learning.parameters import Parameters
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import check_known


@dataclasses.dataclass(frozen=True)
class ImitationConfig:
    """Everything needed to rebuild an imitation network and what it sees.

    Attributes:
      num_subtasks: A.
      feature_set: one of `offload_jax.chains.features.FEATURE_SETS`.
      hidden: widths of the hidden layers.
      sharing: "separate", one network per subtask (the paper's parameter counts); "shared", one
        trunk with A * 3 outputs.
      activation: "relu" (the paper's) or "gelu".
      residual: add the input of a hidden layer to its output where their widths agree.
      symmetric: average the logits with those of the reversed chain, whose optimal decision is
        the reversed one; costs a second pass.
      scenario: ranges of the `raw` features.
      objective: what the decisions minimise, plain numbers; all features but `raw` depend on it.
    """

    num_subtasks: int = 6
    feature_set: str = "raw"
    hidden: tuple[int, ...] = (256,) * 5
    sharing: str = "separate"
    activation: str = "relu"
    residual: bool = False
    symmetric: bool = False
    scenario: Scenario = WIDE
    objective: Objective = LATENCY

    network: ClassVar[str] = "imitation"

    def __post_init__(self) -> None:
        num_features(self.feature_set, self.num_subtasks)
        check_known("sharing", self.sharing, SHARING, "kind ")

        check_known("activation", self.activation, ACTIVATIONS)
        if self.symmetric and not is_symmetric(self.objective):
            raise ValueError(
                "symmetric: sending and receiving cost differently under this objective, so a"
                " reversed chain does not have the reversed optimum"
            )

    def build(self, rngs: Any) -> Any:
        """A Flax module with fresh parameters; only training needs Flax."""
        from offload_jax.learning.modules import SeparateNetworks, Trunk

        sizes = (num_features(self.feature_set, self.num_subtasks), *self.hidden)
        if self.sharing == "separate":
            return SeparateNetworks(sizes, self.num_subtasks, len(Place), rngs)
        return Trunk(sizes, self.num_subtasks * len(Place), rngs)

    def decide(self, params: Parameters, problem: ChainProblem) -> Int8[Array, "*batch A"]:
        """The most probable place of every subtask."""
        return jnp.argmax(logits(self, params, problem), axis=-1).astype(jnp.int8)


def logits(
    config: ImitationConfig, params: Parameters, problem: ChainProblem
) -> Float[Array, "*batch A 3"]:
    """Unnormalised log-probabilities of the places, from requests.

    Args:
      config: the network.
      params: its parameters.
      problem: leading dimensions free, `config.num_subtasks` subtasks.

    Returns:
      `[..., A, 3]`.

    Raises:
      ValueError: the problem has another number of subtasks.
    """
    check_num_subtasks(config.num_subtasks, problem)

    def one_way(problem: ChainProblem) -> Array:
        inputs = features(
            problem, config.feature_set, scenario=config.scenario, objective=config.objective
        )
        layers = {"activation": config.activation, "residual": config.residual}
        if config.sharing == "separate":
            return separate_networks(params, inputs, **layers)
        return shared_trunk(params, inputs, config.num_subtasks, **layers)

    forward = one_way(problem)
    if not config.symmetric:
        return forward
    return 0.5 * (forward + jnp.flip(one_way(reverse(problem)), axis=-2))


def log_probabilities(
    config: ImitationConfig, params: Parameters, problem: ChainProblem
) -> Float[Array, "*batch A 3"]:
    """Logarithms of the probabilities of the places; `logits`, normalised."""
    return jax.nn.log_softmax(logits(config, params, problem))


def check_num_subtasks(expected: int, problem: ChainProblem) -> None:
    """Refuses a problem of another length than a network was made for."""
    if problem.num_subtasks != expected:
        raise ValueError(
            f"cycles: the problem has A = {problem.num_subtasks} subtasks, this policy was trained"
            f" for A = {expected}; fit the chain with oj.resize(problem, {expected})"
        )
