"""Real networks over real links: does cutting a network ever beat running it in one place?"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

import offload_jax as oj
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax import workloads
from offload_jax.plot.decision_map import runs

NETWORKS = {
    "AlexNet": workloads.alexnet,
    "VGG16": workloads.vgg16,
    "ResNet-18": workloads.resnet18,
    "ResNet-50": workloads.resnet50,
    "MobileNetV2": workloads.mobilenet_v2,
}
# A split that saves less than this is a tie in float32.
_LEAST_GAIN = 1e-5


def compute(settings: Settings, *, networks: Sequence[str] | None = None) -> dict[str, Any]:
    """Solves every network exactly over named conditions and, if given, recorded traces.

    Args:
      settings: of the run, with the folder of traces.
      networks: names out of `NETWORKS`, all if None.

    Returns:
      `profiles` (per network: operations, bytes), `conditions` (a row for each network, condition
      and pair of processors) and `traces` (per network; empty without traces).

    Raises:
      ValueError: a trace is malformed or the folder holds none.
    """
    networks = list(NETWORKS) if networks is None else networks
    folder, objective = settings.trace_dir, settings.objective
    traces = [] if folder is None else workloads.read_trace_dir(folder)

    def compute_all() -> dict[str, Any]:
        names = tqdm(networks, desc="profiling", disable=not settings.progress)
        profiles = {name: workloads.profile_network(NETWORKS[name]) for name in names}
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
                for name, profile in profiles.items()
                if traces
            },
        }

    config = {
        "networks": list(networks),
        "objective": dataclasses.asdict(objective),
        "flops_per_cycle": workloads.FLOPS_PER_CYCLE,
        "conditions": [
            [c.name, c.device_edge_bandwidth, c.edge_cloud_bandwidth]
            for c in workloads.NETWORK_CONDITIONS
        ],
        "processors": [[s.name, s.device_speed, s.edge_speed] for s in workloads.PROCESSOR_SPEEDS],
        "traces": [[t.name, len(t.time), float(t.bandwidth.sum())] for t in traces],
    }
    return cached(settings.result("real_tasks"), config, compute_all)


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


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Cost of the single places over the optimum, for the mean processors, by condition."""
    rows = [row for row in results["conditions"] if row["processors"] == "mean"]
    labels = [f"{row['network']}\n{row['condition']}" for row in rows]
    with plots.figure(settings.figure("real_tasks"), size=(12, 4.5)) as (_, axes):
        width = 0.27
        for i, place in enumerate(_PLACES):
            heights = [row["single_cost"][place] / row["optimal_cost"] for row in rows]
            axes.bar(np.arange(len(rows)) + (i - 1) * width, heights, width, label=f"all {place}")
        axes.axhline(1.0, color=plots.PALETTE[-1], linewidth=1, label="exact optimum")
        axes.set_yscale("log")
        plots.plain_numbers(axes.yaxis)
        axes.set_xticks(range(len(rows)), labels, rotation=90, fontsize=8)
        axes.set_ylabel(f"{settings.quantity} / optimal {settings.quantity}")
        axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.12))


def section(results: Mapping[str, Any], settings: Settings) -> str:
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
            runs(r["decision"]),
        ]
        for r in results["conditions"]
    ]
    parts = [
        "## Real tasks\n",
        "Networks profiled stage by stage with XLA's cost analysis (one 224 × 224 image), solved"
        " exactly for every named network condition and pair of processors. A *split* is an"
        " optimal decision that beats the best single place; where none does, a trivial policy is"
        " already optimal.\n",
        tables.markdown(headers, named),
        "\n![Single places against the optimum](figures/real_tasks.png)\n",
        f"{settings.quantity.capitalize()} of the single places and of the optimum; `3D 17E` is"
        " three stages on the device, then 17 on the edge.\n",
        tables.markdown(
            ["network", "processors", "link", *_PLACES, "optimal", "decision"],
            details,
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
            tables.markdown(headers, [row(n, stats) for n, stats in results["traces"].items()]),
            "",
        ]
    return "\n".join(parts)


STAGE = Stage("real tasks", compute, section, draw, flags=("objective", "progress", "trace_dir"))

if __name__ == "__main__":
    script(STAGE)
