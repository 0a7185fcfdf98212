"""Several workers on one dataset: who writes which shards, and how their parts become one.

Worker i of n writes the shards i mod n and keeps a manifest of its own beside them. Nothing but the
folder is shared: who finishes its part looks whether the parts of all others are there, and if so
writes the manifest of the dataset. Every file is replaced whole and the merged manifest depends on
the parts alone, so it does not matter how many do that at once or whether they are killed.
"""

import dataclasses
import fnmatch
import numbers
import re
from collections.abc import Iterable
from pathlib import Path

from offload_jax.datasets.config import Config
from offload_jax.datasets.manifest import (
    MANIFEST_NAME,
    PART_PATTERN,
    Manifest,
    Shard,
    check_config,
    check_versions,
    load_manifest,
)
from offload_jax.files import LOCK_NAME

_LOCKS = f"{LOCK_NAME}-*-of-*"
_PART = re.compile(r"_manifest-(\d+)-of-(\d+)\.json")


@dataclasses.dataclass(frozen=True)
class Worker:
    """One of those that write a dataset together.

    Attributes:
      index: 0 .. `num` - 1.
      num: how many there are.
    """

    index: int = 0
    num: int = 1

    def __post_init__(self) -> None:
        for name, value in (("worker", self.index), ("num_workers", self.num)):
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise ValueError(f"{name} = {value!r}: must be an integer")
        if self.num < 1:
            raise ValueError(f"num_workers = {self.num}: must be at least 1")
        if not 0 <= self.index < self.num:
            raise ValueError(
                f"worker = {self.index}: must be in 0 .. {self.num - 1} (num_workers = {self.num})"
            )

    @property
    def alone(self) -> bool:
        """Whether there are no others: its manifest is the dataset's."""
        return self.num == 1

    @property
    def part_name(self) -> str:
        """What it writes, in words."""
        return "dataset" if self.alone else f"part of the dataset (worker {self.index})"

    @property
    def _part(self) -> str:
        return f"-{self.index:05d}-of-{self.num:05d}"

    @property
    def manifest_name(self) -> str:
        """The file that records what this worker has finished."""
        return MANIFEST_NAME if self.alone else f"_manifest{self._part}.json"

    @property
    def lock_name(self) -> str:
        """The file whose lock keeps a second worker of this number out."""
        return LOCK_NAME if self.alone else f"{LOCK_NAME}{self._part}"

    def shards(self, config: Config) -> range:
        """The shards it writes."""
        return range(self.index, config.num_shards, self.num)

    def writes(self, name: str) -> bool:
        """Whether it writes the file of this name, and nobody else does."""
        shard = re.fullmatch(r"shard-(\d+)\.parquet", name)
        if self.alone or shard is None:
            return self.alone or name == self.manifest_name
        return int(shard[1]) % self.num == self.index


def workers_in(names: Iterable[str]) -> list[Worker]:
    """Those whose parts are among the names of files."""
    found = map(_PART.fullmatch, sorted(names))
    return [Worker(int(match[1]), int(match[2])) for match in found if match is not None]


def is_lock(name: str) -> bool:
    """Whether a file of this name is somebody's lock."""
    return name == LOCK_NAME or fnmatch.fnmatch(name, _LOCKS)


def merge(directory: Path, config: Config, num: int) -> Manifest | None:
    """Makes one manifest of the parts of `num` workers, if all are complete.

    Returns:
      The manifest of the dataset; None if somebody has shards left to write.

    Raises:
      ValueError: the parts are of different configurations or software; names the difference.
    """
    shards: dict[int, Shard] = {}
    versions = None
    for worker in (Worker(index, num) for index in range(num)):
        try:
            part = load_manifest(directory / worker.manifest_name)
        except FileNotFoundError:
            return _merged(directory)
        check_config(part.config, config, directory)
        versions = part.versions if versions is None else versions
        check_versions(part.versions, versions, directory)
        if len(part.shards) < len(worker.shards(config)):
            return None
        shards |= part.shards
    assert versions is not None
    manifest = Manifest(config, versions, shards)
    manifest.save(directory / MANIFEST_NAME)
    remove_parts(directory)
    return manifest


def _merged(directory: Path) -> Manifest | None:
    """What another worker has merged, if one has; what this one has left is removed."""
    try:
        manifest = load_manifest(directory / MANIFEST_NAME)
    except FileNotFoundError:
        return None
    if not manifest.complete:
        return None
    remove_parts(directory)
    return manifest


def remove_parts(directory: Path) -> None:
    """Removes what workers have left in a complete dataset."""
    for pattern in (PART_PATTERN, _LOCKS):
        for path in directory.glob(pattern):
            path.unlink(missing_ok=True)
