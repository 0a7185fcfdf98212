"""Graphs of several users inside `jit`: the oracle's machine, and decisions as by the loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.graphs import policies, training
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._jax.task_features import task_features
from offload_jax.graphs.columns import PLACE, STEP, TASK
from offload_jax.graphs.request import unpack_rows
from tests import oracle
from tests.graphs import cases, test_columns
from tests.graphs.test_users import LAYOUTS, drawn

NUM = 40


def drawn_decisions(graphs: list[oracle.Graph]) -> oj.graphs.Decision:
    rng = np.random.default_rng(3)
    decisions = [cases.random_decision(rng, graph) for graph in graphs]
    return oj.graphs.Decision(*(np.array(part) for part in zip(*decisions, strict=True)))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_schedules_are_those_of_the_oracle(layout: str, shared: bool) -> None:
    """Exact graphs: with releases, dead links, forbidden places, 0 bytes, empty tasks, ties."""
    graphs = drawn(layout, shared, NUM)
    costs, (place, order) = cases.as_costs(graphs), drawn_decisions(graphs)
    found = jax.jit(oj.graphs.simulate)(costs, place, order)
    jax.tree.map(np.testing.assert_array_equal, found, oj.graphs.simulate(costs, place, order))
    for row, graph in enumerate(graphs):
        expected = oracle.simulate_graph(graph, place[row].tolist(), order[row].tolist())
        assert float(found.makespan[row]) == expected.makespan
        assert found.start[row].tolist() == list(expected.start)


@pytest.mark.parametrize(("layout", "shared"), [("paper", True), ("two servers, sent once", False)])
def test_rules_and_the_student_decide_as_the_loops_do(layout: str, shared: bool) -> None:
    costs = cases.as_costs(drawn(layout, shared, NUM, exact=False, alive=True))
    for policy in (policies.greedy, policies.student()):
        plain, traced = policy(costs), jax.jit(policy)(costs)
        same = (plain.place == traced.place).all(-1) & (plain.order == traced.order).all(-1)
        assert same.mean() > 0.9
    bound = jax.jit(oj.graphs.lower_bound)(costs)
    np.testing.assert_allclose(bound, oj.graphs.lower_bound(costs), rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "shared"), [("two servers, sent once", True), ("four places", False)]
)
def test_columns_are_those_of_the_loops(layout: str, shared: bool) -> None:
    graphs = drawn(layout, shared, NUM)
    costs, decision = cases.as_costs(graphs), drawn_decisions(graphs)
    platform = platform_of(costs)

    @jax.jit
    def lesson(costs: oj.graphs.GraphCosts) -> training.Lesson:
        features = task_features(platform, NUM, costs)
        return training.lesson(platform, costs, features, *map(jnp.asarray, decision))

    found = lesson(training.examples_of(costs).costs)
    ours = (
        np.moveaxis(np.asarray(found.features.task), 0, -1).swapaxes(0, 1),
        np.asarray(found.observation.places).transpose(3, 2, 1, 0),
        np.asarray(found.observation.step).transpose(2, 1, 0),
    )
    rows = zip(unpack_rows(costs), *decision, strict=True)
    theirs = (
        np.stack(part) for part in zip(*(test_columns.read(*row) for row in rows), strict=True)
    )
    for names, mine, other in zip((TASK, PLACE, STEP), ours, theirs, strict=True):
        for column, name in enumerate(names):
            np.testing.assert_allclose(
                other[..., column], mine[..., column], atol=3e-5, rtol=3e-5, err_msg=name
            )


def test_as_many_users_as_tasks_without_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told by user is not mistaken for what is told by task, which is filled up."""
    graphs = [cases.several_users(np.random.default_rng(5), cases.PAPER, 8, 1)]
    costs, (place, order) = cases.as_costs(graphs), drawn_decisions(graphs)
    loops = oj.graphs.simulate(costs, place, order)
    monkeypatch.setattr("offload_jax.graphs._jax.few_shapes.is_installed", lambda name: False)
    jax.tree.map(np.testing.assert_array_equal, oj.graphs.simulate(costs, place, order), loops)
