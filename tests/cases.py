"""Requests and tables that the tests of several modules share.

All numbers are exact in float32, so that the oracle, which works in float64, sees what a solver
in float32 sees.
"""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

import offload_jax as oj
from tests import oracle

# Exact methods without limits; all of them must agree with the oracle.
METHODS = ("dp", "exhaustive", "cpsat")
# Those that promise the lexicographically smallest optimum.
ORDERED_METHODS = ("dp", "exhaustive")


class Rows(NamedTuple):
    """A batch of cases with what the oracle says about them.

    Attributes:
      source: float64 fields with one batch axis.
      exact: rows whose costs are sums of small integers or `inf`, so decisions compare exactly.
      decision: `[n, A]` lexicographically smallest optimum.
      cost: `[n]` its cost.
    """

    source: oj.ChainProblem | oj.ChainCosts
    exact: np.ndarray
    decision: np.ndarray
    cost: np.ndarray


def as_float32(values):
    """Rounds to float32, kept in float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def random_table(rng, num_subtasks, num_places, batch=()):
    """Costs uniform in [0, 1)."""
    execution = rng.random((*batch, num_subtasks, num_places))
    transfer = rng.random((*batch, num_subtasks + 1, num_places, num_places))
    return oj.ChainCosts(as_float32(execution), as_float32(transfer))


def integer_table(rng, num_subtasks, num_places, batch=(), high=2):
    """Costs in 0..high: ties everywhere, no rounding."""
    execution = rng.integers(0, high + 1, (*batch, num_subtasks, num_places))
    transfer = rng.integers(0, high + 1, (*batch, num_subtasks + 1, num_places, num_places))
    return oj.ChainCosts(execution.astype(float), transfer.astype(float))


def tables_of_every_kind(num_places):
    """Random, tied, and partly and wholly impossible ones of few subtasks, one by one."""
    rng = np.random.default_rng(num_places)
    for num_subtasks, kind in itertools.product((1, 2, 4), range(4)):
        draw = random_table if kind == 0 else integer_table
        costs = draw(rng, num_subtasks, num_places)
        if kind >= 2:
            costs.execution[rng.random(costs.execution.shape) < 0.2] = np.inf
            costs.transfer[rng.random(costs.transfer.shape) < 0.3] = np.inf
        if kind == 3:
            costs.transfer[num_subtasks // 2] = np.inf
        yield costs


@functools.cache
def table_rows(num_subtasks, num_places):
    """Random, tied, free, partly and wholly impossible, tiny and huge tables."""
    rng = np.random.default_rng(100 * num_subtasks + num_places)

    def entries(draw, scale=1.0):
        table = draw(rng, num_subtasks, num_places)
        return as_float32(table.execution * scale), as_float32(table.transfer * scale)

    rough = [entries(random_table, scale) for scale in (1.0, 1.0, 1e-30, 1e30)]
    ties = [entries(integer_table) for _ in range(3)]
    holes = [entries(integer_table) for _ in range(2)]
    for execution, transfer in holes:
        execution[rng.random(execution.shape) < 0.2] = math.inf
        transfer[rng.random(transfer.shape) < 0.3] = math.inf
    free = [entries(random_table, 0.0)]
    impossible = [entries(integer_table)]
    impossible[0][1][num_subtasks // 2] = math.inf
    tables = rough + ties + holes + free + impossible
    answers = [oracle.table_optimum(*table) for table in tables]
    return Rows(
        oj.ChainCosts(*(np.stack(field) for field in zip(*tables, strict=True))),
        np.arange(len(tables)) >= len(rough),
        np.array([decision for decision, _ in answers]),
        np.array([cost for _, cost in answers]),
    )


@functools.cache
def chains(num_subtasks):
    """Requests as the oracle reads them; the first six are rough, the others exact.

    Rough: like the wide scenario, plainly so (twice), free of work, free of data, tiny and huge.
    Exact: integer times with ties, dead links one by one and together, nothing to do at all.
    """
    rng = np.random.default_rng(num_subtasks)

    def wide(work=1.0, size=1.0, scale=1.0):
        cycles = scale * work * rng.uniform(0, 2e9, num_subtasks)
        data = scale * size * rng.uniform(0, 1e7, num_subtasks + 1)
        return oracle.Chain(
            as_float32(cycles), as_float32(data), 5e8, 3e9, 1e6, float(np.float32(1.7e6))
        )

    def integer(p1=1.0, p2=1.0, b1=1.0, b2=1.0, high=3):
        cycles = 4.0 * rng.integers(0, high + 1, num_subtasks)
        data = 4.0 * rng.integers(0, high + 1, num_subtasks + 1)
        return oracle.Chain(cycles, data, p1, p2, b1, b2)

    rough = [wide(), wide(), wide(work=0.0), wide(size=0.0), wide(scale=1e-25), wide(scale=1e20)]
    exact = [integer(p2=2.0, b1=2.0, b2=4.0), integer(p2=4.0, b1=4.0, b2=4.0), integer()]
    dead = [integer(b1=0.0), integer(b2=0.0), integer(p2=2.0, b1=0.0, b2=0.0), integer(high=0)]
    return [*rough, *exact, *dead]


NUM_ROUGH_CHAINS = 6


def as_problem(listed):
    """Chains of the oracle as one batched `ChainProblem` in float64."""
    fields = [
        np.stack([np.asarray(v, float) for v in field]) for field in zip(*listed, strict=True)
    ]
    return oj.ChainProblem(*fields)


def as_chain(problem):
    """One unbatched problem as the oracle reads it."""
    fields = [np.asarray(leaf, np.float64) for leaf in vars(problem).values()]
    return oracle.Chain(*fields[:2], *(float(field) for field in fields[2:]))


@functools.cache
def problem_rows(num_subtasks, latency_weight=1.0, energy_weight=0.0, power=oracle.DEFAULT_POWER):
    """`chains`, solved by the oracle under a weighted objective."""
    listed = chains(num_subtasks)
    answers = [oracle.optimum(chain, latency_weight, energy_weight, power) for chain in listed]
    return Rows(
        as_problem(listed),
        (np.arange(len(listed)) >= NUM_ROUGH_CHAINS) & (energy_weight == 0),
        np.array([decision for decision, _ in answers]),
        np.array([cost for _, cost in answers]),
    )


def wide_problem(rng, num_subtasks=6, batch=()):
    """Requests of the wide scenario with bandwidths above 0.1 MB/s."""
    return oj.ChainProblem(
        as_float32(rng.uniform(0, 2e9, (*batch, num_subtasks))),
        as_float32(rng.uniform(0, 1e7, (*batch, num_subtasks + 1))),
        as_float32(rng.uniform(1e8, 1e9, batch)),
        as_float32(rng.uniform(5e8, 5e9, batch)),
        as_float32(rng.uniform(1e5, 2e6, batch)),
        as_float32(rng.uniform(1e5, 3e6, batch)),
    )


# Six of what NumPy would make numbers of.
NO_NUMBERS = [
    ["1"] * 6,
    [b"1"] * 6,
    [True] * 6,
    np.full(6, 1 + 1j),
    np.full(6, 2020, "datetime64[Y]"),
    np.full(6, 1, "timedelta64[s]"),
    np.ma.array(np.ones(6), mask=[True, *[False] * 5]),
    np.ma.array(np.ones(6), mask=True),
]
