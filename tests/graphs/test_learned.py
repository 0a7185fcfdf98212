"""Learned policies for graphs: feasibility, invariances, training against arithmetic by hand."""

import dataclasses
import math

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import offload_jax as oj
from offload_jax.graphs import columns, training
from offload_jax.graphs._jax import task_features
from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs._jax.platform import platform_of
from offload_jax.graphs._jax.policy import LearnedGraphPolicy, dependency_order, load
from offload_jax.graphs.columns import LIMIT
from offload_jax.learning import checkpoints, policies
from offload_jax.learning.parameters import abstract_parameters, num_parameters
from tests import oracle
from tests.graphs import cases

MODEL = GraphPolicyConfig(hidden=5, second=4, order_hidden=3, rounds=1, message=2)


def random_policy(model: GraphPolicyConfig = MODEL, seed: int = 0) -> LearnedGraphPolicy:
    """Far from where learning starts, so that it decides as no rule does."""
    rng = np.random.default_rng(seed)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 1, leaf.shape), jnp.float32),
        abstract_parameters(model),
    )
    return LearnedGraphPolicy(model, params)


POLICY = random_policy()


@pytest.fixture(name="problem", scope="module")
def _problem() -> oj.graphs.GraphProblem:
    return oj.graphs.scenarios.sample(jax.random.key(1), oj.graphs.scenarios.layered(6), 32)


def test_the_student_has_at_most_ten_thousand_parameters() -> None:
    assert num_parameters(GraphPolicyConfig()) <= 10_000


def check(graphs: list[oracle.Graph]) -> None:
    """That the policy's decisions can be carried out, and take as long as the simulator says."""
    costs = cases.as_costs(graphs)
    decision = POLICY(costs)
    makespan = oj.graphs.simulate(costs, *decision).makespan
    for row, graph in enumerate(graphs):
        place, order = decision.place[row].tolist(), decision.order[row].tolist()
        timetable = oracle.simulate_graph(graph, place, order)
        assert makespan[row] == pytest.approx(timetable.makespan, rel=1e-5)
        if math.isfinite(timetable.makespan):
            assert oracle.faults(graph, timetable) == []
        empty = [v for v in graph.tasks if graph.is_empty(v)]
        assert order[len(order) - len(empty) :] == empty
        assert not any(place[v] for v in empty)


