"""Forward pass of a small network for one request, compiled by numba, in float32.

`offload_jax.single` is the way in. As in `compiled`, everything is compiled at import.
"""

import math

import numpy as np

from offload_jax.chains._numba.dynamic_programming import is_valid
from offload_jax.chains._numba.features import write_features
from offload_jax.compiled import njit

_ZERO = np.float32(0.0)


@njit(
    "int8[::1](float64[::1], float64[::1], float64, float64, float64, float64,"
    " int64, float32[::1], float32[::1], int64[::1], int64, float32[::1])",
    fastmath={"contract"},
    cache=True,
)
def decide(
    cycles64,
    data64,
    device_speed,
    edge_speed,
    device_edge_bandwidth,
    edge_cloud_bandwidth,
    feature_set,
    low,
    factor,
    sizes,
    num_networks,
    weights,
):
    """The most probable place of every subtask.

    Args:
      cycles64: `[A]`, and the other quantities of the request as for `compiled.exact`.
      data64: `[A + 1]` bytes.
      device_speed: cycles/s.
      edge_speed: cycles/s.
      device_edge_bandwidth: bytes/s.
      edge_cloud_bandwidth: bytes/s.
      feature_set: and `low`, `factor`, as `features.write_features` takes them.
      low: `[6]`.
      factor: `[6]`.
      sizes: widths of inputs, hidden layers and outputs of a network.
      num_networks: how many there are, each with its share of the outputs.
      weights: for every network and layer, kernel `[inputs, outputs]` and bias, flat.

    Returns:
      int8 `[A]`, empty where the request is invalid.
    """
    cycles, data = cycles64.astype(np.float32), data64.astype(np.float32)
    values = np.empty(4, np.float32)
    values[0], values[1] = device_speed, edge_speed
    values[2], values[3] = device_edge_bandwidth, edge_cloud_bandwidth
    if not is_valid(cycles, data, values[0], values[1], values[2], values[3]):
        return np.empty(0, np.int8)
    inputs = np.empty(sizes[0], np.float32)
    write_features(cycles, data, values, feature_set, low, factor, inputs)
    decision = np.empty(cycles.size, np.int8)
    widest = sizes.max()
    buffers = np.empty((2, widest), np.float32)
    num_layers = sizes.size - 1
    offset, written = 0, 0
    for _ in range(num_networks):
        layer_inputs = inputs
        for layer in range(num_layers):
            num_in, num_out = sizes[layer], sizes[layer + 1]
            kernel = weights[offset : offset + num_in * num_out]
            offset += num_in * num_out
            outputs = buffers[layer % 2]
            for o in range(num_out):
                outputs[o] = weights[offset + o]
            offset += num_out
            for i in range(num_in):
                value = layer_inputs[i]
                row = kernel[i * num_out : (i + 1) * num_out]
                for o in range(num_out):
                    outputs[o] += value * row[o]
            if layer < num_layers - 1:
                for o in range(num_out):
                    if outputs[o] <= _ZERO:  # NaN stays, as in the batched network
                        outputs[o] = _ZERO
            layer_inputs = outputs
        for first in range(0, sizes[num_layers], 3):
            best = 0
            for place in range(3):
                logit = layer_inputs[first + place]
                if math.isnan(logit):
                    best = place
                    break
                if logit > layer_inputs[first + best]:
                    best = place
            decision[written] = best
            written += 1
    return decision
