"""What the machine can do at most, measured beside the policies: its speed varies when shared."""

from typing import Any

import jax
import numpy as np

from benchmarks.delay import protocols
from benchmarks.delay.protocols import Clock

# Large enough to reach the full rate, small enough to take milliseconds.
_MATRIX_SIZE = {"cpu": 1024}
_ACCELERATOR_MATRIX_SIZE = 8192


def dispatch_floor(device: Any, *, clock: Clock, duration: float) -> dict[str, float]:
    """Percentiles of an empty jitted call: what no policy called one at a time can undercut."""
    value = jax.device_put(np.float32(0.0), device)
    empty = jax.jit(lambda x: x)
    jax.block_until_ready(empty(value))
    latencies = protocols.single_stream(
        lambda i: jax.block_until_ready(empty(value)),
        clock=clock,
        duration=duration,
        max_requests=10_000,
    )
    return latencies.summary()


class MatrixProduct:
    """A plain large matrix product in float32 on one device, to be timed again and again."""

    def __init__(self, device: Any, *, clock: Clock, duration: float) -> None:
        self._size = _MATRIX_SIZE.get(device.platform, _ACCELERATOR_MATRIX_SIZE)
        self._matrix = jax.device_put(np.ones((self._size, self._size), np.float32), device)
        self._product = jax.jit(lambda x: x @ x)
        self._clock, self._duration = clock, duration
        jax.block_until_ready(self._product(self._matrix))

    def flops_per_second(self) -> float:
        """Floating-point operations per second, now."""
        seconds = protocols.offline(
            lambda i: jax.block_until_ready(self._product(self._matrix)),
            clock=self._clock,
            duration=self._duration,
        )
        return 2 * self._size**3 / float(np.median(seconds))
