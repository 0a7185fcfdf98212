"""A family of policies that fail in every way, and a clock that only moves when told to."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.delay.family import Contender, Family, Policy, Requests
from benchmarks.delay.protocols import Clock


class FakeClock(Clock):
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> None:
        self.time = max(self.time, moment)

    def spend(self, seconds: float) -> None:
        self.time += seconds


def sample(num: int, seed: int) -> Requests:
    """Requests that are numbers; deciding is repeating them, as a tree of one leaf."""
    batch = {"number": seed + np.arange(num)}
    singles = [(number,) for number in batch["number"].tolist()]
    return Requests(batch, singles, Quality(batch))


class Quality:
    """1 where every decision is the request's own number, more where some are not."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __call__(self, which: Any, decisions: Any) -> dict[str, float]:
        wrong = np.mean(decisions["number"] != self.batch["number"][which])
        return {"ratio_of_means": float(1 + wrong), "p99": float(1 + wrong)}


def right(batch: Any) -> Any:
    return batch


def one(number: int) -> Any:
    return {"number": np.array(number)}


def logged(contender: Contender) -> Any:
    """Writes a line with its process beside the folder, so that tests know who ran."""

    def build(folder: Path) -> Contender:
        with (folder.parent / "built.txt").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return contender

    return build


def fail(batch: Any) -> Any:
    raise MemoryError("out of memory\nin two lines")


def hang(batch: Any) -> Any:
    time.sleep(1e6)


def die(batch: Any) -> Any:
    os._exit(3)


def refuse(folder: Path) -> Contender:
    raise RuntimeError("no luck")


FAMILY = Family(
    module=__name__,
    policies={
        "right": Policy(logged(Contender(right, one)), "exact", published=2.0),
        "wrong": Policy(
            logged(Contender(lambda batch: {"number": -batch["number"]}, None)), "exact"
        ),
        "hangs": Policy(logged(Contender(hang, one)), "rules"),
        "dies": Policy(logged(Contender(die, one)), "rules"),
        "fails": Policy(logged(Contender(fail, one)), "rules"),
        "refuses": Policy(refuse, "rules", published=0.5),
        "network": Policy(logged(Contender(None, one)), "rules", checkpoint="network"),
        "foreign": Policy(refuse, "rules", packages=("no_such_module",)),
    },
    sample=sample,
    reference="right",
)
