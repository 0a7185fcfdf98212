"""Trained policies of all families on disk: in checkpoints, and as weights that the package ships.

A policy is parameters and the configuration of their network: a dataclass whose class attribute
`network` names its kind. Shipped weights are read with NumPy alone.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax import configs
from offload_jax.learning.parameters import Parameters, abstract_parameters

_CONFIG, _SEPARATOR = "config", "/"


def model_data(model: Any) -> dict[str, Any]:
    """What a checkpoint stores as "model": which kind of network it is, and its fields."""
    return {"network": model.network, **configs.as_data(model)}


def training_data(model: Any, training: Any, description: str, **data: Any) -> dict[str, Any]:
    """What a checkpoint says of a training and of the data that it learns from."""
    about = {"description": description, **data}
    return {"model": model_data(model), "training": training, "data": about}


def load(path: Path, *kinds: Any) -> tuple[Any, Parameters]:
    """Configuration and parameters of the newest checkpoint in a folder.

    Args:
      path: the folder.
      *kinds: the configurations that a policy of the family may have.

    Raises:
      CheckpointError: there is none, or it is damaged or of another architecture than it says.
    """
    from offload_jax.learning import checkpoints

    def model(stored: dict[str, Any]) -> Any:
        known = {kind.network: kind for kind in kinds}
        try:
            fields = dict(stored["model"])
            name = fields.pop("network")
            if name not in known:
                raise ValueError(f"network {name!r}, known here are {', '.join(known)}")
            return configs.from_data(fields, known[name])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"unknown model configuration ({error})") from error

    stored, params = checkpoints.load(path, lambda stored: abstract_parameters(model(stored)))
    return model(stored), params


def write(path: Path, policy: Any) -> None:
    """Writes a policy as `read` reads it, in half the size that float32 takes.

    Float16 is enough: what it rounds away is far below what training leaves uncertain.

    Args:
      path: the file.
      policy: with the attributes `config` and `params`.

    Raises:
      ValueError: `read` could not build its network; names the first field.
    """
    config = configs.as_data(policy.config)
    readable = configs.as_data(_rebuilt(config, type(policy.config)))
    for name, asked, there in configs.differences(config, readable):
        raise ValueError(f"{name}: only {there} can be packaged, got {asked}")
    arrays: dict[str, Any] = {}
    for path_to, value in jax.tree.leaves_with_path(policy.params):
        name = jax.tree_util.keystr(path_to, simple=True, separator=_SEPARATOR)
        arrays[name] = np.asarray(value, np.float16)
    np.savez_compressed(path, **arrays, config=json.dumps(config))


def read(path: Path, kind: Any) -> tuple[Any, Parameters]:
    """The configuration, of the class `kind`, and the parameters that `write` wrote, in float32."""
    params: Parameters = {}
    with np.load(path) as stored:
        config = _rebuilt(json.loads(str(stored[_CONFIG])), kind)
        for name in stored.files:
            if name == _CONFIG:
                continue
            *folders, last = name.split(_SEPARATOR)
            inner = params
            for folder in folders:
                inner = inner.setdefault(folder, {})
            inner[last] = jnp.asarray(stored[name], jnp.float32)
    return config, params


def _rebuilt(fields: dict[str, Any], kind: Any) -> Any:
    """A configuration without the package that rebuilds any; dataclasses in it are the defaults."""
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    plain = {name: value for name, value in fields.items() if not isinstance(value, dict)}
    return kind(**plain | lists)
