"""Features and forward pass of a small network for one request, compiled by numba, in float32.

The counterpart of `features` and `imitation_network`; `offload_jax.single` is the way in. As
in `compiled`, everything is compiled at import.
"""

import math
import typing

import numba
import numpy as np

from offload_jax.chains.compiled import _is_valid, _product, _rate
from offload_jax.chains.features import _HIGHEST, _LOWEST, _TINY

RAW, PHYSICAL = 0, 1

_F = np.float32
_TINY32, _LOWEST32, _HIGHEST32 = _F(_TINY), _F(_LOWEST), _F(_HIGHEST)
_HALF, _ONE, _ZERO = _F(0.5), _F(1.0), _F(0.0)


@numba.njit(inline="always")
@typing.no_type_check
def _log(ratio):
    # NaN passes through, as in the batched features.
    if ratio < _LOWEST32:
        ratio = _LOWEST32
    elif ratio > _HIGHEST32:
        ratio = _HIGHEST32
    return _HALF * np.log(ratio)


@numba.njit(inline="always")
@typing.no_type_check
def _write_physical(cycles, data, values, inputs):
    num = cycles.size
    device_rate, edge_rate = _ONE / values[0], _ONE / values[1]
    hop1_rate, hop2_rate = _F(_rate(_ONE, values[2])), _F(_rate(_ONE, values[3]))
    local, edge = _ZERO, _ZERO
    for t in range(num):
        inputs[t] = _product(cycles[t], device_rate)
        local += inputs[t]
        edge += _product(cycles[t], edge_rate)
    for t in range(num + 1):
        inputs[num + t] = _product(data[t], hop1_rate)
    ends1 = inputs[num] + inputs[2 * num]
    ends2 = _product(data[0], hop2_rate) + _product(data[num], hop2_rate)
    edge += ends1
    scale = max(min(local, min(edge, ends1 + ends2)), _TINY32)
    for i in range(2 * num + 1):
        inputs[i] = _log(inputs[i] / scale)
    inputs[2 * num + 1] = _log(values[0] / values[1])
    inputs[2 * num + 2] = _log(values[2] / max(values[3], _TINY32))
    inputs[2 * num + 3] = _log(local / scale)
    inputs[2 * num + 4] = _log(edge / scale)


@numba.njit(inline="always")
@typing.no_type_check
def _write_raw(cycles, data, values, low, factor, inputs):
    num = cycles.size
    for t in range(num):
        inputs[t] = (cycles[t] - low[0]) * factor[0] - _ONE
    for t in range(num + 1):
        inputs[num + t] = (data[t] - low[1]) * factor[1] - _ONE
    for i in range(4):
        inputs[2 * num + 1 + i] = (values[i] - low[2 + i]) * factor[2 + i] - _ONE


@numba.njit(
    "int8[::1](float64[::1], float64[::1], float64, float64, float64, float64,"
    " int64, float32[::1], float32[::1], int64[::1], int64, float32[::1])",
    nogil=True,
    fastmath={"contract"},
)
@typing.no_type_check
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
      feature_set: `RAW` or `PHYSICAL`.
      low: `[6]` lower ends of the ranges of raw features.
      factor: `[6]` 2 over the widths of those ranges.
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
    if not _is_valid(cycles, data, values[0], values[1], values[2], values[3]):
        return np.empty(0, np.int8)
    inputs = np.empty(sizes[0], np.float32)
    if feature_set == RAW:
        _write_raw(cycles, data, values, low, factor, inputs)
    else:
        _write_physical(cycles, data, values, inputs)
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
