"""Exact labels in bulk: samples of a scenario with their optimal decisions, as Parquet shards.

    python -m experiments.make_dataset --scenario=wide --num=10000000 --output=data/wide
    python -m experiments.make_dataset --family=graphs --num_tasks=20 --num=10000 --output=data/g20

Interrupted at any moment and started again with the same flags, it goes on where it stood. Several
machines that share the folder divide the work, see docs/scale.md:

    python -m experiments.make_dataset --output=data/wide --num_workers=8 --worker=3
"""

import dataclasses
import functools
import json
import os
import sys
import time
from pathlib import Path

from absl import flags
from tqdm import tqdm

import offload_jax as oj
from experiments.reporting import command_line, objective
from offload_jax.chains.scenarios import Scenario
from offload_jax.datasets import METHODS, DatasetConfig, Manifest, graphs
from offload_jax.datasets.config import Config
from offload_jax.datasets.manifest import load_manifest
from offload_jax.datasets.workers import Worker

_FAMILIES = {
    "chains": ("scenario", "num_subtasks", "bandwidth_floor", "objective"),
    "graphs": ("num_tasks", "time_limit"),
}
"""What samples are, and the flags that are about these samples only."""
_SCENARIOS = {"wide": oj.scenarios.WIDE, "narrow": oj.scenarios.NARROW}


def find_scenario(
    name: str, *, num_subtasks: int | None = None, bandwidth_floor: float | None = None
) -> Scenario:
    """A named scenario or one from a file.

    Args:
      name: "wide", "narrow", or a JSON file with the fields of `Scenario`, SI units, ranges as
        `[low, high]`.
      num_subtasks: A, if not the scenario's own.
      bandwidth_floor: least bandwidth of both links, bytes per second.

    Raises:
      ValueError: no such scenario, or a bad field (names it).
    """
    if name in _SCENARIOS:
        scenario = _SCENARIOS[name]
    else:
        try:
            scenario = oj.datasets.scenario_from_data(json.loads(Path(name).read_text()))
        except OSError as error:
            known = ", ".join(_SCENARIOS)
            raise ValueError(
                f"scenario {name!r}: not one of {known}, and no such file ({error.strerror})"
            ) from None
        except ValueError as error:
            raise ValueError(f"scenario {name!r}: {error}") from None
    if num_subtasks is not None:
        scenario = dataclasses.replace(scenario, num_subtasks=num_subtasks)
    if bandwidth_floor is not None:
        scenario = scenario.with_bandwidth_floor(bandwidth_floor)
    return scenario


def run(
    output: str | os.PathLike[str],
    config: Config,
    *,
    worker: int = 0,
    num_workers: int = 1,
    progress: bool = True,
) -> Manifest:
    """Writes the dataset or a worker's part, what is missing of it, with a progress bar on stderr.

    Raises:
      ValueError, OSError, ImportError: as `offload_jax.datasets.write`.
    """
    bar: tqdm | None = None

    def show(num_finished: int, note: str) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(
                total=sum(map(config.rows, range(worker, config.num_shards, num_workers))),
                initial=num_finished,
                unit=" samples",
                unit_scale=True,
                file=sys.stderr,
                disable=not progress,
            )
        if note:
            tqdm.write(note, file=sys.stderr)
        bar.update(num_finished - bar.n)

    try:
        return oj.datasets.write(
            output, config, worker=worker, num_workers=num_workers, progress=show
        )
    finally:
        if bar is not None:
            bar.close()


def define(values: flags.FlagValues) -> None:
    """The command line."""
    text, integer, number, choice = (
        functools.partial(add, flag_values=values)
        for add in (
            flags.DEFINE_string,
            flags.DEFINE_integer,
            flags.DEFINE_float,
            flags.DEFINE_enum,
        )
    )
    choice("family", "chains", tuple(_FAMILIES), "What the samples are.")
    text("scenario", "wide", "Chains: wide, narrow, or a JSON file.")
    integer("num_subtasks", None, "Chains: A, if not the scenario's own.")
    number("bandwidth_floor", None, "Chains: least bandwidth of both links, bytes per second.")
    integer("num_tasks", 20, "Graphs: N.", lower_bound=1)
    number("time_limit", None, "Graphs: seconds of search or cpsat for each.")
    integer("num", 100_000, "Samples.")
    integer("shard_size", 0, "Samples a file; 0 chooses.")
    choice(
        "method",
        "auto",
        tuple(dict.fromkeys((*METHODS, *graphs.METHODS))),
        "How labels are computed; auto is exact for chains, search for graphs.",
    )
    text("output", None, "Directory of the dataset.")
    integer("worker", 0, "Which part of the dataset to write: 0 .. num_workers - 1.")
    integer("num_workers", 1, "How many write the dataset together.")
    command_line.define(values, "seed", "objective", "progress")


def chain_config(values: flags.FlagValues) -> DatasetConfig:
    """What the flags ask for of chains."""
    scenario = find_scenario(
        values.scenario,
        num_subtasks=values.num_subtasks,
        bandwidth_floor=values.bandwidth_floor,
    )
    return DatasetConfig(
        values.num,
        scenario,
        values.seed,
        values.method,
        objective.parse(values.objective),
        values.shard_size,
    )


def graph_config(values: flags.FlagValues) -> graphs.DatasetConfig:
    """What the flags ask for of task graphs."""
    return graphs.DatasetConfig(
        values.num,
        oj.graphs.scenarios.layered(values.num_tasks),
        values.seed,
        "search" if values.method == "auto" else values.method,
        values.time_limit,
        values.shard_size,
    )


def main(values: flags.FlagValues) -> None:
    """Writes what the flags ask for.

    Raises:
      ValueError, OSError, ImportError: as `run` and `find_scenario`.
    """
    command_line.check_choice(values, "family", _FAMILIES)
    if not values.output:
        raise ValueError("--output: say which directory the dataset goes to")
    config = graph_config(values) if values.family == "graphs" else chain_config(values)
    began = time.monotonic()
    manifest = run(
        values.output,
        config,
        worker=values.worker,
        num_workers=values.num_workers,
        progress=values.progress,
    )
    size = sum(shard.bytes for shard in manifest.shards.values())
    part = "" if manifest.complete else f" (worker {values.worker} of {values.num_workers})"
    print(
        f"{values.output}{part}: {manifest.num_finished} samples in {len(manifest.shards)} shards,"
        f" {size / 1e6:.1f} MB, {time.monotonic() - began:.1f} s"
    )


def standing(values: flags.FlagValues) -> str:
    """What an interrupted run left."""
    me = Worker(values.worker, values.num_workers)
    try:
        manifest = load_manifest(Path(values.output) / me.manifest_name)
    except (ValueError, OSError):
        return "nothing was finished"
    total = sum(map(manifest.config.rows, me.shards(manifest.config)))
    return (
        f"{manifest.num_finished} of {total} samples are finished and usable in"
        f" {values.output}; the same command goes on from there"
    )


if __name__ == "__main__":
    command_line.run(main, define, resume=standing)
