"""The features of one request, compiled by numba, in float32: what `features` says, once more.

`features` serves batches and gradients and is traced by JAX; a loop for one request cannot call it.
This restates the two feature sets of the paper's networks, as the C and ONNX programs of `export`
do; tests hold each against `features`.
"""

import numpy as np

from offload_jax.chains._numba.dynamic_programming import product, rate
from offload_jax.chains.features import HIGHEST, LOWEST, TINY
from offload_jax.compiled import njit

RAW, PHYSICAL = 0, 1

_F = np.float32
_TINY32, _LOWEST32, _HIGHEST32 = _F(TINY), _F(LOWEST), _F(HIGHEST)
_HALF, _ONE, _ZERO = _F(0.5), _F(1.0), _F(0.0)


@njit(inline="always")
def _log(ratio):
    # NaN passes through, as in the batched features.
    if ratio < _LOWEST32:
        ratio = _LOWEST32
    elif ratio > _HIGHEST32:
        ratio = _HIGHEST32
    return _HALF * np.log(ratio)


@njit(inline="always")
def _write_physical(cycles, data, values, inputs):
    num = cycles.size
    device_rate, edge_rate = _ONE / values[0], _ONE / values[1]
    hop1_rate, hop2_rate = _F(rate(_ONE, values[2])), _F(rate(_ONE, values[3]))
    local, edge = _ZERO, _ZERO
    for t in range(num):
        inputs[t] = product(cycles[t], device_rate)
        local += inputs[t]
        edge += product(cycles[t], edge_rate)
    for t in range(num + 1):
        inputs[num + t] = product(data[t], hop1_rate)
    ends1 = inputs[num] + inputs[2 * num]
    ends2 = product(data[0], hop2_rate) + product(data[num], hop2_rate)
    edge += ends1
    scale = max(min(local, min(edge, ends1 + ends2)), _TINY32)
    for i in range(2 * num + 1):
        inputs[i] = _log(inputs[i] / scale)
    inputs[2 * num + 1] = _log(values[0] / values[1])
    inputs[2 * num + 2] = _log(values[2] / max(values[3], _TINY32))
    inputs[2 * num + 3] = _log(local / scale)
    inputs[2 * num + 4] = _log(edge / scale)


@njit(inline="always")
def _write_raw(cycles, data, values, low, factor, inputs):
    num = cycles.size
    for t in range(num):
        inputs[t] = (cycles[t] - low[0]) * factor[0] - _ONE
    for t in range(num + 1):
        inputs[num + t] = (data[t] - low[1]) * factor[1] - _ONE
    for i in range(4):
        inputs[2 * num + 1 + i] = (values[i] - low[2 + i]) * factor[2 + i] - _ONE


@njit(
    "void(float32[::1], float32[::1], float32[::1], int64, float32[::1], float32[::1],"
    " float32[::1])",
    cache=True,
)
def write_features(cycles, data, values, feature_set, low, factor, inputs):
    """Features of a valid request.

    Args:
      cycles: `[A]` float32, as everything here.
      data: `[A + 1]` bytes.
      values: `[4]` device speed, edge speed, both bandwidths.
      feature_set: `RAW` or `PHYSICAL`, the latter for latency.
      low: `[6]` and `factor` `[6]`, see `lowering.raw_ranges`.
      factor: see `low`.
      inputs: `[2 A + 5]`, written to.
    """
    if feature_set == RAW:
        _write_raw(cycles, data, values, low, factor, inputs)
    else:
        _write_physical(cycles, data, values, inputs)
