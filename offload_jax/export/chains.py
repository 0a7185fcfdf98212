"""Chain policies as parts of a C program."""

import itertools
import json
import math
from typing import Any

from offload_jax import configs
from offload_jax.chains import lowering
from offload_jax.chains.features import HIGHEST, LOWEST, TINY, num_features
from offload_jax.export.parts import Program, array, numbers
from offload_jax.learning.parameters import digest
from offload_jax.objectives import Objective

_PRICES = ("computing", "sending", "receiving", "waiting", "joules")
_SUBJECT = "Where the subtasks of a chain run: on the device, on the edge or in the cloud."


def exact(objective: Objective) -> Program:
    """The dynamic program for chains of any length, and for tables.

    Raises:
      ValueError: the objective holds something else than numbers.
    """
    costs = _costs(objective)
    return Program(
        facts=(
            _SUBJECT,
            "Policy: the decision of least cost, by a min-plus dynamic program; among equal costs"
            " the lexicographically smallest.",
            _objective(objective),
        ),
        header=("chain.h", "table.h"),
        source=("chain_cost.c", "exact.c"),
        values={
            **costs,
            "length_rule": "at least 1",
            "length_test": "num_subtasks > 0",
            "largest": "DBL_MAX",
            "number": "double",
        },
    )


def learned(policy: Any) -> Program:
    """An imitation network with its features.

    Raises:
      ValueError: the network is of a kind that `oj.single.learned` does not take either.
    """
    config = policy.config
    lowering.check_supported(config, "in C")
    layers = lowering.layers(config, policy.params)
    num, inputs = config.num_subtasks, num_features(config.feature_set, config.num_subtasks)
    low, factor = lowering.raw_ranges(config.scenario)
    sizes = [inputs, *(bias.shape[1] for _, bias in layers)]
    networks = len(layers[0][0])
    dimensions = (
        f"\nenum {{ SUBTASKS = {num}, INPUTS = {inputs}, WIDEST = {max(sizes)},"
        f" NETWORKS = {networks}, OUTPUTS = {sizes[-1]} }};\n\n"
    )
    weights = [
        array(f"{kind}_{i}", values)
        for i, layer in enumerate(layers)
        for kind, values in zip(("kernel", "bias"), layer, strict=True)
    ]
    physical = config.feature_set == "physical"
    return Program(
        facts=(
            _SUBJECT,
            f"Policy: the most probable places by a network for chains of {num} subtasks.",
            _objective(config.objective),
            f"Network: {json.dumps(configs.as_data(config))}",
            f"SHA-256 of its parameters: {digest(policy.params)}",
        ),
        header=("chain.h",),
        source=(
            "chain_cost.c",
            "layer.c",
            *(("logarithm.c",) if physical else ()),
            dimensions,
            "physical.c" if physical else "raw.c",
            "\n",
            *weights,
            "network.c",
        ),
        values={
            **_costs(config.objective),
            "length_rule": f"must be {num}",
            "length_test": f"num_subtasks == {num}",
            "largest": "FLT_MAX",
            "number": "float",
            "low": numbers(low),
            "factor": numbers(factor),
            "tiny": numbers(TINY),
            "lowest": numbers(LOWEST),
            "highest": numbers(HIGHEST),
            "layers": "\n".join(_calls(sizes)),
            "last": _buffer(len(layers)),
        },
    )


def _calls(sizes: list[int]) -> list[str]:
    """The lines that evaluate network n, from one buffer to the other and back."""
    last = len(sizes) - 2
    return [
        f"    layer({inner}, {outer}, kernel_{i} + n * {inner * outer}, bias_{i} + n * {outer},"
        f" {int(i < last)}, {_buffer(i)}, {_buffer(i + 1)});"
        for i, (inner, outer) in enumerate(itertools.pairwise(sizes))
    ]


def _buffer(layer: int) -> str:
    return f"buffers[{layer % 2}]" if layer else "inputs"


def _objective(objective: Objective) -> str:
    power = objective.power
    seconds, joules = float(objective.latency_weight), float(objective.energy_weight)
    text = f"Objective: {seconds:g} a second of latency"
    if not joules:
        return f"{text}."
    return (
        f"{text}, {joules:g} a joule of the device: {power.switched_capacitance:g} J s^2 / cycle^3,"
        f" {power.transmit_watts:g} W sending, {power.receive_watts:g} W receiving,"
        f" {power.idle_watts:g} W waiting."
    )


def _costs(objective: Objective) -> dict[str, str]:
    values = lowering.prices(objective).tolist()
    assert all(map(math.isfinite, values))  # as `Objective` sees to
    return {name: repr(value) for name, value in zip(_PRICES, values, strict=True)}
