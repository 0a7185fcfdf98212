"""Real networks over real links: does cutting a network ever beat running it in one place?"""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from tabulate import tabulate
from tqdm.auto import tqdm

import offload_jax as oj
from experiments.reporting import command_line
from experiments.reporting.artifacts import cached
from experiments.reporting.objective import define, parse, quantity
from experiments.reporting.plotting import PALETTE, figure
from offload_jax import workloads

NETWORKS = {
    "AlexNet": workloads.alexnet,
    "VGG16": workloads.vgg16,
    "ResNet-18": workloads.resnet18,
    "ResNet-50": workloads.resnet50,
    "MobileNetV2": workloads.mobilenet_v2,
}
# A split that saves less than this is a tie in float32.
_LEAST_GAIN = 1e-5


def run(
    workdir: Path, *, trace_dir: Path | None = None, objective: oj.Objective = oj.LATENCY
) -> dict[str, Any]:
    """Solves every network exactly over named conditions and, if given, recorded traces.

    Args:
      workdir: gets `results/real_tasks.json` and `figures/real_tasks.png`.
      trace_dir: folder of bandwidth traces (two columns: seconds, Mbit/s), searched recursively.
      objective: what is minimised.

    Returns:
      `profiles` (per network: operations, bytes), `conditions` (a row for each network, condition
      and pair of processors) and `traces` (per network; empty without traces).

    Raises:
      ValueError: a trace is malformed or the folder holds none.
    """
    traces = [] if trace_dir is None else workloads.read_trace_dir(trace_dir)

    def compute() -> dict[str, Any]:
        profiles = {
            name: workloads.profile_network(build)
            for name, build in tqdm(NETWORKS.items(), desc="profiling")
        }
        return {
            "profiles": {
                name: {
                    "stages": list(profile.stage_names),
                    "flops": profile.flops.tolist(),
                    "bytes": profile.data.tolist(),
                }
                for name, profile in profiles.items()
            },
            "conditions": [
                row
                for name, profile in profiles.items()
                for row in _solve_named(name, profile, objective)
            ],
            "traces": {
                name: _solve_traces(profile, traces, objective)
                for name, profile in tqdm(profiles.items(), desc="traces", disable=not traces)
                if traces
            },
        }

    config = {
        "networks": list(NETWORKS),
        "objective": dataclasses.asdict(objective),
        "flops_per_cycle": workloads.FLOPS_PER_CYCLE,
        "conditions": [
            [c.name, c.device_edge_bandwidth, c.edge_cloud_bandwidth]
            for c in workloads.NETWORK_CONDITIONS
        ],
        "processors": [[s.name, s.device_speed, s.edge_speed] for s in workloads.PROCESSOR_SPEEDS],
        "traces": [[t.name, len(t.time), float(t.bandwidth.sum())] for t in traces],
    }
    results = cached(workdir / "results" / "real_tasks.json", config, compute)
    draw(results, workdir / "figures" / "real_tasks.png", quantity(objective))
    return results


def _solve_named(
    name: str, profile: workloads.TaskProfile, objective: oj.Objective
) -> list[dict[str, Any]]:
    pairs = list(itertools.product(workloads.PROCESSOR_SPEEDS, workloads.NETWORK_CONDITIONS))
    problem = profile.to_problem(
        device_speed=[speeds.device_speed for speeds, _ in pairs],
        edge_speed=[speeds.edge_speed for speeds, _ in pairs],
        device_edge_bandwidth=[condition.device_edge_bandwidth for _, condition in pairs],
        edge_cloud_bandwidth=[condition.edge_cloud_bandwidth for _, condition in pairs],
    )
    cost, single = _optimal_and_single(problem, objective)
    decision = np.asarray(oj.solve(problem, objective=objective).decision)
    return [
        {
            "network": name,
            "processors": speeds.name,
            "condition": condition.name,
            "optimal_cost": float(cost[i]),
            "single_cost": dict(zip(_PLACES, map(float, single[i]), strict=True)),
            "decision": decision[i].tolist(),
        }
        for i, (speeds, condition) in enumerate(pairs)
    ]


_PLACES = [place.name.lower() for place in oj.Place]


def _optimal_and_single(
    problem: oj.ChainProblem, objective: oj.Objective
) -> tuple[np.ndarray, np.ndarray]:
    """Cost of the optimum `[N]` and of each single place `[N, 3]`."""
    table = oj.chain_costs(problem, objective)
    fixed = (oj.policies.local, oj.policies.edge, oj.policies.cloud)
    single = [np.asarray(oj.evaluate(table, policy(problem)), np.float64) for policy in fixed]
    optimum = oj.solve(problem, objective=objective)
    return np.asarray(optimum.cost, np.float64), np.stack(single, axis=-1)


def _solve_traces(
    profile: workloads.TaskProfile,
    traces: list[workloads.BandwidthTrace],
    objective: oj.Objective,
) -> dict[str, Any]:
    """Every sample of every trace as the device's link, for every pair of processors."""
    bandwidth = np.concatenate([trace.bandwidth for trace in traces])
    gains, places = [], []
    for speeds in workloads.PROCESSOR_SPEEDS:
        problem = profile.to_problem(
            device_speed=speeds.device_speed,
            edge_speed=speeds.edge_speed,
            device_edge_bandwidth=bandwidth,
            edge_cloud_bandwidth=workloads.LTE.edge_cloud_bandwidth,
        )
        cost, single = _optimal_and_single(problem, objective)
        gains.append(1 - cost / single.min(axis=-1))
        places.append(single.argmin(axis=-1))
    return summary(np.concatenate(gains), np.concatenate(places))


