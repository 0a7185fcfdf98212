"""Costs of requests and networks: seconds, links and routes as the oracle is told them by hand."""

import dataclasses
import math

import numpy as np
import pytest

import offload_jax as oj
from offload_jax import Link, Network, Processor
from tests import oracle
from tests.graphs import cases

CYCLES = (8.0, 4.0, 16.0, 8.0)
EDGES = {(0, 1): 4.0, (0, 2): 2.0, (1, 3): 0.0, (2, 3): 8.0}
TASK = oj.graphs.TaskGraph.from_edges(
    [8.0, 4.0, 16.0, 8.0],
    list(EDGES),
    list(EDGES.values()),
    input=[2, 0, 0, 0],
    output=[0, 1, 0, 4],
)


def agree(costs: oj.graphs.GraphCosts, graph: oracle.Graph) -> None:
    """The same makespan for 199 random decisions and for everything at place 0."""
    rng = np.random.default_rng(71)
    drawn = [cases.random_decision(rng, graph) for _ in range(199)]
    drawn.append(([0] * 4, [0, 1, 2, 3]))
    place, order = (np.array(part) for part in zip(*drawn, strict=True))
    makespan = oj.graphs.simulate(costs, place, order).makespan
    expected = [oracle.simulate_graph(graph, *decision).makespan for decision in drawn]
    np.testing.assert_array_equal(makespan, expected)
    assert np.isfinite(expected).any()


def test_costs_of_a_problem() -> None:
    """Also what is on which link: the order of the routes is part of the contract of transfers."""
    request = cases.Request(
        [8, 4, 16, 8], EDGES, [2, 0, 0, 0], [0, 1, 0, 4], 1, 4, 2, 0.5, edge_servers=2
    )
    costs = oj.graphs.graph_costs(cases.as_problem(request))
    assert costs.num_places == 3
    assert costs.servers == (1, 2, None)
    np.testing.assert_array_equal(costs.seconds, [[8, 2, 0], [4, 1, 0], [16, 4, 0], [8, 2, 0]])
    np.testing.assert_array_equal(costs.seconds_per_byte, [0.5, 0.5, 2, 2])
    assert costs.routes == oracle.PAPER_ROUTES
    agree(costs, oracle.three_places(*request))


@pytest.mark.parametrize(("b1", "b2"), [(2.0, 0.5), (0.0, 1.0), (1.0, 0.0)])
def test_the_model_of_the_paper_is_a_network(b1: float, b2: float) -> None:
    network = Network(
        (Processor("device", 1.0), Processor("edge", 4.0), Processor("cloud")),
        (Link("device", "edge", b1), Link("edge", "cloud", b2)),
    )
    costs = oj.graphs.network_costs(TASK, network)
    graph = oracle.three_places(CYCLES, EDGES, [2, 0, 0, 0], [0, 1, 0, 4], 1, 4, b1, b2)
    agree(costs, graph)


def test_what_goes_beyond_the_paper_by_hand() -> None:
    """Two edges, of which the first is also the fastest way to the second; a finite cloud."""
    network = Network(
        tuple(map(Processor, ("device", "a", "b", "cloud"), (1.0, 2.0, 4.0, 16.0))),
        (
            Link("device", "a", 4.0, reverse_bandwidth=2.0, round_trip_time=1.0),
            Link("device", "b", 0.5),
            Link("a", "b", 4.0),
            Link("b", "cloud", 1.0, round_trip_time=4.0),
        ),
    )
    # Links: device-a, a-device, a-b, b-a, b-cloud, cloud-b; the slow one is on no route.
    graph = oracle.Graph(
        seconds=tuple((c, c / 2, c / 4, c / 16) for c in CYCLES),
        edges=EDGES,
        input=(2, 0, 0, 0),
        output=(0, 1, 0, 4),
        release=(0,) * 4,
        seconds_per_byte=(0.25, 0.5, 0.25, 0.25, 1, 1),
        startup=(0.5, 0.5, 0, 0, 2, 2),
        routes=(
            ((), (0,), (0, 2), (0, 2, 4)),
            ((1,), (), (2,), (2, 4)),
            ((3, 1), (3,), (), (4,)),
            ((5, 3, 1), (5, 3), (5,), ()),
        ),
        servers=(1,) * 4,
        serial=(True,) * 6,
    )
    agree(oj.graphs.network_costs(TASK, network), graph)
    release = (0.0, 1.0, 2.0, 0.0)
    later = oj.graphs.network_costs(TASK, network, release=release)
    agree(later, graph._replace(release=release))


