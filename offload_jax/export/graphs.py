"""Learned policies for task graphs as parts of a C program."""

import json
import textwrap
from typing import Any

import numpy as np

from offload_jax import configs
from offload_jax.export.parts import Program, array, numbers
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.graphs.columns import (
    LEAST_OWN,
    LIMIT,
    NEVER,
    NUM_TASK,
    PLACE,
    ROUNDS,
    SAME,
    STEP,
    TASK,
)
from offload_jax.learning.parameters import digest

_LAYERS = ("task_in", "place_in", "place_middle", "mean_middle", "place_out")
_ORDER_LAYERS = ("order_in", "order_middle", "order_out")
_SKIPS = ("place_skip", "order_skip")
_LIMITS = {"limit": LIMIT, "never": NEVER, "same": SAME, "least_own": LEAST_OWN}
# Of the C source; each is what the file of that name is in the other back ends.
_PARTS = "request", "beliefs", "task_features", "order", "simulator", "observation", "network"


def learned(policy: LearnedGraphPolicy) -> Program:
    """The network with what it sees and the machine that it decides on."""
    config, params = policy.config, policy.params
    message = config.message if config.rounds else 0
    dimensions = {
        "ROUNDS": config.rounds,
        "MESSAGE": message,
        "EMBEDDING": NUM_TASK + message,
        "HIDDEN": config.hidden,
        "SECOND": config.second,
        "ORDER_HIDDEN": config.order_hidden,
        "BELIEF_ROUNDS": ROUNDS,
    }
    lines = "".join(f"#define {name} {value}\n" for name, value in dimensions.items())
    return Program(
        facts=(
            "Where, on the device, on the edge or in the cloud, and in which order the tasks of a"
            " graph run.",
            "Policy: the most probable schedule by a network, one pass through the simulated"
            " machine.",
            "Objective: the makespan, the time when all tasks are done and all results are at the"
            " device.",
            f"Network: {json.dumps(configs.as_data(config))}",
            f"SHA-256 of its parameters: {digest(params)}",
        ),
        header=("graph.h",),
        source=(
            f"{lines}\n",
            *_weights(params, config.rounds),
            "layer.c",
            "logarithm.c",
            *(f"graph_{part}.c" for part in _PARTS),
            "graph.c",
        ),
        values={
            "embedding": dimensions["EMBEDDING"],
            "message": max(message, 1),
            "columns": "\n".join(map(_enum, ("PLACE", "STEP", "TASK"), (PLACE, STEP, TASK))),
            **{name: numbers(value) for name, value in _LIMITS.items()},
        },
    )


def _enum(kind: str, columns: tuple[str, ...]) -> str:
    names = [*(f"{kind}_{name.upper()}" for name in columns), f"NUM_{kind}"]
    return textwrap.fill(f"enum {{ {', '.join(names)} }};", 100, subsequent_indent="  ")


def _weights(params: Any, rounds: int) -> list[str]:
    names = [*_LAYERS, *_ORDER_LAYERS, *(("message_in",) if rounds else ())]
    arrays = {name: params[name] for name in _SKIPS}
    for name in names:
        arrays |= {f"{name}_{kind}": values for kind, values in params[name].items()}
    if rounds:
        for plural, kind in (("kernels", "kernel"), ("biases", "bias")):
            layers = [params[f"message_{i}"][kind] for i in range(rounds)]
            arrays[f"message_{plural}"] = np.stack(layers)
    return [array(name, values) for name, values in arrays.items()]
