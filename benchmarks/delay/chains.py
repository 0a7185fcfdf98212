"""Chains of six subtasks: the paper's policies, exact solvers beside them, and the requests."""

import functools
from collections.abc import Callable
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


def _peer(name: str) -> Contender:
    # numba takes a second to import, torch several.
    from benchmarks.peers import packages, peers

    if name == "dynamax":
        return jitted(packages.dynamax_policy())
    if name == "torch_struct":
        return on_host(packages.torch_struct_policy())
    return on_host({"numpy_dp": peers.numpy_dp, "numba_loop": peers.numba_dp}[name])


def _exported(policy: Any) -> Contender:
    # Writes C and compiles it.
    from benchmarks import exported

    return exported.chains(policy)


def _cpsat(*request: Any) -> np.ndarray:
    return np.asarray(oj.solve(oj.ChainProblem(*request), method="cpsat").decision)


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


def _rule(policy: Any, group: str, published: float | None = None) -> Policy:
    return Policy(lambda _: jitted(policy), group, published=published)


def _network(name: str, published: float | None = None) -> Policy:
    build = lambda folder: jitted(oj.policies.load(folder))  # noqa: E731
    return Policy(build, "networks", checkpoint=name, published=published)


def _exact(build: Callable[[], Contender], *packages: str) -> Policy:
    return Policy(lambda _: build(), "exact", packages=packages)


# What is published are delays over that of greedy, table 1 of the paper.
POLICIES = {
    "optimal_dp": _rule(oj.policies.optimal, "exact"),
    "optimal_enumeration": _rule(oj.policies.optimal_by_enumeration, "exact", 122.54),
    "single_exact": _exact(lambda: Contender(None, oj.single.exact())),
    "exported_exact": _exact(lambda: _exported(oj.policies.optimal)),
    "cpsat": _exact(lambda: Contender(None, _cpsat)),
    "numpy_dp": _exact(lambda: _peer("numpy_dp")),
    "numba_loop": _exact(lambda: _peer("numba_loop")),
    "dynamax": _exact(lambda: _peer("dynamax"), "dynamax"),
    "torch_struct": _exact(lambda: _peer("torch_struct"), "torch", "torch_struct"),
    "large_dil_paper": _network("large_dil_paper", 0.51),
    "large_dil": _network("large_dil"),
    "kd_dil": _network("kd_dil", 0.17),
    "baseline_dil": _network("baseline_dil", 0.17),
    "drl": _network("drl", 119.72),
    "single_student": Policy(
        lambda folder: Contender(None, oj.single.learned(oj.policies.load(folder))),
        "networks",
        checkpoint="kd_dil",
    ),
    "exported_student": Policy(
        lambda folder: _exported(oj.policies.load(folder)), "networks", checkpoint="kd_dil"
    ),
    "greedy": _rule(oj.policies.greedy, "heuristics", 1.0),
    "local": _rule(oj.policies.local, "heuristics"),
    "edge": _rule(oj.policies.edge, "heuristics"),
    "cloud": _rule(oj.policies.cloud, "heuristics"),
}
FAMILY = Family(module=__name__, policies=POLICIES, sample=sample, reference="greedy")