def test_of_equally_fast_routes_the_one_of_fewest_hops() -> None:
    network = Network(
        (Processor("device", 1.0), Processor("a", 2.0), Processor("b", 4.0)),
        (Link("device", "a", 2.0), Link("a", "b", 2.0), Link("device", "b", 1.0)),
    )
    costs = oj.graphs.network_costs(TASK, network)
    assert costs.routes == (((), (0,), (4,)), ((1,), (), (2,)), ((5,), (3,), ()))


def test_routes_are_the_fastest_for_the_mean_transfer() -> None:
    """By satellite a byte is faster and a small file is not: 1.4 s there and back, or 0.031 s."""
    network = Network(
        [Processor("device", 1e9), Processor("edge", 1e10), Processor("satellite", 1e3)],
        [
            Link("device", "edge", 1e6, round_trip_time=0.02),
            Link("device", "satellite", 5e6, round_trip_time=0.6),
            Link("satellite", "edge", 5e6, round_trip_time=0.6),
        ],
    )

    def graph(size: float) -> oj.graphs.TaskGraph:
        return oj.graphs.TaskGraph.from_edges([1e9, 0], [(0, 1)], 0.0, input=[size, 0], output=1e3)

    small = oj.graphs.network_costs(graph(1e4), network)
    assert small.routes[0][1] == (0,)
    # Up 0.01 + 0.01 s, 0.1 s of work, 1 kB twice down 0.001 s each and 0.01 s of the second.
    makespan = oj.graphs.simulate(small, [1, 1], [0, 1]).makespan
    assert float(makespan) == pytest.approx(0.132)
    large = oj.graphs.network_costs(graph(1e7), network)
    assert large.routes[0][1] == (2, 4)
    # The mean of 10 MB, 1 kB and 1 kB takes 3.3 s over the link of 1 MB/s, 1.9 s by satellite.
    assert large.routes[1][0] == (5, 3)
    with pytest.raises(ValueError, match="network: row 1 of the batch has other routes than row 0"):
        links = [dataclasses.replace(network.links[0], bandwidth=[1e6, 1e3]), *network.links[1:]]
        oj.graphs.network_costs(graph(1e4), dataclasses.replace(network, links=links))


def test_values_of_the_wrong_length_are_refused() -> None:
    network = Network((Processor("device", 1.0),), ())
    message = r"release: must be one value or one for each of 4 tasks, got shape \(3,\)"
    with pytest.raises(ValueError, match=message):
        oj.graphs.network_costs(TASK, network, release=[0, 0, 0])


def test_results_sent_once() -> None:
    once = dataclasses.replace(TASK, data=np.array([4.0, 4.0, 0.0, 8.0]), send_once=True)
    network = Network(
        (Processor("device", 1.0), Processor("edge", 4.0)), (Link("device", "edge", 1.0),)
    )
    graph = oracle.three_places(
        CYCLES, {(0, 1): 4, (0, 2): 4, (1, 3): 0, (2, 3): 8}, [2, 0, 0, 0], [0, 1, 0, 4],
        1, 4, 1, 0, send_once=True,
    )  # fmt: skip
    two = graph._replace(
        seconds=tuple(row[:2] for row in graph.seconds),
        routes=(((), (0,)), ((1,), ())),
        servers=(1, 1),
    )
    agree(oj.graphs.network_costs(once, network), two)


def test_networks_in_batches() -> None:
    bandwidths = np.array([0.5, 1.0, 4.0])

    def network(bandwidth: object) -> Network:
        return Network(
            (Processor("device", 1.0), Processor("edge", 4.0), Processor("cloud")),
            (Link("device", "edge", bandwidth), Link("edge", "cloud", 2.0)),
        )

    costs = oj.graphs.network_costs(TASK, network(bandwidths))
    assert costs.batch_shape == (3,)
    place, order = [1, 2, 0, 1], [0, 2, 1, 3]
    makespan = oj.graphs.simulate(costs, place, order).makespan
    for row, bandwidth in enumerate(bandwidths):
        alone = oj.graphs.network_costs(TASK, network(float(bandwidth)))
        assert float(oj.graphs.simulate(alone, place, order).makespan) == float(makespan[row])


def test_a_network_of_one_place() -> None:
    costs = oj.graphs.network_costs(TASK, Network((Processor("device", 2.0),), ()))
    schedule = oj.graphs.simulate(costs, [0] * 4, [0, 1, 2, 3])
    assert float(schedule.makespan) == sum(CYCLES) / 2


def test_places_apart() -> None:
    """Nothing leads to the second place, where only what moves no bytes can run."""
    network = Network((Processor("device", 1.0), Processor("far", 8.0)), ())
    costs = oj.graphs.network_costs(TASK, network)
    assert math.isinf(oj.graphs.simulate(costs, [1] * 4, [0, 1, 2, 3]).makespan)
    assert float(oj.graphs.simulate(costs, [0] * 4, [0, 1, 2, 3]).makespan) == sum(CYCLES)
