"""Costs of networks: the paper's model as a special case, and what goes beyond it by hand."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import offload_jax as oj
from offload_jax import Link, MeasuredTask, Network, Processor
from offload_jax.workloads import TaskProfile
from tests import oracle
from tests.typecheck import unchecked

TASK = TaskProfile(
    name="task",
    stage_names=("a", "b", "c"),
    flops=np.array([2e9, 4e9, 1e9]),
    data=np.array([1e6, 0.0, 3e6, 2e5]),
)

MEASURED = MeasuredTask("t", ("a",), ("phone", "edge"), np.array([[2.0, 1.0]]), np.ones(2))
GRAPH = oj.graphs.TaskGraph.from_edges([1.0], [], input=1.0)


def _paper(b1: object = 1e6, b2: object = 2e6) -> Network:
    return Network(
        (Processor("device", 5e8), Processor("edge", 4e9), Processor("cloud")),
        (Link("device", "edge", b1), Link("edge", "cloud", b2)),
    )


@pytest.mark.parametrize(
    "objective",
    [oj.LATENCY, oj.ENERGY, oj.Objective(2.0, 0.5, oj.PowerModel(idle_watts=0.4))],
    ids=["s", "J", "s+J"],
)
@pytest.mark.parametrize("bandwidths", [(1e6, 2e6), (0.0, 2e6), (1e6, 0.0)])
def test_the_model_of_the_paper_is_a_network(
    objective: oj.Objective, bandwidths: tuple[float, float]
) -> None:
    problem = TASK.to_problem(
        device_speed=5e8,
        edge_speed=4e9,
        device_edge_bandwidth=bandwidths[0],
        edge_cloud_bandwidth=bandwidths[1],
    )
    expected = oj.chain_costs(problem, objective)
    costs = oj.network_costs(TASK, _paper(*bandwidths), objective=objective)
    np.testing.assert_allclose(costs.execution, expected.execution, rtol=1e-6)
    np.testing.assert_allclose(costs.transfer, expected.transfer, rtol=1e-6)


def test_what_goes_beyond_the_paper_by_hand() -> None:
    network = Network(
        (Processor("device", 5e8), Processor("edge", 4e9), Processor("cloud", 1e10)),
        (
            Link("device", "edge", 1e6, reverse_bandwidth=5e6, round_trip_time=0.02),
            Link("cloud", "edge", 4e6, reverse_bandwidth=2e6, round_trip_time=0.1),
        ),
    )
    costs = oj.network_costs(TASK, network)
    np.testing.assert_allclose(costs.execution[1], [4.0, 0.5, 0.2])
    up, down = 3.0 + 0.01, 0.6 + 0.01
    over, back = 1.5 + 0.05, 0.75 + 0.05
    np.testing.assert_allclose(
        costs.transfer[2], [[0, up, up + over], [down, 0, over], [back + down, back, 0]]
    )
    # Without data there is nothing to wait for.
    np.testing.assert_array_equal(costs.transfer[1], np.zeros((3, 3)))
    energy = oj.network_costs(TASK, network, objective=oj.ENERGY)
    np.testing.assert_allclose(energy.transfer[2][0], [0, 3 * 1.258, 3 * 1.258])
    np.testing.assert_allclose(energy.transfer[2][2], [0.6 * 1.181, 0, 0])


def test_three_edge_servers_are_solved_as_by_enumeration() -> None:
    edges = ("edge1", "edge2", "edge3")
    network = Network(
        (
            Processor("device", 5e8),
            *(Processor(e, 1e9 * i) for i, e in enumerate(edges, 1)),
            Processor("cloud", 2e10),
        ),
        (
            *(Link("device", e, b) for e, b in zip(edges, (8e6, 4e6, 1e6), strict=True)),
            Link("edge1", "edge2", 5e7),
            Link("edge3", "cloud", 1e8),
        ),
    )
    costs = oj.network_costs(TASK, network)
    assert costs.num_places == 5
    # From the device to edge 2 by way of edge 1, which is faster than the link between them.
    np.testing.assert_allclose(costs.transfer[0, 0, 2], 1e6 / 8e6 + 1e6 / 5e7)
    _, best = oracle.table_optimum(costs.execution, costs.transfer)
    np.testing.assert_allclose(oj.solve(costs).cost, best, rtol=1e-6)
    limited = oj.solve(costs, side_constraints=oj.SideConstraints(max_subtasks={2: 0}))
    assert limited.cost >= best * (1 - 1e-6)


def test_energy_follows_the_fastest_route() -> None:
    network = Network(
        (Processor("device", 5e8), Processor("near"), Processor("far")),
        (Link("device", "near", 1e7), Link("near", "far", 1e7), Link("device", "far", 1e6)),
    )
    energy = oj.network_costs(TASK, network, objective=oj.ENERGY)
    np.testing.assert_allclose(energy.transfer[0, 0, 2], 0.1 * 1.258)


def test_batches_and_jit() -> None:
    bandwidths = np.array([0.0, 1e5, 1e6, 1e7])
    costs = oj.network_costs(TASK, _paper(bandwidths))
    assert costs.batch_shape == (4,)
    for i, bandwidth in enumerate(bandwidths):
        one = oj.network_costs(TASK, _paper(float(bandwidth)))
        np.testing.assert_allclose(costs.transfer[i], one.transfer)
    traced = jax.jit(lambda b: oj.solve(oj.network_costs(TASK, _paper(b))).cost)
    np.testing.assert_allclose(traced(jnp.asarray(bandwidths)), oj.solve(costs).cost, rtol=1e-6)


def test_measured_times_by_place_name() -> None:
    task = MeasuredTask(
        "t",
        ("a", "b"),
        ("cloud", "edge", "device"),
        np.array([[0.1, 0.2, 3.0], [0.1, math.inf, 4.0]]),
        np.array([1e6, 1e6, 1e6]),
    )
    costs = oj.network_costs(task, _paper())
    np.testing.assert_allclose(costs.execution, [[3.0, 0.2, 0.1], [4.0, math.inf, 0.1]])
    energy = oj.network_costs(task, _paper(), objective=oj.ENERGY)
    # 1e-27 * (5e8)^3 watts on the device.
    np.testing.assert_allclose(energy.execution, [[0.375, 0, 0], [0.5, math.inf, 0]])
    unknown = dataclasses.replace(task, place_names=("fog", "edge", "device"))
    with pytest.raises(ValueError, match="unknown place 'cloud', measured are fog"):
        oj.network_costs(unknown, _paper())


@given(st.data())
def test_a_chain_costs_what_it_costs_as_a_graph(data: st.DataObject) -> None:
    """Round trips, links that are down and 0 bytes too; places lie in a row, so routes are one."""
    draw = data.draw
    numbers = st.sampled_from([0.0, 1.0, 2.0, 5.0])
    names = ("a", "b", "c")
    bandwidths = st.sampled_from([0.0, 0.5, 4.0, math.inf])
    network = Network(
        [Processor(name, draw(st.sampled_from([1.0, 2.0]))) for name in names],
        [
            Link(*ends, draw(bandwidths), draw(bandwidths), draw(numbers))
            for ends in pairwise(names)
        ],
    )
    size = np.array(draw(st.lists(numbers, min_size=4, max_size=4)))
    flops = np.array(draw(st.lists(numbers, min_size=3, max_size=3)))
    chain = TaskProfile(name="chain", stage_names=names, flops=flops, data=size)
    graph = oj.graphs.TaskGraph.from_edges(
        flops / 2, [(0, 1), (1, 2)], size[1:3], input=[size[0], 0, 0], output=[0, 0, size[3]]
    )
    costs = oj.network_costs(chain, network)
    places = np.array(list(itertools.product(range(3), repeat=3)))
    makespan = oj.graphs.simulate(
        oj.graphs.network_costs(graph, network), places, np.arange(3)
    ).makespan
    expected = [oracle.table_cost(costs.execution, costs.transfer, place) for place in places]
    np.testing.assert_allclose(makespan, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: oj.network_costs(TASK, n), "a task without measured times needs the finite"),
        (lambda n: oj.network_costs(MEASURED, n, objective=oj.ENERGY), "energy needs the finite"),
        (lambda n: oj.graphs.network_costs(GRAPH, n), "a task graph needs the finite"),
    ],
)
def test_what_needs_the_speed_of_the_device(make: Callable, message: str) -> None:
    network = Network((Processor("phone"), Processor("edge")), (Link("phone", "edge", 1e6),))
    with pytest.raises(ValueError, match=f"speed of 'phone' = inf: {message} speed of the device"):
        make(network)
    assert np.isfinite(oj.solve(oj.network_costs(MEASURED, network)).cost)


def test_a_link_may_only_delay() -> None:
    link = Link("device", "edge", math.inf, round_trip_time=0.5)
    costs = oj.network_costs(TASK, Network((Processor("device", 1e9), Processor("edge")), (link,)))
    np.testing.assert_array_equal(costs.transfer[:, 0, 1], [0.25, 0, 0.25, 0.25])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Processor("edge", 0.0), "speed of 'edge' = 0.0: must be greater than 0"),
        (lambda: Processor("edge", [1.0, math.nan]), r"speed of 'edge'\[1\] = nan"),
        (lambda: Processor("edge", "fast"), "speed of 'edge': must be an array of numbers"),
        (lambda: Processor("edge", servers=0), "servers of 'edge' = 0: must be an integer of at"),
        (lambda: Link("a", "b", -1.0), "link 'a' to 'b': bandwidth = -1.0"),
        (lambda: Link("a", "b", "20Mbit"), "bandwidth: must be an array of numbers, got '20Mbit'"),
        (lambda: Link("a", "b", ["20Mbit"]), "bandwidth: must hold real numbers, got dtype <U6"),
        (lambda: Link("a", "b", None), "bandwidth: must be an array of numbers, got None"),
        (lambda: Link("a", "b", [[1], [1, 2]]), "bandwidth: cannot be converted to an array"),
        (lambda: Link("a", "b", 1.0, round_trip_time=math.inf), "round_trip_time = inf"),
        (lambda: Link("a", "b", 1.0, math.nan), "reverse_bandwidth = nan"),
        (lambda: Link("a", "b", 1.0, round_trip_time=-0.1), "round_trip_time = -0.1"),
        (lambda: Link("a", "a", 1.0), "the ends must differ"),
        (lambda: Network((), ()), "at least the device"),
        (
            lambda: Network(
                (Processor("a", [1.0, 2.0]), Processor("b")), (Link("a", "b", np.ones(3)),)
            ),
            r"bandwidth of 'a' to 'b': batch dimensions \(3,\) do not broadcast with \(2,\)",
        ),
        (lambda: Network((Processor("a"), Processor("a")), ()), "names must differ"),
        (lambda: Network((Processor("a"),), (Link("a", "x", 1.0),)), "unknown place 'x'"),
        (
            lambda: Network(
                (Processor("a"), Processor("b")), (Link("a", "b", 1.0), Link("b", "a", 1.0))
            ),
            "two between 'b' and 'a'",
        ),
        (lambda: oj.network_costs(TASK, _paper(), flops_per_cycle=0.0), "flops_per_cycle = 0.0"),
    ],
)
def test_bad_networks_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: unchecked(Processor)(1e9),
            "name of a processor: must be a str, got float",
        ),
        (
            lambda: unchecked(Processor)("edge", servers=1.5),
            "servers of 'edge' = 1.5: must be an integer",
        ),
        (
            lambda: unchecked(Link)(Processor("a"), "b", 1.0),
            "end of a link: must be a str, got Processor",
        ),
        (
            lambda: unchecked(Network)(("a", "b"), ()),
            r"places\[0\]: must be a Processor, got str",
        ),
        (
            lambda: unchecked(Network)((Processor("a"),), ("a",)),
            r"links\[0\]: must be a Link, got str",
        ),
        (
            lambda: unchecked(oj.network_costs)(_paper(), TASK),
            "task: must be a ProfiledTask or MeasuredTask",
        ),
        (lambda: unchecked(oj.network_costs)(GRAPH, _paper()), "task: must be .* got TaskGraph"),
        (
            lambda: unchecked(oj.network_costs)(TASK, TASK),
            "network: must be a Network, got TaskProfile",
        ),
        (
            lambda: unchecked(oj.graphs.network_costs)(_paper(), GRAPH),
            "task: must be a TaskGraph, got Net",
        ),
        (
            lambda: unchecked(oj.graphs.network_costs)(GRAPH, GRAPH),
            "network: must be a Network, got Task",
        ),
    ],
)
def test_what_is_no_network_is_refused(make: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
