"""Reads a dataset, whole or as a stream."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from offload_jax.chains.problem import ChainProblem
from offload_jax.datasets.manifest import Manifest, Shard, read_manifest
from offload_jax.datasets.parquet import SCALARS, read_pieces
from offload_jax.solution import Solution


def read(
    directory: str | os.PathLike[str],
    *,
    shards: Sequence[int] | None = None,
    verify: bool = True,
) -> tuple[ChainProblem, Solution]:
    """Reads a dataset, or some of its shards, into memory.

    Args:
      directory: a dataset.
      shards: which shards, in which order; all of them if None.
      verify: whether to check the checksum of every shard; presence and size always are.

    Returns:
      The problems and their labels, NumPy arrays with batch shape `[n]` for the n samples read, in
      the order they were drawn.

    Raises:
      ValueError: no dataset, a shard is unfinished, missing, truncated or altered (names the file).
      ImportError: pyarrow is not installed.
    """
    manifest = read_manifest(directory)
    chosen = _choose(manifest, shards, Path(directory))
    num = sum(shard.rows for shard in chosen)
    num_subtasks = manifest.config.scenario.num_subtasks
    problem = ChainProblem(
        np.empty((num, num_subtasks), np.float32),
        np.empty((num, num_subtasks + 1), np.float32),
        *(np.empty(num, np.float32) for _ in SCALARS),
    )
    label: Any = (
        np.empty((num, num_subtasks), np.int8),
        np.empty(num, np.float32),
        np.empty(num, np.bool_),
    )
    solution = Solution(*label)
    start = 0
    for piece in read_pieces(Path(directory), chosen, num_subtasks, verify):
        rows = len(piece[1].cost)
        for target, source in zip(
            jax.tree.leaves((problem, solution)), jax.tree.leaves(piece), strict=True
        ):
            target[start : start + rows] = source
        start += rows
    return problem, solution


def iterate(
    directory: str | os.PathLike[str],
    *,
    batch_size: int,
    shards: Sequence[int] | None = None,
    verify: bool = True,
) -> Iterator[tuple[ChainProblem, Solution]]:
    """Streams a dataset in batches; memory stays flat, however large it is.

    Args:
      directory: a dataset.
      batch_size: samples a batch; batches run across the borders of shards, the last may be
        smaller.
      shards: which shards, in which order; all of them if None.
      verify: whether to check the checksum of every shard before it is read.

    Returns:
      An iterator over problems and labels, NumPy arrays with batch shape `[batch_size]`.

    Raises:
      ValueError: as `read`; a bad `batch_size`. Damage is reported when the shard's turn comes.
      ImportError: pyarrow is not installed.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size = {batch_size}: must be at least 1")
    manifest = read_manifest(directory)
    chosen = _choose(manifest, shards, Path(directory))
    num_subtasks = manifest.config.scenario.num_subtasks
    return _batches(read_pieces(Path(directory), chosen, num_subtasks, verify), batch_size)


def _choose(manifest: Manifest, shards: Sequence[int] | None, directory: Path) -> list[Shard]:
    config = manifest.config
    if shards is None and not manifest.complete:
        finished = ", ".join(map(str, sorted(manifest.shards)[:3]))
        raise ValueError(
            f"{directory}: {len(manifest.shards)} of {config.num_shards} shards are finished; go on"
            f" with `write`, or name the shards to read: shards=[{finished}, ...]"
        )
    chosen = []
    for index in range(config.num_shards) if shards is None else shards:
        if not 0 <= index < config.num_shards:
            raise ValueError(f"shards: {index} is not in 0 .. {config.num_shards - 1}")
        if index not in manifest.shards:
            raise ValueError(f"shards: {index} is not finished in {directory}")
        chosen.append(manifest.shards[index])
    return chosen


def _batches(
    pieces: Iterable[tuple[ChainProblem, Solution]], batch_size: int
) -> Iterator[tuple[ChainProblem, Solution]]:
    def join(parts: list) -> Any:
        return parts[0] if len(parts) == 1 else jax.tree.map(lambda *x: np.concatenate(x), *parts)

    parts: list[Any] = []
    held = 0
    for piece in pieces:
        rows, start = len(piece[1].cost), 0
        while rows - start >= batch_size - held:
            stop = start + batch_size - held
            parts.append(jax.tree.map(lambda leaf, cut=slice(start, stop): leaf[cut], piece))
            yield join(parts)
            parts, held, start = [], 0, stop
        if start < rows:
            parts.append(jax.tree.map(lambda leaf, cut=slice(start, rows): leaf[cut], piece))
            held += rows - start
    if parts:
        yield join(parts)
