"""Duelling Q-network whose actions are whole decisions."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Int8

from offload_jax.chains.exhaustive import unravel
from offload_jax.chains.features import features, num_features
from offload_jax.chains.imitation_network import check_num_subtasks
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.scenarios import WIDE, Scenario
from offload_jax.learning.networks import duelling
from offload_jax.learning.parameters import Parameters
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective

# The last layer has 3^A columns; at A = 10 that is 59 049.
_MAX_SUBTASKS = 10


@dataclasses.dataclass(frozen=True)
class QNetworkConfig:
    """Everything needed to rebuild a duelling Q-network.

    Attributes:
      num_subtasks: A; the network has 3^A actions.
      feature_set: one of `offload_jax.chains.features.FEATURE_SETS`.
      hidden: widths of the hidden layers of the shared trunk.
      scenario: ranges of the `raw` features.
      objective: what the decisions minimise, plain numbers; all features but `raw` depend on it.
    """

    num_subtasks: int = 6
    feature_set: str = "raw"
    hidden: tuple[int, ...] = (256,) * 3
    scenario: Scenario = WIDE
    objective: Objective = LATENCY

    network: ClassVar[str] = "q_network"

    def __post_init__(self) -> None:
        num_features(self.feature_set, self.num_subtasks)
        if not 1 <= self.num_subtasks <= _MAX_SUBTASKS:
            raise ValueError(
                f"num_subtasks = {self.num_subtasks}: one action per decision is possible up to"
                f" {_MAX_SUBTASKS}"
            )

    @property
    def num_actions(self) -> int:
        """3^A."""
        return len(Place) ** self.num_subtasks

    def build(self, rngs: Any) -> Any:
        """A Flax module with fresh parameters; only training needs Flax."""
        from offload_jax.learning.modules import Trunk

        sizes = (num_features(self.feature_set, self.num_subtasks), *self.hidden)
        return Trunk(sizes, self.num_actions + 1, rngs)

    def decide(self, params: Parameters, problem: ChainProblem) -> Int8[Array, "*batch A"]:
        """The decision of the highest action value."""
        best = jnp.argmax(action_values(self, params, problem), axis=-1)
        return unravel(best, self.num_subtasks, len(Place))


def action_values(
    config: QNetworkConfig, params: Parameters, problem: ChainProblem
) -> Float[Array, "*batch actions"]:
    """Q-values of all decisions, decisions in lexicographic order."""
    check_num_subtasks(config.num_subtasks, problem)
    inputs = features(
        problem, config.feature_set, scenario=config.scenario, objective=config.objective
    )
    return duelling(params, inputs)
