"""The test graphs, and the best makespans known for them.

    python -m experiments.graphs.test_sets --num_tasks=50 --rounds=8

finds them anew. For each graph that lacks a proof, search walks from the best of the student's 64
schedules and from search's own first decisions, then in every further round from the best so far,
each with a seed of its own and as hot in the beginning as five times what `solve` begins with;
then CP-SAT, with a time limit for each graph. A run goes on where it was interrupted, and what an
earlier one found better stays. The results lie beside this file: makespan, lower bound and status
of each graph, the digest of the graphs and the commands that found them.
"""

import dataclasses
import functools
import hashlib
import json
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line
from experiments.reporting.files import write_json
from offload_jax.graphs.problem import AXES

SIZES = {12: 1000, 20: 1000, 50: 1000, 100: 200}
"""Numbers of tasks, and of test graphs of that size."""
_KEY = 11
_FOLDER = Path(__file__).parent / "best_known"
_CHUNK = 10
# Shares of the makespan.
_HOTTEST, _COLDEST = 0.05, 0.001
_SAMPLES = 64


class BestKnown(NamedTuple):
    """The best makespans known, `[n]`: seconds, whether each is proven, and lower bounds."""

    makespan: np.ndarray
    proven: np.ndarray
    lower_bound: np.ndarray


def problems(num_tasks: int, num: int | None = None) -> oj.graphs.GraphProblem:
    """The first `num` of the test graphs of a size, the same for every seed and preset."""
    scenario = oj.graphs.scenarios.layered(num_tasks)
    return oj.graphs.scenarios.sample(jax.random.key(_KEY), scenario, SIZES[num_tasks])[:num]


def digest(problem: oj.graphs.GraphProblem) -> str:
    """SHA-256 of the edges and of the sum of every field but `user`: there is one.

    Sums have four digits: what another processor rounds otherwise are the same graphs.
    """
    total = hashlib.sha256(np.packbits(np.asarray(problem.depends)).tobytes())
    for name in AXES:
        if name != "user":
            total.update(f"{np.asarray(getattr(problem, name), np.float64).sum():.4g};".encode())
    return total.hexdigest()


@functools.cache
def best_known(num_tasks: int, num: int | None = None) -> BestKnown:
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
        np.array(stored["makespan"][:num]),
        np.array(stored["status"][:num]) == "OPTIMAL",
        np.array(stored["lower_bound"][:num]),
    )


def makespans(costs: oj.graphs.GraphCosts, place: Any, order: Any) -> np.ndarray:
    """Seconds of decisions about a batch, in float64; `simulate` rounds to JAX's precision."""
    from offload_jax.graphs._numba.simulator import makespan_of
    from offload_jax.graphs.request import unpack_rows

    requests = list(unpack_rows(costs))
    shape = (len(requests), costs.num_tasks)
    decisions = [np.array(np.broadcast_to(part, shape), np.int64) for part in (place, order)]
    return np.array([makespan_of(*row) for row in zip(requests, *decisions, strict=True)])


def improve(
    num_tasks: int, *, rounds: int, simulations: int, time_limit: float, progress: bool = True
) -> Path:
    """Looks for better makespans and proofs, and stores them.

    Args:
      num_tasks: size of the test set.
      rounds: of search for each graph without a proof.
      simulations: of each round.
      time_limit: seconds of CP-SAT for each graph without a proof; 0 leaves it out.
      progress: show a progress bar.

    Returns:
      The file, written after every few graphs.
    """
    from tqdm.auto import tqdm

    path = _FOLDER / f"layered_{num_tasks}.json"
    problem = jax.tree.map(np.asarray, problems(num_tasks))
    command = f"--num_tasks={num_tasks} --rounds={rounds} --simulations={simulations}"
    command += f" --time_limit={time_limit:g}" if time_limit else ""
    stored = _load(path, digest(problem), SIZES[num_tasks])
    if stored["running"] != command:
        stored |= {"running": command, "done": 0}
    student = oj.single.learned(oj.graphs.policies.student(), best_of=_SAMPLES)
    total = SIZES[num_tasks]
    with tqdm(total=total, initial=stored["done"], desc=path.stem, disable=not progress) as bar:
        while stored["done"] < total:
            stop = min(total, stored["done"] + _CHUNK)
            for row in range(stored["done"], stop):
                if stored["status"][row] != "OPTIMAL":
                    found = _solve(problem[row], student, rounds, simulations, time_limit)
                    _keep(stored, row, found)
            bar.update(stop - stored["done"])
            stored["done"] = stop
            if stop == total:
                stored["commands"].append(command)
            write_json(path, stored)
    return path


