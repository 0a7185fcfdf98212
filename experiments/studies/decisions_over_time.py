"""Decisions over time: requests while the wireless link follows a bandwidth trace.

Every policy decides on the bandwidth it saw and pays the bandwidth that follows. Writes
results/decisions_over_time.json and figures/decisions_over_time.png.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

import offload_jax as oj
from experiments.paper import evaluation, presets
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax import workloads
from offload_jax.workloads.links.replay import (
    ESTIMATORS,
    clairvoyant,
    recent_costs,
    recent_samples,
    replay_latency,
)

NETWORKS = {"MobileNetV2": workloads.mobilenet_v2, "AlexNet": workloads.alexnet}
# The network gets its image as the float32 tensor that it computes on.
_INPUT_BYTES = 4 * 224 * 224 * 3
_FIXED = ("local", "edge", "cloud")
ROBUST = "optimal, expected cost"


def compute(
    settings: Settings,
    *,
    num_requests: int | None = None,
    interval: float = 1.0,
    window: int = 5,
    at_end: str = "wrap",
    networks: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Replays every trace for every network and policy.

    Latency only: that nothing overtakes on a link is what makes the clairvoyant optimum exact.

    Args:
      settings: of the run; trained policies in its folder take part on the last sample, on the
        best merge to six subtasks. Without a folder of traces there are ten synthetic ones.
      num_requests: requests on each trace, in place of the preset's.
      interval: seconds between requests.
      window: samples that estimators look back on.
      at_end: "wrap" starts a trace again that is too short, "stop" drops the requests after it.
      networks: names out of `NETWORKS`, all if None.

    Returns:
      For each network and policy: requests, mean and median latency, regret against the
      clairvoyant optimum (of the mean latency, over requests that anyone could finish), share of
      decisions that a current bandwidth would have flipped; `example`, a stretch of one trace.

    Raises:
      ValueError: a trace is malformed, or an argument out of range.
    """
    networks = list(NETWORKS) if networks is None else networks
    if settings.trace_dir is None:
        traces = [workloads.markov_trace(settings.seed + i) for i in range(10)]
    else:
        traces = workloads.read_trace_dir(settings.trace_dir)
    loaded = evaluation.load_policies(settings)
    options: dict[str, Any] = {
        "num_requests": num_requests or presets.of(settings).num_replayed,
        "interval": interval,
        "at_end": at_end,
    }

    def compute_all() -> dict[str, Any]:
        results: dict[str, Any] = {"networks": {}}
        for name in networks:
            problem = _problem(NETWORKS[name])
            parts = [
                _replay_all(
                    problem, trace, workloads.request_times(trace, **options), window, loaded
                )
                for trace in tqdm(traces, desc=name, disable=not settings.progress)
            ]
            results["networks"][name] = _summary(parts)
        problem = _problem(NETWORKS[networks[0]])
        results["example"] = _example(problem, _most_varied(traces), options, window)
        return results

    digest = hashlib.sha256()
    for trace in traces:
        digest.update(trace.name.encode() + trace.time.tobytes() + trace.bandwidth.tobytes())
    config = {
        **options,
        "window": window,
        "traces": len(traces),
        "networks": list(networks),
        "digest": digest.hexdigest(),
        "weights": evaluation.digests(loaded),
    }
    return cached(settings.result("decisions_over_time"), config, compute_all)


def _problem(build: Any) -> oj.ChainProblem:
    speeds = workloads.MEAN_SPEEDS
    return workloads.profile_network(build, input_bytes=_INPUT_BYTES).to_problem(
        device_speed=speeds.device_speed,
        edge_speed=speeds.edge_speed,
        device_edge_bandwidth=1.0,
        edge_cloud_bandwidth=workloads.FIXED_BROADBAND_UPLOAD,
    )


def _most_varied(traces: Sequence[workloads.BandwidthTrace]) -> workloads.BandwidthTrace:
    return max(traces, key=lambda trace: float(np.std(np.log(trace.bandwidth + 1e3))))


def _replay_all(
    problem: oj.ChainProblem,
    trace: workloads.BandwidthTrace,
    start: np.ndarray,
    window: int,
    loaded: Mapping[str, oj.policies.Policy],
) -> dict[str, dict[str, np.ndarray]]:
    """Latency, clairvoyant latency and flips `[R]` by policy."""
    rows = {}

    def add(name: str, policy: Any, estimator: str) -> None:
        result = workloads.replay(
            problem, trace, policy, start=start, estimator=estimator, window=window
        )
        rows[name] = {
            "latency": result.latency,
            "best": result.best_latency,
            "flipped": result.flipped,
        }

    for estimator in ESTIMATORS:
        label = "worst case" if estimator == "minimum" else estimator.replace("_", " ")
        add(f"optimal, {label}", oj.policies.optimal, estimator)
    add("greedy, last", oj.policies.greedy, "last")
    for name in _FIXED:
        add(name, getattr(oj.policies, name), "last")
    for name, policy in loaded.items():
        add(f"{name}, last", evaluation.at_any_length(policy), "last")

    samples = recent_samples(trace, start, window=window)
    decision = np.asarray(oj.solve(recent_costs(problem, samples)).decision)
    rows[ROBUST] = {
        "latency": replay_latency(problem, trace, start, decision),
        "best": rows["local"]["best"],
        # What the expected cost prefers is the optimum at the harmonic mean.
        "flipped": rows["optimal, harmonic mean"]["flipped"],
    }
    return rows


