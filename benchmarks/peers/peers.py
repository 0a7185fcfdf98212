"""The same dynamic program as other people would write it: vectorised NumPy, and a numba loop."""

import concurrent.futures
import os
import typing
from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def chain_tables(
    cycles: Any, data: Any, device_speed: Any, edge_speed: Any, bandwidth1: Any, bandwidth2: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of every step of a batch of chains.

    Args:
      cycles: `[N, A]`.
      data: `[N, A + 1]` bytes.
      device_speed: `[N]` cycles/s; so is `edge_speed`.
      edge_speed: see `device_speed`.
      bandwidth1: `[N]` bytes/s, device to edge.
      bandwidth2: `[N]` bytes/s, edge to cloud.

    Returns:
      Execution `[N, A, 3]` and transfer `[N, A + 1, 3, 3]`, from place to place.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        hop1 = np.where(data > 0, data / bandwidth1[:, None], 0)
        hop2 = np.where(data > 0, data / bandwidth2[:, None], 0)
    stay = np.zeros_like(hop1)
    rows = [[stay, hop1, hop1 + hop2], [hop1, stay, hop2], [hop1 + hop2, hop2, stay]]
    transfer = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    places = [cycles / device_speed[:, None], cycles / edge_speed[:, None], np.zeros_like(cycles)]
    return np.stack(places, axis=-1), transfer


def numpy_dp(*fields: Any) -> np.ndarray:
    """Optimal decisions int8 `[N, A]`, operation by operation over all requests.

    Args:
      *fields: as `chain_tables` takes them.
    """
    execution, transfer = chain_tables(*fields)
    num, num_subtasks, _ = execution.shape
    pointers = np.empty((num_subtasks, num, 3), np.int8)
    values = transfer[:, num_subtasks, :, 0]
    for t in reversed(range(num_subtasks)):
        candidates = transfer[:, t] + (execution[:, t] + values)[:, None, :]
        pointers[t] = candidates.argmin(axis=-1)
        values = candidates.min(axis=-1)
    decision = np.empty((num, num_subtasks), np.int8)
    place, every = np.zeros(num, np.int64), np.arange(num)
    for t in range(num_subtasks):
        place = pointers[t, every, place]
        decision[:, t] = place
    return decision


# Below so many requests a second thread costs more than it saves.
_FEW = 4096


def in_threads(part: Callable[[int, int], Any], num: int, threads: int) -> Callable[[], None]:
    """A call that does `part(first, last)` for every share of `num`; it must let go of the lock."""
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    cuts = [num * i // threads for i in range(threads + 1)]

    def call() -> None:
        list(pool.map(part, cuts[:-1], cuts[1:]))

    return call


def numba_dp(*fields: Any) -> np.ndarray:
    """Optimal decisions of a batch, a compiled loop on all cores; arguments as `numpy_dp`.

    Raises:
      ValueError: a decision does not fit into the 64 bits that carry it: more than 32 subtasks.
    """
    num, num_subtasks = fields[0].shape
    if num_subtasks > 32:
        raise ValueError(f"numba_loop takes at most 32 subtasks, got {num_subtasks}")
    decision = np.empty((num, num_subtasks), np.int8)
    threads = min(os.cpu_count() or 1, max(num // _FEW, 1))
    if threads == 1:
        _loop(*fields, decision)
    else:
        in_threads(
            lambda first, last: _loop(
                *(field[first:last] for field in fields), decision[first:last]
            ),
            num,
            threads,
        )()
    return decision


@numba.njit(fastmath={"contract"}, error_model="numpy", nogil=True)
@typing.no_type_check
def _loop(cycles, data, device_speed, edge_speed, bandwidth1, bandwidth2, decision):
    num, num_subtasks = cycles.shape
    zero = cycles.dtype.type(0)
    for n in range(num):
        rate0, rate1 = 1 / device_speed[n], 1 / edge_speed[n]
        hop1_rate, hop2_rate = 1 / bandwidth1[n], 1 / bandwidth2[n]
        word0, word1, word2 = np.uint64(0), np.uint64(0), np.uint64(0)
        size = data[n, num_subtasks]
        hop1 = size * hop1_rate if size > 0 else zero
        hop2 = size * hop2_rate if size > 0 else zero
        value0, value1, value2 = zero, hop1, hop1 + hop2
        for t in range(num_subtasks - 1, -1, -1):
            size = data[n, t]
            hop1 = size * hop1_rate if size > 0 else zero
            hop2 = size * hop2_rate if size > 0 else zero
            run0, run1, run2 = (
                value0 + cycles[n, t] * rate0,
                value1 + cycles[n, t] * rate1,
                value2,
            )
            old0 = word0 << np.uint64(2)
            old1 = (word1 << np.uint64(2)) | np.uint64(1)
            old2 = (word2 << np.uint64(2)) | np.uint64(2)
            value0, word0 = run0, old0
            if run1 + hop1 < value0:
                value0, word0 = run1 + hop1, old1
            if run2 + (hop1 + hop2) < value0:
                value0, word0 = run2 + (hop1 + hop2), old2
            value1, word1 = run0 + hop1, old0
            if run1 < value1:
                value1, word1 = run1, old1
            if run2 + hop2 < value1:
                value1, word1 = run2 + hop2, old2
            value2, word2 = run0 + (hop1 + hop2), old0
            if run1 + hop2 < value2:
                value2, word2 = run1 + hop2, old1
            if run2 < value2:
                value2, word2 = run2, old2
        for t in range(num_subtasks):
            decision[n, t] = np.int8(word0 & np.uint64(3))
            word0 >>= np.uint64(2)
    return decision
