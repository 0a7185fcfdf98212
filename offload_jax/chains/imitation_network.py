"""Networks of deep imitation learning: one categorical distribution over places per subtask."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int8

from offload_jax.chains.features import features, num_features
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.scenarios import WIDE, Scenario
from offload_jax.chains.symmetry import is_symmetric, reverse
from offload_jax.learning.parameters import Parameters, apply
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective

SHARING = ("separate", "shared")
ACTIVATIONS = {"relu": nnx.relu, "gelu": nnx.gelu}


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

    def __post_init__(self) -> None:
        num_features(self.feature_set, self.num_subtasks)
        if self.sharing not in SHARING:
            raise ValueError(
                f"sharing: unknown kind {self.sharing!r}, known are {', '.join(SHARING)}"
            )

        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation: unknown {self.activation!r}, known are {', '.join(ACTIVATIONS)}"
            )
        if self.symmetric and not is_symmetric(self.objective):
            raise ValueError(
                "symmetric: sending and receiving cost differently under this objective, so a"
                " reversed chain does not have the reversed optimum"
            )

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """A module with fresh parameters: `[..., features]` to logits `[..., A, 3]`."""
        sizes = (num_features(self.feature_set, self.num_subtasks), *self.hidden)
        kind = SeparateNetworks if self.sharing == "separate" else SharedTrunk
        return kind(
            sizes, self.num_subtasks, rngs, activation=self.activation, residual=self.residual
        )

    def decide(self, params: Parameters, problem: ChainProblem) -> Int8[Array, "*batch A"]:
        """The most probable place of every subtask."""
        return jnp.argmax(logits(self, params, problem), axis=-1).astype(jnp.int8)


class MultilayerPerceptron(nnx.Module):
    """Fully connected layers with nonlinear units between them."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        outputs: int,
        rngs: nnx.Rngs,
        *,
        activation: str = "relu",
        residual: bool = False,
    ) -> None:
        self.num_layers = len(sizes)
        self.activation, self.residual = activation, residual
        last = len(sizes) - 1
        for i, (inner, outer) in enumerate(zip(sizes, (*sizes[1:], outputs), strict=True)):
            # A small last layer starts every subtask near the uniform distribution.
            initializer = nnx.initializers.variance_scaling(
                0.1 if i == last else 2.0, "fan_in", "normal"
            )
            layer = nnx.Linear(inner, outer, kernel_init=initializer, rngs=rngs)
            setattr(self, f"layer_{i}", layer)

    def __call__(self, inputs: Array) -> Array:
        hidden = inputs
        for i in range(self.num_layers - 1):
            output = ACTIVATIONS[self.activation](getattr(self, f"layer_{i}")(hidden))
            same_width = output.shape[-1] == hidden.shape[-1]
            hidden = hidden + output if self.residual and same_width else output
        return getattr(self, f"layer_{self.num_layers - 1}")(hidden)


class SeparateNetworks(nnx.Module):
    """One network per subtask, parameters stacked along a leading axis A."""

    def __init__(
        self, sizes: tuple[int, ...], num_subtasks: int, rngs: nnx.Rngs, **layers: Any
    ) -> None:
        @nnx.split_rngs(splits=num_subtasks)
        @nnx.vmap(in_axes=0, out_axes=0)
        def create(rngs: nnx.Rngs) -> MultilayerPerceptron:
            return MultilayerPerceptron(sizes, len(Place), rngs, **layers)

        self.networks = create(rngs)

    def __call__(self, inputs: Float[Array, "*batch features"]) -> Float[Array, "*batch A 3"]:
        # The subtask axis stays in front inside: one batched product per layer.
        outputs = nnx.vmap(lambda network, x: network(x), in_axes=(0, None))(self.networks, inputs)
        return jnp.moveaxis(outputs, 0, -2)


class SharedTrunk(nnx.Module):
    """One network whose outputs are the logits of all subtasks."""

    def __init__(
        self, sizes: tuple[int, ...], num_subtasks: int, rngs: nnx.Rngs, **layers: Any
    ) -> None:
        self.num_subtasks = num_subtasks
        self.trunk = MultilayerPerceptron(sizes, num_subtasks * len(Place), rngs, **layers)

    def __call__(self, inputs: Float[Array, "*batch features"]) -> Float[Array, "*batch A 3"]:
        outputs = self.trunk(inputs)
        return outputs.reshape(*outputs.shape[:-1], self.num_subtasks, len(Place))


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
        return apply(config, params, inputs)

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
