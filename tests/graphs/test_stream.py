"""Streams against a simulation by events and queueing theory, greedy against the oracle."""

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np
import pytest

import offload_jax as oj
from offload_jax import workloads
from tests import graph_heuristics_oracle, graph_oracle
from tests.graphs import cases, stream_oracle

STREAMS, REQUESTS, USERS = 3, 8, 2
SHAPE = (STREAMS, REQUESTS)
MESH = cases.LAYOUTS["four places"]
LAYOUTS = {
    "paper": (cases.PAPER, (True, False, False), (True, True, False, False)),
    "one radio": (cases.PAPER, (True, False, False), (False,) * 4),
    "mesh": (MESH, (True, False, True, False), (True, False) + (False,) * 4 + (True,)),
    "mesh, sent once": (
        cases.LAYOUTS["four places, sent once"],
        (True, False, True, False),
        (True, False) + (False,) * 4 + (True,),
    ),
}


def costs_of(graphs: list[graph_oracle.Graph], places: Any, links: Any) -> oj.graphs.GraphCosts:
    costs = dataclasses.replace(cases.as_costs(graphs), own_places=places, own_links=links)
    rows = {name: getattr(costs, name) for name in costs.own_axes}
    rows = {name: value.reshape(*SHAPE, *value.shape[1:]) for name, value in rows.items()}
    return dataclasses.replace(costs, **rows)


@functools.cache
def streams(name: str, seed: int = 5) -> tuple[Any, ...]:
    """Graphs, costs, arrivals and users of a layout; nothing is dead."""
    rng = np.random.default_rng(seed)
    layout, places, links = LAYOUTS[name]
    number = STREAMS * REQUESTS
    graphs = [cases.random_graph(rng, layout, exact=False) for _ in range(number)]
    arrivals = np.cumsum(rng.exponential(4.0, SHAPE), -1)
    return graphs, costs_of(graphs, places, links), arrivals, rng.integers(0, USERS, SHAPE)


def expected(name: str, served: oj.graphs.Stream, seed: int = 5) -> np.ndarray:
    graphs, _, arrivals, user = streams(name, seed)
    place, order = np.asarray(served.place), np.asarray(served.order)
    rows = [
        stream_oracle.sojourns(
            graphs[b * REQUESTS : (b + 1) * REQUESTS],
            arrivals[b].tolist(),
            user[b].tolist(),
            list(zip(place[b].tolist(), order[b].tolist(), strict=True)),
            *LAYOUTS[name][1:],
        )
        for b in range(STREAMS)
    ]
    return np.array(rows)


@functools.cache
def greedy(name: str, *, traced: bool = False) -> oj.graphs.Stream:
    _, costs, arrivals, user = streams(name)

    def serve(costs: Any, arrivals: Any, user: Any) -> oj.graphs.Stream:
        return oj.graphs.stream(costs, arrivals, user=user, num_users=USERS)

    return (jax.jit(serve) if traced else serve)(costs, arrivals, user)


@pytest.mark.parametrize("name", LAYOUTS)
def test_sojourns_as_by_events(name: str) -> None:
    sojourns_as_by_events(name, 5)


