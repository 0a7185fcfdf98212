"""What reading stored labels costs against making them anew, in one run: trust the ratios.

python -m benchmarks.stored_labels
"""

import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line
from offload_jax.datasets import DatasetConfig, graphs
from offload_jax.datasets.config import Config

_BATCH_SIZE = 16_384
_TIMES = 3


def _chains(num_subtasks: int, num: int) -> DatasetConfig:
    scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=num_subtasks)
    return DatasetConfig(num, scenario)


def _graphs(method: str, num: int) -> graphs.DatasetConfig:
    return graphs.DatasetConfig(num, oj.graphs.scenarios.layered(20), method=method)


CONFIGS: dict[str, Config] = {
    "chains, A = 6": _chains(6, 2_000_000),
    "chains, A = 20": _chains(20, 500_000),
    "chains, A = 50": _chains(50, 500_000),
    "graphs, N = 20, greedy": _graphs("greedy", 2000),
    "graphs, N = 20, heft": _graphs("heft", 2000),
    "graphs, N = 20, search": _graphs("search", 32),
}


def seconds(function: Callable[[], None]) -> float:
    """The least time of a call of several."""

    def once() -> float:
        began = time.perf_counter()
        function()
        return time.perf_counter() - began

    return min(once() for _ in range(_TIMES))


def make(config: Config) -> None:
    """Draws and labels all samples, shard by shard, and keeps none."""
    key = jax.random.key(config.seed)
    size = min(config.num, config.shard_size)
    for index in range(config.num_shards):
        problem = config.draw(jax.random.fold_in(key, index), size)
        jax.block_until_ready(config.label(problem))


def read(directory: Path, *, verify: bool) -> None:
    """Streams a dataset and keeps nothing."""
    for _ in oj.datasets.iterate(directory, batch_size=_BATCH_SIZE, verify=verify):
        pass


def main(values: flags.FlagValues) -> None:
    del values
    print("| samples | made, rows/s | read | read and checked | time of reading / making |")
    print("|---|---:|---:|---:|---:|")
    for name, config in CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "labels"
            oj.datasets.write(directory, config)  # compiles too
            made = seconds(functools.partial(make, config))
            plain = seconds(functools.partial(read, directory, verify=False))
            checked = seconds(functools.partial(read, directory, verify=True))
        rates = " | ".join(f"{config.num / s:.2g}" for s in (made, plain, checked))
        print(f"| {name} | {rates} | {plain / made:.2g} .. {checked / made:.2g} |", flush=True)


if __name__ == "__main__":
    command_line.run(main, lambda values: None)
