"""Streams: what requests take when they arrive faster and faster, policy by policy.

Writes results/graph_streams.json and figures/graph_streams.png.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import offload_jax as oj
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax.learning import checkpoints

LOADS = (0.3, 0.5, 0.7, 0.9, 1.0, 1.1)
USERS = 4
SEARCH_SECONDS = 1e-3
# Streams, requests of each, and how many of these find the machine too empty.
SIZES = {"default": (8, 150, 30), "paper": (32, 400, 100)}
# Every request comes to the same machines; its tasks are drawn.
SCENARIO = dataclasses.replace(
    oj.graphs.scenarios.layered(10),
    device_speed=(500e6, 500e6),
    edge_speed=(5e9, 5e9),
    device_edge_bandwidth=(2e6, 2e6),
    edge_cloud_bandwidth=(2e6, 2e6),
)
SINGLE = {"local": "device alone", "edge": "edge alone", "cloud": "cloud alone"}
RULES = {"cut": "minimum cut", "heft": "HEFT"}
BLIND, STUDENT, SEARCH, BOUND = "greedy_blind", "student", "search", "lower_bound"
TITLES = {
    **SINGLE,
    **RULES,
    BLIND: "greedy, queues unseen",
    "greedy": "greedy",
    STUDENT: "student",
    SEARCH: f"search, {1e3 * SEARCH_SECONDS:g} ms",
    BOUND: "lower bound",
}


def compute(settings: Settings) -> dict[str, Any]:
    """Serves the same requests at several loads.

    Load 1 is the rate at which the busiest processor or link of the best single place never rests.

    Returns:
      `capacity`, requests a second of each single place; `loads`; and by policy for each load mean
      sojourn and 99th percentile with their intervals over streams, and joules a request.
    """
    num_streams, num_requests, skip = SIZES[settings.preset]
    student = oj.graphs.policies.student()
    config = {
        "sizes": SIZES[settings.preset],
        "loads": LOADS,
        "users": USERS,
        "seconds": SEARCH_SECONDS,
        "scenario": dataclasses.asdict(SCENARIO),
        "seed": settings.seed,
        "student": checkpoints.digest(student.params),
    }

    def compute_all() -> dict[str, Any]:
        shape = num_streams, num_requests
        draw, arrive, own = jax.random.split(jax.random.key(settings.seed), 3)
        flat = oj.graphs.scenarios.sample(draw, SCENARIO, num_streams * num_requests)
        requests = jax.tree.map(
            lambda leaf: np.asarray(leaf).reshape(*shape, *leaf.shape[1:]), flat
        )
        user = np.asarray(jax.random.randint(own, shape, 0, USERS))
        arrivals = np.asarray(oj.graphs.poisson_arrivals(arrive, 1.0, shape))

        def serve(policy: Any, rate: float, **options: Any) -> oj.graphs.Stream:
            return oj.graphs.stream(
                requests, arrivals / rate, policy, user=user, num_users=USERS, **options
            )

        blind = {name: getattr(oj.graphs.policies, name)(requests) for name in (*SINGLE, *RULES)}
        blind[BLIND] = oj.graphs.policies.greedy(requests)
        capacity = {name: _capacity(serve(blind[name], 1.0), arrivals) for name in SINGLE}
        most = max(capacity.values())
        policies = {**blind, "greedy": "greedy", STUDENT: student, SEARCH: SEARCH}
        rows: dict[str, list[Any]] = {name: [] for name in (*policies, BOUND)}
        for load in LOADS:
            for name, policy in policies.items():
                limit = {"time_limit": SEARCH_SECONDS} if name == SEARCH else {}
                served = serve(policy, load * most, **limit)
                found = served.statistics(skip=skip)
                joules = float(np.mean(np.asarray(served.energy)))
                rows[name].append({"mean": [*found.mean], "p99": [*found.p99], "joules": joules})
            alone = served._replace(sojourn=served.lower_bound).statistics(skip=skip)
            rows[BOUND].append({"mean": [*alone.mean], "p99": [*alone.p99]})
        return {"capacity": capacity, "loads": [*LOADS], "policies": rows}

    return cached(settings.result("graph_streams"), config, compute_all)


def _capacity(served: oj.graphs.Stream, arrivals: np.ndarray) -> float:
    """Requests a second that the busiest processor or link gets done without a rest."""
    home = np.max(arrivals + np.asarray(served.sojourn), -1) - arrivals[:, 0]
    parts = served.place_utilisation[:, :2], served.link_utilisation
    busy = np.concatenate(parts, axis=-1) * home[:, None] / arrivals.shape[-1]
    return float(1 / busy.mean(0).max())


# Colour and kind of line: singles in grey, rules that see no queues, those that see them.
_STYLES: dict[str, tuple[int, str]] = {
    **dict.fromkeys(SINGLE, (7, "--")),
    "cut": (3, "-."),
    "heft": (4, "-."),
    BLIND: (5, "-."),
    "greedy": (1, "-"),
    STUDENT: (2, "-"),
    SEARCH: (0, "-"),
    BOUND: (8, ":"),
}


def _draw(results: Mapping[str, Any], settings: Settings) -> None:
    loads, policies = np.array(results["loads"]), results["policies"]
    top = 1.4 * max(row[-1]["mean"][0] for name, row in policies.items() if name not in SINGLE)
    with plots.figure(settings.figure("graph_streams"), size=(8.4, 4.6)) as (_, axes):
        for i, (name, rows) in enumerate(policies.items()):
            mean, low, high = np.array([row["mean"] for row in rows], float).T
            if mean[0] > top:  # the table has it
                continue
            colour, line = _STYLES[name]
            axes.errorbar(
                loads + 0.003 * (i - len(policies) / 2),  # intervals side by side
                mean,
                (mean - low, high - mean) if name != BOUND else None,
                color=plots.PALETTE[colour],
                linestyle=line,
                marker=plots.MARKERS[i] if name != BOUND else None,
                markersize=4,
                capsize=2,
                elinewidth=0.8,
                label=TITLES[name],
            )
        axes.set(
            xlabel="load; 1 is what the best single place carries",
            ylabel="mean sojourn (s)",
            ylim=(0, top),
            xticks=loads,
        )
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _section(results: Mapping[str, Any], settings: Settings) -> str:
    num_streams, num_requests, skip = SIZES[settings.preset]
    rows = []
    for name, each in results["policies"].items():
        cells = []
        for row in each:
            mean, _, high = np.array(row["mean"], float)
            cells.append(f"{mean:.1f} ± {high - mean:.1f}")
        rows.append([TITLES[name], *cells])
    headers = ["policy", *(f"load {load:g}" for load in results["loads"])]
    capacity = ", ".join(f"{name} {rate:.3f}" for name, rate in results["capacity"].items())
    return (
        "## Streams of requests\n\n"
        f"{USERS} users with a device and a radio each share an edge and its link to the cloud;"
        f" requests of {SCENARIO.num_tasks} tasks arrive by a Poisson process. Mean sojourn in"
        f" seconds over {num_streams} streams of {num_requests} requests, without the first {skip},"
        " with 95 % intervals over streams; every policy serves the same requests. Load 1 is what"
        f" the best single place carries (requests a second: {capacity}). The lower bound is that"
        " of each request alone on an empty machine.\n\n"
        + tables.markdown(headers, rows)
        + "\n\n![Sojourn against load](figures/graph_streams.png)\n"
    )


STAGE = Stage("streams", compute, _section, _draw, latency_only=True, flags=("preset", "seed"))

if __name__ == "__main__":
    script(STAGE)