@pytest.mark.parametrize("name", cases.LAYOUTS)
def test_decisions_can_be_carried_out_on_any_layout(name: str) -> None:
    """Dead links, forbidden places, homes of their own, empty tasks, graphs without edges."""
    rng = np.random.default_rng(3)
    check([cases.random_graph(rng, cases.LAYOUTS[name]) for _ in range(cases.BATCH)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_thousands_of_decisions_can_be_carried_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    check([cases.random_graph(rng, cases.PAPER) for _ in range(cases.BATCH)])


@pytest.mark.parametrize("name", ["paper", "four places"])
def test_what_is_seen_is_finite_and_bounded(name: str) -> None:
    rng = np.random.default_rng(4)
    graphs = [cases.random_graph(rng, cases.LAYOUTS[name]) for _ in range(cases.BATCH)]
    costs = training.examples_of(cases.as_costs(graphs)).costs
    platform = platform_of(cases.as_costs(graphs))
    decision = POLICY(cases.as_costs(graphs))

    @jax.jit
    def observe(costs: oj.graphs.GraphCosts) -> training.Lesson:
        features = task_features.task_features(platform, cases.BATCH, costs)
        return training.lesson(
            platform, costs, features, decision.place.astype(jnp.int32), decision.order
        )

    lesson = observe(costs)
    for values in (lesson.features.task, lesson.observation.places, lesson.observation.step):
        assert np.isfinite(values).all()
        assert (np.abs(values) <= LIMIT).all()


@pytest.mark.parametrize("cycles", [[0.0], [3.0]])
def test_one_task(cycles: list[float]) -> None:
    problem = oj.graphs.GraphProblem(cycles, [[0.0]], [[False]], [1.0], [0.0], 1.0, 2.0, 0.0, 0.0)
    decision = POLICY(problem)
    assert decision.place.tolist() == [0]  # Both links are dead.
    assert decision.order.tolist() == [0]


def test_dead_links_leave_everything_at_home() -> None:
    rng = np.random.default_rng(5)
    problem = cases.as_problem([cases.random_request(rng, exact=False) for _ in range(4)])
    problem = dataclasses.replace(problem, device_edge_bandwidth=np.zeros(4))
    assert not POLICY(problem).place.any()


def _relabelled(graph: oracle.Graph, new: list[int]) -> oracle.Graph:
    """Task v becomes task new[v]."""
    old = np.argsort(new)
    lists = ("seconds", "input", "output", "release")
    moved = {name: tuple(getattr(graph, name)[v] for v in old) for name in lists}
    edges = {(new[u], new[v]): size for (u, v), size in graph.edges.items()}
    return graph._replace(edges=edges, **moved)


def test_numbering_tasks_anew_permutes_the_decision() -> None:
    rng = np.random.default_rng(6)
    graphs, others, permutations = [], [], []
    for _ in range(cases.BATCH):
        graph = cases.random_graph(rng, cases.PAPER, exact=False)
        new = np.argsort(cases.random_order(rng, graph)).tolist()
        graphs.append(graph)
        others.append(_relabelled(graph, new))
        permutations.append(new)
    first, second = POLICY(cases.as_costs(graphs)), POLICY(cases.as_costs(others))
    assert any(new != sorted(new) for new in permutations)
    for row, new in enumerate(permutations):
        filled = [v for v in graphs[row].tasks if not graphs[row].is_empty(v)]
        assert [first.place[row][v] for v in filled] == [second.place[row][new[v]] for v in filled]
        expected = [new[v] for v in first.order[row].tolist() if v in filled]
        assert second.order[row].tolist()[: len(filled)] == expected


def test_empty_tasks_change_nothing(problem: oj.graphs.GraphProblem) -> None:
    def pad(value: jax.Array, axes: int) -> np.ndarray:
        return np.pad(value, [(0, 0)] + [(0, 2)] * axes)

    padded = dataclasses.replace(
        problem,
        cycles=pad(problem.cycles, 1),
        data=pad(problem.data, 2),
        depends=pad(problem.depends, 2),
        input=pad(problem.input, 1),
        output=pad(problem.output, 1),
        release=0.0,
    )
    plain, filled = POLICY(problem), POLICY(padded)
    np.testing.assert_array_equal(filled.place[:, :6], plain.place)
    np.testing.assert_array_equal(filled.order[:, :6], plain.order)
    np.testing.assert_array_equal(filled.order[:, 6:], np.tile([6, 7], (32, 1)))


def test_units_and_speed_of_everything_change_nothing(problem: oj.graphs.GraphProblem) -> None:
    # Powers of two, so that nothing is rounded anew.
    faster = dataclasses.replace(
        problem,
        device_speed=problem.device_speed * 8,
        edge_speed=problem.edge_speed * 8,
        device_edge_bandwidth=problem.device_edge_bandwidth * 8,
        edge_cloud_bandwidth=problem.edge_cloud_bandwidth * 8,
    )
    jax.tree.map(np.testing.assert_array_equal, POLICY(problem), POLICY(faster))


def test_order_is_that_of_the_most_urgent_ready_task() -> None:
    rng = np.random.default_rng(7)
    graphs = [cases.random_graph(rng, cases.PAPER, 40) for _ in range(cases.BATCH)]
    costs = cases.as_costs(graphs)
    priority = np.stack([rng.permutation(40) for _ in graphs], 1).astype(np.float32)
    platform = platform_of(costs)

    @jax.jit
    def decide(priority: jax.Array, costs: oj.graphs.GraphCosts) -> jax.Array:
        features = task_features.task_features(platform, len(graphs), costs)
        return dependency_order(priority, features)

    order = np.asarray(decide(priority, training.examples_of(costs).costs))
    for row, graph in enumerate(graphs):
        left, expected = [v for v in graph.tasks if not graph.is_empty(v)], []
        while left:
            ready = [v for v in left if not set(graph.needs(v)) & set(left)]
            expected.append(max(ready, key=lambda v: priority[v, row]))
            left.remove(expected[-1])
        expected += [v for v in graph.tasks if graph.is_empty(v)]
        assert order[row].tolist() == expected


def test_best_of_is_never_worse_than_the_rule_and_no_worse_with_more(
    problem: oj.graphs.GraphProblem,
) -> None:
    greedy = np.asarray(oj.graphs.simulate(problem, *oj.graphs.policies.greedy(problem)).makespan)
    single = np.asarray(oj.graphs.simulate(problem, *POLICY(problem)).makespan)
    key = jax.random.key(4)
    before = np.minimum(greedy, single)
    assert (single > greedy).any()  # A random policy: the rule has to step in.
    for num in (0, 2, 64):
        decision = POLICY.best_of(num)(problem, key)
        makespan = np.asarray(oj.graphs.simulate(problem, *decision).makespan)
        assert (makespan <= before).all()
        assert num == 2 or (makespan < before).any()
        before = makespan
    with pytest.raises(ValueError, match="num = -1"):
        POLICY.best_of(-1)


def test_works_inside_jit_and_vmap(problem: oj.graphs.GraphProblem) -> None:
    expected = POLICY(problem)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(POLICY)(problem), expected)
    single = jax.jit(jax.vmap(POLICY))(problem)
    jax.tree.map(np.testing.assert_array_equal, single, expected)


@pytest.fixture(name="lesson", scope="module")
def _lesson(problem: oj.graphs.GraphProblem) -> training.Lesson:
    """Of random decisions about the first eight requests."""
    problem = jax.tree.map(lambda leaf: np.asarray(leaf)[:8], problem)
    decision = oj.graphs.policies.random(problem)
    costs = training.examples_of(problem).costs
    platform = platform_of(oj.graphs.graph_costs(problem))

    @jax.jit
    def make(costs: oj.graphs.GraphCosts) -> training.Lesson:
        features = task_features.task_features(platform, 8, costs)
        place = decision.place.astype(jnp.int32)
        return training.lesson(platform, costs, features, place, decision.order)

    return make(costs)


def answers(policy: LearnedGraphPolicy, lesson: training.Lesson) -> tuple[np.ndarray, np.ndarray]:
    score, priority = jax.jit(training.answers)(policy.params, lesson)
    return np.asarray(score, np.float64), np.asarray(priority, np.float64)


def test_loss_is_minus_the_log_probability_of_the_schedule(lesson: training.Lesson) -> None:
    loss = jax.jit(training.lesson_loss)(POLICY.params, lesson)
    score, priority = answers(POLICY, lesson)
    lesson = jax.tree.map(np.asarray, lesson)
    lists, data = lesson.features.needs
    lists = np.arange(6)[:, None] if lists is None else lists
    needed = np.where(data >= 0, lists, 6)
    for row in range(8):
        expected, done = 0.0, []
        for i, task in enumerate(lesson.order[row].tolist()):
            ready = [v for v in range(6) if v not in done and set(needed[v, :, row]) <= {*done, 6}]
            exp = {v: math.exp(priority[v, row]) for v in ready}
            expected -= math.log(exp[task] / sum(exp.values()))
            place = int(np.argmax(lesson.place[:, i, row]))
            weights = np.exp(score[:, i, row])
            expected -= math.log(weights[place] / weights.sum())
            done.append(task)
        assert float(loss[row]) == pytest.approx(expected, rel=1e-4)


def test_what_is_unseen_changes_no_answer(lesson: training.Lesson) -> None:
    unseen = ("extra", "first", "margin")
    blind = LearnedGraphPolicy(MODEL, training.without(POLICY.params, unseen))
    expected = answers(blind, lesson)
    observation, features = lesson.observation, lesson.features
    changed = lesson._replace(
        observation=observation._replace(
            places=observation.places.at[columns.PLACE.index("extra")].add(1.0),
            step=observation.step.at[columns.STEP.index("first")].add(1.0),
        ),
        features=features._replace(task=features.task.at[columns.TASK.index("margin")].add(1.0)),
    )
    for before, after, seen in zip(
        expected, answers(blind, changed), answers(POLICY, changed), strict=True
    ):
        np.testing.assert_array_equal(before, after)
        assert (seen != before).any()


def test_with_rules_no_rule_is_shorter_than_what_is_learnt(
    problem: oj.graphs.GraphProblem,
) -> None:
    problem = jax.tree.map(lambda leaf: np.asarray(leaf)[:8], problem)
    examples, platform = training.examples_of(problem), platform_of(oj.graphs.graph_costs(problem))
    recipe = training.GraphTraining(num_epochs=1, batch_size=8, num_samples=2, rules=True)
    learner, index = training.GraphImitation(platform, recipe), jnp.arange(8)
    told = jax.jit(learner.batch)(POLICY.params, examples, index, jax.random.key(0))
    order = np.asarray(told.order)
    place = np.zeros_like(order)
    np.put_along_axis(place, order, np.argmax(told.place, axis=0).T, axis=1)
    learnt = oj.graphs.simulate(problem, place, order).makespan
    rules = oj.graphs.policies
    for rule in (rules.greedy, rules.local, rules.edge, rules.cloud):
        # Single places are taken by upward rank.
        decision = rule(problem)._replace(order=rules.greedy(problem).order)
        longest = oj.graphs.simulate(problem, *decision).makespan
        assert (np.asarray(learnt) <= np.asarray(longest) * (1 + 1e-6)).all()


def test_gradient_of_the_loss_is_that_of_finite_differences(lesson: training.Lesson) -> None:
    def as_float64(leaf: np.ndarray) -> np.ndarray:
        array = np.asarray(leaf)
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    rng = np.random.default_rng(8)
    # With these weights no unit of the messages is dead, so every layer has a gradient to check.
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.5, np.shape(leaf)), POLICY.params)
    lesson = jax.tree.map(as_float64, lesson)
    with jax.enable_x64(True):
        lesson = jax.tree.map(jnp.asarray, lesson)
        loss = jax.jit(lambda params: jnp.mean(training.lesson_loss(params, lesson)))
        gradient = jax.tree.map(np.asarray, jax.jit(jax.grad(loss))(params))
        for name in params:
            direction = jax.tree.map(lambda leaf: rng.normal(0, 1, leaf.shape), params[name])

            def moved(step: float, name: str = name, direction: dict = direction) -> float:
                layer = jax.tree.map(lambda a, b: a + step * b, params[name], direction)
                return float(loss({**params, name: layer}))

            step = 2e-5
            slope = (moved(step) - moved(-step)) / (2 * step)
            along = jax.tree.map(lambda a, b: np.sum(a * b), gradient[name], direction)
            assert abs(slope) > 1e-6, name
            assert sum(jax.tree.leaves(along)) == pytest.approx(slope, rel=1e-5, abs=1e-8), name


