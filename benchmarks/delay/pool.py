"""Requests to decide on, and how good the decisions are."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

import offload_jax as oj

# Inputs rotate over so many batches.
ROTATION = 4
# So many requests are also kept one by one.
_MAX_SINGLES = 10_000


class Requests:
    """Requests of the wide scenario on the host, the same ones for the same seed.

    Attributes:
      problem: `[num]` requests, float32.
      singles: the first of them as a server has them: two float64 arrays and four floats each.
    """

    def __init__(self, num: int, *, seed: int, num_subtasks: int = 6) -> None:
        scenario = dataclasses.replace(oj.scenarios.WIDE, num_subtasks=num_subtasks)
        with jax.default_device(jax.devices("cpu")[0]):
            problem = oj.scenarios.sample(jax.random.key(seed), scenario, num)
        self.problem: oj.ChainProblem = jax.tree.map(np.asarray, problem)
        few = [np.asarray(x[:_MAX_SINGLES], np.float64) for x in jax.tree.leaves(self.problem)]
        self.singles = [
            (cycles, data, *map(float, scalars))
            for cycles, data, *scalars in zip(*few, strict=True)
        ]

    @functools.cached_property
    def optimum(self) -> np.ndarray:
        """`[num]` least latencies in seconds."""
        with jax.default_device(jax.devices("cpu")[0]):
            return latency(self.problem, np.asarray(oj.solve(self.problem).decision))

    def rotation(self, size: int) -> list[slice]:
        """Batches of one size; they differ unless there are too few requests for that."""
        num = len(self.problem.device_speed)
        starts = [(r * size) % max(num - size + 1, 1) for r in range(ROTATION)]
        return [slice(start, start + size) for start in starts]

    def quality(self, which: Any, decision: Any) -> dict[str, float]:
        """Normalised latency of decisions that were made.

        Args:
          which: indices or a slice, of n requests.
          decision: `[n, A]`.

        Returns:
          The aggregates of `oj.metrics.NormalizedLatency`, in float64 and without compiling
          anything for each new n.
        """
        cost = latency(self.problem[which], np.asarray(decision))
        optimum = self.optimum[which]
        ratio = np.divide(cost, optimum, out=np.ones_like(cost), where=cost != optimum)
        values = oj.metrics.NormalizedLatency(
            ratio_of_means=np.mean(cost) / np.mean(optimum),
            mean=np.mean(ratio),
            median=np.quantile(ratio, 0.5, method="higher"),
            geometric_mean=np.exp(np.mean(np.log(ratio))),
            p99=np.quantile(ratio, 0.99, method="higher"),
        )
        return {name: float(value) for name, value in values._asdict().items()}


def latency(problem: oj.ChainProblem, decision: np.ndarray) -> np.ndarray:
    """Seconds `[N]` of decisions `[N, A]`, float64 on the host."""
    cycles, data, *scalars = (np.asarray(x, np.float64) for x in jax.tree.leaves(problem))
    device_speed, edge_speed, bandwidth1, bandwidth2 = (x[:, None] for x in scalars)
    speed = np.where(decision == oj.Place.DEVICE, device_speed, edge_speed)
    seconds = np.where(decision == oj.Place.CLOUD, 0.0, cycles / speed).sum(axis=1)
    route = np.pad(decision, [(0, 0), (1, 1)], constant_values=oj.Place.DEVICE)
    # The wireless hop is taken where exactly one end is the device, the wired one where exactly
    # one end is the cloud.
    for place, bandwidth in ((oj.Place.DEVICE, bandwidth1), (oj.Place.CLOUD, bandwidth2)):
        moves = ((route[:, 1:] == place) != (route[:, :-1] == place)) & (data > 0)
        with np.errstate(divide="ignore"):
            seconds += np.divide(data, bandwidth, out=np.zeros_like(data), where=moves).sum(axis=1)
    return seconds
