"""Checkpoints: weights, optimiser state and configuration, written whole or not at all.

A checkpoint folder holds one sub-folder per kept epoch, `epoch_00000040`, each with the items

* `params`: what the policy needs,
* `training`: what training needs to go on, bit for bit,
* `config`: JSON that rebuilds the network, and a digest of the weights.

A sub-folder appears under its name only when all of it is on disk.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.chains.scenarios import Scenario
from offload_jax.learning.parameters import abstract_parameters
from offload_jax.objectives import objective_from_data

_PREFIX = "epoch_"
_FORMAT = "offload_jax checkpoint 1"
_KEPT = 2
_NETWORKS = {"imitation": ImitationConfig, "q_network": QNetworkConfig}

# Orbax reports every save and restore at this level.
logging.getLogger("absl").addFilter(lambda record: record.levelno >= logging.WARNING)


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, incomplete, or of something else; names the folder."""


def save(path: Path, state: Any, *, params: Any, config: Mapping[str, Any], epoch: int) -> None:
    """Writes a checkpoint in one step and drops all but the newest two.

    Args:
      path: the folder of the training.
      state: everything training needs to continue, a pytree of arrays.
      params: the parameters of the policy.
      config: "model", a network configuration, and whatever else identifies the training;
        dataclasses and JSON types.
      epoch: epochs done.

    Raises:
      CheckpointError: the folder holds something that is no checkpoint; nothing is written.
    """
    _check_ours(path)
    content = {
        "format": _FORMAT,
        "epoch": epoch,
        "config": plain(config),
        "params_digest": digest(params),
        "training_digest": digest(state),
    }
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(
            (path / f"{_PREFIX}{epoch:08d}").absolute(),
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(params),
                training=ocp.args.StandardSave(jax.tree.leaves(state)),
                config=ocp.args.JsonSave(content),
            ),
            force=True,
        )
    for old in _epochs(path)[:-_KEPT]:
        shutil.rmtree(old)


def resume(path: Path, state: Any, *, config: Mapping[str, Any]) -> tuple[Any, int] | None:
    """The newest state of this very training, or None if there is none yet.

    Args:
      path: the folder of the training.
      state: a state of the same structure, for shapes and types.
      config: as given to `save`.

    Returns:
      The state and the number of epochs it has seen.

    Raises:
      CheckpointError: the folder holds something else or the checkpoint is damaged, or was made
        with another configuration (the fields that differ are named).
    """
    _check_ours(path)
    folders = _epochs(path)
    if not folders:
        return None
    content = _content(folders[-1])
    differences = _differences(content["config"], plain(config))
    if differences:
        raise CheckpointError(
            f"{path}: made with another configuration ({'; '.join(differences)});"
            " move it away or choose another folder"
        )
    leaves, structure = jax.tree.flatten(state)
    restored = _restore(folders[-1], "training", leaves, content["training_digest"])
    return jax.tree.unflatten(structure, restored), content["epoch"]


def load(path: Path | str) -> LearnedPolicy:
    """Rebuilds the policy of the newest checkpoint in a folder.

    Raises:
      CheckpointError: there is none, or it is damaged or of another architecture than it says.
    """
    path = Path(path)
    content = _content(_newest(path))
    config = network_config(path, content["config"].get("model"))
    abstract = abstract_parameters(config)
    params = _restore(_newest(path), "params", abstract, content["params_digest"])
    return LearnedPolicy(config, params)


def stored_config(path: Path | str) -> dict[str, Any]:
    """The configuration of the newest checkpoint in a folder, and "epoch".

    Raises:
      CheckpointError: there is none, or it cannot be read.
    """
    content = _content(_newest(Path(path)))
    return {**content["config"], "epoch": content["epoch"]}


def plain(value: Any) -> Any:
    """`value` in JSON types; network configurations get a "network" entry that names them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        names = [name for name, kind in _NETWORKS.items() if kind is type(value)]
        return {"network": names[0], **fields} if names else fields
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def network_config(path: Path, stored: Any) -> ImitationConfig | QNetworkConfig:
    """The network configuration that `plain` wrote.

    Raises:
      CheckpointError: it is not one.
    """
    try:
        fields = dict(stored)
        kind = _NETWORKS[fields.pop("network")]
        fields["hidden"] = tuple(fields["hidden"])
        scenario: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields["scenario"].items()
        }
        objective = objective_from_data(fields["objective"])
        return kind(**{**fields, "scenario": Scenario(**scenario), "objective": objective})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: unknown network configuration ({error})") from error


def digest(tree: Any) -> str:
    """SHA-256 over shapes, types and bytes of all leaves."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        total.update(f"{array.shape}{array.dtype}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _epochs(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    names = (entry for entry in path.iterdir() if entry.name.startswith(_PREFIX))
    return sorted(entry for entry in names if entry.name[len(_PREFIX) :].isdigit())


def _check_ours(path: Path) -> None:
    """Refuses a file, and a folder with anything in it but checkpoints and unfinished ones."""
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path}: is a file, not a checkpoint folder")
    foreign = (
        []
        if not path.exists()
        else [entry.name for entry in path.iterdir() if not entry.name.startswith(_PREFIX)]
    )
    if foreign:
        raise CheckpointError(
            f"{path}: holds {sorted(foreign)[0]!r}, which is no checkpoint of this project;"
            " nothing is written there"
        )


def _newest(path: Path) -> Path:
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such checkpoint folder")
    folders = _epochs(path)
    if not folders:
        raise CheckpointError(
            f"{path}: holds no complete checkpoint ({_PREFIX}* folder); training has not written"
            " one yet, or this is something else"
        )
    return folders[-1]


def _content(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config" / "metadata").read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: incomplete or damaged, no config: {error}") from error
    keys = {"epoch", "config", "params_digest", "training_digest"}
    if not isinstance(content, dict) or content.get("format") != _FORMAT or keys - set(content):
        raise CheckpointError(f"{folder}: not a checkpoint of this project (no {_FORMAT!r} in it)")
    return content


def _restore(folder: Path, item: str, like: Any, expected_digest: str) -> Any:
    """Restores one item with the shapes, types and placement of `like`."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), like
    )
    try:
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            args = ocp.args.Composite(**{item: ocp.args.StandardRestore(abstract)})
            restored = checkpointer.restore(folder.absolute(), args=args)[item]
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{folder}: {item} cannot be restored, damaged or of another architecture: {reason}"
        ) from error
    if digest(restored) != expected_digest:
        raise CheckpointError(f"{folder}: {item} is damaged, its digest does not match")
    return restored


def _differences(stored: Any, wanted: Any, name: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        found = []
        for key in sorted({*stored, *wanted}):
            inner = f"{name}.{key}" if name else key
            found += _differences(stored.get(key), wanted.get(key), inner)
        return found
    return [] if stored == wanted else [f"{name} was {stored!r}, now {wanted!r}"]