def sojourns_as_by_events(name: str, seed: int) -> None:
    graphs, costs, arrivals, user = streams(name, seed)
    served = oj.graphs.stream(costs, arrivals, user=user, num_users=USERS)
    np.testing.assert_allclose(served.sojourn, expected(name, served, seed), rtol=1e-5)
    # Any decision, not only good ones.
    rng = np.random.default_rng(6)
    place, order = zip(*(cases.random_decision(rng, graph) for graph in graphs), strict=True)
    decision = oj.graphs.Decision(
        np.array(place, np.int8).reshape(*SHAPE, -1), np.array(order, np.int32).reshape(*SHAPE, -1)
    )
    random = oj.graphs.stream(costs, arrivals, decision, user=user, num_users=USERS)
    np.testing.assert_array_equal(random.place, decision.place)
    np.testing.assert_allclose(random.sojourn, expected(name, random, seed), rtol=1e-5)
    for found in (served, random):
        assert (np.asarray(found.lower_bound) <= np.asarray(found.sojourn) * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", ["paper", "mesh, sent once"])
def test_one_scan_in_jax_is_the_same(name: str) -> None:
    for loops, scan in zip(greedy(name), greedy(name, traced=True), strict=True):
        if loops is not None:
            np.testing.assert_allclose(scan, loops, rtol=1e-4, atol=1e-5)


def test_greedy_knows_the_queues() -> None:
    """Every task goes to where it is home first, behind all that was booked before."""
    graphs, _, arrivals, user = streams("paper")
    served = greedy("paper")
    for b in range(STREAMS):
        free: dict[Any, Any] = {}
        for r in range(REQUESTS):
            graph, now, mine = graphs[b * REQUESTS + r], arrivals[b, r], int(user[b, r])
            machine = graph_oracle.Machine(graph)
            wires = [("link", i, mine if i < 2 else -1) for i in range(4)]
            servers = {k: ("place", k, mine if k == 0 else -1) for k in (0, 1)}
            machine.link_free = [max(free.get(wire, 0.0) - now, 0.0) for wire in wires]
            for k, at in servers.items():
                machine.server_free[graph.place_of(k, 0)] = [max(free.get(at, 0.0) - now, 0.0)]
            order = np.asarray(served.order)[b, r].tolist()
            expected = graph_heuristics_oracle.greedy_graph(graph)[1]
            solid = [v for v in expected if not graph.is_empty(v)]
            assert order[: len(solid)] == solid
            for v in solid:
                backs = []
                for k in graph_heuristics_oracle.live_places(graph, v):
                    tried = machine.copy()
                    tried.run(v, k)
                    backs.append(tried.home_at[v])
                machine.run(v, int(np.asarray(served.place)[b, r, v]))
                assert machine.home_at[v] == pytest.approx(min(backs), rel=1e-6)
            free |= {wire: now + machine.link_free[i] for i, wire in enumerate(wires)}
            for k, at in servers.items():
                free[at] = now + machine.server_free[graph.place_of(k, 0)][0]


def test_a_single_request_is_simulated() -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(5), 6)
    policies = oj.graphs.policies
    arrivals = np.full((6, 1), 3.0)
    alone = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], problem)
    student = policies.student()
    for policy in ("greedy", policies.cut, student):
        served = oj.graphs.stream(alone, arrivals, policy)
        decide = policies.greedy if policy == "greedy" else policy
        place, order = decide(problem)
        np.testing.assert_array_equal(served.place[:, 0], place)
        np.testing.assert_array_equal(served.order[:, 0], order)
        schedule = oj.graphs.simulate(problem, place, order)
        np.testing.assert_allclose(served.sojourn[:, 0], schedule.makespan, rtol=1e-6)
        joules = oj.graphs.energy(problem, oj.graphs.Decision(place, order))
        np.testing.assert_allclose(served.energy[:, 0], joules, rtol=1e-4)
    traced = jax.jit(lambda requests: oj.graphs.stream(requests, arrivals, student))(alone)
    np.testing.assert_allclose(traced.sojourn, served.sojourn, rtol=1e-4)
    searched = oj.graphs.stream(alone, arrivals, "search", num_simulations=200)
    assert (searched.sojourn <= oj.graphs.stream(alone, arrivals).sojourn * (1 + 1e-6)).all()


def one_server(rho: float, *shape: int) -> tuple[oj.graphs.GraphCosts, np.ndarray]:
    """Requests of a task of a second at one server, and Poisson arrivals of that load."""
    graph = graph_oracle.table([[1.0]], {})
    return cases.as_costs(graph), oj.graphs.poisson_arrivals(jax.random.key(1), rho, shape)


