"""Writes a dataset shard by shard, or goes on with one."""

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from offload_jax.datasets.config import Config
from offload_jax.datasets.manifest import (
    MANIFEST_NAME,
    Manifest,
    check_config,
    check_versions,
    read_manifest,
    running_versions,
)
from offload_jax.datasets.parquet import import_parquet, write_shard
from offload_jax.files import LOCK_NAME, is_temporary, locked

_SAVE_ALWAYS = 1_000


def write(
    directory: str | os.PathLike[str],
    config: Config,
    *,
    progress: Callable[[int, str], None] | None = None,
) -> Manifest:
    """Writes a labelled dataset, or goes on with the one `directory` already holds.

    Memory depends on `config.shard_size`, not on `config.num`. Shards appear whole or not at all,
    so the run may be killed at any moment and started again. Finished shards are checked against
    their checksums first; those that are missing, truncated or altered are made again.

    Args:
      directory: new, empty, or a dataset of the same configuration and software.
      config: what to draw and how to label it: a `DatasetConfig`, or another family's.
      progress: called as `progress(num_finished, note)` after the check and after every shard, with
        the samples finished so far; `note` is "" or names a damaged file that is made again.

    Returns:
      The manifest of the complete dataset.

    Raises:
      ValueError: the directory is neither empty nor a dataset, or a dataset of another
        configuration, or shards are left to write and the software is another. It is not touched.
      BlockingIOError: another process is writing to the directory.
      OSError: a file could not be written, say because the disk is full; finished shards stay
        readable, and a later call goes on with them.
      ImportError: pyarrow, or for "cpsat" OR-Tools, is not installed.
    """
    import_parquet()
    progress = progress or (lambda num_finished, note: None)
    directory = Path(directory)
    _find_manifest(directory, config)
    running = running_versions(config.packages)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory, "dataset"):
        manifest = _find_manifest(directory, config) or Manifest(config, running, {})
        # Nothing is announced or removed before the versions are known to fit.
        shards, notes = {}, []
        for index, shard in manifest.shards.items():
            if damage := shard.damage(directory, checksum=True):
                notes.append(f"{directory / shard.file}: {damage}; it is made again")
            else:
                shards[index] = shard
        if len(shards) < config.num_shards:
            check_versions(manifest.versions, running, directory)
        for path in directory.iterdir():
            if is_temporary(path.name):
                path.unlink()
        manifest = Manifest(config, manifest.versions, shards)
        for note in notes or [""]:
            progress(manifest.num_finished, note)
        if manifest.complete:
            return manifest
        manifest.save(directory)
        unsaved = False
        try:
            for index, values in _label(config, shards):
                rows = slice(config.rows(index))
                values = {name: np.asarray(value)[rows] for name, value in values.items()}
                shards[index] = write_shard(directory, index, config.columns, values)
                unsaved = True
                # Saving takes time in proportion to the shards: with many, not after every one.
                if len(shards) % (1 + len(shards) // _SAVE_ALWAYS) == 0:
                    manifest.save(directory)
                    unsaved = False
                progress(manifest.num_finished, "")
        finally:
            if unsaved:
                manifest.save(directory)
    return manifest


def _find_manifest(directory: Path, config: Config) -> Manifest | None:
    """The manifest to go on with, None in a new directory; refuses every other directory."""
    if not directory.exists():
        return None
    if not directory.is_dir():
        raise ValueError(f"{directory}: is a file, a dataset needs a directory")
    names = {path.name for path in directory.iterdir()}
    if MANIFEST_NAME in names:
        manifest = read_manifest(directory)
        check_config(manifest.config, config, directory)
        return manifest
    # What is left if a first run dies before there is a manifest.
    foreign = sorted(name for name in names - {LOCK_NAME} if not is_temporary(name))
    if foreign:
        raise ValueError(
            f"{directory}: holds {foreign[0]!r} and no {MANIFEST_NAME}, so it is no dataset;"
            " choose another directory"
        )
    return None


def _label(config: Config, done: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Draws and solves the missing shards, one ahead of the one that is being written.

    JAX computes asynchronously, so the next shard is solved while the caller writes this one. Every
    shard is drawn at full size, the last one too: one compilation, and the same program for all.
    """
    done = set(done)
    size = min(config.shard_size, config.num)
    previous = None
    for index in range(config.num_shards):
        if index in done:
            continue
        # Labels must not depend on what precision or generator the process has chosen.
        with jax.enable_x64(False):
            key = jax.random.key(config.seed, impl="threefry2x32")
            problem = config.draw(jax.random.fold_in(key, index), size)
            if not config.pads_labels:
                rows = slice(config.rows(index))
                problem = jax.tree.map(operator.itemgetter(rows), problem)
            values = config.to_columns(problem, config.label(problem))
        if previous is not None:
            yield previous
        previous = index, values
    if previous is not None:
        yield previous
