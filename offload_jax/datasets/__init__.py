"""Labelled datasets on disk: any number of sampled problems with their exact decisions.

A dataset is a directory of Parquet shards `shard-00000.parquet`, ... and `_manifest.json`, which
records the configuration, the software and the checksum of every finished shard. What a row holds
is its family's to say (`datasets.config.Config`); for chains it is a sample:

| column | type | what |
|---|---|---|
| `cycles_0` .. `cycles_{A-1}` | float32 | CPU cycles of the subtasks |
| `data_0` .. `data_{A}` | float32 | bytes of the transfers |
| `device_speed`, `edge_speed` | float32 | cycles per second |
| `device_edge_bandwidth`, `edge_cloud_bandwidth` | float32 | bytes per second |
| `decision_0` .. `decision_{A-1}` | int8 | 0 device, 1 edge, 2 cloud |
| `cost` | float32 | seconds for latency, joules for energy, else their weighted sum |
| `optimal` | bool | the decision is proven optimal |

pandas, Polars and DuckDB open a shard, or all of them as `directory/*.parquet`. Shards are
independent of each other, and the same configuration, software and kind of processor give the same
bytes, whether or not the run that wrote them was interrupted.

Needs the extra `data`.
"""

from offload_jax.datasets.chains import METHODS, DatasetConfig, scenario_from_data
from offload_jax.datasets.manifest import Manifest, Shard, read_manifest
from offload_jax.datasets.reading import iterate, read
from offload_jax.datasets.writing import write

__all__ = [
    "METHODS",
    "DatasetConfig",
    "Manifest",
    "Shard",
    "iterate",
    "read",
    "read_manifest",
    "scenario_from_data",
    "write",
]
