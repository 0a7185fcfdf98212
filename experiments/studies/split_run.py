"""Split networks run: how far is the predicted latency or period from the clock?

Networks of the package `onnx`, with random weights, are measured on this machine, placed, split and
run by one process for each place, over TCP on the loopback. Writes
results/split_run.json and figures/split_run.png.
"""

import contextlib
import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

import offload_jax as oj
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from experiments.studies import split_processes
from offload_jax.models import onnx_run
from offload_jax.plot.decision_map import runs

NETWORKS = ("squeezenet", "shufflenet", "inception_v1")
PLACES = ("device", "edge", "cloud")
# How many times slower than this machine each place is.
SLOWDOWN = {"device": 40.0, "edge": 8.0, "cloud": 2.0}
OBJECTIVES = ("latency", "period")
# Megabytes per second between device and edge, edge and cloud.
LINKS = {"1/0.5": (1.0, 0.5), "2/1": (2.0, 1.0), "10/5": (10.0, 5.0), "50/20": (50.0, 20.0)}
_ROUND_TRIPS = (0.01, 0.03)
# Requests one by one, the first of which warms up, and as many whose distance is measured.
REQUESTS = {"default": 4, "paper": 21}
_LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
_SEARCH_SECONDS = 1.0


class Decided(NamedTuple):
    """Places and an order."""

    place: np.ndarray
    order: np.ndarray


def three_places(link: str) -> oj.Network:
    """The three places at this machine's speed, joined by the links of that name."""
    rates = [rate * 1e6 for rate in LINKS[link]]
    ends = zip(PLACES, PLACES[1:], rates, _ROUND_TRIPS, strict=False)
    return oj.Network(
        [oj.Processor(name, 1.0) for name in PLACES],
        [oj.Link(a, b, rate, round_trip_time=trip) for a, b, rate, trip in ends],
    )


def costs_of(model: oj.models.Model, link: str, *, by_profile: bool) -> oj.graphs.GraphCosts:
    """Costs with the seconds that were measured, or as many in all by operations."""
    share = model.flops / model.flops.sum()
    seconds = {
        place: times if by_profile else share * times.sum()
        for place, times in model.seconds.items()
    }
    return oj.graphs.network_costs(model.graph, three_places(link), seconds=seconds)


def decide(costs: oj.graphs.GraphCosts, objective: str) -> Decided:
    """What a planner would decide."""
    target = oj.PERIOD if objective == "period" else oj.LATENCY
    found = oj.graphs.solve(costs, objective=target, time_limit=_SEARCH_SECONDS)
    return Decided(np.asarray(found.place, np.int64), np.asarray(found.order, np.int64))


def with_random_weights(source: Path, target: Path) -> None:
    """Writes a light network of the package `onnx`, whose weights are constants, with random ones.

    They have the variance that keeps that of what passes through, so that numbers stay ordinary.
    """
    rng = np.random.default_rng(0)
    file = onnx.load(source)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in file.graph.initializer}
    nodes = [*file.graph.node]
    del file.graph.node[:]
    for node in nodes:
        if node.op_type != "ConstantOfShape":
            file.graph.node.append(node)
            continue
        shape = values[node.input[0]].tolist()
        scale = (2 / max(1, np.prod(shape[1:]))) ** 0.5 if len(shape) > 1 else 0.1
        weights = (
            np.abs(rng.standard_normal(shape)) if len(shape) == 1 else rng.standard_normal(shape)
        )
        array = (scale * weights).astype(np.float32)
        file.graph.initializer.append(onnx.numpy_helper.from_array(array, node.output[0]))
    file.ir_version = 8  # before 4, weights have to be inputs, too
    onnx.save(file, target)


class _Network(NamedTuple):
    """A network that was measured, and a folder for its parts."""

    model: oj.models.Model
    folder: Path


def _processor_time(path: Path, *, optimized: bool) -> float:
    """Seconds of a run of the whole in one thread, as places count them; others do not disturb."""
    session = onnx_run.session(path, optimized=optimized, threads=1)
    (image,) = session.get_inputs()
    inputs = onnx_run.random_inputs({image.name: {"type": "float32", "shape": image.shape}})
    seconds = []
    for _ in range(30):
        begin = time.thread_time()
        session.run(None, inputs)
        seconds.append(time.thread_time() - begin)
    return float(np.median(seconds))


