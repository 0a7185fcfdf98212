"""What the harness knows about a kind of problem and the policies for it."""

import dataclasses
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """A policy made ready to be timed.

    Attributes:
      batch: N requests to their decisions, a jitted function unless `on_host`; None if it only
        takes single requests.
      one: the parts of a request to its decision, on the host when it returns; None if it only
        takes batches.
      on_host: True if it runs on the CPU whatever the platform, and compiles nothing for a new
        batch size.
    """

    batch: Any
    one: Any
    on_host: bool = True


class Requests(NamedTuple):
    """What is decided on; goes to another process.

    Attributes:
      batch: N requests as `Contender.batch` takes them, NumPy arrays with N in front.
      singles: the first of them as `Contender.one` takes them.
      quality: which requests (indices or a slice) and decisions about them to `ratio_of_means` and
        `p99` of cost / optimum.
    """

    batch: Any
    singles: Sequence[tuple[Any, ...]]
    quality: Callable[[Any, Any], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Policy:
    """How to make a contender.

    Attributes:
      build: makes it; takes the folder of its checkpoint, or of all if it has none.
      group: panel of figures; "exact" claims to find the optimum.
      checkpoint: name of its folder.
      packages: modules that it needs and the library does not.
      published: its delay over that of the reference, elsewhere.
    """

    build: Callable[[Path], Contender]
    group: str
    checkpoint: str = ""
    packages: tuple[str, ...] = ()
    published: float | None = None

    def missing(self, checkpoints: Path) -> str:
        """Why it cannot be measured here, in one line; empty if it can."""
        if self.checkpoint and not (checkpoints / self.checkpoint).is_dir():
            found = ", ".join(sorted(path.name for path in checkpoints.glob("*")))
            return (
                f"no checkpoint {checkpoints / self.checkpoint}; in that folder: {found or 'none'}"
            )
        if any(importlib.util.find_spec(module) is None for module in self.packages):
            return "pip install '.[bench]'"
        return ""


@dataclasses.dataclass(frozen=True)
class Family:
    """A kind of problem.

    Attributes:
      module: where another process finds it under the name `FAMILY`.
      policies: by name, in the order of tables.
      sample: number and seed to requests.
      reference: the policy that delays are divided by in the table.
    """

    module: str
    policies: Mapping[str, Policy]
    sample: Callable[[int, int], Requests]
    reference: str
