"""The chain offloading problem: a task cut into subtasks, two processors and two links."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.network import Place


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ChainProblem:
    """One offloading request S, or a batch of them (Chen et al. 2020, section 3.2).

    Lists, Python numbers and anything else NumPy can convert are accepted. Leading batch
    dimensions are free and broadcast against each other by NumPy's rules, so one task can be
    paired with a thousand bandwidths without copying it.

    Attributes:
      cycles: `[..., A]` CPU cycles of each subtask (epsilon_t).
      data: `[..., A + 1]` bytes between subtasks (d_t): `data[0]` enters the task, `data[A]` is
        its result.
      device_speed: `[...]` cycles per second of the device (p1).
      edge_speed: `[...]` cycles per second of the edge server (p2).
      device_edge_bandwidth: `[...]` bytes per second between device and edge (b1); 0 is a link
        that is down.
      edge_cloud_bandwidth: `[...]` bytes per second between edge and cloud (b2); 0 is a link that
        is down.
    """

    cycles: Any
    data: Any
    device_speed: Any
    edge_speed: Any
    device_edge_bandwidth: Any
    edge_cloud_bandwidth: Any

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, as_float_array(field.name, value))

    @property
    def num_subtasks(self) -> int:
        """A, the number of subtasks."""
        return self.cycles.shape[-1]

    @property
    def num_places(self) -> int:
        """K, the number of places: device, edge and cloud."""
        return len(Place)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The broadcast shape of all leading dimensions."""
        return np.broadcast_shapes(
            self.cycles.shape[:-1], self.data.shape[:-1], *(v.shape for v in self._scalars())
        )

    def _scalars(self) -> tuple[Any, ...]:
        return (
            self.device_speed,
            self.edge_speed,
            self.device_edge_bandwidth,
            self.edge_cloud_bandwidth,
        )

    def subtask(self, t: int) -> "ChainProblem":
        """The chain cut down to subtask t and the data before and after it."""
        return dataclasses.replace(
            self, cycles=self.cycles[..., t : t + 1], data=self.data[..., t : t + 2]
        )

    def __getitem__(self, index: Any) -> "ChainProblem":
        """Selects from the batch: `problem[3]`, `problem[:100]`, `problem[mask]`."""
        return jax.tree.map(lambda leaf: leaf[index], broadcast_batch(self))


def as_float_array(name: str, value: Any) -> Any:
    """Converts what NumPy can convert; leaves JAX arrays, tracers and pytree sentinels alone."""
    convertible = isinstance(value, (bool, int, float, list, tuple, np.ndarray, np.generic))
    if isinstance(value, jax.Array) or not (convertible or hasattr(value, "__array__")):
        return value
    try:
        array = np.asarray(value)
        if array.dtype.kind == "f":
            return array
        # Integers become floats here because JAX would otherwise wrap them at 32 bits.
        if array.dtype.kind in "iu":
            return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: cannot be converted to an array of numbers: {error}") from None
    raise ValueError(f"{name}: must hold real numbers, got dtype {array.dtype}")


def broadcast_batch(problem: ChainProblem) -> ChainProblem:
    """Gives every field of `problem` its full batch shape."""
    batch = problem.batch_shape

    def expand(value: Any, tail: tuple[int, ...]) -> Any:
        library = jnp if isinstance(value, jax.Array) else np
        return library.broadcast_to(value, batch + tail)

    return ChainProblem(
        expand(problem.cycles, problem.cycles.shape[-1:]),
        expand(problem.data, problem.data.shape[-1:]),
        *(expand(value, ()) for value in problem._scalars()),
    )


# Field -> (smallest allowed value is exclusive, wording of the rule).
_RULES = {
    "cycles": (False, "must be finite and not negative"),
    "data": (False, "must be finite and not negative"),
    "device_speed": (True, "must be finite and greater than 0"),
    "edge_speed": (True, "must be finite and greater than 0"),
    "device_edge_bandwidth": (False, "must be finite and not negative (0 is a dead link)"),
    "edge_cloud_bandwidth": (False, "must be finite and not negative (0 is a dead link)"),
}


def validate(problem: ChainProblem) -> None:
    """Checks the shapes and values of a problem, or of every problem of a batch.

    Args:
      problem: the problem, with concrete arrays. Under `jit` or `vmap` values are unknown and
        cannot be checked: validate before.

    Raises:
      ValueError: names the field, the rule, the first bad index and its value.
    """
    validate_shapes(problem)
    # Values that float32 cannot hold are refused below; NumPy need not warn of them (and a warning
    # turned into an error inside JAX's conversion crashes the process).
    with np.errstate(over="ignore", under="ignore"):
        if not bool(_values_are_valid(problem)):
            _raise_first_bad_value(problem)


def validate_shapes(problem: ChainProblem) -> None:
    """The part of `validate` that needs no values and so also works while tracing."""
    for field in dataclasses.fields(problem):
        validate_kind(field.name, getattr(problem, field.name))
    for name, needed in (("cycles", "A"), ("data", "A + 1")):
        if getattr(problem, name).ndim == 0:
            raise ValueError(f"{name}: needs a last axis of {needed} subtask values, got a scalar")
    num_subtasks = problem.num_subtasks
    if num_subtasks == 0:
        raise ValueError("cycles: a chain needs at least one subtask, got A = 0")
    if problem.data.shape[-1] != num_subtasks + 1:
        raise ValueError(
            f"data: last axis must be A + 1 = {num_subtasks + 1} for A = {num_subtasks} subtasks,"
            f" got {problem.data.shape[-1]}"
        )
    batch: tuple[int, ...] = ()
    for field in dataclasses.fields(problem):
        shape = getattr(problem, field.name).shape
        leading = shape[:-1] if field.name in ("cycles", "data") else shape
        try:
            batch = np.broadcast_shapes(batch, leading)
        except ValueError:
            raise ValueError(
                f"{field.name}: batch dimensions {leading} do not broadcast with {batch} of the"
                " fields before it"
            ) from None


def validate_kind(name: str, value: Any) -> None:
    """Refuses what is no array of real numbers."""
    if not hasattr(value, "shape"):
        raise ValueError(f"{name}: must be an array of numbers, got {value!r}")
    if not any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"{name}: must hold real numbers, got dtype {value.dtype}")


@jax.jit
def _values_are_valid(problem: ChainProblem) -> jax.Array:
    checks = []
    for name, (exclusive, _) in _RULES.items():
        value = getattr(problem, name)
        low = value > 0 if exclusive else value >= 0
        checks.append(jnp.all(low & (value < jnp.inf)))
    return jnp.all(jnp.stack(checks))


def _raise_first_bad_value(problem: ChainProblem) -> None:
    for name, (exclusive, rule) in _RULES.items():
        given = np.asarray(getattr(problem, name))
        # What the kernels will see: without x64, JAX narrows float64 to float32.
        seen = np.asarray(jnp.asarray(given))
        good = (seen > 0 if exclusive else seen >= 0) & (seen < math.inf)
        if good.all():
            continue
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        where = f"{name}[{', '.join(map(str, index))}]" if index else name
        note = ""
        if np.isfinite(given[index]) and given[index] > 0:
            note = f" ({seen.dtype} rounds it to {seen[index]})"
        raise ValueError(f"{where} = {given[index]}{note}: {rule}")
    raise AssertionError("the fast check and the detailed check of a problem disagree")
