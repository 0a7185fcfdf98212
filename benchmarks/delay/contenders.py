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
TEACHERS = ("large_dil_paper", "large_dil")
STUDENT = "kd_dil"
LEARNED = (*TEACHERS, STUDENT, "baseline_dil", "drl")
HOST = ("cpsat", "single_exact", "single_student", "numpy_dp", "numba_loop", "torch_struct")
NAMES = (*UNTRAINED, *LEARNED, *HOST, "dynamax")
EXACT = (
    "optimal_dp",
    "optimal_enumeration",
    "single_exact",
    "cpsat",
    "numpy_dp",
    "numba_loop",
    "dynamax",
    "torch_struct",
)
"""Policies that claim to find the optimum."""

_MISSING = "pip install 'offload_jax[bench]'"


class UnavailableError(Exception):
    """A policy cannot be measured here; says why in one line."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A policy made ready to be timed.

    Attributes:
      name: one of `NAMES`.
      on_host: True if it runs on the CPU whatever the platform, and compiles nothing for a new
        batch size.
      batch: `[N]` problem to decisions `[N, A]`; None if it only takes single requests.
      one: a request's six quantities to a decision `[A]`, on the host when it returns; None if it
        only takes batches.
      place: puts a problem where `batch` reads it.
      prepare: compiles `batch` for a problem, giving seconds and temporary bytes of a call, as far
        as they are known.
      flops: floating-point operations of a network's matrix products for one decision, else 0.
    """

    name: str
    on_host: bool
    batch: Callable[[Any], Any] | None
    one: Callable[..., Any] | None
    place: Callable[[oj.ChainProblem], Any]
    prepare: Callable[[Any], dict[str, float]]
    flops: float = 0.0


def checkpoint_of(name: str, folder: Path) -> Path | None:
    """The checkpoint folder that a policy needs, None if it needs none."""
    if name in LEARNED:
        return folder / name
    return folder / STUDENT if name == "single_student" else None


def build(name: str, *, checkpoints: Path, device: Any) -> Contender:
    """Makes a policy ready.

    Raises:
      UnavailableError: its checkpoint or its package is missing or unusable.
    """
    path = checkpoint_of(name, checkpoints)
    if path is not None:
        try:
            policy = oj.policies.load(path)
            if name == "single_student":
                return _on_host(name, None, oj.single.learned(policy))
        except ValueError as error:
            raise UnavailableError(str(error)) from None
        return jax_contender(name, policy, device, flops=network_flops(policy))
    if name in UNTRAINED:
        return jax_contender(name, UNTRAINED[name], device)
    if name == "single_exact":
        return _on_host(name, None, oj.single.exact())
    if name == "dynamax":
        return jax_contender(name, _from_package(name), device)
    batch = _from_package(name) if name == "torch_struct" else _own(name)
    return _on_host(name, batch, lambda *request: batch(_batch_of_one(*request))[0])


def network_flops(policy: Any) -> float:
    """Operations of one decision, by the sizes of the matrices; a multiply-add is two."""
    leaves = jax.tree_util.tree_leaves_with_path(policy.params)
    entries = sum(leaf.size for path, leaf in leaves if getattr(path[-1], "key", None) == "kernel")
    passes = 2 if getattr(policy.config, "symmetric", False) else 1
    return 2.0 * entries * passes


def jax_contender(
    name: str, policy: Callable[[oj.ChainProblem], Any], device: Any, *, flops: float = 0.0
) -> Contender:
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
        return {"compile_seconds": seconds, "temporary_bytes": bytes_used}

    def one(*request: Any) -> np.ndarray:
        with jax.default_device(device):
            return np.asarray(jitted(oj.ChainProblem(*request)))

    return Contender(name, False, jitted, one, place, prepare, flops)


def _own(name: str) -> Callable[[oj.ChainProblem], Any]:
    if name == "cpsat":
        return lambda problem: np.asarray(oj.solve(problem, method="cpsat").decision)
    # numba takes a second to import.
    from benchmarks.peers import peers

    function = peers.numpy_dp if name == "numpy_dp" else peers.numba_dp
    return lambda problem: function(*jax.tree.leaves(problem))


def _from_package(name: str) -> Callable[[oj.ChainProblem], Any]:
    from benchmarks.peers import packages

    make = packages.dynamax_policy if name == "dynamax" else packages.torch_struct_policy
    try:
        return make()
    except ImportError:
        raise UnavailableError(_MISSING) from None


def _batch_of_one(cycles: Any, data: Any, *scalars: Any) -> oj.ChainProblem:
    return oj.ChainProblem(cycles[None], data[None], *(np.array([value]) for value in scalars))


def _on_host(name: str, batch: Any, one: Any) -> Contender:
    def place(problem: oj.ChainProblem) -> oj.ChainProblem:
        return jax.tree.map(np.asarray, problem)

    return Contender(name, True, batch, one, place, lambda problem: {})
