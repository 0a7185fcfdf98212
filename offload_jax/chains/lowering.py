"""Objectives and small networks as plain numbers, for loops outside of JAX.

`offload_jax.single` gives them to loops that numba compiles, `offload_jax.export` writes them down.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from offload_jax.chains.features import TINY
from offload_jax.chains.problem import ChainProblem
from offload_jax.chains.scenarios import Scenario
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective
from offload_jax.validation import check_class


def prices(objective: Objective) -> np.ndarray:
    """What quantities cost under an objective.

    Args:
      objective: holds plain numbers.

    Returns:
      `[5]` cost of a second of computing on the device, of sending, of receiving, of waiting, and
      of a cycle on the device at 1 cycle/s.

    Raises:
      ValueError: the objective holds something else than numbers.
    """
    check_class("objective", objective, Objective)
    power = objective.power
    try:
        seconds, joules = float(objective.latency_weight), float(objective.energy_weight)
        return np.array(
            [
                seconds,
                seconds + joules * float(power.transmit_watts),
                seconds + joules * float(power.receive_watts),
                seconds + joules * float(power.idle_watts),
                joules * float(power.switched_capacitance),
            ]
        )
    except (TypeError, jax.errors.ConcretizationTypeError) as error:
        raise ValueError(f"objective: must hold plain numbers: {error}") from None


def raw_ranges(scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Lower ends `[6]` of the ranges of raw features, and 2 over their widths `[6]`, float32."""
    ranges = [getattr(scenario, field.name) for field in dataclasses.fields(ChainProblem)]
    factor = [2.0 / max(high - low, TINY) for low, high in ranges]
    return np.array([low for low, _ in ranges], np.float32), np.array(factor, np.float32)


def check_supported(config: Any, where: str) -> None:
    """Refuses networks that loops for one request do not know.

    Args:
      config: of a policy.
      where: what does not support them, for the error: "one decision at a time".

    Raises:
      ValueError: names what is not supported.
    """
    from offload_jax.chains.imitation_network import ImitationConfig

    if not isinstance(config, ImitationConfig):
        raise ValueError(
            f"policy: {type(config).__name__} is not supported {where}, only ImitationConfig is"
        )
    latency = config.feature_set == "raw" or config.objective == LATENCY
    found = [
        name
        for name, unsupported in (
            (f"feature_set {config.feature_set!r}", config.feature_set not in ("raw", "physical")),
            (f"activation {config.activation!r}", config.activation != "relu"),
            ("residual", config.residual),
            ("symmetric", config.symmetric),
            ("an objective other than latency", not latency),
        )
        if unsupported
    ]
    if found:
        raise ValueError(f"policy: {', '.join(found)} not supported {where}; call the policy")


Layers = list[tuple[np.ndarray, np.ndarray]]


def layers(config: Any, params: Any) -> Layers:
    """The weights of a learned policy's networks, float32.

    Args:
      config: of the policy.
      params: its parameters.

    Returns:
      For every layer kernels `[networks, inputs, outputs]` and biases `[networks, outputs]`; one
      network with all outputs, or one for each of its share of them.

    Raises:
      ValueError: configuration and parameters do not fit.
    """
    separate = getattr(config, "sharing", "shared") == "separate"
    stored = params["networks" if separate else "trunk"]
    found: Layers = []
    for i in range(len(config.hidden) + 1):
        kernel, bias = (np.asarray(stored[f"layer_{i}"][n], np.float32) for n in ("kernel", "bias"))
        found.append((kernel, bias) if separate else (kernel[None], bias[None]))
    actions = getattr(config, "num_actions", 0)
    expected = actions + 1 if actions else config.num_subtasks * len(Place)
    if found[-1][1].size != expected:
        raise ValueError(f"policy: the network does not have {expected} outputs")
    return found
