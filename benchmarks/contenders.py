"""Everything whose delay is measured, behind two calls: whole batches, and one request."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import offload_jax as oj

UNTRAINED: dict[str, Callable[[oj.ChainProblem], Any]] = {
    "optimal_dp": oj.policies.optimal,
    "optimal_enumeration": oj.policies.optimal_by_enumeration,
    "greedy": oj.policies.greedy,
    "local": oj.policies.local,
    "edge": oj.policies.edge,
    "cloud": oj.policies.cloud,
}
LEARNED = ("large_dil", "kd_dil", "baseline_dil", "drl")
HOST = ("cpsat", "single_exact", "single_student", "numpy_dp", "numba_loop")
NAMES = (*UNTRAINED, *LEARNED, *HOST)

STUDENT = "kd_dil"


class UnavailableError(Exception):
    """A policy cannot be measured here; says why in one line."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A policy made ready to be timed.

    Attributes:
      name: one of `NAMES`.
      on_host: True if it runs on the CPU whatever the platform.
      batch: `[N]` problem to decisions `[N, A]`; None if it only takes single requests.
      one: a request's six quantities to a decision `[A]`, on the host when it returns; None if it
        only takes batches.
      place: puts a problem where `batch` reads it.
      prepare: compiles `batch` for a problem, giving seconds, temporary bytes and
        floating-point operations of a call, as far as they are known.
    """

    name: str
    on_host: bool
    batch: Callable[[Any], Any] | None
    one: Callable[..., Any] | None
    place: Callable[[oj.ChainProblem], Any]
    prepare: Callable[[Any], dict[str, float]]


def checkpoint_of(name: str, folder: Path) -> Path | None:
    """The checkpoint folder that a policy needs, None if it needs none."""
    if name in LEARNED:
        return folder / name
    return folder / STUDENT if name == "single_student" else None


def build(name: str, *, checkpoints: Path, device: Any) -> Contender:
    """Makes a policy ready.

    Raises:
      UnavailableError: its checkpoint is missing or unusable.
    """
    path = checkpoint_of(name, checkpoints)
    policy: Any = UNTRAINED.get(name)
    if path is not None:
        try:
            policy = oj.policies.load(path)
        except ValueError as error:
            raise UnavailableError(str(error)) from None
    if name not in HOST:
        return jax_contender(name, policy, device)
    if name == "cpsat":
        return _on_host(name, _cpsat, lambda *request: _cpsat(oj.ChainProblem(*request)))
    if name == "single_exact":
        return _on_host(name, None, oj.single.exact())
    if name == "single_student":
        try:
            return _on_host(name, None, oj.single.learned(policy))
        except ValueError as error:
            raise UnavailableError(str(error)) from None
    from benchmarks import peers

    function = peers.numpy_dp if name == "numpy_dp" else peers.numba_dp
    return _on_host(name, lambda problem: function(*jax.tree.leaves(problem)), None)


def jax_contender(name: str, policy: Callable[[oj.ChainProblem], Any], device: Any) -> Contender:
    """A jitted policy; `one` includes the way to the device and back."""
    jitted = jax.jit(policy)

    def place(problem: oj.ChainProblem) -> oj.ChainProblem:
        return jax.block_until_ready(jax.device_put(problem, device))

    def prepare(problem: Any) -> dict[str, float]:
        start = time.perf_counter()
        compiled = jitted.lower(problem).compile()
        seconds = time.perf_counter() - start
        memory = compiled.memory_analysis()
        bytes_used = float(getattr(memory, "temp_size_in_bytes", 0) or 0)
        costs = compiled.cost_analysis()
        flops = float(costs.get("flops", 0.0)) if isinstance(costs, dict) else 0.0
        return {"compile_seconds": seconds, "temporary_bytes": bytes_used, "flops": flops}

    def one(*request: Any) -> np.ndarray:
        with jax.default_device(device):
            return np.asarray(jitted(oj.ChainProblem(*request)))

    return Contender(name, False, jitted, one, place, prepare)


def _cpsat(problem: oj.ChainProblem) -> np.ndarray:
    return np.asarray(oj.solve(problem, method="cpsat").decision)


def _on_host(name: str, batch: Any, one: Any) -> Contender:
    def prepare(problem: Any) -> dict[str, float]:
        start = time.perf_counter()
        batch(problem)
        return {"compile_seconds": time.perf_counter() - start}

    def place(problem: oj.ChainProblem) -> oj.ChainProblem:
        return jax.tree.map(np.asarray, problem)

    return Contender(name, True, batch, one, place, prepare)
