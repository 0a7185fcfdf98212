"""The test graphs, and the best makespans known for them.

    python -m experiments.graphs.test_sets --num_tasks=20 --simulations=400000

finds them anew: a long search, then CP-SAT with a time limit for each graph, started from what
search found. A run goes on where it was interrupted, and what an earlier one found better stays.
The results lie beside this file: makespan, lower bound and status of each graph, the digest of the
graphs and the commands that found them.
"""

import functools
import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line
from experiments.reporting.files import write_json

SIZES = (12, 20, 50)
NUM = 1000
_KEY = 11
_FOLDER = Path(__file__).parent / "best_known"
_CHUNK = 20


class BestKnown(NamedTuple):
    """The best makespans known, `[n]`: seconds, and whether each is proven to be the least."""

    makespan: np.ndarray
    proven: np.ndarray


def problems(num_tasks: int, num: int = NUM) -> oj.graphs.GraphProblem:
    """The first `num` of the `NUM` test graphs of a size, the same for every seed and preset."""
    scenario = oj.graphs.scenarios.layered(num_tasks)
    return oj.graphs.scenarios.sample(jax.random.key(_KEY), scenario, NUM)[:num]


def digest(problem: oj.graphs.GraphProblem) -> str:
    """SHA-256 of the edges and of the sum of every field.

    Sums have four digits: what another processor rounds otherwise are the same graphs.
    """
    total = hashlib.sha256(np.packbits(np.asarray(problem.depends)).tobytes())
    for leaf in jax.tree.leaves(problem):
        total.update(f"{np.asarray(leaf, np.float64).sum():.4g};".encode())
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


def makespans(costs: oj.graphs.GraphCosts, place: Any, order: Any) -> np.ndarray:
    """Seconds of decisions about a batch, in float64.

    By the compiled loop: JAX would take seconds to compile `simulate` for each number of graphs and
    of tasks.
    """
    from offload_jax.graphs._numba.simulator import makespan_of
    from offload_jax.graphs.request import unpack_rows

    requests = list(unpack_rows(costs))
    shape = (len(requests), costs.num_tasks)
    decisions = [np.array(np.broadcast_to(part, shape), np.int64) for part in (place, order)]
    return np.array([makespan_of(*row) for row in zip(requests, *decisions, strict=True)])


def improve(num_tasks: int, *, simulations: int, time_limit: float, progress: bool = True) -> Path:
    """Looks for better makespans and proofs, and stores them.

    Args:
      num_tasks: size of the test set.
      simulations: of search for each graph.
      time_limit: seconds of CP-SAT for each graph without a proof; 0 leaves it out.
      progress: show a progress bar.

    Returns:
      The file, written after every few graphs.
    """
    from tqdm.auto import tqdm

    path = _FOLDER / f"layered_{num_tasks}.json"
    problem = jax.tree.map(np.asarray, problems(num_tasks))
    command = f"--num_tasks={num_tasks} --simulations={simulations} --time_limit={time_limit:g}"
    stored = _load(path, digest(problem))
    if stored["running"] != command:
        stored |= {"running": command, "done": 0}
    with tqdm(total=NUM, initial=stored["done"], desc=path.stem, disable=not progress) as bar:
        while stored["done"] < NUM:
            rows = range(stored["done"], min(NUM, stored["done"] + _CHUNK))
            for row, found in zip(
                rows, _solve(problem, rows, simulations, time_limit), strict=True
            ):
                better = found["makespan"] < stored["makespan"][row]
                proven = found["status"] == "OPTIMAL" != stored["status"][row]
                if better or proven:
                    for name in ("makespan", "status"):
                        stored[name][row] = found[name]
                bound = max(stored["lower_bound"][row], found["lower_bound"])
                stored["lower_bound"][row] = min(bound, stored["makespan"][row])
            stored["done"] = rows.stop
            if stored["done"] == NUM:
                stored["commands"].append(command)
            write_json(path, stored)
            bar.update(len(rows))
    return path


def _load(path: Path, wanted: str) -> dict[str, Any]:
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["digest"] == wanted:
            return stored
    return {
        "digest": wanted,
        "commands": [],
        "running": "",
        "done": 0,
        "makespan": [math.inf] * NUM,
        "lower_bound": [0.0] * NUM,
        "status": ["UNKNOWN"] * NUM,
    }


def _solve(
    problem: oj.graphs.GraphProblem, rows: range, simulations: int, time_limit: float
) -> list[dict[str, Any]]:
    """Makespan, lower bound and status of some of the graphs, in float64."""
    from offload_jax.cpsat import statuses
    from offload_jax.graphs._cpsat import solve as cpsat
    from offload_jax.graphs._numba import search

    costs = oj.graphs.graph_costs(problem[rows.start : rows.stop], library=np)
    decisions = search.search(costs, num_simulations=simulations)
    columns: tuple[Any, Any, Any]
    if time_limit:
        found = cpsat.solve_batch(costs, decisions, time_limit=time_limit, progress=False)
        columns = found.cost, found.lower_bound, statuses(found)
    else:
        bounds = np.asarray(oj.graphs.lower_bound(costs), np.float64)
        columns = makespans(costs, *decisions), bounds, ["SEARCH"] * len(rows)
    return [
        {"makespan": float(m), "lower_bound": float(b), "status": str(s)}
        for m, b, s in zip(*columns, strict=True)
    ]


def main(values: flags.FlagValues) -> None:
    path = improve(
        values.num_tasks,
        simulations=values.simulations,
        time_limit=values.time_limit,
        progress=values.progress,
    )
    print(path)


def define(values: flags.FlagValues) -> None:
    command_line.define(values, "progress")
    flags.DEFINE_integer("num_tasks", 20, "Size of the test set.", flag_values=values)
    flags.DEFINE_integer("simulations", 400_000, "Of search, for each graph.", flag_values=values)
    flags.DEFINE_float("time_limit", 0.0, "Seconds of CP-SAT for each graph.", flag_values=values)


if __name__ == "__main__":
    command_line.run(main, define)
