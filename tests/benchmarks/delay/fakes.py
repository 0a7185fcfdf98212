"""Policies of known delay on a clock that only moves when told to."""

from typing import Any

import numpy as np

from benchmarks.delay.contenders import Contender


class FakeClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> None:
        self.time = max(self.time, moment)

    def spend(self, seconds: float) -> None:
        self.time += seconds


def all_local(
    clock: FakeClock, *, each: float, name: str = "fake", on_host: bool = True, flops: float = 0.0
) -> Contender:
    """Everything local, after `each` seconds a request."""

    def batch(problem: Any) -> np.ndarray:
        clock.spend(each * len(problem.device_speed))
        return np.zeros(problem.cycles.shape, np.int8)

    def one(*request: Any) -> np.ndarray:
        clock.spend(each)
        return np.zeros(len(request[0]), np.int8)

    return Contender(name, on_host, batch, one, lambda problem: problem, lambda problem: {}, flops)
