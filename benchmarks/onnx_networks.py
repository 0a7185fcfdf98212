"""Decisions about the networks that the package `onnx` ships for its own tests, as Markdown tables.

Makespans in seconds under eight pairs of links, device 2 and edge 40 GFLOP/s, the cloud in no time
as in the paper: the best single place, the rule, the cut, and "auto" within a limit. The best known
is the shortest of these, of HEFT, and of what search finds in more time from what "auto" found.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from absl import flags

import offload_jax as oj
from experiments.reporting import command_line, tables

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
# Bytes per second between device and edge, edge and cloud.
LINKS = {
    "0.5/0.5": (5e5, 5e5),
    "2/1": (2e6, 1e6),
    "2/20": (2e6, 2e7),
    "10/5": (1e7, 5e6),
    "10/100": (1e7, 1e8),
    "50/2": (5e7, 2e6),
    "50/20": (5e7, 2e7),
    "100/100": (1e8, 1e8),
}
GIGAFLOPS = 2.0, 40.0
# Relative: of float32, in which a solution has its cost; and within which a cost counts as proven.
ROUNDING, PROVEN = 1e-6, 1e-5


class Row(NamedTuple):
    """Seconds of what each method finds for a network; see the headers of the table."""

    network: str
    tasks: int
    links: str
    single: float
    greedy: float
    cut: float
    auto: float
    best_known: float
    lower_bound: float
    seconds: float


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


def compared(model: oj.models.Model, link: str, limit: float, more: float) -> Row:
    """What each method finds for a network; the best known is that of all and of `more` seconds."""
    costs = costs_of(model, LINKS[link])
    places = np.repeat(np.arange(3)[:, None], costs.num_tasks, axis=1)
    single = float(oj.graphs.simulate(costs, places, np.arange(costs.num_tasks)).makespan.min())
    rule, heft, cut = (
        float(oj.graphs.solve(costs, method=name).cost) for name in ("greedy", "heft", "cut")
    )
    begin = time.perf_counter()
    auto = oj.graphs.solve(costs, time_limit=limit)
    seconds = time.perf_counter() - begin
    known = [single, rule, heft, cut, cost := float(auto.cost)]
    if more:
        known.append(float(oj.graphs.solve(costs, time_limit=more, start=auto, seed=1).cost))
    label = model.name.removeprefix("light_")
    bound = float(auto.lower_bound)
    return Row(
        label, costs.num_tasks, link, single, rule, cut, cost, min(known) / cost, bound, seconds
    )


def main(values: flags.FlagValues) -> None:
    names = values.networks or sorted(path.stem for path in LIGHT.glob("light_*.onnx"))
    models = [oj.models.read_onnx(LIGHT / f"{name}.onnx") for name in names]
    compared(models[0], "10/5", 0.01, 0.0)  # compiles, and so does what no proof ends
    oj.graphs.solve(costs_of(models[0], LINKS["10/5"]), method="search")
    rows = [
        compared(model, link, values.time_limit, values.more) for model in models for link in LINKS
    ]
    headers = ["network", "tasks", "links, MB/s", "best single place", "greedy", "cut", "auto"]
    headers += ["best known over auto", "lower bound", "auto, s"]
    print(tables.markdown(headers, [list(row) for row in rows], digits=4))
    excess = np.array([1 / row.best_known for row in rows])
    worse = sum(row.auto > min(row.single, row.cut) * (1 + ROUNDING) for row in rows)
    proven = sum(row.auto <= row.lower_bound * (1 + PROVEN) for row in rows)
    longest = max(row.seconds for row in rows)
    print(
        f"\nauto within {values.time_limit:g} s: worse than a single place or the cut in {worse} of"
        f" {len(rows)}; over the best known {excess.mean():.5f} on average, {excess.max():.5f} at"
        f" most; proven to {PROVEN:g} by its lower bound in {proven}; {longest:.2f} s at most"
    )


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("networks", None, "Names, as light_vgg19; all if none.", flag_values=values)
    flags.DEFINE_float(
        "time_limit", 1.0, 'Seconds of "auto" for each.', lower_bound=0.0, flag_values=values
    )
    flags.DEFINE_float(
        "more", 2.0, "Seconds of search after it.", lower_bound=0.0, flag_values=values
    )


if __name__ == "__main__":
    command_line.run(main, define)