@contextlib.contextmanager
def measured(name: str, *, optimized: bool = False) -> Iterator[_Network]:
    """A network of `NETWORKS` with the times of all places: this machine's, so many times over."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        with_random_weights(_LIGHT / f"light_{name}.onnx", path)
        here = oj.models.measure(path, threads=1, num_runs=30, optimized=optimized)
        whole = _processor_time(path, optimized=optimized)
        profiles = {
            place: oj.models.Profile(
                here.name, {n: times * s for n, s in here.seconds.items()}, times * whole
            )
            for place, times in SLOWDOWN.items()
        }
        yield _Network(oj.models.read_onnx(path).measured(profiles), Path(folder))


def compare(
    network: _Network, link: str, objective: str, num_requests: int, *, optimized: bool = False
) -> list[dict[str, Any]]:
    """Decides by profile and by operations, runs both, and compares with what was predicted.

    Returns:
      A row for each of the two; the same but for `by` if they decide alike.
    """
    model = network.model
    costs = costs_of(model, link, by_profile=True)
    done: dict[tuple[int, ...], dict[str, Any]] = {}
    rows = []
    for by in ("profile", "operations"):
        place, order = decide(costs_of(model, link, by_profile=by == "profile"), objective)
        key = tuple(place.tolist())
        if key not in done:
            folder = network.folder / f"parts_{len([*network.folder.iterdir()])}"
            parts = oj.models.split(model, place, PLACES, folder, order=order)
            latency = float(oj.graphs.simulate(costs, place, order).makespan)
            period = float(oj.graphs.period(costs, place))
            window = math.ceil(latency / period) + 2  # fills the pipeline
            ran = split_processes.run(
                folder,
                three_places(link),
                SLOWDOWN,
                one_by_one=num_requests,
                stream=2 * window + num_requests,
                window=window,
                optimized=optimized,
            )
            done_at = ran["done"]
            done[key] = {
                "place": [*key],
                "parts": len(parts),
                "predicted_latency": latency,
                "latency": float(np.median(ran["seconds"][1:])),
                "predicted_period": period,
                "period": (done_at[-1] - done_at[-1 - num_requests]) / num_requests,
                "predicted_seconds": [
                    float(costs.seconds[place == k, k].sum()) for k in range(len(PLACES))
                ],
                "seconds": [
                    SLOWDOWN[name] * sum(map(float, map(np.median, ran["parts"][name])))
                    for name in PLACES
                ],
            }
        about = {"network": model.name, "links": link, "objective": objective, "by": by}
        rows.append({**about, **done[key]})
    return rows


def compute(
    settings: Settings,
    *,
    networks: Sequence[str] | None = None,
    links: Sequence[str] | None = None,
    requests: int | None = None,
    optimized: int = 0,
) -> dict[str, Any]:
    """Runs every network over all links, for latency and for a stream.

    Args:
      settings: of the run.
      networks: names out of `NETWORKS`, all if None.
      links: names out of `LINKS`, all if None.
      requests: how many run one by one, and of how many in a stream the distance is measured; None
        is the preset's number.
      optimized: 1 lets ONNX Runtime optimise the graphs of parts, and of the whole that scales the
        times of nodes; 0 runs what is written.

    Returns:
      `rows`, see `compare`, and `scale` of each network: a whole run over the sum of its nodes.
    """
    networks = NETWORKS if networks is None else networks
    links = [*LINKS] if links is None else links
    requests = requests or REQUESTS[settings.preset]

    def compute_all() -> dict[str, Any]:
        rows, scale = [], {}
        for name in networks:
            with measured(name, optimized=bool(optimized)) as network:
                scale[name] = network.model.scale[PLACES[0]]
                for link, objective in itertools.product(links, OBJECTIVES):
                    rows += compare(network, link, objective, requests, optimized=bool(optimized))
        return {"rows": rows, "scale": scale, "optimized": optimized}

    config = {
        "networks": [*networks],
        "links": {name: LINKS[name] for name in links},
        "round_trips": _ROUND_TRIPS,
        "slowdown": SLOWDOWN,
        "requests": requests,
        "optimized": optimized,
    }
    return cached(settings.result("split_run"), config, compute_all)


def _ratio(row: Mapping[str, Any], quantity: str) -> float:
    return float(row[f"predicted_{quantity}"] / row[quantity])


def _by_profile(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in results["rows"] if row["by"] == "profile"]


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about split networks, as Markdown."""
    rows = _by_profile(results)
    table = [
        [
            row["network"],
            row["links"],
            row["objective"],
            runs(sorted(row["place"])),
            row["parts"],
            *(f"{1e3 * row[key]:.1f}" for key in ("predicted_latency", "latency")),
            f"{_ratio(row, 'latency'):.3f}",
            *(f"{1e3 * row[key]:.1f}" for key in ("predicted_period", "period")),
            f"{_ratio(row, 'period'):.3f}",
        ]
        for row in rows
    ]
    headers = ["network", "links, MB/s", "decided for", "tasks", "parts"]
    headers += ["latency predicted, ms", "measured", "ratio"]
    headers += ["period predicted, ms", "measured", "ratio"]
    graphs = "optimised" if results["optimized"] else "as written"
    slow = ", ".join(f"{name} {times:g}" for name, times in SLOWDOWN.items())
    return "\n".join(
        [
            "## Split networks on the clock\n",
            "Networks with random weights, measured by ONNX Runtime on this machine with one"
            f" thread, graphs {graphs}, placed, split, and run by one process for each place over"
            " TCP on the loopback. A place sleeps after each part until so many times its processor"
            f" time have passed: {slow}. Links take the time of their bytes, one tensor after the"
            f" other, and half a round trip ({1e3 * _ROUND_TRIPS[0]:g} and"
            f" {1e3 * _ROUND_TRIPS[1]:g} ms).\n",
            *(f"- {_summary(rows, quantity)}" for quantity in OBJECTIVES),
            f"- {_by_operations(results)}\n",
            tables.markdown(headers, table),
            "",
            "![Predicted and measured](figures/split_run.png)\n",
        ]
    )


