"""Synthetic bandwidth traces, for where no recorded one is at hand."""

import numpy as np

from offload_jax.workloads.links.conditions import BYTES_PER_MEGABIT
from offload_jax.workloads.links.traces import BandwidthTrace


def markov_trace(
    seed: int,
    *,
    num_samples: int = 400,
    interval: float = 1.0,
    megabits: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0),
    stay_probability: float = 0.85,
    spread: float = 0.2,
) -> BandwidthTrace:
    """A synthetic trace: a Markov chain over levels that moves to a neighbour or stays.

    Args:
      seed: of NumPy's default generator.
      num_samples: how many, at least 1.
      interval: seconds between samples.
      megabits: the levels in Mbit/s, lowest first.
      stay_probability: of keeping the level for another sample.
      spread: standard deviation of the logarithm of a sample around its level.
    """
    if num_samples < 1 or not 0 <= stay_probability <= 1 or not interval > 0:
        raise ValueError(
            f"num_samples = {num_samples}, interval = {interval}, stay_probability ="
            f" {stay_probability}: need at least 1, above 0, and between 0 and 1"
        )
    generator = np.random.default_rng(seed)
    moves = np.where(
        generator.random(num_samples) < stay_probability,
        0,
        np.where(generator.random(num_samples) < 0.5, -1, 1),
    )
    level = len(megabits) // 2
    levels = []
    for move in moves:
        level = min(max(level + int(move), 0), len(megabits) - 1)
        levels.append(megabits[level])
    noise = np.exp(spread * generator.standard_normal(num_samples))
    return BandwidthTrace(
        name=f"markov-{seed}",
        time=interval * np.arange(num_samples, dtype=np.float64),
        bandwidth=np.asarray(levels) * noise * BYTES_PER_MEGABIT,
    )
