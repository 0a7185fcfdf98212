"""Learned policies for task graphs as parts of a C program."""

import json
from typing import Any

import numpy as np

from offload_jax import configs
from offload_jax.export.parts import Program, array, numbers
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.graphs._jax.task_features import LIMIT, NUM_PLACE, NUM_STEP, NUM_TASK
from offload_jax.learning.digests import digest

_LAYERS = ("task_in", "place_in", "place_middle", "mean_middle", "place_out")
_ORDER_LAYERS = ("order_in", "order_middle", "order_out")
_SKIPS = ("place_skip", "order_skip")


def learned(policy: LearnedGraphPolicy) -> Program:
    """The network with what it sees and the machine that it decides on."""
    config, params = policy.config, policy.params
    heard = config.message if config.rounds else 0
    dimensions = {
        "ROUNDS": config.rounds,
        "MESSAGE": heard,
        "KNOWN": NUM_TASK + heard,
        "HIDDEN": config.hidden,
        "SECOND": config.second,
        "ORDER_HIDDEN": config.order_hidden,
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
            "graph.c",
        ),
        values={
            "known": dimensions["KNOWN"],
            "heard": max(heard, 1),
            "num_place": NUM_PLACE,
            "num_step": NUM_STEP,
            "num_task": NUM_TASK,
            "limit": numbers(LIMIT),
        },
    )


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
