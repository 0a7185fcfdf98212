"""What SAGA is given is the same graph; the package is not needed."""

import types

import jax
import numpy as np
import pytest

import offload_jax as oj
from benchmarks.peers import task_graphs


def test_a_schedule_becomes_a_decision() -> None:
    """The order is that of starts, ties by number; what was added to the graph is left out."""

    def task(name: str, node: str, start: float) -> types.SimpleNamespace:
        return types.SimpleNamespace(name=name, node=node, start=start)

    mapping = {
        "edge": [task("__super_source__", "edge", 0.0), task("0", "edge", 0.0)],
        "cloud": [task("2", "cloud", 1.0), task("1", "cloud", 1.0)],
        "device": [],
    }
    scheduler = types.SimpleNamespace(
        schedule=lambda network, graph: types.SimpleNamespace(mapping=mapping)
    )
    place, order = task_graphs.saga_decision(scheduler, None, None, 3)
    assert place.tolist() == [1, 2, 2]
    assert order.tolist() == [0, 1, 2]


def test_nothing_moves_at_one_place() -> None:
    """And links that carry any number of transfers are no slower."""
    key, scenario = jax.random.key(17), oj.graphs.scenarios.layered(12)
    problem = jax.tree.map(np.asarray, oj.graphs.scenarios.sample(key, scenario, 2))[1]
    one = task_graphs.instance(problem)
    for place, speed in enumerate(one.speeds):
        expected = float(problem.cycles.sum()) / speed
        for costs in (one.serial, one.free):
            makespan = oj.graphs.simulate(costs, np.full(12, place), np.arange(12)).makespan
            assert float(makespan) == pytest.approx(expected, rel=1e-5)
    spread = np.random.default_rng(16).integers(0, 3, (50, 12))
    serial, free = (
        np.asarray(oj.graphs.simulate(costs, spread, np.arange(12)).makespan)
        for costs in (one.serial, one.free)
    )
    assert serial.mean() > free.mean()


def test_heft_is_that_of_saga() -> None:
    """Both plan the same makespan where links are not serial, but for ties."""
    saga = pytest.importorskip("saga")
    del saga
    from saga.schedulers import HeftScheduler

    for one in task_graphs.instances(12, 5):
        theirs = HeftScheduler().schedule(*task_graphs.saga_instance(one)).makespan
        ours = oj.graphs.solve(one.free, method="heft")
        assert theirs == pytest.approx(float(ours.cost), rel=0.25)
