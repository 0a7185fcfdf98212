"""The test graphs, and the best makespans known for them.

    python -m experiments.graphs.test_sets --num_tasks=20

computes them anew: CP-SAT, started from a long search, within a time limit for each graph. The
results lie beside this file: makespan, lower bound, how it was found and whether it is proven.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import offload_jax as oj

SIZES = (12, 20, 50)
NUM = 1000
_KEY = 11
_FOLDER = Path(__file__).parent / "best_known"


class BestKnown(NamedTuple):
    """The best makespans known, `[n]`: seconds, and whether each is proven to be the least."""

    makespan: np.ndarray
    proven: np.ndarray


def problems(num_tasks: int, num: int = NUM) -> oj.graphs.GraphProblem:
    """The first `num` of the `NUM` test graphs of a size, the same for every seed and preset."""
    scenario = oj.graphs.scenarios.layered(num_tasks)
    return oj.graphs.scenarios.sample(jax.random.key(_KEY), scenario, NUM)[:num]


def digest(problem: oj.graphs.GraphProblem) -> str:
    """SHA-256 of all arrays, rounded to six digits so that it does not depend on the processor."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(problem):
        values = np.asarray(leaf, np.float64)
        total.update(np.char.mod("%.6g", values.ravel()).tobytes())
    return total.hexdigest()


@functools.cache
def best_known(num_tasks: int, num: int = NUM) -> BestKnown:
    """What is stored for the first `num` test graphs of a size.

    Raises:
      ValueError: nothing is stored, or it is about other graphs than this version of JAX draws.
    """
    path = _FOLDER / f"layered_{num_tasks}.json"
    if not path.exists():
        raise ValueError(f"{path}: not there; python -m experiments.graphs.test_sets makes it")
    stored = json.loads(path.read_text())
    if stored["digest"] != digest(problems(num_tasks)):
        raise ValueError(
            f"{path}: is about other graphs than this version of JAX draws;"
            " python -m experiments.graphs.test_sets makes it anew"
        )
    return BestKnown(
        np.array(stored["makespan"][:num]), np.array(stored["status"][:num]) == "OPTIMAL"
    )
