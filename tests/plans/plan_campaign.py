"""Plans against brute force and CP-SAT; minutes: python -m pytest tests/plans/plan_campaign.py."""

import itertools
import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest

import offload_jax as oj
from tests import oracle
from tests.plans.test_plan import as_oracle

LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))
CASES = int(os.environ.get("PLAN_CASES", "40"))
# Mbit/s and seconds there and back, of the first link and of the second.
LINKS = [(100, 0.002, 48, 0.02), (20, 0.005, 48, 0.03), (4, 0.03, 20, 0.04), (0.8, 0.08, 8, 0.05)]


def network(num_places: int, links: tuple[float, ...]) -> oj.Network:
    places = (
        oj.Processor("phone", 2e9),
        oj.Processor("edge", 2e10),
        oj.Processor("cloud", 2e11, servers=None),
    )
    ends = itertools.pairwise(("phone", "edge", "cloud"))
    rates = zip(ends, links[::2], links[1::2], strict=True)
    every = [oj.Link(*pair, 1.25e5 * rate, round_trip_time=time) for pair, rate, time in rates]
    return oj.Network(places[:num_places], every[: num_places - 1])


def network_like(rng: np.random.Generator, num_tasks: int) -> oj.graphs.TaskGraph:
    """Layers one after the other, some of them two beside each other, and some that skip."""
    edges, ends, before, task = [], [0], 0, 1
    while task < num_tasks:
        width = 2 if len(ends) == 1 and task + 2 < num_tasks and rng.random() < 0.4 else 1
        block = [*range(task, task + width)]
        edges += [(u, v) for u in ends for v in block]
        if width == 1 and before not in ends and rng.random() < 0.3:
            edges.append((before, task))
        before, ends, task = ends[0], block, task + width
    sizes = rng.uniform(1e4, 1e6, num_tasks)
    return oj.graphs.TaskGraph.from_edges(
        rng.uniform(1e7, 4e8, num_tasks),
        edges,
        [sizes[u] for u, _ in edges],
        input=[6e5, *[0.0] * (num_tasks - 1)],
        output=[*[0.0] * (num_tasks - 1), 4e3],
        send_once=True,
    )


@pytest.mark.parametrize(("num_tasks", "num_places"), [(4, 3), (6, 3), (8, 2), (10, 2)])
def test_no_schedule_is_faster(num_tasks: int, num_places: int) -> None:
    rng = np.random.default_rng([num_tasks, num_places])
    proven = 0
    for case in range(CASES):
        graph, where = network_like(rng, num_tasks), network(num_places, LINKS[case % 4])
        found = oj.plan(graph, where)
        least = oracle.joint_optimum(as_oracle(graph, where))
        assert found.latency == pytest.approx(least, rel=1e-6)
        assert found.lower_bound <= least * (1 + 1e-6)
        proven += found.optimal
    print(f"{num_tasks} layers, {num_places} places: {proven} proven, 0 wrong")


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem[6:])
def test_cpsat_finds_nothing_better_for_20_fused_tasks(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = oj.models.read_onnx(path).fused(20)
    for links in LINKS:
        where = network(3, links)
        found = oj.plan(model, where)
        costs = oj.graphs.network_costs(model.graph, where)
        proof = oj.graphs.solve(costs, method="cpsat", time_limit=10.0)
        assert found.latency <= float(proof.cost) * (1 + 1e-6)
        print(
            f"{path.stem[6:]}: {found.latency:.4f} s, CP-SAT {float(proof.cost):.4f} s",
            found.optimal,
        )
