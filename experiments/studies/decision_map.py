"""Decision maps: the optimal placement of a task over a plane of bandwidths or speeds.

A million exact solves in one compiled call: the problem's fields broadcast, so the task is stored
once and the plane is two vectors. Writes results/decision_map.json and figures/decision_map*.png.
"""

import base64
import dataclasses
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap

import offload_jax as oj
from experiments.paper import presets
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax import workloads

NETWORKS = {"MobileNetV2": workloads.mobilenet_v2, "AlexNet": workloads.alexnet}
# The network gets its image as the float32 tensor that it computes on.
_INPUT_BYTES = 4 * 224 * 224 * 3
_MEGABIT = 1e6 / 8
# Mbit/s of both links, cycles per second of the device.
_BANDWIDTHS = (0.1, 300.0)
_RANDOM_BANDWIDTHS = (1.0, 300.0)
_SPEEDS = (1e8, 4e9)
_BEST = {"latency": "Fastest", "energy": "Most economical"}
# Distinct decisions that get a colour of their own; rarer ones share one.
_MOST_COLOURS = 15
# Rows of the plane solved at once: few enough that a long chain's table stays in cache.
_ROWS = 4

Plane = tuple[Callable[[Any], oj.ChainProblem], np.ndarray, dict[str, Any]]


def planes(size: int, networks: Sequence[str]) -> dict[str, Plane]:
    """The maps by name.

    Args:
      size: points along each axis.
      networks: names out of `NETWORKS`.

    Returns:
      A function from values `[n, 1]` along the y axis to problems of batch shape `[n, size]`, all
      `[size]` values, and what the axes show.
    """
    mean = workloads.MEAN_SPEEDS

    def bandwidths(ends: tuple[float, float]) -> np.ndarray:
        return (np.geomspace(*ends, size) * _MEGABIT).astype(np.float32)

    def links(ends: tuple[float, float]) -> dict[str, Any]:
        return {
            "x": "device–edge bandwidth b₁ (Mbit/s)",
            "y": "edge–cloud bandwidth b₂ (Mbit/s)",
            "x_range": ends,
            "y_range": ends,
        }

    wireless = bandwidths(_BANDWIDTHS)[None]
    speeds = np.geomspace(*_SPEEDS, size).astype(np.float32)
    device = {
        **links(_BANDWIDTHS),
        "y": "device speed p₁ (GHz)",
        "y_range": (_SPEEDS[0] / 1e9, _SPEEDS[1] / 1e9),
    }
    found: dict[str, Plane] = {}
    for name in networks:
        profile = workloads.profile_network(NETWORKS[name], input_bytes=_INPUT_BYTES)

        def over_links(wired: Any, profile: Any = profile) -> oj.ChainProblem:
            return profile.to_problem(
                device_speed=mean.device_speed,
                edge_speed=mean.edge_speed,
                device_edge_bandwidth=wireless,
                edge_cloud_bandwidth=wired,
            )

        def over_speeds(speed: Any, profile: Any = profile) -> oj.ChainProblem:
            return profile.to_problem(
                device_speed=speed,
                edge_speed=mean.edge_speed,
                device_edge_bandwidth=wireless,
                edge_cloud_bandwidth=workloads.LTE.edge_cloud_bandwidth,
            )

        found[name] = (over_links, bandwidths(_BANDWIDTHS), links(_BANDWIDTHS))
        found[f"{name}, device speed"] = (over_speeds, speeds, device)

    task = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 300)[33]
    random_wireless = bandwidths(_RANDOM_BANDWIDTHS)[None]

    def random(wired: Any) -> oj.ChainProblem:
        speeds = mean.device_speed, mean.edge_speed
        return oj.ChainProblem(task.cycles, task.data, *speeds, random_wireless, wired)

    found["random task"] = (random, bandwidths(_RANDOM_BANDWIDTHS), links(_RANDOM_BANDWIDTHS))
    return found