def _keep(stored: dict[str, Any], row: int, found: BestKnown) -> None:
    """What is better than what is stored, and the higher bound."""
    if found.makespan < stored["makespan"][row] or found.proven:
        stored["makespan"][row] = float(found.makespan)
        stored["status"][row] = "OPTIMAL" if found.proven else "SEARCH"
    bound = max(stored["lower_bound"][row], float(found.lower_bound))
    stored["lower_bound"][row] = min(bound, stored["makespan"][row])


def _load(path: Path, wanted: str, num: int) -> dict[str, Any]:
    if path.exists():
        stored = json.loads(path.read_text())
        if stored["digest"] == wanted:
            return stored
    return {
        "digest": wanted,
        "commands": [],
        "running": "",
        "done": 0,
        "makespan": [math.inf] * num,
        "lower_bound": [0.0] * num,
        "status": ["UNKNOWN"] * num,
    }


def _solve(
    problem: oj.graphs.GraphProblem,
    student: Callable[..., oj.graphs.Decision],
    rounds: int,
    simulations: int,
    time_limit: float,
) -> BestKnown:
    """What is found for one of the graphs, in float64."""
    from offload_jax.graphs._cpsat import solve as cpsat
    from offload_jax.graphs._flow.solve import lower_bounds

    costs = oj.graphs.graph_costs(problem, library=np)
    fields = (getattr(problem, field.name) for field in dataclasses.fields(problem))
    makespan, decision = long_search(costs, student(*fields), rounds, simulations)
    if time_limit:
        found = cpsat.solve_batch(costs, decision, time_limit=time_limit, progress=False)
        return BestKnown(*map(np.asarray, (found.cost, found.optimal, found.lower_bound)))
    bound = lower_bounds(costs, np.float64(makespan))
    return BestKnown(np.asarray(makespan), bound >= makespan, bound)


def long_search(
    costs: oj.graphs.GraphCosts, start: oj.graphs.Decision, rounds: int, simulations: int
) -> tuple[float, oj.graphs.Decision]:
    """The best decision about one request that rounds of annealing find, and its makespan."""
    from offload_jax.graphs._flow.row import find_row
    from offload_jax.graphs._numba import annealing
    from offload_jax.graphs._numba.search import search_request
    from offload_jax.graphs._numba.simulator import makespan_of
    from offload_jax.graphs.request import unpack_rows

    (request,) = unpack_rows(costs)
    first = [np.array(part, np.int64) for part in start]
    own = search_request(request, find_row(costs.routes), num_simulations=4 * _SAMPLES)[:2]
    known = [(makespan_of(request, *decision), *decision) for decision in (first, own)]
    for number in range(rounds):
        annealing.seed(number)
        begin = known[number] if number < 2 else min(known, key=operator.itemgetter(0))
        walker = annealing.new_walker(request, *begin[1:])
        annealing.anneal(request, walker, simulations, _HOTTEST, _COLDEST)
        known.append((walker.makespan[1], walker.best_place, walker.best_order))
    makespan, *decision = min(known, key=operator.itemgetter(0))
    return float(makespan), oj.graphs.Decision(*decision)


def main(values: flags.FlagValues) -> None:
    path = improve(
        values.num_tasks,
        rounds=values.rounds,
        simulations=values.simulations,
        time_limit=values.time_limit,
        progress=values.progress,
    )
    print(path)


def define(values: flags.FlagValues) -> None:
    command_line.define(values, "progress")
    flags.DEFINE_integer("num_tasks", 50, "Size of the test set.", flag_values=values)
    flags.DEFINE_integer("rounds", 8, "Of search, for each graph.", flag_values=values)
    flags.DEFINE_integer("simulations", 200_000, "Of each round.", flag_values=values)
    flags.DEFINE_float("time_limit", 0.0, "Seconds of CP-SAT for each graph.", flag_values=values)


if __name__ == "__main__":
    command_line.run(main, define)
