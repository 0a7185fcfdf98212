"""Table 1 of the paper: every policy that JAX runs, one request at a time and in batches.

Networks have fresh weights, which take as long as trained ones.
"""

import functools
import math
from typing import Any

import jax

from benchmarks.accelerator.jobs import Figure, Job
from benchmarks.accelerator.sizes import Sizes
from benchmarks.delay import chains, measure
from benchmarks.delay.family import Contender, Requests
from benchmarks.delay.protocols import Clock
from experiments.paper import presets
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.learning.parameters import initialize

PART = "delays"
POLICIES = (
    "optimal_dp",
    "optimal_enumeration",
    "large_dil_paper",
    "large_dil",
    "kd_dil",
    "baseline_dil",
    "drl",
    "greedy",
    "local",
    "edge",
    "cloud",
)


def jobs(sizes: Sizes) -> list[Job]:
    """Both protocols of every policy."""
    found = []
    for name in POLICIES:
        single = functools.partial(_single, name, sizes)
        offline = functools.partial(_offline, name, sizes)
        found += [
            Job(PART, f"{name}, single stream", "µs a decision", single, most=20.0),
            Job(PART, f"{name}, offline", "ns a decision", offline, sizes.offline, most=20.0),
        ]
    return found


@functools.cache
def contender(name: str) -> Contender:
    """A policy by its name in the table."""
    policy = chains.POLICIES[name]
    if not policy.checkpoint:
        return policy.build(None)  # type: ignore[arg-type]
    model = presets.PAPER.rows[name].model
    return chains.jitted(LearnedPolicy(model, initialize(model, jax.random.key(0))))


@functools.cache
def _requests(num: int) -> Requests:
    """Without the quality of decisions, which is another table."""
    return chains.sample(num, 0)._replace(quality=lambda which, decision: {})


def _settings(sizes: Sizes, left: float) -> tuple[Requests, measure.Settings]:
    num = max(*sizes.offline, sizes.single) + measure.ROTATION
    duration = min(sizes.duration, left)
    return _requests(num), measure.Settings(decisions=sizes.single, duration=max(duration, 1e-3))


def _single(name: str, sizes: Sizes, size: int, left: float) -> Figure:
    found: dict[str, Any] = measure.single(contender(name), *_settings(sizes, left), clock=Clock())
    delay, floor = found["delay"], found["dispatch_floor"]
    more = {"p99": 1e6 * delay["p99"], "empty call": 1e6 * floor["p50"]}
    compiling = found["starting_seconds"]
    return Figure(1e6 * delay["p50"], delay["p50"], compiling, delay["num"], more=more)


def _offline(name: str, sizes: Sizes, size: int, left: float) -> Figure:
    requests, settings = _settings(sizes, left)
    found: dict[str, Any] = measure.batch(contender(name), requests, size, settings, clock=Clock())
    delay = found["delay"]
    more = {
        f"{way}, ns": 1e9 * found[f"{way}_seconds"] / size
        for way in ("host_to_device", "device_to_host")
    }
    calls = math.ceil(found["decisions"] / size)
    return Figure(
        1e9 * delay["p50"], size * delay["p50"], found["starting_seconds"], calls, more=more
    )
