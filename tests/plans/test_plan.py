"""Plans against brute force, and what they say of a task on a network."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offload_jax as oj
from offload_jax.plans.front import front
from tests import oracle
from tests.typecheck import unchecked

NETWORK = oj.Network(
    (
        oj.Processor("phone", 1e9, watts=2.0, memory=1e6),
        oj.Processor("edge", 4e9, servers=2, watts=50.0),
        oj.Processor("cloud", 2e10),
    ),
    (
        oj.Link("phone", "edge", 2e6, 4e6, round_trip_time=0.02),
        oj.Link("edge", "cloud", 1e6, round_trip_time=0.1),
    ),
)
# All data between phone and cloud on a link of its own: a triangle, no row.
TRIANGLE = dataclasses.replace(
    NETWORK, links=(*NETWORK.links, oj.Link("phone", "cloud", 8e5, round_trip_time=0.03))
)


def random_graph(rng: np.random.Generator, num_tasks: int) -> oj.graphs.TaskGraph:
    """A few megacycles and megabytes; results are sent once."""
    depends = np.triu(rng.random((num_tasks, num_tasks)) < 0.5, 1)
    sizes = rng.uniform(1e4, 2e6, num_tasks)
    edges = np.argwhere(depends)
    return oj.graphs.TaskGraph.from_edges(
        rng.uniform(1e8, 2e9, num_tasks),
        edges,
        sizes[edges[:, 0]],
        input=rng.uniform(1e4, 2e6, num_tasks) * ~depends.any(0),
        output=rng.uniform(1e3, 1e6, num_tasks) * ~depends.any(1),
        send_once=True,
    )


def as_oracle(graph: oj.graphs.TaskGraph, network: oj.Network) -> oracle.Graph:
    costs = oj.graphs.network_costs(graph, network)
    return oracle.Graph(
        seconds=tuple(map(tuple, np.asarray(costs.seconds).tolist())),
        edges={
            (u, v): d for (u, v), d in zip(graph.edges.tolist(), graph.data.tolist(), strict=True)
        },
        input=tuple(graph.input.tolist()),
        output=tuple(graph.output.tolist()),
        release=(0.0,) * graph.num_tasks,
        seconds_per_byte=tuple(np.asarray(costs.seconds_per_byte).tolist()),
        startup=tuple(np.asarray(costs.startup).tolist()),
        routes=costs.routes,
        servers=costs.servers,
        serial=costs.serial,
        send_once=graph.send_once,
    )


@pytest.mark.parametrize("network", [NETWORK, TRIANGLE], ids=["row", "triangle"])
def test_no_schedule_of_a_graph_is_faster(network: oj.Network) -> None:
    rng = np.random.default_rng(1)
    for _ in range(6):
        graph = random_graph(rng, 4)
        known = as_oracle(graph, network)
        found = oj.plan(graph, network)
        least = oracle.joint_optimum(known)
        assert found.latency == pytest.approx(least, rel=1e-6)
        assert found.optimal
        assert found.lower_bound == pytest.approx(least, rel=1e-6)
        assert found.period == pytest.approx(oj_period(known, found.place.tolist()))


def oj_period(graph: oracle.Graph, place: list[int]) -> float:
    loads = [
        sum(graph.seconds[v][k] for v in graph.tasks if place[v] == k) / (graph.servers[k] or 1)
        for k in graph.places
    ]
    hops = oracle.simulate_graph(graph, place, range(len(place))).transfers.values()
    for link in range(len(graph.serial)):
        loads.append(sum(end - start for moved in hops for at, start, end in moved if at == link))
    return max(loads)


def chain(rng: np.random.Generator, length: int) -> oj.workloads.TaskProfile:
    names = tuple(f"stage {number}" for number in range(length))
    flops, data = rng.uniform(1e8, 4e9, length), rng.uniform(1e4, 3e6, length + 1)
    return oj.workloads.TaskProfile("chain", names, flops, data)


@pytest.mark.parametrize("network", [NETWORK, TRIANGLE], ids=["row", "triangle"])
def test_no_decision_about_a_chain_is_faster(network: oj.Network) -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        task = chain(rng, 5)
        costs = oj.network_costs(task, network)
        found = oj.plan(task, network)
        _, least = oracle.table_optimum(costs.execution, costs.transfer)
        assert found.latency == pytest.approx(least, rel=1e-6)
        assert found.optimal and found.names == task.stage_names


def measured(rng: np.random.Generator) -> oj.MeasuredTask:
    names = ("conv", "conv", "head")
    seconds = rng.uniform(0.01, 1.0, (3, 3))
    seconds[2, 2] = math.inf
    return oj.MeasuredTask("cam", names, NETWORK.place_names, seconds, rng.uniform(1e4, 2e6, 4))


def test_measured_tables_and_chain_problems_are_planned() -> None:
    rng = np.random.default_rng(3)
    task = measured(rng)
    costs = oj.network_costs(task, NETWORK)
    found = oj.plan(task, NETWORK)
    assert found.latency == pytest.approx(
        oracle.table_optimum(costs.execution, costs.transfer)[1], rel=1e-6
    )
    assert found.names == ("conv", "conv #2", "head")
    assert found.totals["cloud"].latency == math.inf
    # The first example of README: 2.20 s on the edge.
    problem = oj.ChainProblem([8e8, 1.2e9, 4e8], [2e6, 4e6, 1e6, 1e5], 5e8, 3e9, 1.5e6, 2e6)
    found = oj.plan(problem)
    assert found.place.tolist() == [1, 1, 1]
    assert found.latency == pytest.approx(2.2)
    # Bytes over the bandwidth, both ways, and cycles over the speed.
    assert found.period == pytest.approx(2e6 / 1.5e6)
    assert found.energy is None
    # On the device it takes 4.8 s, at the edge 2.1e6 B / b + 0.8 s.
    assert found.flips is not None
    assert found.flips[0].below == pytest.approx(2.1e6 / 4.0)
    assert found.flips[0].above == math.inf
    # In the cloud the same data moves twice: 2.1e6 / 1.5e6 + 2.1e6 / b is 2.2 s.
    assert found.flips[1] == (1, 0.0, pytest.approx(2.1e6 / 0.8))


def test_segments_totals_and_energy_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(4)
    for _ in range(4):
        graph = random_graph(rng, 6)
        found = oj.plan(graph, NETWORK)
        assert sorted(v for one in found.segments for v in one.layers) == [*range(6)]
        assert [one.start for one in found.segments] == sorted(one.start for one in found.segments)
        speeds = np.array([place.speed for place in NETWORK.places])
        seconds = graph.cycles / speeds[found.place]
        assert sum(one.seconds for one in found.segments) == pytest.approx(seconds.sum())
        watts = np.array([2.0, 50.0, 0.0])
        assert found.energy == pytest.approx(float(watts[found.place] @ seconds))
        known = as_oracle(graph, NETWORK)
        for place, name in enumerate(NETWORK.place_names):
            single = oracle.simulate_graph(known, [place] * 6, range(6)).makespan
            assert found.totals[name].latency <= single * (1 + 1e-12)
            assert found.latency <= found.totals[name].latency * (1 + 1e-12)
        # What leaves a place for others is what some other place needs of it, once.
        sent = sum(one.num_bytes for segment in found.segments for one in segment.sent)
        wanted = {(u, found.place[v]) for u, v in graph.edges.tolist()}
        size = {u: d for (u, _), d in zip(graph.edges.tolist(), graph.data.tolist(), strict=True)}
        moved = sum(size[u] for u, k in wanted if found.place[u] != k)
        back = float(graph.output[found.place > 0].sum())
        assert sent == pytest.approx(moved + back)
        assert sum(one.num_bytes for one in found.inputs) == pytest.approx(
            float(graph.input[found.place > 0].sum())
        )


def test_plans_are_stored_and_read_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for what in (random_graph(rng, 5), chain(rng, 4), measured(rng)):
        found = oj.plan(what, NETWORK)
        found.save(tmp_path / "plan.json")
        again = oj.Plan.load(tmp_path / "plan.json")
        assert again.to_json() == found.to_json()
        assert str(again) == str(found)
        assert again.source is None
        for field in dataclasses.fields(oj.Plan):
            if field.name != "source":
                one, other = getattr(again, field.name), getattr(found, field.name)
                same = np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
                assert same, field.name
    content = json.loads((tmp_path / "plan.json").read_text())
    assert content["network"]["places"][0]["memory"] == 1e6


def test_damaged_plans_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    oj.plan(chain(np.random.default_rng(6), 3), NETWORK).save(path)
    content = json.loads(path.read_text())
    texts = ["", "[]", "{}", "nonsense", json.dumps({**content, "format": "offload-jax plan 0"})]
    texts += [json.dumps({k: v for k, v in content.items() if k != left}) for left in content]
    texts += [json.dumps({**content, key: 7}) for key in ("network", "segments", "totals")]
    texts.append(path.read_text()[:500])
    for text in texts:
        path.write_text(text)
        with pytest.raises(ValueError, match=r"plan\.json: ") as error:
            oj.Plan.load(path)
        assert "\n" not in str(error.value)


def test_the_table_says_all_of_it() -> None:
    task = oj.workloads.TaskProfile(
        "tiny", ("conv", "head"), np.array([2e8, 4e9]), np.array([4e6, 1e5, 1e3])
    )
    near = oj.Network(NETWORK.places[:2], NETWORK.links[:1])
    found = oj.plan(task, near)
    # 0.1 s on the phone; 0.05 s + 0.01 s for the bytes, 0.5 s at the edge, 0.25 ms + 0.01 s back.
    # The phone alone takes 2.1 s, as the plan where (1e5 + 1e3 / 2) B / b = 2.1 - 0.62 s, and the
    # edge alone takes as long as the plan where (4e6 - 1e5) B / b = 0.1 s - 0.025 s.
    assert repr(found) == "Plan('tiny', 2 layers, 2 segments, 670.2 ms)"
    assert (
        str(found)
        == """\