TRAINING = training.GraphTraining(
    num_epochs=4, batch_size=8, num_samples=4, learning_rate=1e-2, average_decay=0.9
)


def test_learns_sixteen_schedules_by_heart() -> None:
    scenario = oj.graphs.scenarios.layered(5)
    problem = oj.graphs.scenarios.sample(jax.random.key(7), scenario, 16)
    found = oj.graphs.solve(problem, method="search")
    policy = training.train_graph_policy(
        problem,
        model=GraphPolicyConfig(hidden=32, second=16, order_hidden=16),
        training=dataclasses.replace(TRAINING, num_epochs=500, batch_size=16),
        decision=oj.graphs.Decision(found.place, found.order),
    )
    decision = policy(problem)
    greedy = oj.graphs.simulate(problem, *oj.graphs.policies.greedy(problem)).makespan
    ratio = oj.graphs.simulate(problem, *decision).makespan / found.cost
    assert np.mean(ratio) < 1 + 0.2 * (np.mean(greedy / found.cost) - 1)
    assert np.mean(decision.place == found.place) > 0.9


def test_a_checkpoint_resumes_bit_for_bit_and_restores_the_policy(tmp_path) -> None:
    problem = oj.graphs.scenarios.sample(jax.random.key(8), oj.graphs.scenarios.layered(5), 16)

    def train(path, stop: int | None = None) -> LearnedGraphPolicy:
        def interrupt(epoch: int, metrics: object) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        return training.train_graph_policy(
            problem,
            model=MODEL,
            training=TRAINING,
            checkpoint=path,
            checkpoint_every=1,
            on_epoch=interrupt,
        )

    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", stop=2)
    parts = train(tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, whole.params, parts.params)
    loaded = oj.graphs.policies.load(tmp_path / "parts")
    assert loaded.config == MODEL
    jax.tree.map(np.testing.assert_array_equal, loaded.params, whole.params)


