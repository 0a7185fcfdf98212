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
import numpy as np

import offload_jax as oj
from experiments.paper import presets
from experiments.reporting import plots, tables
from experiments.reporting.results import cached
from experiments.reporting.stage import Settings, Stage, script
from offload_jax import workloads
from offload_jax.plot.decision_map import Region, labels, regions
from offload_jax.plot.decision_map import draw as draw_regions

NETWORKS = {"MobileNetV2": workloads.mobilenet_v2, "AlexNet": workloads.alexnet}
# The network gets its image as the float32 tensor that it computes on.
_INPUT_BYTES = 4 * 224 * 224 * 3
_MEGABIT = 1e6 / 8
# Mbit/s of both links, cycles per second of the device.
_BANDWIDTHS = (0.1, 300.0)
_RANDOM_BANDWIDTHS = (1.0, 300.0)
_SPEEDS = (1e8, 4e9)
_BEST = {"latency": "Fastest", "energy": "Most economical"}
_PLACES = tuple(place.name.lower() for place in oj.Place)
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
            number, found = regions(decisions)
            maps[name] = {
                "solves": number.size,
                "seconds_with_compilation": first,
                "seconds": again,
                "regions": [region._asdict() for region in found],
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


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """Every map: a colour and a legend entry for each distinct decision."""
    best = _BEST.get(settings.quantity, "Cheapest")
    for name, result in results["maps"].items():
        heading = f"{best} placement: {name}"
        _draw_map(result, heading, settings.figure(figure_name(name)))


def _draw_map(result: Mapping[str, Any], heading: str, path: Path) -> None:
    axes_of, number = result["axes"], unpack(result["map"])
    (low, high), (bottom, top) = axes_of["x_range"], axes_of["y_range"]
    x, y = np.geomspace(low, high, number.shape[1]), np.geomspace(bottom, top, number.shape[0])
    with plots.figure(path, size=(7.4, 4.8)) as (_, axes):
        draw_regions(axes, number, _regions(result), x, y, _PLACES)
        axes.set(xlabel=axes_of["x"], ylabel=axes_of["y"])
        axes.set_title(heading, loc="left")


def _regions(result: Mapping[str, Any]) -> list[Region]:
    return [
        Region(
            None if row["decision"] is None else tuple(row["decision"]), row["share"], row["number"]
        )
        for row in result["regions"]
    ]


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about decision maps, as Markdown."""
    rows = [
        [
            name,
            result["solves"],
            f"{result['seconds']:.3f}",
            f"{1e9 * result['seconds'] / result['solves']:.0f}",
            sum(region["number"] for region in result["regions"]),
            labels(_regions(result), _PLACES)[0],
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
