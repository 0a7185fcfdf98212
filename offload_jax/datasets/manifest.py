"""The record of a dataset's configuration, software and finished shards."""

import dataclasses
import hashlib
import importlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from offload_jax import configs
from offload_jax.datasets.config import Config
from offload_jax.extras import needs
from offload_jax.files import replace_file

FAMILIES = {
    "chains": "offload_jax.datasets.chains",
    "graphs": "offload_jax.datasets.graphs",
}
"""Where each family's `DatasetConfig` lies; a manifest that names no family is of chains."""

# Tools that open the directory as one table skip names that begin with "_" or ".".
MANIFEST_NAME = "_manifest.json"
# What each of several workers keeps until all have finished.
PART_PATTERN = "_manifest-*-of-*.json"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
      file: its name inside the directory.
      rows: samples it holds.
      bytes: its size.
      sha256: hexadecimal checksum of its bytes.
    """

    file: str
    rows: int
    bytes: int
    sha256: str

    def damage(self, directory: Path, *, checksum: bool) -> str:
        """What is wrong with the file: "" if nothing is; reads it only for the checksum."""
        path = directory / self.file
        try:
            size = path.stat().st_size
            if size != self.bytes:
                return f"{size} bytes instead of {self.bytes}"
            if checksum:
                with open(path, "rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                        return "its checksum differs from the manifest's"
        except FileNotFoundError:
            return "the file is missing"
        return ""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a dataset directory holds.

    Attributes:
      config: what it is made from.
      versions: the software it is made with, name -> version.
      shards: finished shards, index -> record.
    """

    config: Config
    versions: Mapping[str, str]
    shards: dict[int, Shard]

    @property
    def num_finished(self) -> int:
        """Samples in finished shards."""
        return sum(shard.rows for shard in self.shards.values())

    @property
    def complete(self) -> bool:
        """True if every shard is finished."""
        return len(self.shards) == self.config.num_shards

    def save(self, path: Path) -> None:
        """Replaces the file in one step."""
        data = {
            "config": self.config.as_data(),
            "versions": dict(self.versions),
            "shards": {
                str(index): dataclasses.asdict(shard)
                for index, shard in sorted(self.shards.items())
            },
        }
        text = json.dumps(data, indent=1, allow_nan=False) + "\n"
        replace_file(path, text.encode())


def read_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """Reads what a dataset directory holds; shards are not looked at.

    Raises:
      ValueError: there is no manifest, or workers have shards left to write, or it cannot be read;
        names the file.
    """
    try:
        return load_manifest(Path(directory) / MANIFEST_NAME)
    except FileNotFoundError:
        raise ValueError(f"{directory}: {_why_not(Path(directory))}") from None


def _why_not(directory: Path) -> str:
    """Why there is no manifest."""
    begun = len(list(directory.glob(PART_PATTERN))) if directory.is_dir() else 0
    if begun:
        return (
            f"its {begun} parts are not one dataset yet; the last worker to finish makes one of"
            " them, and a worker that has finished does when it is started again"
        )
    return f"not a dataset, it holds no {MANIFEST_NAME}"


def load_manifest(path: Path) -> Manifest:
    """Reads one manifest, of a dataset or of a worker's part.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it cannot be read; names the file.
    """
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not a manifest of a dataset ({error})") from None
    try:
        family = importlib.import_module(FAMILIES[data["config"].get("family", "chains")])
        config = family.DatasetConfig.from_data(data["config"])
        shards = {
            int(index): configs.from_data(shard, Shard) for index, shard in data["shards"].items()
        }
        return Manifest(config, dict(data["versions"]), shards)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not a manifest this release reads ({error!r})") from None


def check_config(stored: Config, asked: Config, directory: Path) -> None:
    """Refuses to go on with another configuration.

    Raises:
      ValueError: names the first differing field and both values.
    """
    if difference := _first_difference(stored.as_data(), asked.as_data()):
        raise ValueError(
            f"{directory}: holds a dataset of another configuration: {difference};"
            " choose another directory"
        )


def check_versions(stored: Mapping[str, str], running: Mapping[str, str], directory: Path) -> None:
    """Refuses to go on with other software, which could give other bytes.

    Raises:
      ValueError: names the first package that differs and both versions.
    """
    if difference := _first_difference(dict(stored), dict(running)):
        raise ValueError(
            f"{directory}: begun with other software: {difference};"
            " go on with that, or choose another directory"
        )


def _first_difference(stored: Any, asked: Any) -> str:
    """Words for the first field in which two JSON values differ, "" if none does."""
    for name, there, here in configs.differences(stored, asked):
        return f"{name} is {there} there and {here} here"
    return ""


def running_versions(packages: Mapping[str, str]) -> dict[str, str]:
    """Versions of the software that labels and bytes depend on.

    Args:
      packages: what the labels need besides JAX and NumPy, with the extra that brings each.

    Raises:
      ImportError: one of `packages` is not installed.
    """
    versions = {}
    for name in ("offload_jax", "jax", "jaxlib", "numpy", "pyarrow"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    for name, extra in packages.items():
        with needs(extra):
            versions[name] = importlib.metadata.version(name)
    # Rounding differs between back ends.
    return versions | {"backend": jax.default_backend()}