def test_softened_answers_of_a_teacher_are_what_is_learnt(lesson: training.Lesson) -> None:
    teacher = random_policy(seed=1)
    settings = dataclasses.replace(TRAINING, temperature=3.0, teacher_weight=1.0)
    mixed = jax.jit(lambda lesson: training.taught(lesson, teacher, settings))(lesson)
    mixed = jax.tree.map(np.asarray, mixed)
    score, priority = answers(teacher, lesson)
    ready = np.asarray(lesson.ready)
    for i in range(6):
        weights = np.exp(score[:, i] / 3)
        np.testing.assert_allclose(mixed.place[:, i], weights / weights.sum(0), atol=1e-5)
        weights = np.exp(priority / 3) * ready[i]
        np.testing.assert_allclose(mixed.turn[i], weights / weights.sum(0), atol=1e-5)


def test_a_checkpoint_of_something_else_is_refused(tmp_path) -> None:
    assert policies.model_data(MODEL)["network"] == "graph_policy"
    with checkpoints.training_folder(tmp_path, {"model": {"network": "q_network"}}) as folder:
        folder.save({"a": jnp.zeros(1)}, params={"a": jnp.zeros(1)}, epoch=1)
    with pytest.raises(checkpoints.CheckpointError, match="q_network"):
        load(tmp_path)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(GraphPolicyConfig)])
def test_sizes_must_be_positive(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} = -1"):
        GraphPolicyConfig(**{field: -1})


def test_packaged_weights_are_those_that_were_written(tmp_path) -> None:
    policies.write(tmp_path / "weights.npz", POLICY)
    config, params = policies.read(tmp_path / "weights.npz", GraphPolicyConfig)
    assert config == MODEL
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
        params,
        POLICY.params,
    )


def test_the_student_of_the_package_beats_greedy() -> None:
    """That it needs neither Flax nor Orbax is for `tests/test_extras.py`."""
    policies = oj.graphs.policies
    problem = oj.graphs.scenarios.sample(jax.random.key(9), oj.graphs.scenarios.layered(20), 100)
    deciders = policies.local, policies.edge, policies.cloud, policies.greedy, policies.student()
    makespans = [
        float(oj.graphs.simulate(problem, *decide(problem)).makespan.mean()) for decide in deciders
    ]
    assert min(makespans) == makespans[-1] < min(makespans[:-1]), makespans
