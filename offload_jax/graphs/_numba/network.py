"""The network of a learned policy for one request, compiled by numba, in float32.

`_jax.network` says the same in JAX. Weights are one flat array, because numba takes long to
receive many.
"""

from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs._numba.simulator import fused, inner
from offload_jax.graphs.columns import NUM_PLACE, NUM_STEP, NUM_TASK

_PARTS = (
    ("task_in", "kernel"),
    ("task_in", "bias"),
    ("place_in", "kernel"),
    ("mean_middle", "kernel"),
    ("mean_middle", "bias"),
    ("place_middle", "kernel"),
    ("place_out", "kernel"),
    ("place_skip",),
    ("order_in", "kernel"),
    ("order_in", "bias"),
    ("order_middle", "kernel"),
    ("order_middle", "bias"),
    ("order_out", "kernel"),
    ("order_skip",),
)
# Where parts are in `Network.first`.
_TASK_IN, _TASK_BIAS, _PLACE_IN, _MEAN_MIDDLE, _MEAN_BIAS = 0, 1, 2, 3, 4
_PLACE_MIDDLE, _PLACE_OUT, _PLACE_SKIP = 5, 6, 7
_ORDER_IN, _ORDER_BIAS, _ORDER_MIDDLE, _ORDER_MIDDLE_BIAS, _ORDER_OUT, _ORDER_SKIP = range(8, 14)
# Then kernel and bias of the first messages, and of every round.
_MESSAGES = len(_PARTS)
_ZERO, _QUARTER = np.float32(0.0), np.float32(0.25)


class Work(NamedTuple):
    """What `place_logits` writes on, float32 `[1 or K, width]`."""

    one: np.ndarray
    hidden: np.ndarray
    mean: np.ndarray
    of_all: np.ndarray
    second: np.ndarray
    logits: np.ndarray


Weights = tuple[np.ndarray, np.ndarray, np.ndarray]


def pack(config: GraphPolicyConfig, params: Any) -> Weights:
    """Weights float32 one after the other, where each part begins, and the widths of the layers."""
    paths = list(_PARTS)
    if config.rounds:
        names = ["message_in", *(f"message_{i}" for i in range(config.rounds))]
        paths += [(name, kind) for name in names for kind in ("kernel", "bias")]
    parts = []
    for path in paths:
        part = params
        for name in path:
            part = part[name]
        parts.append(np.asarray(part, np.float32).ravel())
    first = np.cumsum([0, *map(len, parts[:-1])])
    message = config.message if config.rounds else 0
    widths = config.hidden, config.second, config.order_hidden, config.rounds, message
    return np.concatenate(parts), first.astype(np.int64), np.array(widths, np.int64)


@fused
def _set_bias(outputs, weights, begin):
    bias = weights[begin : begin + outputs.shape[1]]
    for r in range(outputs.shape[0]):
        row = outputs[r]
        for o in range(row.size):
            row[o] = bias[o]


@fused
def _add_product(outputs, inputs, num_inputs, weights, begin):
    """Adds the product of rows of inputs, of their first numbers, and a kernel.

    Four inputs at a time: outputs are read and written less often. The innermost loops run over
    whole slices, which LLVM knows how to make vectors of.
    """
    width = outputs.shape[1]
    for r in range(outputs.shape[0]):
        row, values = outputs[r], inputs[r]
        at = begin
        fours = num_inputs - num_inputs % 4
        for i in range(0, fours, 4):
            a, b, c, d = values[i], values[i + 1], values[i + 2], values[i + 3]
            for_a, for_b = weights[at : at + width], weights[at + width : at + 2 * width]
            at += 2 * width
            for_c, for_d = weights[at : at + width], weights[at + width : at + 2 * width]
            at += 2 * width
            for o in range(width):
                row[o] += a * for_a[o] + b * for_b[o] + c * for_c[o] + d * for_d[o]
        for i in range(fours, num_inputs):
            a, for_a = values[i], weights[at : at + width]
            at += width
            for o in range(width):
                row[o] += a * for_a[o]


@fused
def _rectify(outputs):
    for r in range(outputs.shape[0]):
        for o in range(outputs.shape[1]):
            if outputs[r, o] <= _ZERO:
                outputs[r, o] = _ZERO


