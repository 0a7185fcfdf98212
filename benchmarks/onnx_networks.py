"""Decisions about the networks that the package `onnx` ships for its own tests, as Markdown tables.

Makespans in seconds under four pairs of links, device 2 and edge 40 GFLOP/s, the cloud in no time
as in the paper: the best single place, the rules, the cut, and search within a limit. The cut's own
milliseconds, and how far its makespan is from its lower bound.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line, tables
from offload_jax.graphs._numba.lower_bound import score
from offload_jax.graphs._numba.rules import greedy
from offload_jax.graphs._numba.simulator import compiled
from offload_jax.graphs.request import unpack_rows

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
# Bytes per second between device and edge, edge and cloud.
LINKS = {"2/1": (2e6, 1e6), "10/5": (1e7, 5e6), "50/20": (5e7, 2e7), "0.5/0.5": (5e5, 5e5)}
GIGAFLOPS = 2.0, 40.0


@compiled
def by_rule(request: Any) -> Any:
    """Places and order by the rule "greedy", which compiled code alone can call."""
    return greedy(request)


def costs_of(model: oj.models.Model, bandwidths: tuple[float, float]) -> oj.graphs.GraphCosts:
    """The costs of a network on the three places of the paper."""
    device, edge = (rate * 1e9 / 2 for rate in GIGAFLOPS)
    links = (
        oj.Link("device", "edge", bandwidths[0]),
        oj.Link("edge", "cloud", bandwidths[1]),
    )
    places = (
        oj.Processor("device", device),
        oj.Processor("edge", edge),
        oj.Processor("cloud", servers=None),
    )
    return oj.graphs.network_costs(model.graph, oj.Network(places=places, links=links))


def makespan(costs: oj.graphs.GraphCosts, place: Any, order: Any) -> float:
    """Of one decision, by the compiled loop: a program of JAX would be compiled for each size."""
    (row,) = unpack_rows(costs)
    return float(score(row, np.asarray(place, np.int64), np.asarray(order, np.int64))[0])


def compared(model: oj.models.Model, link: str, limit: float) -> list[Any]:
    """A row of the table."""
    costs = costs_of(model, LINKS[link])
    order = np.arange(costs.num_tasks)
    single = min(makespan(costs, np.full(costs.num_tasks, place), order) for place in range(3))
    (row,) = unpack_rows(costs)
    rule = makespan(costs, *by_rule(row))
    begin = time.perf_counter()
    cut = oj.graphs.solve(costs, method="cut")
    seconds = time.perf_counter() - begin
    search = oj.graphs.solve(costs, method="search", time_limit=limit)
    gap = 100 * (float(cut.cost) / float(cut.lower_bound) - 1)
    label = model.name.removeprefix("light_")
    makespans = (f"{cost:.4f}" for cost in (single, rule, float(cut.cost), float(search.cost)))
    return [label, costs.num_tasks, link, *makespans, f"{seconds * 1e3:.0f}", f"{gap:.1f}"]


def main(values: flags.FlagValues) -> None:
    names = values.networks or sorted(path.stem for path in LIGHT.glob("light_*.onnx"))
    models = [oj.models.read_onnx(LIGHT / f"{name}.onnx") for name in names]
    compared(models[0], "10/5", 0.01)  # compiles
    rows = [compared(model, link, values.time_limit) for model in models for link in LINKS]
    searched = f"search, {values.time_limit:g} s"
    headers = ["network", "tasks", "links, MB/s", "best single place", "greedy", "cut", searched]
    print(tables.markdown([*headers, "cut, ms", "above the bound, %"], rows))


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("networks", None, "Names, as light_vgg19; all if none.", flag_values=values)
    flags.DEFINE_float(
        "time_limit", 1.0, "Seconds of search for each.", lower_bound=0.0, flag_values=values
    )


if __name__ == "__main__":
    command_line.run(main, define)
