"""What a labelled dataset is made from."""

import dataclasses
import json
import numbers
from collections.abc import Mapping
from typing import Any

from offload_jax.chains import exhaustive
from offload_jax.chains.scenarios import Scenario
from offload_jax.network import Place
from offload_jax.objectives import LATENCY, Objective, objective_from_data

METHODS = ("auto", "dp", "exhaustive", "cpsat")  # those of `solve` that need no limits
_FORMAT_VERSION = 1
_MAX_SHARD_SIZE = 250_000
_SHARD_SUBTASKS = 1_500_000  # about 20 MB a shard
_CPSAT_SHARD_SIZE = 1_000


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """Everything the samples and labels of a dataset depend on.

    Attributes:
      num: samples, at least 1.
      scenario: the distribution of the problems.
      seed: 0 .. 2**32 - 1. Shard i is drawn with `fold_in(key(seed), i)`.
      method: how labels are computed, a method of `solve`: "auto", "dp", "exhaustive", "cpsat".
      objective: what the labels minimise; plain numbers.
      shard_size: samples a shard, the last one may hold fewer; also what is solved, and held in
        memory, at a time. 0 chooses: about 20 MB a shard, and 1000 samples for "cpsat".
    """

    num: int
    scenario: Scenario
    seed: int = 0
    method: str = "auto"
    objective: Objective = LATENCY
    shard_size: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("num", 1, None), ("seed", 0, 2**32 - 1), ("shard_size", 0, None)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise ValueError(f"{name} = {value!r}: must be an integer")
            value = int(value)
            if value < low or (high is not None and value > high):
                rule = f"at least {low}" if high is None else f"in {low} .. {high}"
                raise ValueError(f"{name} = {value}: must be {rule}")
            object.__setattr__(self, name, value)
        if self.method not in METHODS:
            raise ValueError(
                f"method: unknown method {self.method!r}, known are {', '.join(METHODS)}"
            )
        if self.method == "exhaustive":
            exhaustive.check_size(self.scenario.num_subtasks, len(Place))
        if self.shard_size == 0:
            size = min(_MAX_SHARD_SIZE, max(1, _SHARD_SUBTASKS // self.scenario.num_subtasks))
            size = min(size, _CPSAT_SHARD_SIZE) if self.method == "cpsat" else size
            object.__setattr__(self, "shard_size", size)

    @property
    def num_shards(self) -> int:
        """How many shards the samples fill."""
        return -(-self.num // self.shard_size)

    def rows(self, index: int) -> int:
        """Samples of shard `index`."""
        return min(self.shard_size, self.num - index * self.shard_size)

    def as_data(self) -> dict[str, Any]:
        """The configuration in JSON types."""
        data = dataclasses.asdict(self) | {"dtype": "float32", "format_version": _FORMAT_VERSION}
        return json.loads(json.dumps(data, default=float))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "DatasetConfig":
        """The inverse of `as_data`.

        Raises:
          KeyError, TypeError, ValueError: something is missing, unknown or out of its range.
        """
        values = dict(data)
        if values.pop("format_version") != _FORMAT_VERSION:
            raise ValueError(f"format_version: only {_FORMAT_VERSION} is known")
        values.pop("dtype")
        values["objective"] = objective_from_data(values["objective"])
        values["scenario"] = scenario_from_data(values["scenario"])
        return cls(**values)


def scenario_from_data(data: Any) -> Scenario:
    """A scenario from JSON types, as they stand in a manifest.

    Args:
      data: an object with every field of `Scenario`; ranges are lists `[low, high]`, SI units.

    Raises:
      ValueError: a field is missing, unknown or no range; names it.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"a scenario must be an object of fields, got {type(data).__name__}")
    names = [field.name for field in dataclasses.fields(Scenario)]
    if unknown := sorted(set(data) - set(names)):
        raise ValueError(f"{unknown[0]}: a scenario has no such field; it has {', '.join(names)}")
    values: dict[str, Any] = {}
    for name in names:
        if name not in data:
            raise ValueError(f"{name}: missing in the scenario")
        value = data[name]
        if name == "name":
            good = isinstance(value, str)
        elif name == "num_subtasks":
            good = isinstance(value, int) and not isinstance(value, bool)
        else:
            good = isinstance(value, (list, tuple)) and len(value) == 2
            good = good and all(type(end) in (int, float) for end in value)
            value = tuple(value) if good else value
        if not good:
            kind = {"name": "a string", "num_subtasks": "an integer"}.get(name, "[low, high]")
            raise ValueError(f"{name} = {value!r}: must be {kind}")
        values[name] = value
    return Scenario(**values)