@inner
def embed_tasks(request, weights, first, widths, task):
    """Writes messages from neighbours in the graph into the last columns of `task`."""
    num_tasks, rounds, message = task.shape[0], widths[3], widths[4]
    messages = np.empty((num_tasks, message), np.float32)
    fresh = np.empty((num_tasks, message), np.float32)
    inputs = np.empty((num_tasks, 3 * message), np.float32)
    if rounds > 0:
        _set_bias(messages, weights, first[_MESSAGES + 1])
        _add_product(messages, task, NUM_TASK, weights, first[_MESSAGES])
        _rectify(messages)
    for i in range(1, rounds + 1):
        for v in range(num_tasks):
            for m in range(message):
                inputs[v, m] = messages[v, m]
                inputs[v, message + m] = inputs[v, 2 * message + m] = _ZERO
        for v in range(num_tasks):
            for e in range(request.first_edge[v], request.first_edge[v + 1]):
                u = request.source[e]
                for m in range(message):
                    inputs[u, message + m] += _QUARTER * messages[v, m]
                    inputs[v, 2 * message + m] += _QUARTER * messages[u, m]
        _set_bias(fresh, weights, first[_MESSAGES + 2 * i + 1])
        _add_product(fresh, inputs, 3 * message, weights, first[_MESSAGES + 2 * i])
        _rectify(fresh)
        for v in range(num_tasks):
            for m in range(message):
                messages[v, m] += fresh[v, m]
    for v in range(num_tasks):
        for m in range(message):
            task[v, NUM_TASK + m] = messages[v, m]


@inner
def priorities(weights, first, widths, task):
    """float64 `[N]`: how urgent each task is."""
    num_tasks, num_features = task.shape
    hidden = np.empty((num_tasks, widths[2]), np.float32)
    second = np.empty((num_tasks, widths[2]), np.float32)
    total = np.zeros((num_tasks, 1), np.float32)
    _set_bias(hidden, weights, first[_ORDER_BIAS])
    _add_product(hidden, task, num_features, weights, first[_ORDER_IN])
    _rectify(hidden)
    _set_bias(second, weights, first[_ORDER_MIDDLE_BIAS])
    _add_product(second, hidden, widths[2], weights, first[_ORDER_MIDDLE])
    _rectify(second)
    _add_product(total, second, widths[2], weights, first[_ORDER_OUT])
    _add_product(total, task, num_features, weights, first[_ORDER_SKIP])
    result = np.empty(num_tasks)
    for v in range(num_tasks):
        result[v] = total[v, 0]
    return result


@inner
def task_layer(weights, first, widths, task):
    """float32 `[N, hidden]`: what the first layer that looks at places gets of each task."""
    num_tasks, num_features = task.shape
    result = np.empty((num_tasks, widths[0]), np.float32)
    _set_bias(result, weights, first[_TASK_BIAS])
    # The first rows of the kernel are for what changes from step to step.
    _add_product(result, task, num_features, weights, first[_TASK_IN] + NUM_STEP * widths[0])
    return result


@inner
def new_work(num_places, widths):
    return Work(
        np.empty((1, widths[0]), np.float32),
        np.empty((num_places, widths[0]), np.float32),
        np.empty((1, widths[0]), np.float32),
        np.empty((1, widths[1]), np.float32),
        np.empty((num_places, widths[1]), np.float32),
        np.empty((num_places, 1), np.float32),
    )


@fused
def place_logits(weights, first, work, of_task, task, step, places):
    """Writes into `work.logits` how good each place is for a task.

    Args:
      weights, first: as `pack` gives them.
      work: of `new_work`.
      of_task: of `task_layer`; the row `task` is read.
      task: its number.
      step, places: as in `observation.Observation`.
    """
    num_places, num_hidden = work.hidden.shape
    num_second = work.second.shape[1]
    for h in range(num_hidden):
        work.one[0, h] = of_task[task, h]
        work.mean[0, h] = _ZERO
    _add_product(work.one, step, NUM_STEP, weights, first[_TASK_IN])
    for k in range(num_places):
        for h in range(num_hidden):
            work.hidden[k, h] = work.one[0, h]
    _add_product(work.hidden, places, NUM_PLACE, weights, first[_PLACE_IN])
    _rectify(work.hidden)
    for k in range(num_places):
        for h in range(num_hidden):
            work.mean[0, h] += work.hidden[k, h] / np.float32(num_places)
    _set_bias(work.of_all, weights, first[_MEAN_BIAS])
    _add_product(work.of_all, work.mean, num_hidden, weights, first[_MEAN_MIDDLE])
    for k in range(num_places):
        work.logits[k, 0] = _ZERO
        for s in range(num_second):
            work.second[k, s] = work.of_all[0, s]
    _add_product(work.second, work.hidden, num_hidden, weights, first[_PLACE_MIDDLE])
    _rectify(work.second)
    _add_product(work.logits, work.second, num_second, weights, first[_PLACE_OUT])
    _add_product(work.logits, places, NUM_PLACE, weights, first[_PLACE_SKIP])