def _summary(parts: Sequence[Mapping[str, Mapping[str, np.ndarray]]]) -> dict[str, Any]:
    summary = {}
    for name in parts[0]:
        values = {
            key: np.concatenate([part[name][key] for part in parts]) for key in parts[0][name]
        }
        latency, best = values["latency"], values["best"]
        done = np.isfinite(latency)
        regret = latency[done].mean() / best[done].mean() - 1
        summary[name] = {
            "requests": len(latency),
            "never_done": float(1 - done.mean()),
            "mean": float(latency[done].mean()),
            "median": float(np.median(latency)),
            "p99": float(np.quantile(latency, 0.99, method="higher")),
            "best_mean": float(best[done].mean()),
            "regret": float(regret),
            "flipped": float(values["flipped"].mean()),
        }
    return summary


def _example(
    problem: oj.ChainProblem,
    trace: workloads.BandwidthTrace,
    options: Mapping[str, Any],
    window: int,
) -> dict[str, Any]:
    start = workloads.request_times(trace, **{**options, "num_requests": 120})
    seen = workloads.replay(problem, trace, oj.policies.optimal, start=start, window=window)
    return {
        "trace": trace.name,
        "start": start,
        "time": trace.time - trace.time[0],
        "megabits": trace.bandwidth * 8 / 1e6,
        "last": seen.latency,
        "local": replay_latency(problem, trace, start, np.zeros_like(seen.decision)),
        "best": clairvoyant(problem, trace, start)[1],
    }


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """A stretch of one trace above, what requests took on it below."""
    example = results["example"]
    path, panels = settings.figure("decisions_over_time"), {"nrows": 2, "height_ratios": (1, 1.6)}
    with plots.figure(path, size=(9.0, 5.2), sharex=True, **panels) as (_, (above, below)):
        end = example["start"][-1]
        above.step(example["time"], example["megabits"], where="post", color=plots.PALETTE[7])
        above.set(ylabel="bandwidth (Mbit/s)", yscale="log", xlim=(0, end))
        above.set_title(
            f"{next(iter(results['networks']))} on trace {example['trace']}", loc="left"
        )
        lines = {
            "local": "everything on the device",
            "last": "optimal for the last sample",
            "best": "clairvoyant optimum",
        }
        for (key, label), colour in zip(lines.items(), (7, 3, 0), strict=True):
            below.plot(
                example["start"],
                example[key],
                ":" if key == "local" else "-",
                drawstyle="steps-post",
                color=plots.PALETTE[colour],
                label=label,
            )
        below.set(xlabel="time of the request (s)", ylabel="latency (s)", ylim=(0, None))
        plots.plain_numbers(above.yaxis)
        below.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, 1.18))


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about decisions over time, as Markdown."""
    parts = [
        "## Decisions over time\n",
        "Requests arrive while the wireless link follows a trace. A policy decides on samples that"
        " are over and pays what follows; regret is its mean latency over that of an optimum that"
        " knows the trace, flipped the share of decisions that the bandwidth at the start of the"
        " request would have changed. Cost is linear in 1 / bandwidth, so the decision of least"
        " expected cost over recent samples is the optimum at their harmonic mean, and that of"
        " least worst-case cost the one at their minimum.\n",
    ]
    for name, policies in results["networks"].items():
        rows = [
            [
                policy,
                row["requests"],
                f"{row['mean']:.3f}",
                f"{row['median']:.3f}",
                f"{row['p99']:.2f}",
                f"{100 * row['regret']:.1f} %",
                f"{100 * row['flipped']:.1f} %",
            ]
            for policy, row in sorted(policies.items(), key=lambda item: item[1]["regret"])
        ]
        headers = [
            "policy, estimate",
            "requests",
            "mean s",
            "median s",
            "p99 s",
            "regret",
            "flipped",
        ]
        parts += [f"### {name}\n", tables.markdown(headers, rows), ""]
    return "\n".join([*parts, "![Decisions over time](figures/decisions_over_time.png)\n"])


STAGE = Stage(
    "decisions over time",
    compute,
    section,
    draw,
    latency_only=True,
    options={
        "num_requests": (int, "Requests on each trace."),
        "interval": (float, "Seconds between requests."),
        "window": (int, "Samples that estimators look back on."),
        "at_end": (str, "Where a trace is too short: wrap or stop."),
    },
    flags=("preset", "seed", "progress", "trace_dir", "policy"),
)

if __name__ == "__main__":
    script(STAGE)
