"""One shard as a Parquet file: the columns, written and read."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.datasets.config import Column
from offload_jax.datasets.manifest import Shard
from offload_jax.extras import needs
from offload_jax.files import replace_file

_ROW_GROUP_SIZE = 250_000


def import_parquet() -> tuple[Any, Any]:
    with needs("data"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet


def write_shard(
    directory: Path, index: int, columns: Mapping[str, Column], values: Mapping[str, Any]
) -> Shard:
    """Writes a shard.

    Args:
      directory: of the dataset.
      index: of the shard.
      columns: what it holds.
      values: `[n, *shape]` by the names of `columns`.
    """
    pyarrow, parquet = import_parquet()
    arrays: dict[str, Any] = {}
    few_values: list[str] = []  # worth a dictionary
    for name, column in columns.items():
        value = np.asarray(values[name]).astype(column.dtype, copy=False)
        if len(column.shape) == 1:
            parts = dict(enumerate(np.ascontiguousarray(value.T)))
            stored = {f"{name}_{t}": pyarrow.array(part) for t, part in parts.items()}
        elif column.shape:
            flat = pyarrow.array(np.ascontiguousarray(value).reshape(-1))
            size = math.prod(column.shape)
            stored = {name: pyarrow.FixedSizeListArray.from_arrays(flat, size)}
        else:
            stored = {name: pyarrow.array(value)}
        arrays |= stored
        few_values += stored if column.dtype is np.int8 else ()
    schema = pyarrow.schema(
        [pyarrow.field(name, array.type, nullable=False) for name, array in arrays.items()]
    )
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(
        pyarrow.table(arrays, schema=schema),
        sink,
        version="2.6",
        compression="none",  # random floats do not compress
        use_dictionary=few_values,
        row_group_size=_ROW_GROUP_SIZE,
    )
    content = sink.getvalue()
    file = f"shard-{index:05d}.parquet"
    replace_file(directory / file, content)
    rows = len(next(iter(arrays.values())))
    return Shard(file, rows, content.size, hashlib.sha256(content).hexdigest())


def read_pieces(
    directory: Path, shards: Sequence[Shard], columns: Mapping[str, Column], *, verify: bool
) -> Iterator[dict[str, np.ndarray]]:
    """Reads shards a row group at a time: arrays `[n, *shape]` by the names of `columns`."""
    pyarrow, parquet = import_parquet()
    for shard in shards:
        path = directory / shard.file
        if damage := shard.damage(directory, checksum=verify):
            raise ValueError(f"{path}: {damage}; `write` with the same configuration repairs it")
        try:
            with parquet.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    yield {name: _read(table, name, column) for name, column in columns.items()}
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{path}: cannot be read as Parquet: {error}") from None


def _read(table: Any, name: str, column: Column) -> np.ndarray:
    if len(column.shape) == 1:
        entries = [table.column(f"{name}_{t}").to_numpy() for t in range(column.shape[0])]
        return np.stack(entries, axis=-1)
    if column.shape:
        flat = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, *column.shape)
    return table.column(name).to_numpy()
