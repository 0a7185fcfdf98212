"""What a labelled dataset is made from: what every family's configuration has, and supplies."""

import abc
import numbers
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from offload_jax import configs

MAX_SEED = 2**32 - 1


class Column(NamedTuple):
    """How one quantity of a sample is stored.

    A number is a column of its name; a vector is a column for each entry, `name_0`, `name_1`, ...;
    anything of higher rank is one column of lists of fixed size, in C order.

    Attributes:
      dtype: NumPy type.
      shape: of the quantity in one sample.
    """

    dtype: type[np.generic]
    shape: tuple[int, ...] = ()


class Config(abc.ABC):
    """What a family supplies: a frozen dataclass that draws, labels and stores its samples.

    Its module names it `DatasetConfig` and stands in `datasets.manifest.FAMILIES`. It calls
    `check_numbers` in `__post_init__`, and better imports solvers inside `label`.

    Attributes:
      num: samples, at least 1.
      seed: 0 .. `MAX_SEED`. Shard i is drawn with `fold_in(key(seed), i)`.
      shard_size: samples a shard.
      pads_labels: whether a last, smaller shard is labelled at full size, so that one program does
        all.
      packages: what labels depend on besides JAX and NumPy: names of installed distributions with
        the extra that brings each.
      stored_format: what manifests say of it beside its fields; "family" unless it is a chain's.
    """

    num: int
    seed: int
    shard_size: int
    pads_labels: bool = True
    packages: Mapping[str, str] = types.MappingProxyType({})
    stored_format: Mapping[str, Any] = types.MappingProxyType({})

    @abc.abstractmethod
    def draw(self, key: jax.Array, num: int) -> Any:
        """Problems, a pytree whose leaves all have a first axis of length `num`."""

    @abc.abstractmethod
    def label(self, problem: Any) -> Any:
        """Their solutions; may return before they are computed."""

    @property
    @abc.abstractmethod
    def columns(self) -> dict[str, Column]:
        """What a row holds, in order."""

    def to_columns(self, problem: Any, solution: Any) -> dict[str, Any]:
        """Arrays `[n, *shape]` by the names of `columns`: fields of problem and solution."""
        fields = vars(problem) | solution._asdict()
        return {name: fields[name] for name in self.columns if name in fields}

    @abc.abstractmethod
    def from_columns(self, columns: dict[str, np.ndarray]) -> tuple[Any, Any]:
        """The inverse: problems and solutions, of NumPy arrays."""

    def as_data(self) -> dict[str, Any]:
        """The configuration in JSON types."""
        return configs.as_data(self) | dict(self.stored_format)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Config":
        """The inverse of `as_data`; raises KeyError, TypeError or ValueError on anything else."""
        values = dict(data)
        if {name: values.pop(name) for name in cls.stored_format} != cls.stored_format:
            raise ValueError(f"only {dict(cls.stored_format)} is known")
        return configs.from_data(values, cls)

    def check_numbers(self) -> None:
        """Refuses counts and seeds that are no integers or out of range; names the field."""
        for name, low, high in (("num", 1, None), ("seed", 0, MAX_SEED), ("shard_size", 0, None)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise ValueError(f"{name} = {value!r}: must be an integer")
            value = int(value)
            if value < low or (high is not None and value > high):
                rule = f"at least {low}" if high is None else f"in {low} .. {high}"
                raise ValueError(f"{name} = {value}: must be {rule}")
            object.__setattr__(self, name, value)

    @property
    def num_shards(self) -> int:
        """How many shards the samples fill."""
        return -(-self.num // self.shard_size)

    def rows(self, index: int) -> int:
        """Samples of shard `index`."""
        return min(self.shard_size, self.num - index * self.shard_size)
