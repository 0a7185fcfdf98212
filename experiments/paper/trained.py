"""The trained policies that lie in a working directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import offload_jax as oj
from offload_jax.chains.policies import Policy
from offload_jax.learning import checkpoints

NUM_SUBTASKS = 6
"""What the trained policies take."""


def load_all(workdir: Path) -> dict[str, Any]:
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


def at_any_length(policy: Policy, objective: oj.Objective = oj.LATENCY) -> Policy:
    """A policy for six subtasks as one for chains of any length.

    Args:
      policy: takes `NUM_SUBTASKS` subtasks.
      objective: what the best merge of a longer chain keeps.
    """

    def decide(problem: oj.ChainProblem) -> Any:
        fitted = oj.resize_with_segments(problem, NUM_SUBTASKS, objective=objective)
        return fitted.expand(policy(fitted.problem))

    return decide


def digests(policies: Mapping[str, Any]) -> dict[str, str]:
    """What results depend on: the weights of loaded policies, by name."""
    return {name: checkpoints.digest(policy.params) for name, policy in policies.items()}
