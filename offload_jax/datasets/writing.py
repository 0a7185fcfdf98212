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
    load_manifest,
    read_manifest,
    running_versions,
)
from offload_jax.datasets.parquet import import_parquet, write_shard
from offload_jax.datasets.workers import Worker, is_lock, merge, remove_parts, workers_in
from offload_jax.files import is_temporary, locked, meant_for

_SAVE_ALWAYS = 1_000


def write(
    directory: str | os.PathLike[str],
    config: Config,
    *,
    worker: int = 0,
    num_workers: int = 1,
    progress: Callable[[int, str], None] | None = None,
) -> Manifest:
    """Writes a labelled dataset, or goes on with the one `directory` already holds.

    Memory depends on `config.shard_size`, not on `config.num`. Shards appear whole or not at all,
    so the run may be killed at any moment and started again. Finished shards are checked against
    their checksums first; those that are missing, truncated or altered are made again.

    Several workers, on any machines that share the folder, write it together: each makes the same
    call with another `worker`, and the last to finish makes one dataset of it, with the bytes that
    one worker would have written. The number divides the work and stays; a worker may be started
    again anywhere once it has ended, and one machine may do the parts one after the other.

    Args:
      directory: new, empty, or a dataset of the same configuration and software.
      config: what to draw and how to label it: a `DatasetConfig`, or another family's.
      worker: which part to write, 0 .. `num_workers` - 1: the shards i with i mod `num_workers` =
        `worker`.
      num_workers: how many parts there are.
      progress: called as `progress(num_finished, note)` after the check and after every shard, with
        the samples of this part finished so far; `note` is "" or names a damaged file that is made
        again.

    Returns:
      The manifest of the complete dataset; if other workers have shards left to write, that of this
      part, which is not `complete`.

    Raises:
      ValueError: bad worker numbers; the directory is neither empty nor a dataset, or a dataset of
        another configuration or begun with another number of workers, or shards are left to write
        and the software is another: it is not touched. Or a shard is damaged in a dataset that
        several workers have finished: one `write` without a worker repairs it.
      BlockingIOError: another process is writing to the directory, or this part of it.
      OSError: a file could not be written, say because the disk is full; finished shards stay
        readable, and a later call goes on with them.
      ImportError: pyarrow, or for "cpsat" OR-Tools, is not installed.
    """
    me = Worker(worker, num_workers)
    import_parquet()
    progress = progress or (lambda num_finished, note: None)
    directory = Path(directory)
    _find_manifest(directory, config, me)
    running = running_versions(config.packages)
    directory.mkdir(parents=True, exist_ok=True)
    mine = me.shards(config)
    with locked(directory, me.part_name, name=me.lock_name):
        manifest = _find_manifest(directory, config, me) or Manifest(config, running, {})
        # Nothing is announced or removed before the versions are known to fit.
        shards, damages = {}, []
        for index in sorted(manifest.shards.keys() & mine):
            shard = manifest.shards[index]
            if damage := shard.damage(directory, checksum=True):
                damages.append(f"{directory / shard.file}: {damage}")
            else:
                shards[index] = shard
        if manifest.complete and not me.alone:
            # Somebody has merged. Two that mend one manifest would undo each other's work.
            if damages:
                raise ValueError(f"{damages[0]}; `write` without a worker repairs it")
            progress(sum(shard.rows for shard in shards.values()), "")
            return manifest
        if len(shards) < len(mine):
            check_versions(manifest.versions, running, directory)
        for path in directory.iterdir():
            if is_temporary(path.name) and me.writes(meant_for(path.name)):
                path.unlink(missing_ok=True)
        manifest = Manifest(config, manifest.versions, shards)
        for damage in damages or [""]:
            progress(manifest.num_finished, damage and f"{damage}; it is made again")
        path = directory / me.manifest_name
        if not manifest.complete:
            _write_missing(directory, manifest, mine, path, progress)
        if me.alone:
            return manifest
        return merge(directory, config, me.num) or manifest


def _write_missing(
    directory: Path,
    manifest: Manifest,
    indices: Iterable[int],
    path: Path,
    progress: Callable[[int, str], None],
) -> None:
    """Writes shards, enters them in the manifest and saves it as `path`."""
    config = manifest.config
    shards = manifest.shards
    manifest.save(path)
    unsaved = False
    try:
        for index, values in _label(config, [i for i in indices if i not in shards]):
            rows = slice(config.rows(index))
            values = {name: np.asarray(value)[rows] for name, value in values.items()}
            shards[index] = write_shard(directory, index, config.columns, values)
            unsaved = True
            # Saving takes time in proportion to the shards: with many, not after every one.
            if len(shards) % (1 + len(shards) // _SAVE_ALWAYS) == 0:
                manifest.save(path)
                unsaved = False
            progress(manifest.num_finished, "")
    finally:
        if unsaved:
            manifest.save(path)


def _find_manifest(directory: Path, config: Config, me: Worker) -> Manifest | None:
    """The manifest to go on with, None in a new directory; refuses every other directory.

    To a worker that comes to a directory that others have begun, it is one without shards.
    """
    if not directory.exists():
        return None
    if not directory.is_dir():
        raise ValueError(f"{directory}: is a file, a dataset needs a directory")
    names = {path.name for path in directory.iterdir()}
    if MANIFEST_NAME in names:
        manifest = read_manifest(directory)
        check_config(manifest.config, config, directory)
        if manifest.complete:
            remove_parts(directory)
            return manifest
        _check_number(directory, 1, me)
        return manifest
    others = workers_in(names)
    for other in others:
        _check_number(directory, other.num, me)
    if others:
        known = me if me in others else others[0]
        try:
            manifest = load_manifest(directory / known.manifest_name)
        except FileNotFoundError:  # merged since the names were read
            return _find_manifest(directory, config, me)
        check_config(manifest.config, config, directory)
        return manifest if me in others else Manifest(config, manifest.versions, {})
    # What is left if a first run dies before there is a manifest.
    foreign = sorted(name for name in names if not is_lock(name) and not is_temporary(name))
    if foreign:
        raise ValueError(
            f"{directory}: holds {foreign[0]!r} and no {MANIFEST_NAME}, so it is no dataset;"
            " choose another directory"
        )
    return None


def _check_number(directory: Path, begun: int, me: Worker) -> None:
    if begun != me.num:
        raise ValueError(
            f"{directory}: begun with num_workers = {begun}, asked for {me.num}; go on with"
            f" {begun}, on as few machines as you like, or choose another directory"
        )


def _label(config: Config, indices: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Draws and solves shards, one ahead of the one that is being written.

    JAX computes asynchronously, so the next shard is solved while the caller writes this one. Every
    shard is drawn at full size, the last one too: one compilation, and the same program for all.
    """
    size = min(config.shard_size, config.num)
    previous = None
    for index in indices:
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