def solve_plane(
    problem_of: Callable[[Any], oj.ChainProblem],
    values: np.ndarray,
    objective: oj.Objective = oj.LATENCY,
) -> tuple[np.ndarray, float, float]:
    """Decisions `[size, size, A]`, seconds to compile and solve, and seconds to solve again."""
    rows = _ROWS if len(values) % _ROWS == 0 else 1

    @jax.jit
    def solve_all(values: Any) -> Any:
        blocks = values.reshape(-1, rows, 1)

        def decide(block: Any) -> Any:
            return oj.solve(problem_of(block), objective=objective).decision

        return jax.lax.map(decide, blocks)

    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        decision = jax.block_until_ready(solve_all(values))
        seconds.append(time.perf_counter() - start)
    decisions = np.asarray(decision).reshape(len(values), -1, decision.shape[-1])
    return decisions, seconds[0], float(np.median(seconds[1:]))


def regions(decisions: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Numbers `[size, size]` of the distinct decisions, and what they are, most frequent first.

    All that rank behind the colours there are get the last number.
    """
    flat = decisions.reshape(-1, decisions.shape[-1])
    # A row as one integer sorts far faster than rows do.
    code = np.zeros(len(flat), np.int64)
    for column in flat.T:
        code = code * 3 + column
    _, first, inverse, count = np.unique(
        code, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(-count, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    most = _MOST_COLOURS if len(order) <= _MOST_COLOURS else _MOST_COLOURS - 1
    rows = [
        {"decision": flat[first[i]].tolist(), "share": float(count[i] / len(flat))}
        for i in order[:most]
    ]
    if len(order) > most:
        rest = float(count[order[most:]].sum() / len(flat))
        rows.append({"decision": None, "number": len(order) - most, "share": rest})
    return np.minimum(rank[inverse], most).reshape(decisions.shape[:-1]), rows


def describe(region: Mapping[str, Any]) -> str:
    """What a legend calls a region: `3D 17E`, `all edge`, `4 others`."""
    decision: Sequence[int] | None = region["decision"]
    if decision is None:
        return f"{region['number']} others"
    if len(set(decision)) == 1:
        return f"all {oj.Place(decision[0]).name.lower()}"
    return tables.describe(decision)


def pack(number: np.ndarray) -> str:
    """A map of small numbers as text; neighbours are alike, so it is short."""
    return base64.b64encode(zlib.compress(number.astype(np.uint8).tobytes())).decode()


def unpack(text: str) -> np.ndarray:
    """The square that was packed."""
    flat = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return flat.reshape(int(flat.size**0.5), -1)


def compute(
    settings: Settings, *, size: int | None = None, networks: Sequence[str] | None = None
) -> dict[str, Any]:
    """Solves every map.

    Args:
      settings: of the run.
      size: points along each axis, in place of the preset's.
      networks: names out of `NETWORKS`, all if None; a random task is always looked at too.

    Returns:
      `maps`: for each map the number of solves, seconds with and without compiling, the regions by
      size, what the axes show, and the packed region of every point.
    """
    networks = list(NETWORKS) if networks is None else networks
    size = size or presets.of(settings).map_size

    def compute_all() -> dict[str, Any]:
        maps = {}
        for name, (problem_of, values, axes) in planes(size, networks).items():
            decisions, first, again = solve_plane(problem_of, values, settings.objective)
            number, rows = regions(decisions)
            maps[name] = {
                "solves": number.size,
                "seconds_with_compilation": first,
                "seconds": again,
                "regions": rows,
                "axes": axes,
                "map": pack(number),
            }
        return {"maps": maps}

    config = {
        "size": size,
        "networks": list(networks),
        "objective": dataclasses.asdict(settings.objective),
    }
    return cached(settings.result("decision_map"), config, compute_all)


def figure_name(name: str) -> str:
    """What the figure of a map is called."""
    plain = "".join(c if c.isalnum() else "_" for c in name.lower().replace(",", ""))
    return f"decision_map_{plain}"


def _colours(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Blue where the device does most, orange for the edge, green for the cloud; grey for others.

    Decisions that are alike get neighbouring shades.
    """
    colours: list[Any] = [(0.6, 0.6, 0.6)] * len(rows)
    hues = {0: "Blues_r", 1: "YlOrBr_r", 2: "Greens_r"}
    groups: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for i, row in enumerate(rows):
        if row["decision"] is not None:
            groups[int(np.bincount(row["decision"], minlength=3).argmax())].append(i)
    for place, members in groups.items():
        members.sort(key=lambda i: -rows[i]["decision"].count(place))
        shades = np.linspace(0.22, 0.78, max(len(members), 2))
        for shade, i in zip(shades, members, strict=False):
            colours[i] = matplotlib.colormaps[hues[place]](shade)
    return colours


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Every map: a colour and a legend entry for each distinct decision."""
    best = _BEST.get(settings.quantity, "Cheapest")
    for name, result in results["maps"].items():
        heading = f"{best} placement: {name}"
        _draw_map(result, heading, settings.figure(figure_name(name)))


def _draw_map(result: Mapping[str, Any], heading: str, path: Path) -> None:
    rows, axes_of, number = result["regions"], result["axes"], unpack(result["map"])
    colours = _colours(rows)
    x, y = (
        np.geomspace(axes_of[key][0], axes_of[key][1], n + 1)
        for key, n in zip(("x_range", "y_range"), number.shape[::-1], strict=True)
    )
    with plots.figure(path, size=(7.4, 4.8)) as (_, axes):
        axes.pcolormesh(
            x,
            y,
            number,
            cmap=ListedColormap(colours),
            norm=BoundaryNorm(np.arange(len(rows) + 1) - 0.5, len(rows)),
            rasterized=True,
        )
        _label_regions(axes, number, rows, colours, x, y)
        axes.set(xscale="log", yscale="log", xlabel=axes_of["x"], ylabel=axes_of["y"])
        axes.grid(False)
        plots.plain_numbers(axes.xaxis)
        plots.plain_numbers(axes.yaxis)
        axes.set_title(heading, loc="left")
        patches = [matplotlib.patches.Patch(facecolor=c, edgecolor="0.3", lw=0.5) for c in colours]
        axes.legend(
            patches,
            [describe(row) for row in rows],
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            title="subtasks on\nDevice, Edge, Cloud",
            alignment="left",
        )


def _label_regions(
    axes: Any,
    number: np.ndarray,
    rows: Sequence[Mapping[str, Any]],
    colours: Sequence[Any],
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    """Writes the decision on regions that are wide enough for it, at their centre of mass."""
    for i, row in enumerate(rows):
        inside_y, inside_x = np.nonzero(number == i)
        centre = int(inside_y.mean()), int(inside_x.mean())
        label = describe(row)
        width = np.ptp(inside_x[inside_y == centre[0]]) if number[centre] == i else 0
        if width < 0.016 * len(label) * number.shape[1] or row["share"] < 0.012:
            continue
        dark = np.dot(colours[i][:3], (0.3, 0.59, 0.11)) < 0.5
        axes.text(
            x[centre[1]],
            y[centre[0]],
            label,
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about decision maps, as Markdown."""
    rows = [
        [
            name,
            result["solves"],
            f"{result['seconds']:.3f}",
            f"{1e9 * result['seconds'] / result['solves']:.0f}",
            len(result["regions"]) - 1 + result["regions"][-1].get("number", 1),
            describe(result["regions"][0]),
            f"{100 * result['regions'][0]['share']:.0f} %",
        ]
        for name, result in results["maps"].items()
    ]
    headers = ["map", "exact solves", "s", "ns each", "decisions", "most common", "share"]
    pictures = [
        f"![Decision map of {name}](figures/{figure_name(name)}.png)\n" for name in results["maps"]
    ]
    return "\n".join(
        [
            "## Decision maps\n",
            "The optimal placement over a plane, every point solved exactly in one call; seconds"
            " after compilation. `3D 17E` is three subtasks on the device, then 17 on the edge.\n",
            tables.markdown(headers, rows),
            "",
            *pictures,
        ]
    )


STAGE = Stage(
    "decision maps",
    compute,
    section,
    draw,
    options={"size": (int, "Points along each axis.")},
    flags=("preset", "objective"),
)

if __name__ == "__main__":
    script(STAGE)
