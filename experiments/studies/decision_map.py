"""Decision maps: the optimal placement of a task over a plane of bandwidths or speeds.

A million exact solves in one compiled call: the problem's fields broadcast, so the task is stored
once and the plane is two vectors. Writes results/decision_map.json and figures/decision_map*.png.
"""

import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
from absl import flags
from matplotlib.colors import BoundaryNorm, ListedColormap
from tabulate import tabulate

import offload_jax as oj
from experiments.reporting import command_line
from experiments.reporting.artifacts import cached
from experiments.reporting.objective import define, parse, quantity
from experiments.reporting.plotting import figure
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
    """`3D 17E`: three subtasks on the device, then 17 on the edge."""
    decision: Sequence[int] | None = region["decision"]
    if decision is None:
        return f"{region['number']} others"
    runs = [(place, len(list(group))) for place, group in itertools.groupby(decision)]
    if len(runs) == 1:
        return f"all {oj.Place(runs[0][0]).name.lower()}"
    return " ".join(f"{length}{oj.Place(place).name[0]}" for place, length in runs)


def run(
    workdir: Path,
    *,
    size: int = 1000,
    networks: Sequence[str] = tuple(NETWORKS),
    objective: oj.Objective = oj.LATENCY,
) -> dict[str, Any]:
    """Solves and draws every map.

    Args:
      workdir: gets `results/decision_map.json` and `figures/decision_map*.png`.
      size: points along each axis.
      networks: names out of `NETWORKS`; a random task is always drawn too.
      objective: what placements minimise.

    Returns:
      For each map: the number of solves, seconds with and without compiling, the regions by size.
    """
    folder = workdir / "figures"

    def compute() -> dict[str, Any]:
        results = {}
        for name, (problem_of, values, axes) in planes(size, networks).items():
            decisions, first, again = solve_plane(problem_of, values, objective)
            number, rows = regions(decisions)
            axes = {**axes, "best": _BEST.get(quantity(objective), "Cheapest")}
            draw(number, rows, axes, title=name, path=folder / file_name(name))
            results[name] = {
                "solves": number.size,
                "seconds_with_compilation": first,
                "seconds": again,
                "regions": rows,
            }
        return results

    return cached(
        workdir / "results" / "decision_map.json",
        {
            "size": size,
            "networks": list(networks),
            "objective": dataclasses.asdict(objective),
            "input_bytes": _INPUT_BYTES,
            "ranges": [_BANDWIDTHS, _RANDOM_BANDWIDTHS, _SPEEDS],
        },
        compute,
    )


def file_name(name: str) -> str:
    """The file of a map."""
    plain = "".join(c if c.isalnum() else "_" for c in name.lower().replace(",", ""))
    return f"decision_map_{plain}.png"


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


def draw(
    number: np.ndarray,
    rows: Sequence[Mapping[str, Any]],
    axes_of: Mapping[str, Any],
    *,
    title: str,
    path: Path,
) -> None:
    """Draws one map: a colour and a legend entry for each distinct decision."""
    colours = _colours(rows)
    x, y = (
        np.geomspace(axes_of[key][0], axes_of[key][1], n + 1)
        for key, n in zip(("x_range", "y_range"), number.shape[::-1], strict=True)
    )
    with figure(path, size=(7.4, 4.8)) as (_, axes):
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
        plain = matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_major_formatter(plain)
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axes.set_title(f"{axes_of['best']} placement of {title.split(',')[0]}", loc="left")
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


def section(results: Mapping[str, Any]) -> str:
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
        for name, result in results.items()
    ]
    headers = ["map", "exact solves", "s", "ns each", "decisions", "most common", "share"]
    pictures = [f"![Decision map of {name}](figures/{file_name(name)})\n" for name in results]
    return "\n".join(
        [
            "## Decision maps\n",
            "The optimal placement over a plane, every point solved exactly in one call; seconds"
            " after compilation. `3D 17E` is three subtasks on the device, then 17 on the edge.\n",
            tabulate(rows, headers, "pipe"),
            "",
            *pictures,
        ]
    )


def main() -> None:
    results = run(Path(_WORKDIR.value), size=_SIZE.value, objective=parse(_OBJECTIVE.value))
    if _PICTURE.value is not None:
        first = Path(_WORKDIR.value) / "figures" / file_name(next(iter(results)))
        Path(_PICTURE.value).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(first, _PICTURE.value)
    print(section(results))


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string("workdir", "runs/reproduce", "Where results go.")
    _PICTURE = flags.DEFINE_string("picture", None, "Also copy the first map to this file.")
    _SIZE = flags.DEFINE_integer("size", 1000, "Points along each axis.", lower_bound=2)
    _OBJECTIVE = define()
    command_line.run(main)
