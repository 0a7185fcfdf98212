"""One shard as a Parquet file: the columns, written and read."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload_jax.chains.problem import ChainProblem
from offload_jax.datasets.config import DatasetConfig
from offload_jax.datasets.manifest import Shard, replace_file
from offload_jax.solution import Solution

SCALARS = ("device_speed", "edge_speed", "device_edge_bandwidth", "edge_cloud_bandwidth")
_ROW_GROUP_SIZE = 250_000


def import_parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f"datasets need pyarrow ({error}): pip install offload_jax[experiments]"
        ) from None
    return pyarrow, pyarrow.parquet


def write_shard(
    directory: Path, config: DatasetConfig, index: int, problem: ChainProblem, solution: Solution
) -> Shard:
    pyarrow, parquet = import_parquet()
    rows = config.rows(index)
    columns: dict[str, Any] = {}

    def add(name: str, value: Any, dtype: Any) -> None:
        value = np.asarray(value)[:rows].astype(dtype, copy=False)
        if value.ndim == 1:
            columns[name] = value
        else:
            value = np.ascontiguousarray(value.T)
            columns.update({f"{name}_{t}": column for t, column in enumerate(value)})

    add("cycles", problem.cycles, np.float32)
    add("data", problem.data, np.float32)
    for name in SCALARS:
        add(name, getattr(problem, name), np.float32)
    add("decision", solution.decision, np.int8)
    add("cost", solution.cost, np.float32)
    add("optimal", solution.optimal, np.bool_)

    arrays = {name: pyarrow.array(column) for name, column in columns.items()}
    schema = pyarrow.schema(
        [pyarrow.field(name, array.type, nullable=False) for name, array in arrays.items()]
    )
    table = pyarrow.table(arrays, schema=schema)
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(
        table,
        sink,
        version="2.6",
        compression="none",  # random floats do not compress
        use_dictionary=[name for name in columns if name.startswith("decision")],
        row_group_size=_ROW_GROUP_SIZE,
    )
    content = sink.getvalue()
    file = f"shard-{index:05d}.parquet"
    replace_file(directory / file, content)
    return Shard(file, rows, content.size, hashlib.sha256(content).hexdigest())


def read_pieces(
    directory: Path, shards: Sequence[Shard], num_subtasks: int, verify: bool
) -> Iterator[tuple[ChainProblem, Solution]]:
    """Reads shards a row group at a time."""
    pyarrow, parquet = import_parquet()
    for shard in shards:
        path = directory / shard.file
        if damage := shard.damage(directory, checksum=verify):
            raise ValueError(f"{path}: {damage}; `write` with the same configuration repairs it")
        try:
            with parquet.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield _from_table(file.read_row_group(group), num_subtasks)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{path}: cannot be read as Parquet: {error}") from None


def _from_table(table: Any, num_subtasks: int) -> tuple[ChainProblem, Solution]:
    def chain(name: str, length: int) -> np.ndarray:
        return np.stack([table.column(f"{name}_{t}").to_numpy() for t in range(length)], axis=-1)

    problem = ChainProblem(
        chain("cycles", num_subtasks),
        chain("data", num_subtasks + 1),
        *(table.column(name).to_numpy() for name in SCALARS),
    )
    label: Any = (
        chain("decision", num_subtasks),
        table.column("cost").to_numpy(),
        table.column("optimal").to_numpy(),
    )
    return problem, Solution(*label)
