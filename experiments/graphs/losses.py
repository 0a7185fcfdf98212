"""What a schedule of the student loses: to its places, to its order, to the form of decisions.

    python -m experiments.graphs.losses --workdir=runs/losses

takes the first test graphs whose optimum is proven. CP-SAT gets the student's places and finds the
order, or its order of booking and finds the places; a long search looks for the best place and
order there is, which a timetable that is free to fill gaps may still beat. Writes
results/graph_losses.json.
"""

import dataclasses
import math
import operator
import time
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.graphs import test_sets
from experiments.reporting import statistics, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax.graphs._cpsat.model import IntegerModel
from offload_jax.graphs._cpsat.operations import in_units, operations, run, timed_requests
from offload_jax.graphs._cpsat.solve import solve_batch
from offload_jax.graphs._jax.noise import draws
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.graphs._numba import network
from offload_jax.graphs._numba.rollout import new_player, play
from offload_jax.graphs._numba.simulator import compiled
from offload_jax.graphs.request import unpack_rows
from offload_jax.learning import checkpoints

SIZES = (12, 20)
SAMPLES = 64
_KEY = 13
_TIME_LIMIT = 5.0
_ROUNDS, _SIMULATIONS = 4, 100_000
# Within a task's turn its input comes first, then what it needs, itself, and its output.
_TURN = {"input": 0, "data": 1, "task": 2, "output": 3}


def compute(settings: Settings, *, num: int = 50) -> dict[str, Any]:
    """Mean ratios to proven optima, by size and by what is free.

    Args:
      settings: of the run.
      num: graphs of each size.
    """
    student = oj.graphs.policies.student()
    config = {
        "num": num,
        "student": checkpoints.digest(student.params),
        "limits": [_TIME_LIMIT, _ROUNDS, _SIMULATIONS],
    }

    def compute_all() -> dict[str, Any]:
        return {str(size): _of_size(student, size, num) for size in SIZES}

    return cached(settings.result("graph_losses"), config, compute_all)


def _of_size(student: LearnedGraphPolicy, size: int, num: int) -> dict[str, Any]:
    known = test_sets.best_known(size)
    rows = np.flatnonzero(known.proven)[:num]
    problem, optimum = test_sets.problems(size)[rows], known.makespan[rows]
    found = [_of_one(student, problem[row]) for row in range(len(rows))]
    ways = {
        name: statistics.mean_and_interval(np.array([one[name] for one in found]) / optimum)
        for name in found[0]
    }
    return {
        "graphs": len(rows),
        "ratio": {name: [mean, interval] for name, (mean, interval) in ways.items()},
        "distinct": _distinct(student, problem),
    }


def _of_one(student: LearnedGraphPolicy, problem: oj.graphs.GraphProblem) -> dict[str, float]:
    costs = oj.graphs.graph_costs(problem, library=np)
    decision = student(costs)
    own = test_sets.makespans(costs, *decision)[0]
    there = np.arange(costs.num_places) == np.asarray(decision.place)[:, None]
    fixed = dataclasses.replace(costs, seconds=np.where(there, costs.seconds, np.inf))
    ordered, _ = test_sets.long_search(fixed, decision, _ROUNDS, _SIMULATIONS)
    timed = solve_batch(fixed, decision, time_limit=_TIME_LIMIT, progress=False)
    free = solve_batch(costs, decision, time_limit=_TIME_LIMIT, progress=False)
    again = oj.graphs.Decision(free.place, free.order)
    best, _ = test_sets.long_search(costs, again, _ROUNDS, _SIMULATIONS)
    placed = best_places(costs, decision, _TIME_LIMIT)
    return {
        "student, one schedule": float(own),
        "its order, CP-SAT places": placed,
        "its places, the best order found": ordered,
        "its places, CP-SAT's timetable": float(timed.cost),
        "CP-SAT's places and order, simulated": float(test_sets.makespans(costs, *again)[0]),
        "the best places and order found": min(best, ordered, placed),
    }


