"""The student of chains that comes with the package."""

import dataclasses
from pathlib import Path
from typing import Any

from offload_jax import configs
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.learning import pretrained

STUDENT = Path(__file__).parent / "student.npz"


def write(policy: LearnedPolicy, path: Path) -> None:
    """Writes a policy as `read` reads it.

    Raises:
      ValueError: `read` could not build its network; names the first field.
    """
    config = policy.config
    if not isinstance(config, ImitationConfig):
        raise ValueError("config: only an imitation network can be packaged")
    stored = configs.as_data(config)
    for name, there, here in configs.differences(stored, configs.as_data(_config(stored))):
        raise ValueError(f"{name}: only {here} can be packaged, got {there}")
    pretrained.write(path, config, policy.params)


def read(path: Path = STUDENT) -> LearnedPolicy:
    """The policy that `write` wrote."""
    fields, params = pretrained.read(path)
    return LearnedPolicy(_config(fields), params)


def _config(fields: dict[str, Any]) -> ImitationConfig:
    # The plain fields; scenario and objective are the default ones.
    plain = {
        field.name: fields[field.name]
        for field in dataclasses.fields(ImitationConfig)
        if field.type in ("int", "str", "bool", int, str, bool)
    }
    return ImitationConfig(**plain, hidden=tuple(fields["hidden"]))
