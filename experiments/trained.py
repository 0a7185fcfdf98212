"""The trained policies that lie in a working directory."""

from pathlib import Path

import offload_jax as oj


def load_all(workdir: Path) -> dict[str, oj.policies.Policy]:
    """Every checkpoint under `workdir/checkpoints` by its name, none if there is no such folder.

    Raises:
      ValueError: a checkpoint cannot be restored.
    """
    folder = workdir / "checkpoints"
    if not folder.is_dir():
        return {}
    return {
        path.name: oj.policies.load(path)
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    }
