"""Checkpoints: weights, optimiser state and configuration, written whole or not at all.

A checkpoint folder holds a sub-folder for each of the newest two saved epochs, `epoch_00000040`,
with the items

* `params`: what the policy needs,
* `training`: what training needs to go on, bit for bit,
* `config`: JSON that rebuilds the policy, and digests of the other two.

A sub-folder appears under its name only when all of it is on disk. One training at a time writes to
a folder; anybody may read it meanwhile. What the configuration means is for those who wrote it:
nothing here knows a network or a family.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from offload_jax import configs
from offload_jax.extras import needs
from offload_jax.files import LOCK_NAME, locked
from offload_jax.learning.parameters import digest

with needs("learn"):
    import orbax.checkpoint as ocp

_PREFIX, _DIGITS = "epoch", 8
_FORMAT = "offload_jax checkpoint 1"
_KEPT = 2


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, incomplete, or of something else; names the folder."""


class TrainingFolder:
    """Where one training saves and resumes; made by `training_folder`."""

    def __init__(self, path: Path, config: Any, manager: ocp.CheckpointManager) -> None:
        self._path, self._config, self._manager = path, config, manager

    def resume(self, state: Any) -> tuple[Any, int]:
        """The newest state of this very training and its epoch; `state` and 0 if there is none.

        Args:
          state: a state of the same structure, for shapes and types.

        Raises:
          CheckpointError: the checkpoint is damaged, or was made with another configuration (the
            fields that differ are named).
        """
        folders = _epochs(self._path)
        if not folders:
            return state, 0
        folder, content = folders[-1], _content(folders[-1])
        changed = [
            f"{name} was {stored!r}, now {asked!r}"
            for name, stored, asked in configs.differences(content["config"], self._config)
        ]
        if changed:
            raise CheckpointError(
                f"{self._path}: made with another configuration ({'; '.join(changed)});"
                " move it away or choose another folder"
            )
        leaves, structure = jax.tree.flatten(state)
        restored = _restore(folder, "training", leaves, content["training_digest"])
        return jax.tree.unflatten(structure, restored), content["epoch"]

    def save(self, state: Any, *, params: Any, epoch: int) -> None:
        """Writes a checkpoint in one step; all but the newest two go.

        Args:
          state: everything training needs to continue, a pytree of arrays.
          params: the parameters of the policy.
          epoch: epochs done, more than at the last time.
        """
        content = {
            "format": _FORMAT,
            "epoch": epoch,
            "config": self._config,
            "params_digest": digest(params),
            "training_digest": digest(state),
        }
        self._manager.save(
            epoch,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(params),
                training=ocp.args.StandardSave(jax.tree.leaves(state)),
                config=ocp.args.JsonSave(content),
            ),
        )


class _NoFolder:
    """Training without checkpoints."""

    def resume(self, state: Any) -> tuple[Any, int]:
        return state, 0

    def save(self, state: Any, *, params: Any, epoch: int) -> None:
        pass


@contextlib.contextmanager
def training_folder(
    path: Path | None, config: Mapping[str, Any]
) -> Iterator[TrainingFolder | _NoFolder]:
    """Opens a folder for a training and keeps other trainings out of it meanwhile.

    Args:
      path: new, empty, or of this very training; None to keep nothing.
      config: what identifies the training and rebuilds its policy, dataclasses and JSON types.

    Raises:
      CheckpointError: the folder holds something that is no checkpoint; nothing is written.
      BlockingIOError: another training is writing to it.
    """
    if path is None:
        yield _NoFolder()
        return
    _check_ours(path)
    path.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=_KEPT,
        step_prefix=_PREFIX,
        step_format_fixed_length=_DIGITS,
        create=False,
        enable_async_checkpointing=False,
        multiprocessing_options=_this_process(),
    )
    with locked(path, "checkpoint"):
        # What a killed training left; Orbax would do it in a thread that nothing waits for.
        for unfinished in set(path.glob(f"{_PREFIX}_*")) - set(_epochs(path)):
            shutil.rmtree(unfinished)
        with ocp.CheckpointManager(path.absolute(), options=options) as manager:
            yield TrainingFolder(path, configs.as_data(config), manager)


def load(path: Path | str, like: Callable[[dict[str, Any]], Any]) -> tuple[dict[str, Any], Any]:
    """The newest checkpoint in a folder.

    Args:
      path: the folder of a training.
      like: from the stored configuration to parameters of the same structure, arrays or
        `jax.ShapeDtypeStruct`; raises ValueError on a configuration that it does not know.

    Returns:
      The configuration as it was given to `training_folder`, in JSON types, and the parameters.

    Raises:
      CheckpointError: there is none, or it is damaged or of another architecture than it says.
    """

    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such checkpoint folder")
    while True:
        folders = _epochs(path)
        if not folders:
            raise CheckpointError(
                f"{path}: holds no complete checkpoint ({_PREFIX}_* folder); training has not"
                " written one yet, or this is something else"
            )
        try:
            return _read(folders[-1], like)
        except CheckpointError:
            # Only what is no longer the newest is ever removed; then there is another one.
            if _epochs(path)[-1:] == folders[-1:]:
                raise


def _this_process() -> ocp.options.MultiprocessingOptions:
    """Orbax waits for nobody: of several processes the one that calls works alone."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )


def _epochs(path: Path) -> list[Path]:
    """Complete checkpoints, oldest first; unfinished ones have a longer name."""
    length = len(_PREFIX) + 1 + _DIGITS
    return sorted(folder for folder in path.glob(f"{_PREFIX}_*") if len(folder.name) == length)


def _check_ours(path: Path) -> None:
    """Refuses a file, and a folder with anything in it but checkpoints and unfinished ones."""
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path}: is a file, not a checkpoint folder")
    names = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    foreign = [n for n in names if n != LOCK_NAME and not n.startswith(f"{_PREFIX}_")]
    if foreign:
        raise CheckpointError(
            f"{path}: holds {foreign[0]!r}, which is no checkpoint of this project;"
            " nothing is written there"
        )


def _read(folder: Path, like: Callable[[dict[str, Any]], Any]) -> tuple[dict[str, Any], Any]:
    content = _content(folder)
    try:
        abstract = like(content["config"])
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    return content["config"], _restore(folder, "params", abstract, content["params_digest"])


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
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), like
    )
    try:
        with ocp.Checkpointer(
            ocp.CompositeCheckpointHandler(), multiprocessing_options=_this_process()
        ) as checkpointer:
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
