"""Chains of six subtasks: the paper's policies, exact solvers beside them, and the requests."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from benchmarks.delay.family import Contender, Family, Policy, Requests

# So many requests are also kept one by one.
_MAX_SINGLES = 10_000


def jitted(policy: Callable[[oj.ChainProblem], Any]) -> Contender:
    """A policy for JAX; one request includes the way to the device and back."""
    decide = jax.jit(policy)

    def one(*request: Any) -> np.ndarray:
        return np.asarray(decide(oj.ChainProblem(*request)))

    return Contender(decide, one, on_host=False)


def on_host(decide: Callable[..., Any]) -> Contender:
    """A function of the six arrays of a batch."""

    def one(cycles: Any, data: Any, *scalars: Any) -> np.ndarray:
        return decide(cycles[None], data[None], *(np.array([value]) for value in scalars))[0]

    return Contender(lambda problem: decide(*jax.tree.leaves(problem)), one)


def _learned(folder: Path) -> Contender:
    return jitted(oj.policies.load(folder))


def _cpsat(*request: Any) -> np.ndarray:
    return np.asarray(oj.solve(oj.ChainProblem(*request), method="cpsat").decision)


def _peer(name: str) -> Contender:
    # numba takes a second to import, torch several.
    if name in ("numpy_dp", "numba_dp"):
        from benchmarks.peers import peers

        return on_host(getattr(peers, name))
    from benchmarks.peers import packages

    if name == "dynamax":
        return jitted(packages.dynamax_policy())
    return on_host(packages.torch_struct_policy())


def _single_student(folder: Path) -> Contender:
    return Contender(None, oj.single.learned(oj.policies.load(folder)))


def sample(num: int, seed: int) -> Requests:
    """Requests of the wide scenario, float32; singles are two float64 arrays and four floats."""
    with jax.default_device(jax.devices("cpu")[0]):
        problem = oj.scenarios.sample(jax.random.key(seed), oj.scenarios.WIDE, num)
        optimum = np.asarray(oj.solve(problem).cost, np.float64)
    problem = jax.tree.map(np.asarray, problem)
    few = [np.asarray(leaf[:_MAX_SINGLES], np.float64) for leaf in jax.tree.leaves(problem)]
    singles = [
        (cycles, data, *map(float, scalars)) for cycles, data, *scalars in zip(*few, strict=True)
    ]
    return Requests(problem, singles, functools.partial(quality, problem, optimum))


def quality(
    problem: oj.ChainProblem, optimum: np.ndarray, which: Any, decision: Any
) -> dict[str, float]:
    """Latency over the optimum, as `oj.metrics.normalized_latency` has it, compiled once for all n.

    Args:
      problem: `[N]` requests.
      optimum: `[N]` least latencies in seconds.
      which: indices or a slice, of n requests.
      decision: `[n, A]`.
    """
    every = np.zeros(problem.cycles.shape, np.int8)
    every[which] = decision
    with jax.default_device(jax.devices("cpu")[0]):
        cost = np.asarray(_latency(problem, every), np.float64)[which]
    p99 = np.quantile(cost / optimum[which], 0.99, method="higher")
    return {"ratio_of_means": np.mean(cost) / np.mean(optimum[which]), "p99": p99}


_latency = jax.jit(oj.latency)


def _policies() -> dict[str, Policy]:
    exact, networks, heuristics = "exact", "networks", "heuristics"

    def rule(policy: Any, group: str = heuristics, published: float | None = None) -> Policy:
        return Policy(lambda _: jitted(policy), group, published=published)

    def network(name: str, published: float | None = None) -> Policy:
        return Policy(_learned, networks, checkpoint=name, published=published)

    def peer(name: str, *packages: str) -> Policy:
        return Policy(lambda _: _peer(name), exact, packages=packages)

    # What is published are delays over that of greedy, table 1 of the paper.
    return {
        "optimal_dp": rule(oj.policies.optimal, exact),
        "optimal_enumeration": rule(oj.policies.optimal_by_enumeration, exact, 122.54),
        "single_exact": Policy(lambda _: Contender(None, oj.single.exact()), exact),
        "cpsat": Policy(lambda _: Contender(None, _cpsat), exact),
        "numpy_dp": peer("numpy_dp"),
        "numba_loop": peer("numba_dp"),
        "dynamax": peer("dynamax", "dynamax"),
        "torch_struct": peer("torch_struct", "torch", "torch_struct"),
        "large_dil_paper": network("large_dil_paper", 0.51),
        "large_dil": network("large_dil"),
        "kd_dil": network("kd_dil", 0.17),
        "baseline_dil": network("baseline_dil", 0.17),
        "drl": network("drl", 119.72),
        "single_student": Policy(_single_student, networks, checkpoint="kd_dil"),
        "greedy": rule(oj.policies.greedy, published=1.0),
        "local": rule(oj.policies.local),
        "edge": rule(oj.policies.edge),
        "cloud": rule(oj.policies.cloud),
    }


FAMILY = Family(
    module=__name__,
    policies=_policies(),
    sample=sample,
    reference="greedy",
)
