"""Reads a dataset, whole or as a stream."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.datasets.manifest import Manifest, Shard, read_manifest
from offload_jax.datasets.parquet import read_pieces
from offload_jax.validation import check_integer

_Rows = dict[str, np.ndarray]


def read(
    directory: str | os.PathLike[str],
    *,
    shards: Sequence[int] | None = None,
    verify: bool = True,
) -> tuple[Any, Any]:
    """Reads a dataset, or some of its shards, into memory.

    Args:
      directory: a dataset.
      shards: which shards, in which order; all of them if None.
      verify: whether to check the checksum of every shard; presence and size always are.

    Returns:
      The problems and their labels, for chains a `ChainProblem` and a `Solution`, of NumPy arrays
      with batch shape `[n]` for the n samples read, in the order they were drawn.

    Raises:
      ValueError: no dataset, a shard is unfinished, missing, truncated or altered (names the file).
      ImportError: pyarrow is not installed.
    """
    manifest = read_manifest(directory)
    chosen = _choose(manifest, shards, Path(directory))
    num = sum(shard.rows for shard in chosen)
    columns = manifest.config.columns
    values = {
        name: np.empty((num, *column.shape), column.dtype) for name, column in columns.items()
    }
    start = 0
    for piece in read_pieces(Path(directory), chosen, columns, verify=verify):
        stop = start + _num_rows(piece)
        for name, source in piece.items():
            values[name][start:stop] = source
        start = stop
    return manifest.config.from_columns(values)


def iterate(
    directory: str | os.PathLike[str],
    *,
    batch_size: int,
    shards: Sequence[int] | None = None,
    verify: bool = True,
) -> Iterator[tuple[Any, Any]]:
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
    check_integer("batch_size", batch_size)
    manifest = read_manifest(directory)
    chosen = _choose(manifest, shards, Path(directory))
    pieces = read_pieces(Path(directory), chosen, manifest.config.columns, verify=verify)
    return map(manifest.config.from_columns, _batches(pieces, batch_size))


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


def _num_rows(piece: _Rows) -> int:
    return len(next(iter(piece.values())))


def _batches(pieces: Iterable[_Rows], batch_size: int) -> Iterator[_Rows]:
    def cut(piece: _Rows, start: int, stop: int) -> _Rows:
        return {name: value[start:stop] for name, value in piece.items()}

    def join(parts: list[_Rows]) -> _Rows:
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    parts: list[_Rows] = []
    held = 0
    for piece in pieces:
        rows, start = _num_rows(piece), 0
        while rows - start >= batch_size - held:
            stop = start + batch_size - held
            yield join([*parts, cut(piece, start, stop)])
            parts, held, start = [], 0, stop
        if start < rows:
            parts.append(cut(piece, start, rows))
            held += rows - start
    if parts:
        yield join(parts)