def summary(gain: np.ndarray, best_single: np.ndarray) -> dict[str, Any]:
    """How often and by how much a split beats the best single place.

    Args:
      gain: `[N]` share of the cost of the best single place that the optimum saves.
      best_single: `[N]` that place, 0..2.
    """
    split = gain > _LEAST_GAIN
    return {
        "cases": len(gain),
        "split_share": float(split.mean()),
        "mean_gain_when_split": float(gain[split].mean()) if split.any() else 0.0,
        "max_gain": float(gain[split].max()) if split.any() else 0.0,
        "best_single_share": [float((best_single == place).mean()) for place in oj.Place],
    }


def _gains(rows: list[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    single = np.array([list(row["single_cost"].values()) for row in rows])
    optimal = np.array([row["optimal_cost"] for row in rows])
    return 1 - optimal / single.min(axis=-1), single.argmin(axis=-1)


def describe(decision: list[int]) -> str:
    """A decision as runs of places: `D3 E2 C16`."""
    runs = [(place, len(list(group))) for place, group in itertools.groupby(decision)]
    return " ".join(f"{oj.Place(place).name[0]}{length}" for place, length in runs)


def draw(results: Mapping[str, Any], path: Path, what: str) -> None:
    """Cost of the single places over the optimum, for the mean processors, by condition."""
    rows = [row for row in results["conditions"] if row["processors"] == "mean"]
    labels = [f"{row['network']}\n{row['condition']}" for row in rows]
    with figure(path, size=(12, 4.5)) as (_, axes):
        width = 0.27
        for i, place in enumerate(_PLACES):
            heights = [row["single_cost"][place] / row["optimal_cost"] for row in rows]
            axes.bar(np.arange(len(rows)) + (i - 1) * width, heights, width, label=f"all {place}")
        axes.axhline(1.0, color=PALETTE[-1], linewidth=1, label="exact optimum")
        axes.set_yscale("log")
        axes.set_xticks(range(len(rows)), labels, rotation=90, fontsize=8)
        axes.set_ylabel(f"{what} / optimal {what} (log)")
        axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.12))


def section(results: Mapping[str, Any]) -> str:
    """The part of the report about real tasks, as Markdown."""
    headers = [
        "network",
        "cases",
        "split wins",
        "mean gain where it does",
        "largest gain",
        "else best: device",
        "edge",
        "cloud",
    ]

    def row(name: str, stats: Mapping[str, Any]) -> list[str]:
        shares = [stats["split_share"], stats["mean_gain_when_split"], stats["max_gain"]]
        return [
            name,
            str(stats["cases"]),
            *(f"{100 * share:.1f} %" for share in shares),
            *(f"{100 * share:.0f} %" for share in stats["best_single_share"]),
        ]

    by_network = {
        name: [r for r in results["conditions"] if r["network"] == name]
        for name in results["profiles"]
    }
    named = [row(name, summary(*_gains(rows))) for name, rows in by_network.items()]
    details = [
        [
            r["network"],
            r["processors"],
            r["condition"],
            *(f"{cost:.3f}" for cost in r["single_cost"].values()),
            f"{r['optimal_cost']:.3f}",
            describe(r["decision"]),
        ]
        for r in results["conditions"]
    ]
    parts = [
        "## Real tasks\n",
        "Networks profiled stage by stage with XLA's cost analysis (one 224 × 224 image), solved"
        " exactly for every named network condition and pair of processors. A *split* is an"
        " optimal decision that beats the best single place; where none does, a trivial policy is"
        " already optimal.\n",
        tabulate(named, headers, "pipe"),
        "\n![Single places against the optimum](figures/real_tasks.png)\n",
        "Latency in seconds (or the cost that was asked for); the optimal decision as runs of"
        " stages on device (D), edge (E) and cloud (C).\n",
        tabulate(
            details,
            ["network", "processors", "link", "local", "edge", "cloud", "optimal", "decision"],
            "pipe",
        ),
        "\nSources of the link figures:\n",
        *(f"- {c.name}: {c.source}." for c in workloads.NETWORK_CONDITIONS),
        "",
    ]
    if results["traces"]:
        parts += [
            "### Recorded bandwidth traces\n",
            "Every recorded sample is one request over that bandwidth, for each pair of"
            " processors.\n",
            tabulate([row(n, stats) for n, stats in results["traces"].items()], headers, "pipe"),
            "",
        ]
    return "\n".join(parts)


def main() -> None:
    trace_dir = None if _TRACE_DIR.value is None else Path(_TRACE_DIR.value)
    objective = parse(_OBJECTIVE.value)
    print(section(run(Path(_WORKDIR.value), trace_dir=trace_dir, objective=objective)))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "runs/real_tasks", "Where results go.")
    _TRACE_DIR = flags.DEFINE_string("trace_dir", None, "Folder of recorded bandwidth traces.")
    _OBJECTIVE = define()
    command_line.run(main)
