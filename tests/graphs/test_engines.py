"""The engine in JAX and the compiled loops are one machine, whatever the graph is like."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from tests import oracle
from tests.graphs import cases

N, MOST_NEEDED = 12, 4
NUM_GRAPHS = 200


def sparse_graphs(rng: np.random.Generator, layout: cases.Layout) -> list[oracle.Graph]:
    """Of N tasks that need few others, so that the engine in JAX goes by lists."""

    def thinned(graph: oracle.Graph) -> oracle.Graph:
        kept: dict[tuple[int, int], float] = {}
        for v in graph.tasks:
            needs = rng.permutation(graph.needs(v))[: rng.integers(0, MOST_NEEDED + 1)]
            kept |= {(u, v): graph.edges[u, v] for u in needs.tolist()}
        return graph._replace(edges=kept)

    return [thinned(cases.random_graph(rng, layout, N)) for _ in range(NUM_GRAPHS)]


@pytest.mark.parametrize("name", ["paper", "two servers, sent once", "pairs apart"])
def test_graphs_of_few_edges_in_both_engines(name: str) -> None:
    """Exact graphs: with releases, dead links, forbidden places, 0 bytes, empty tasks."""
    rng = np.random.default_rng(60)
    graphs = sparse_graphs(rng, cases.LAYOUTS[name])
    place, order = (
        np.array(part)
        for part in zip(*(cases.random_decision(rng, g) for g in graphs), strict=True)
    )
    costs = cases.as_costs(graphs)
    assert costs.predecessors.shape == (NUM_GRAPHS, N, MOST_NEEDED)
    loops = oj.graphs.simulate(costs, place, order)
    for row, graph in enumerate(graphs):
        expected = oracle.simulate_graph(graph, place[row].tolist(), order[row].tolist())
        assert float(loops.makespan[row]) == expected.makespan
        assert loops.start[row].tolist() == list(expected.start)
    jitted = jax.jit(oj.graphs.simulate)(costs, place, order)
    jax.tree.map(np.testing.assert_array_equal, jitted, loops)
    assert [leaf.dtype for leaf in jitted[:5]] == [leaf.dtype for leaf in loops[:5]]


def test_rules_decide_alike_in_both_engines() -> None:
    """But for ties and rounding, which are rare among plain random numbers."""
    problem = oj.graphs.scenarios.sample(jax.random.key(61), oj.graphs.scenarios.layered(N), 100)
    costs = oj.graphs.graph_costs(problem, library=np)
    policies = oj.graphs.policies
    student, rng = policies.student(), np.random.default_rng(65)
    # Places that are in no row: a plain call about those that are also looks at the cut.
    mesh = [
        cases.random_graph(rng, cases.LAYOUTS["four places"], N, exact=False) for _ in range(40)
    ]
    for policy, sources in (
        (policies.greedy, (costs[:40], problem[:40])),
        (lambda source: student.best_of(2)(source, KEY), (cases.as_costs(mesh),)),
    ):
        plain = policy(sources[0])
        for traced in map(jax.jit(policy), sources):
            same = (plain.place == traced.place).all(-1) & (plain.order == traced.order).all(-1)
            assert same.mean() > 0.8
            assert plain.place.dtype == traced.place.dtype
            assert plain.order.dtype == traced.order.dtype


KEY = jax.random.key(62)


def test_lists_hold_what_square_arrays_held() -> None:
    """Whoever makes them, of NumPy arrays, of those of JAX and while tracing."""
    rng = np.random.default_rng(63)
    depends = np.triu(rng.random((5, 9, 9)) < 0.3, 1)
    data = rng.random((5, 9, 9)).astype(np.float32)
    data[~depends] = np.nan
    kinds = [np.asarray, jnp.asarray]
    found = [oj.graphs.predecessor_lists(kind(depends), kind(data)) for kind in kinds]
    found.append(jax.jit(oj.graphs.predecessor_lists)(depends, data))
    # One graph with the bytes of several.
    found.append(oj.graphs.predecessor_lists(depends[0], data))
    for number, (lists, sizes) in enumerate(found):
        lists, sizes = (np.broadcast_to(part, (5, *part.shape[-2:])) for part in (lists, sizes))
        again, sent = np.zeros_like(depends), np.zeros_like(data)
        row, reader, slot = np.nonzero(np.asarray(lists) >= 0)
        at = row, lists[row, reader, slot], reader
        again[at], sent[at] = True, sizes[row, reader, slot]
        expected = depends if number < 3 else np.broadcast_to(depends[0], depends.shape)
        np.testing.assert_array_equal(again, expected)
        np.testing.assert_array_equal(sent[expected], data[expected])
    assert found[0][0].shape[-1] in (1, 2, 3, 4, 6, 8)
    assert found[2][0].shape[-1] == 8


def network() -> oj.Network:
    places = [oj.Processor("device", 5e8), oj.Processor("edge", 3e9), oj.Processor("cloud", 1e11)]
    return oj.Network(places, [oj.Link("device", "edge", 1.5e6), oj.Link("edge", "cloud", 2e6)])


def layered(num_tasks: int, width: int) -> oj.graphs.TaskGraph:
    """Each task needs two or three of the layer before."""
    rng = np.random.default_rng(64)
    task = np.arange(width, num_tasks)
    first = task // width * width - width
    sources = [first + (task + shift) % width for shift in (0, 1)]
    some = rng.random(len(task)) < 0.5
    sources.append(np.where(some, first + (task + 2) % width, sources[0]))
    edges = np.unique(np.concatenate([np.stack([s, task], 1) for s in sources]), axis=0)
    return oj.graphs.TaskGraph.from_edges(
        rng.uniform(0, 2e9, num_tasks), edges, rng.uniform(0, 2e6, len(edges)), output=1e5
    )


@pytest.mark.parametrize("num_tasks", [1, 2, 2000])
def test_any_number_of_tasks(num_tasks: int) -> None:
    task = layered(num_tasks, min(num_tasks, 40))
    costs = oj.graphs.network_costs(task, network())
    found = {name: getattr(oj.graphs.policies, name)(costs) for name in ("greedy", "heft", "cut")}
    graph = oracle.Graph(
        seconds=tuple(map(tuple, costs.seconds.tolist())),
        edges=dict(zip(map(tuple, task.edges.tolist()), task.data.tolist(), strict=True)),
        **{
            name: tuple(getattr(costs, name).tolist())
            for name in ("input", "output", "release", "seconds_per_byte", "startup")
        },
        routes=costs.routes,
        servers=costs.servers,
        serial=costs.serial,
    )
    for decision in found.values():
        makespan = oj.graphs.simulate(costs, *decision).makespan
        expected = oracle.simulate_graph(graph, *(part.tolist() for part in decision)).makespan
        assert float(makespan) == pytest.approx(expected, rel=1e-6)


def test_memory_grows_with_the_edges() -> None:
    """One square array of 3 000 tasks would take 72 MB in float64, and 9 MB as booleans."""
    task = layered(3000, 50)
    costs = oj.graphs.network_costs(task, network())
    oj.graphs.solve(costs, method="heft")  # loads what is compiled
    for call in (oj.graphs.policies.greedy, oj.graphs.policies.cut, oj.graphs.policies.heft):
        tracemalloc.start()
        try:
            oj.graphs.simulate(oj.graphs.network_costs(task, network()), *call(costs))
            assert tracemalloc.get_traced_memory()[1] < 8e6
        finally:
            tracemalloc.stop()