def _summary(rows: Sequence[Mapping[str, Any]], quantity: str) -> str:
    error = np.array([abs(_ratio(row, quantity) - 1) for row in rows])
    return (
        f"Predicted over measured {quantity}: {100 * np.median(error):.1f} % off in the median,"
        f" {100 * error.max():.1f} % at most."
    )


def _by_operations(results: Mapping[str, Any]) -> str:
    """How often counting operations decides otherwise than measuring them, and what that costs."""
    pairs = [*zip(_by_profile(results), results["rows"][1::2], strict=True)]
    other = [(a, b) for a, b in pairs if a["place"] != b["place"]]
    text = f"Operations instead of times decide otherwise in {len(other)} of {len(pairs)} cases"
    if not other:
        return f"{text}."
    cost = {
        kind: [100 * (b[key(a)] / a[key(a)] - 1) for a, b in other]
        for kind, key in (
            ("predicted", lambda row: f"predicted_{row['objective']}"),
            ("measured", lambda row: row["objective"]),
        )
    }
    listed = (f"{kind} {np.mean(c):.1f} % (at most {max(c):.1f} %)" for kind, c in cost.items())
    return f"{text}, and there cost more by: {', '.join(listed)}."


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Predicted against measured, latency and period."""
    rows = _by_profile(results)
    with plots.figure(settings.figure("split_run"), size=(7.2, 3.6), ncols=2) as (_, panels):
        for axes, quantity in zip(panels, OBJECTIVES, strict=True):
            for index, name in enumerate(dict.fromkeys(row["network"] for row in rows)):
                own = [row for row in rows if row["network"] == name]
                axes.plot(
                    [1e3 * row[f"predicted_{quantity}"] for row in own],
                    [1e3 * row[quantity] for row in own],
                    plots.MARKERS[index],
                    label=name,
                )
            times = [1e3 * row[key] for row in rows for key in (quantity, f"predicted_{quantity}")]
            ends = np.array([min(times) / 1.3, max(times) * 1.3])
            axes.plot(ends, ends, color="0.4", lw=0.8, zorder=0)
            axes.fill_between(ends, 0.9 * ends, 1.1 * ends, color="0.9", zorder=-1)
            axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
            axes.set(xlabel=f"predicted {quantity} (ms)", ylabel=f"measured {quantity} (ms)")
            ticks = [
                m * 10.0**e for e in range(5) for m in (1, 2, 5) if ends[0] < m * 10**e < ends[1]
            ]
            for axis in (axes.xaxis, axes.yaxis):
                plots.plain_numbers(axis, ticks=ticks)
        panels[0].legend()


STAGE = Stage(
    "split networks",
    compute,
    section,
    draw,
    options={
        "requests": (int, "Requests one by one, and as many in a stream."),
        "optimized": (int, "1: let ONNX Runtime optimise graphs; 0: run what is written."),
    },
    flags=("preset",),
    latency_only=True,
)

if __name__ == "__main__":
    script(STAGE)