tiny: latency 670.2 ms, nothing is better

place  layers  first  last  computes  leaves
phone  1       conv   conv  100 ms    100 kB to edge
edge   1       head   head  500 ms    1 kB to phone

              latency   period  energy
this plan     670.2 ms  250 ms  25.2 J
all on phone  2.1 s     2.1 s   4.2 J
all on edge   2.545 s   2 s     26.25 J

phone to edge, now 16 Mbit/s: the plan changes below 543.2 kbit/s and above 416 Mbit/s"""
    )


def test_layers_stay_where_they_are_allowed() -> None:
    rng = np.random.default_rng(7)
    for _ in range(3):
        graph = random_graph(rng, 4)
        found = oj.plan(graph, NETWORK, allowed={"0": ["phone"], "[12]": ["edge", "cloud"]})
        assert found.place[0] == 0
        assert set(found.place[1:3]) <= {1, 2}
        known = as_oracle(graph, NETWORK)
        seconds = [list(row) for row in known.seconds]
        for layer, place in ((0, 1), (0, 2), (1, 0), (2, 0)):
            seconds[layer][place] = math.inf
        least = oracle.joint_optimum(known._replace(seconds=tuple(map(tuple, seconds))))
        assert found.latency == pytest.approx(least, rel=1e-6)


def every_placement(graph: oj.graphs.TaskGraph) -> list[np.ndarray]:
    return [np.array(place) for place in itertools.product(range(3), repeat=graph.num_tasks)]


def test_no_placement_has_a_shorter_period() -> None:
    rng = np.random.default_rng(9)
    for _ in range(3):
        graph = random_graph(rng, 4)
        known = as_oracle(graph, NETWORK)
        found = oj.plan(graph, NETWORK, objective=oj.PERIOD)
        least = min(oj_period(known, place.tolist()) for place in every_placement(graph))
        assert found.objective == "period" and found.flips is None
        assert found.cost == found.period == pytest.approx(least, rel=1e-6)
        assert found.lower_bound <= least * (1 + 1e-6)


def test_least_energy_before_a_deadline() -> None:
    rng = np.random.default_rng(10)
    watts, speeds = np.array([2.0, 50.0, 0.0]), np.array([1e9, 4e9, 2e10])
    for _ in range(3):
        graph = random_graph(rng, 4)
        known = as_oracle(graph, NETWORK)
        # So soon that the cloud alone is too late, if it can be.
        soon = 1.1 * oracle.joint_optimum(known)
        found = oj.plan(graph, NETWORK, objective=oj.ENERGY, max_latency=soon)
        assert found.latency <= soon * (1 + 1e-6)
        joules = {
            tuple(place): float(watts[place] @ (graph.cycles / speeds[place]))
            for place in every_placement(graph)
        }
        in_time = []
        for place in joules:
            seconds = [
                [s if k == at else math.inf for k, s in enumerate(row)]
                for row, at in zip(known.seconds, place, strict=True)
            ]
            forced = known._replace(seconds=tuple(map(tuple, seconds)))
            if min(in_time, default=math.inf) <= joules[place]:
                continue
            if oracle.joint_optimum(forced) <= soon:
                in_time.append(joules[place])
        assert found.energy == pytest.approx(min(in_time), rel=1e-6)


def test_latency_energy_and_period_are_weighed_and_limited() -> None:
    """A chain of three stages over three places, against all 27 placements."""
    rng = np.random.default_rng(11)
    watts = np.array([2.0, 50.0, 0.0])
    task = chain(rng, 3)
    costs = oj.network_costs(task, NETWORK)
    graph = as_oracle(_path(task), NETWORK)
    every = {}
    for place in itertools.product(range(3), repeat=3):
        latency = oracle.table_cost(costs.execution, costs.transfer, place)
        joules = float(sum(watts[k] * costs.execution[t, k] for t, k in enumerate(place)))
        every[place] = latency, joules, oj_period(graph, list(place))
    latencies, energies, periods = map(np.array, zip(*every.values(), strict=True))
    found = oj.plan(task, NETWORK, objective=oj.Objective(2.0, 0.05))
    assert found.objective == "weighted" and found.optimal
    assert found.cost == pytest.approx((2 * latencies + 0.05 * energies).min(), rel=1e-6)
    assert str(found).startswith("chain: 2 latency + 0.05 energy = ")
    most = float(np.median(energies))
    found = oj.plan(task, NETWORK, max_energy=most)
    assert found.latency == pytest.approx(latencies[energies <= most].min(), rel=1e-6)
    most = float(np.median(periods))
    found = oj.plan(task, NETWORK, objective=oj.ENERGY, max_period=most)
    assert found.energy == pytest.approx(energies[periods <= most].min(), rel=1e-6)
    for against, others in (("energy", energies), ("period", periods)):
        points = front(task, NETWORK, against=against)
        best = sorted(zip(latencies, others, strict=True))
        kept = [p for i, p in enumerate(best) if all(p[1] < q for _, q in best[:i])]
        np.testing.assert_allclose(np.stack(points.points[:2], 1), kept, 1e-6)
        assert f"{len(kept)} of {len(kept)} proven" in str(points)


def _path(task: oj.workloads.TaskProfile) -> oj.graphs.TaskGraph:
    ends = np.zeros((2, len(task.flops)))
    ends[0, 0], ends[1, -1] = task.data[0], task.data[-1]
    edges = [(t, t + 1) for t in range(len(task.flops) - 1)]
    return oj.graphs.TaskGraph.from_edges(
        task.flops / 2, edges, task.data[1:-1], input=ends[0], output=ends[1]
    )


def test_weights_have_to_fit() -> None:
    """Three stages of 0.6 MB where each place holds 1 MB: each is somewhere else."""
    limits = {"edge": 1e6, "cloud": 1e6}
    costs = oj.network_costs(WEIGHTS, NETWORK)
    latency = {
        place: oracle.table_cost(costs.execution, costs.transfer, place)
        for place in itertools.permutations(range(3))
    }
    found = oj.plan(WEIGHTS, NETWORK, max_memory=limits)
    assert found.latency == pytest.approx(min(latency.values()), rel=1e-6)
    assert latency[tuple(found.place.tolist())] == pytest.approx(found.latency)
    # Without limits but that of the phone, 1 MB, not all of them are there.
    free = oj.plan(WEIGHTS, NETWORK)
    assert free.latency < found.latency
    assert np.bincount(free.place, WEIGHTS.memory)[0] <= 1e6


MODEL_LIKE = chain(np.random.default_rng(8), 3)
WEIGHTS = oj.models.ModelChain(
    "net",
    ("a", "b", "c"),
    np.full(3, 1e9),
    np.full(4, 1e5),
    np.full(3, 6e5),
    ((),) * 3,
    (("x",),) * 4,
)
SMALL_CHAIN = oj.ChainProblem([1e9], [1e6, 1e6], 1e9, 1e9, 1e6, 1e6)
BAD: dict[str, Callable[[], Any]] = {
    "plan: takes a Model, TaskGraph, .* got int": lambda: unchecked(oj.plan)(3, NETWORK),
    "network: needed, for only a ChainProblem has one": lambda: oj.plan(MODEL_LIKE),
    "network: must be a Network, got str": lambda: unchecked(oj.plan)(MODEL_LIKE, "net.toml"),
    "one request at a time, got a batch": lambda: oj.plan(
        oj.ChainProblem([[1e9]] * 2, [1e6, 1e6], 1e9, 1e9, 1e6, 1e6)
    ),
    "network: one at a time, got a batch": lambda: oj.plan(
        MODEL_LIKE,
        dataclasses.replace(
            NETWORK, places=(oj.Processor("phone", [1e9, 2e9]), *NETWORK.places[1:])
        ),
    ),
    "unknown place 'cloud', measured are phone": lambda: oj.plan(
        oj.MeasuredTask("m", ("a",), ("phone", "edge"), np.ones((1, 2)), np.ones(2)), NETWORK
    ),
    r"allowed\['stage 0'\]: unknown place 'moon'": lambda: oj.plan(
        MODEL_LIKE, NETWORK, allowed={"stage 0": ["moon"]}
    ),
    "allowed: no task has the name 'stage 9'": lambda: oj.plan(
        MODEL_LIKE, NETWORK, allowed={"stage 9": ["edge"]}
    ),
    "allowed: leaves no place to 'stage 1'": lambda: oj.plan(
        MODEL_LIKE, NETWORK, allowed={"stage 1": []}
    ),
    r"max_latency = 0.001 s: the best plan found takes": lambda: oj.plan(
        MODEL_LIKE, NETWORK, max_latency=1e-3
    ),
    "max_latency = -1: must be finite and greater than 0": lambda: oj.plan(
        MODEL_LIKE, NETWORK, max_latency=-1
    ),
    "max_memory: nothing is known of the weights of chain": lambda: oj.plan(
        MODEL_LIKE, NETWORK, max_memory={"phone": 1e9}
    ),
    "max_memory: unknown place 'moon'": lambda: oj.plan(WEIGHTS, NETWORK, max_memory={"moon": 1.0}),
    r"memory: the weights of net, 1.8e\+06 bytes, fit nowhere": lambda: oj.plan(
        WEIGHTS, NETWORK, max_memory=dict.fromkeys(NETWORK.place_names, 5e5)
    ),
    "no plan within these limits is possible": lambda: oj.plan(
        MODEL_LIKE, NETWORK, objective=oj.PERIOD, max_latency=1e-3
    ),
    "objective: must be an? Objective, got str": lambda: unchecked(oj.plan)(
        MODEL_LIKE, NETWORK, objective="latency"
    ),
    "objective.power: plans count the watts of places": lambda: oj.plan(
        MODEL_LIKE, NETWORK, objective=oj.Objective(1.0, 1.0, oj.PowerModel(idle_watts=0.1))
    ),
    "objective: energy needs the watts of a place": lambda: oj.plan(
        SMALL_CHAIN, objective=oj.Objective(1.0, 2.0)
    ),
    "max_energy: energy needs the watts of a place": lambda: oj.plan(SMALL_CHAIN, max_energy=1.0),
    "against: energy needs the watts of a place": lambda: front(SMALL_CHAIN),
    "against: unknown 'money', known are energy, period": lambda: front(
        SMALL_CHAIN, against="money"
    ),
    "chain: no plan within these limits was found": lambda: front(
        MODEL_LIKE, NETWORK, allowed={"stage 0": ["phone"], "stage 1": ["edge"]}, time_limit=1e-9
    ),
    "no placement is possible": lambda: oj.plan(
        oj.MeasuredTask(
            "m",
            ("a", "b"),
            NETWORK.place_names,
            np.array([[1.0, math.inf, math.inf], [math.inf, 1.0, 1.0]]),
            np.ones(3),
        ),
        dataclasses.replace(NETWORK, links=()),
    ),
    "chain is no model from a file": lambda: oj.plan(MODEL_LIKE, NETWORK).split("parts"),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_planned(message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        BAD[message]()
    assert "\n" not in str(error.value)
