"""Rules about places that every decision of a batch must keep to."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from offload_jax.network import Place
from offload_jax.validation import (
    FINITE,
    Array,
    ArrayLike,
    as_array,
    as_float64,
    as_names,
    broadcast_shapes,
    check_class,
    check_known,
    is_traced,
    require,
)

RELATIVE_TOLERANCE = 1e-6
"""A limit counts as met up to this fraction of it.

Latencies are float32 in JAX, so a deadline computed as the latency of some decision is off by a
few times 1e-7; without a tolerance that very decision could miss it.
"""

Allowed = ArrayLike | Mapping[int, Iterable[int | str]]
"""bool `[..., N, K]`, True where a task may run, or the places by task, others being free."""

PLACE_NAMES = tuple(place.name.lower() for place in Place)
"""Of the three places of problems, device, edge and cloud."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SideConstraints:
    """What every decision of a batch must keep to.

    Task graphs have memory alone.

    Attributes:
      max_subtasks: the most subtasks a place may run, by place: `{oj.Place.EDGE: 2}`.
      max_cycles: the most CPU cycles a place may run, by place; needs a `ChainProblem`.
      forbidden: the places a subtask must not run at, by subtask. Private input that stays on the
        device until its third subtask: `{0: (EDGE, CLOUD), 1: (EDGE, CLOUD)}`.
      memory: `[A]` bytes, or `[N]` of the tasks of a graph, that each needs where it runs, such as
        the weights of a layer.
      max_memory: the most bytes that all at a place may need, by place.
    """

    max_subtasks: Mapping[int, int] = dataclasses.field(default_factory=dict)
    max_cycles: Mapping[int, float] = dataclasses.field(default_factory=dict)
    forbidden: Mapping[int, Iterable[int]] = dataclasses.field(default_factory=dict)
    memory: Any = None
    max_memory: Mapping[int, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = ("max_subtasks", "max_cycles", "max_memory")
        for name in (*limits, "forbidden"):
            check_class(name, getattr(self, name), Mapping)
        for name in limits:
            for place, limit in getattr(self, name).items():
                most = as_float64(f"{name}[{place}]", limit)
                require(f"{name}[{place}]", most, FINITE.holds(most), FINITE.wording)
        for t, places in self.forbidden.items():
            check_class(f"forbidden[{t}]", places, Iterable)
        frozen = {t: tuple(places) for t, places in self.forbidden.items()}
        object.__setattr__(self, "forbidden", frozen)
        if (self.memory is None) != (not self.max_memory):
            raise ValueError("memory, max_memory: one needs the other")
        if self.memory is not None:
            memory = as_float64("memory", self.memory)
            require("memory", memory, FINITE.holds(memory), FINITE.wording)
            object.__setattr__(self, "memory", memory)

    def check(self, num_tasks: int, num_places: int) -> None:
        """Refuses what is of other tasks or places, and memory that cannot fit.

        Raises:
          ValueError: a place or task does not exist, `memory` has another length, or no place holds
            some task, or all together not all of them; says by how much.
        """
        forbidden = [k for places in self.forbidden.values() for k in places]
        for name, kind, number, keys in (
            ("max_subtasks", "place", num_places, self.max_subtasks),
            ("max_cycles", "place", num_places, self.max_cycles),
            ("max_memory", "place", num_places, self.max_memory),
            ("forbidden", "place", num_places, forbidden),
            ("forbidden", "subtask", num_tasks, self.forbidden),
        ):
            for key in keys:
                if key not in range(number):
                    raise ValueError(f"{name}: unknown {kind} {key!r}, {kind}s are 0..{number - 1}")
        if self.memory is not None and self.memory.shape != (num_tasks,):
            raise ValueError(
                f"memory: must have shape ({num_tasks},), one value for each task,"
                f" got {self.memory.shape}"
            )
        if len(self.max_memory) == num_places:
            self._check_memory()

    def _check_memory(self) -> None:
        largest = max(self.max_memory, key=self.max_memory.__getitem__)
        held = self.max_memory[largest]
        lacking = self.memory - held * (1 + RELATIVE_TOLERANCE)
        if (lacking > 0).any():
            task = int(np.argmax(lacking > 0))
            raise ValueError(
                f"memory[{task}] = {self.memory[task]:.6g}: fits no place; place {int(largest)},"
                f" which holds the most, {held:.6g}, lacks {self.memory[task] - held:.6g} bytes"
            )
        total, held = self.memory.sum(), sum(self.max_memory.values())
        if total > held * (1 + RELATIVE_TOLERANCE):
            raise ValueError(
                f"max_memory: all places together hold {held:.6g} bytes and lack"
                f" {total - held:.6g} of the {total:.6g} that all tasks need"
            )


def allowed_places(
    tasks: Sequence[str], places: Sequence[str], allowed: Mapping[str, Iterable[str]]
) -> np.ndarray:
    """What `solve` takes as `allowed`, by names: `oj.allowed_places(graph.names, ...)`.

    Args:
      tasks: the N names of the tasks, such as those of a `TaskGraph`.
      places: the K names of the places, such as `Network.place_names`.
      allowed: names of the places where tasks may run, by the name of a task, or by a pattern of
        several in which * stands for any text and ? for any letter; all others are free. Of two
        that name a task, both count.

    Returns:
      bool `[N, K]`.

    Raises:
      ValueError: an unknown task or place, or none is left to a task.
    """
    check_class("allowed", allowed, Mapping)
    table = np.ones((len(tasks), len(places)), bool)
    for pattern, names in allowed.items():
        named = as_names(f"allowed[{pattern!r}]", names)
        for name in named:
            check_known(f"allowed[{pattern!r}]", name, places, "place ")
        found = [name == pattern or fnmatch.fnmatchcase(name, pattern) for name in tasks]
        if not any(found):
            raise ValueError(f"allowed: no task has the name {pattern!r}")
        table[found] &= np.isin(places, named)
    for name, row in zip(tasks, table, strict=True):
        if not row.any():
            raise ValueError(f"allowed: leaves no place to {name!r}")
    return table


def as_allowed(
    allowed: Allowed | None,
    num_tasks: int,
    num_places: int,
    batch: tuple[int, ...],
    place_names: Sequence[str] = (),
) -> Array | None:
    """bool `[..., N, K]` of what `solve` was given, in which places may have names.

    Raises:
      ValueError: it has another shape or type, names what does not exist, or leaves a task none.
    """
    if allowed is None:
        return None
    if isinstance(allowed, Mapping):
        table = np.ones((num_tasks, num_places), bool)
        for task, places in allowed.items():
            if task not in range(num_tasks):
                raise ValueError(f"allowed: unknown task {task!r}, tasks are 0..{num_tasks - 1}")
            if isinstance(places, str) or not isinstance(places, Iterable):
                raise ValueError(f"allowed[{task}]: must be a list of places, got {places!r:.60}")
            listed = [_number(f"allowed[{task}]", p, num_places, place_names) for p in places]
            table[int(task)] = np.isin(np.arange(num_places), listed)
        allowed = table
    if not isinstance(allowed, jax.Array):
        allowed = as_array("allowed", allowed)
    if not jnp.issubdtype(allowed.dtype, jnp.bool_):
        raise ValueError(f"allowed: must hold booleans, got dtype {allowed.dtype}")
    if allowed.shape[-2:] != (num_tasks, num_places):
        raise ValueError(
            f"allowed: last axes must be {num_tasks} tasks and {num_places} places,"
            f" got {allowed.shape}"
        )
    broadcast_shapes({"problem": batch, "allowed": allowed.shape[:-2]})
    if not is_traced(allowed):
        somewhere = np.asarray(allowed).any(-1)
        require("allowed", somewhere, somewhere, "leaves the task no place")
    return allowed


def _number(where: str, place: Any, num_places: int, names: Sequence[str]) -> int:
    if isinstance(place, str) and place in names:
        return names.index(place)
    if isinstance(place, str) or place not in range(num_places):
        named = f" or {', '.join(names)}" if names else ""
        raise ValueError(f"{where}: unknown place {place!r}, places are 0..{num_places - 1}{named}")
    return int(place)
