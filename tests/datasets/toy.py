"""A second family: matrices, labelled on the host with the sum of their diagonals."""

import dataclasses
import types
from typing import Any, NamedTuple

import jax
import numpy as np

from offload_jax.datasets.config import Column, Config


class Trace(NamedTuple):
    value: Any
    large: Any


@dataclasses.dataclass(frozen=True)
class DatasetConfig(Config):
    num: int
    size: int
    seed: int = 0
    shard_size: int = 4

    def __post_init__(self) -> None:
        self.check_numbers()

    def draw(self, key: jax.Array, num: int) -> jax.Array:
        return jax.random.normal(key, (num, self.size, self.size))

    def label(self, problem: Any) -> Trace:
        value = np.trace(np.asarray(problem), axis1=1, axis2=2)
        return Trace(value, value > 0)

    pads_labels = False
    packages = types.MappingProxyType({"scipy": "data"})
    stored_format = types.MappingProxyType({"family": "toy"})

    @property
    def columns(self) -> dict[str, Column]:
        return {
            "matrix": Column(np.float32, (self.size, self.size)),
            "value": Column(np.float32),
            "large": Column(np.bool_),
        }

    def to_columns(self, problem: Any, solution: Trace) -> dict[str, Any]:
        return {"matrix": problem, **solution._asdict()}

    def from_columns(self, columns: dict[str, np.ndarray]) -> tuple[np.ndarray, Trace]:
        return columns["matrix"], Trace(columns["value"], columns["large"])