def waits_as_in_theory(rho: float, *shape: int) -> None:
    """M/D/1: the mean wait is rho / (2 mu (1 - rho))."""
    served = oj.graphs.stream(*one_server(rho, *shape))
    wait = served.statistics(skip=shape[-1] // 10).mean.mean - 1
    assert wait == pytest.approx(rho / (2 * (1 - rho)), rel=0.02)
    np.testing.assert_allclose(np.mean(served.place_utilisation), rho, rtol=0.01)


def test_one_server_waits_as_in_theory() -> None:
    waits_as_in_theory(0.5, 40, 4000)


def test_a_trace_gives_the_bandwidth_of_each_arrival() -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(5), 4)
    trace = workloads.BandwidthTrace("steps", [0.0, 10.0, 20.0], [1e6, 0.0, 4e6])
    arrivals = [0.0, 9.9, 1020.0, 2005.0]  # every 30 s anew
    rates = [1e6, 1e6, 1e6, 4e6]
    expected = oj.graphs.stream(dataclasses.replace(problem, device_edge_bandwidth=rates), arrivals)
    served = oj.graphs.stream(problem, arrivals, trace=trace)
    np.testing.assert_allclose(served.sojourn, expected.sojourn)
    # While the link is down there is no way but the device; what goes over it is not taken.
    down = oj.graphs.stream(problem, arrivals, oj.graphs.policies.edge, trace=trace, trace_start=10)
    assert np.isinf(down.sojourn[0]) and np.isinf(down.energy[0])
    assert np.isfinite(oj.graphs.stream(problem, arrivals, trace=trace, trace_start=10).sojourn[0])


def test_statistics() -> None:
    served = oj.graphs.stream(*one_server(0.8, 8, 50))
    sojourn = np.asarray(served.sojourn, float)[:, 10:]
    found = served.statistics(skip=10)
    means = sojourn.mean(1)
    assert found.mean.mean == pytest.approx(means.mean())
    # Student's t of seven degrees of freedom.
    width = 2.364624 * means.std(ddof=1) / math.sqrt(8)
    assert found.mean.high - found.mean.mean == pytest.approx(width, rel=1e-5)
    assert found.p99.mean == pytest.approx(sojourn.max(1).mean())
    alone = oj.graphs.stream(*one_server(0.8, 50)).statistics()
    assert math.isnan(alone.p50.low) and math.isfinite(alone.p50.mean)


COSTS, ARRIVALS = one_server(0.5, 4)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"arrivals": [1.0, 0.5]}, r"arrivals\[1\] = 0.5: must not be before the one"),
        ({"arrivals": [-1.0]}, r"arrivals\[0\] = -1.0: must be finite and not negative"),
        ({"arrivals": 1.0}, r"arrivals: needs times \[..., R\] of requests, got shape \(\)"),
        ({"arrivals": ["a"]}, r"arrivals: must hold real numbers"),
        ({"user": 1}, r"user = 1: users are 0..0"),
        ({"num_users": 0}, r"num_users = 0: must be an integer of at least 1"),
        ({"policy": "fast"}, r"policy: unknown 'fast', known are greedy, search"),
        ({"policy": lambda _: 3}, r"policy: "),
        ({"time_limit": 1.0}, r'time_limit: is for the policy "search" only'),
        ({"policy": "search", "num_simulations": 0}, r"num_simulations = 0: must be an integer"),
        ({"policy": "search", "time_limit": 0.0}, r"time_limit = 0.0: must be"),
        ({"trace": 3}, r"trace: is for requests that are a GraphProblem"),
        ({"power": oj.PowerModel(idle_watts=0.1)}, r"power: a stream counts no idle power"),
        ({"user": np.zeros(3, int)}, r"user: batch dimensions \(3,\) do not broadcast"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], error: str) -> None:
    given: dict[str, Any] = {"requests": COSTS, "arrivals": ARRIVALS, **change}
    with pytest.raises(ValueError, match=f"^{error}"):
        oj.graphs.stream(**given)


def test_requests_of_several_users_each_are_refused() -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(0), oj.graphs.scenarios.layered(5), 1)[0]
    with pytest.raises(ValueError, match="^requests: have 2 users each"):
        oj.graphs.stream(oj.graphs.merge([problem, problem]), [0.0])
    with pytest.raises(ValueError, match=r"^rate = 0.0"):
        oj.graphs.poisson_arrivals(jax.random.key(0), 0.0, 3)
    with pytest.raises(ValueError, match=r"^skip = 9: leaves none of 4 requests"):
        oj.graphs.stream(COSTS, ARRIVALS).statistics(skip=9)
