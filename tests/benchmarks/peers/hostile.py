"""Wide requests, and among them dead links and nothing to compute or send."""

import jax
import numpy as np

import offload_jax as oj
from tests import oracle


def problems(num_subtasks: int, num: int = 30) -> oj.ChainProblem:
    """`[num]` of them, float32; the first 18 are the special ones."""
    generator = np.random.default_rng(num_subtasks)

    def between(low: float, high: float, *shape: int) -> np.ndarray:
        return generator.uniform(low, high, (num, *shape)).astype(np.float32)

    fields = [
        between(1e8, 1e9, num_subtasks),
        between(1e5, 5e6, num_subtasks + 1),
        between(2e8, 1e9),
        between(1e9, 5e9),
        between(5e5, 5e6),
        between(5e5, 5e6),
    ]
    fields[0][:3] = 0.0
    fields[1][2:6] = 0.0
    fields[4][4:10] = 0.0
    fields[5][8:14] = 0.0
    fields[4][14:18] *= 1e-6
    return oj.ChainProblem(*fields)


def chain_of(problem: oj.ChainProblem, i: int) -> oracle.Chain:
    """One of them for the oracle."""
    cycles, data, *scalars = (leaf[i] for leaf in jax.tree.leaves(problem))
    return oracle.Chain(tuple(cycles), tuple(data), *map(float, scalars))
