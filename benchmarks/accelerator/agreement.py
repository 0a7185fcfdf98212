"""Whether decisions and costs are those of the CPU, on requests that are made to differ."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from benchmarks.accelerator.jobs import Figure, Job, sampled
from benchmarks.accelerator.sizes import Sizes

PART = "agreement"
STUDENT, IN_FULL = "student", "student, products in full float32"
_UNIT = "that differ"
# What float32 may lose in a sum, a term.
_ROUNDING = 1.2e-7
_TOLERANCE = 1e-5


def jobs(sizes: Sizes) -> tuple[list[Job], list[Job]]:
    """Chains, and graphs."""
    chains = [
        Job(PART, f"solve, A = {a}", _UNIT, functools.partial(_chains, a), (num,))
        for a, num in sizes.compared_chains
    ]
    graphs = []
    for n, num in sizes.compared_graphs:
        graphs += [
            Job(PART, f"simulate, N = {n}", _UNIT, functools.partial(_simulate, n), (num,)),
            *(
                Job(PART, f"{name}, N = {n}", _UNIT, functools.partial(_decide, name, n), (num,))
                for name in ("greedy", STUDENT, IN_FULL)
            ),
        ]
    return chains, graphs


def hostile_chains(num: int, num_subtasks: int) -> oj.ChainProblem:
    """Eight kinds in turn, NumPy float32.

    Wide ones, twice; small integers, whose costs are exact and often equal; these with a dead link
    or two; no work; no data; seconds of 1e-25 and of 1e20 times the usual.
    """
    rng, kind = np.random.default_rng(num_subtasks), np.arange(num) % 8

    def mixed(usual: Any, integers: Any) -> np.ndarray:
        whole = (kind == 2) | (kind == 3)
        return np.where(whole.reshape(num, *[1] * (usual.ndim - 1)), integers, usual)

    cycles = rng.uniform(0, 2e9, (num, num_subtasks))
    data = rng.uniform(0, 1e7, (num, num_subtasks + 1))
    cycles = mixed(cycles, 4 * rng.integers(0, 4, cycles.shape))
    data = mixed(data, 4 * rng.integers(0, 4, data.shape))
    cycles[kind == 4], data[kind == 5] = 0.0, 0.0
    for each, scale in ((6, 1e-25), (7, 1e20)):
        cycles[kind == each] *= scale
        data[kind == each] *= scale
    rates = [
        mixed(rng.uniform(*usual, num), rng.choice(whole, num))
        for usual, whole in (
            ((1e8, 1e9), (1, 2)),
            ((5e8, 5e9), (1, 2, 4)),
            ((1e5, 2e6), (1, 2, 4)),
            ((1e5, 3e6), (1, 2, 4)),
        )
    ]
    dead = rng.integers(1, 4, num) * (kind == 3)
    rates[2][dead & 1 > 0] = 0.0
    rates[3][dead & 2 > 0] = 0.0
    return oj.ChainProblem(*(field.astype(np.float32) for field in (cycles, data, *rates)))


def hostile_graphs(num: int, num_tasks: int) -> oj.graphs.GraphProblem:
    """Layered graphs; of a tenth a link is dead, of a fifth all numbers are small integers."""
    cpu = jax.devices("cpu")[0]
    with jax.default_device(cpu):
        layered = oj.graphs.scenarios.layered(num_tasks)
        drawn = sampled(oj.graphs.scenarios.sample, layered, num)
    fields = {field.name: getattr(drawn, field.name) for field in dataclasses.fields(drawn)}
    row = np.arange(num)
    whole = row % 5 == 1
    for name, value in fields.items():
        if isinstance(value, jax.Array):
            fields[name] = value = np.array(value)
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            # The largest become 4, so that many are equal and sums are exact.
            value[whole] = np.ceil(4 * value[whole] / max(value.max(), 1.0))
    fields["edge_cloud_bandwidth"][row % 10 == 0] = 0.0
    return oj.graphs.GraphProblem(**fields)


def on_both(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Results on the device and on the CPU of this process, as NumPy arrays."""
    found = []
    for device in (jax.devices()[0], jax.devices("cpu")[0]):
        with jax.default_device(device):
            result = jax.jit(function)(*jax.device_put(arguments, device))
        found.append(jax.tree.map(np.asarray, result))
    return found[0], found[1]


def relative(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Differences over what is expected; 0 where both are infinite or zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        differs = np.abs(found - expected) / np.abs(expected)
    return np.where(found == expected, 0.0, np.nan_to_num(differs, nan=np.inf, posinf=np.inf))


def _chains(num_subtasks: int, num: int, left: float) -> Figure:
    problem = hostile_chains(num, num_subtasks)
    ours, theirs = on_both(oj.solve, problem)
    cost = relative(ours.cost, theirs.cost)
    rows = np.flatnonzero(np.any(ours.decision != theirs.decision, axis=-1))
    tie = _ROUNDING * max(8, num_subtasks)
    # Both decisions at double precision: what differs by rounding alone is a tie.
    doubled = jax.tree.map(lambda leaf: np.float64(leaf[rows]), problem)
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        first, second = (
            np.asarray(oj.latency(doubled, each.decision[rows])) for each in (ours, theirs)
        )
    worse = relative(first, second) > tie
    different = cost > tie
    different[rows] |= worse
    more = {"decisions": len(rows), "of these ties": int(len(rows) - worse.sum())}
    return _figure(different, cost, more)


def _simulate(num_tasks: int, num: int, left: float) -> Figure:
    problem = hostile_graphs(num, num_tasks)
    with jax.default_device(jax.devices("cpu")[0]):
        decision = jax.tree.map(np.asarray, jax.jit(oj.graphs.policies.random)(problem))
    ours, theirs = on_both(lambda p, d: oj.graphs.simulate(p, *d).makespan, problem, decision)
    difference = relative(ours, theirs)
    return _figure(difference > _TOLERANCE, difference, {})


def _decide(name: str, num_tasks: int, num: int, left: float) -> Figure:
    """Decisions that differ are ties if the CPU says that both take equally long."""
    policy = oj.graphs.policies.greedy if name == "greedy" else oj.graphs.policies.student()
    problem = hostile_graphs(num, num_tasks)
    # By default some cards multiply matrices with fewer digits.
    with jax.default_matmul_precision("highest" if name == IN_FULL else None):
        ours, theirs = on_both(policy, problem)
    with jax.default_device(jax.devices("cpu")[0]):
        first, second = (
            np.asarray(oj.graphs.simulate(problem, *each).makespan) for each in (ours, theirs)
        )
    other = np.any((ours.place != theirs.place) | (ours.order != theirs.order), axis=-1)
    difference = relative(first, second)
    different = difference > _TOLERANCE
    more = {"decisions": int(other.sum()), "of these ties": int((other & ~different).sum())}
    return _figure(different, difference, more)


def _figure(different: np.ndarray, error: np.ndarray, more: dict[str, Any]) -> Figure:
    return Figure(float(different.sum()), more={**more, "largest difference": float(error.max())})