def best_places(
    costs: oj.graphs.GraphCosts, decision: oj.graphs.Decision, time_limit: float
) -> float:
    """The makespan of the best places that CP-SAT finds while tasks are booked in a given order."""
    (request,) = timed_requests(costs)
    place, order = (np.asarray(part).tolist() for part in decision)
    sequence = operations(request, place, order)
    scaled, _ = in_units(request, run(request, sequence).makespan)
    known = run(scaled, sequence)
    model = IntegerModel(scaled, int(known.makespan), time.monotonic() + time_limit)
    model.add_hint(place, known)
    _keep_order(model, order)
    found = model.solve().place or place
    return float(min(test_sets.makespans(costs, at, order)[0] for at in (place, found)))


def _keep_order(model: IntegerModel, order: list[int]) -> None:
    """Every processor and link serves in the order in which the simulator books."""
    request, position = model.request, np.argsort(order)
    used: dict[int, list[tuple[Any, ...]]] = {}
    for v, places in enumerate(model.at):
        turn: Any = position[v], _TURN["task"], 0
        for k, present in places.items():
            if request.servers[k] is not None and request.seconds[v, k] > 0:
                use = turn, model.start["task", v, 0, 0], model.end[v], present
                used.setdefault(k, []).append(use)
    edges = {(u, v): edge for v, needed in enumerate(request.edges_into) for u, edge in needed}
    for (kind, u, v, link), present in model.crossings:
        amount = getattr(request, kind)[edges[u, v] if kind == "data" else v, link]
        start = model.start[kind, u, v, link]
        turn = position[v], _TURN[kind], position[u]
        uses = used.setdefault(len(request.servers) + link, [])
        uses.append((turn, start, start + int(amount), present))
    for uses in used.values():
        free: Any = 0
        for _, start, end, present in sorted(uses, key=operator.itemgetter(0)):
            then = model.model.new_int_var(0, model.horizon, "")
            model.model.add(then >= free)
            for rule in (model.model.add(start >= free), model.model.add(then >= end)):
                if present is not True:
                    rule.only_enforce_if(present)
            free = then


def _distinct(student: LearnedGraphPolicy, problem: oj.graphs.GraphProblem) -> dict[str, float]:
    """How many of the samples of a request are different, on average."""
    costs = oj.graphs.graph_costs(problem, library=np)
    weights = network.pack(student.config, student.params)
    noise, changed = draws(jax.random.key(_KEY), SAMPLES, costs.num_tasks, costs.num_places + 1)
    found = []
    for request in unpack_rows(costs):
        for later in (True, False):
            place, makespan = _samples(request, *weights, noise, changed | later)
            different = len(np.unique(place, axis=0)), len(np.unique(makespan))
            found.append(different)
    mean = np.reshape(found, (-1, 4)).mean(0)
    names = "independent, places", "independent, makespans", "as best_of draws, places"
    return dict(zip((*names, "as best_of draws, makespans"), mean.tolist(), strict=True))


@compiled
def _samples(request, weights, first, widths, noise, changed):  # type: ignore[no-untyped-def]
    """Places `[n, N]` and makespans `[n]` of all samples."""
    player = new_player(request, weights, first, widths)
    num, num_tasks, columns = noise.shape
    places, makespans = np.zeros((num, num_tasks), np.int64), np.zeros(num)
    best_noise, least = np.zeros((num_tasks, columns)), math.inf
    for i in range(num):
        tried = np.where(changed[i], noise[i], best_noise)
        places[i], _, makespans[i] = play(request, player, tried)
        if makespans[i] < least:
            best_noise, least = tried, makespans[i]
    return places, makespans


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    sizes = [str(size) for size in SIZES]
    names = list(results[sizes[0]]["ratio"])
    rows = [
        [name, *(statistics.plus_minus(*results[s]["ratio"][name], digits=3) for s in sizes)]
        for name in names
    ]
    for name in results[sizes[0]]["distinct"]:
        cells = [f"{results[size]['distinct'][name]:.1f}" for size in sizes]
        rows.append([f"different ones of {SAMPLES} samples: {name}", *cells])
    graphs = ", ".join(f"{results[size]['graphs']} of {size} tasks" for size in sizes)
    return (
        "## What one schedule of the student loses\n\n"
        f"Mean ratio to the proven optimum, ± 95 % over graphs ({graphs}).\n\n"
        + tables.markdown(["what is free", *(f"{size} tasks" for size in sizes)], rows)
        + "\n"
    )


STAGE = Stage(
    "what the student loses",
    compute,
    _section,
    latency_only=True,
    options={"num": (int, "Graphs of each size.")},
)

if __name__ == "__main__":
    script(STAGE)
