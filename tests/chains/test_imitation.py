"""Imitation on chains: it learns exact labels, a teacher's answers and expected costs."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains import imitation
from offload_jax.chains.augmentation import Variations, recombine
from offload_jax.chains.imitation import (
    Examples,
    ImitationTraining,
    one_hot,
    taught,
    teacher_of,
    train_imitation,
)
from offload_jax.chains.imitation_network import ImitationConfig, log_probabilities, logits
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.configs import as_data
from offload_jax.learning import checkpoints
from tests import oracle
from tests.learning import spread

NUM = 32
SMALL = ImitationConfig(hidden=(16,), feature_set="physical")
RECIPE = ImitationTraining(num_epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def data() -> Examples:
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, NUM)
    return Examples(problem, one_hot(oj.solve(problem).decision))


@pytest.fixture(scope="module")
def teacher(data: Examples) -> LearnedPolicy:
    return train_imitation(data, model=SMALL, training=RECIPE)


@pytest.mark.parametrize(
    "model",
    [
        ImitationConfig(hidden=(64, 64)),
        ImitationConfig(hidden=(64, 64), feature_set="times", sharing="shared", residual=True),
    ],
)
def test_overfits_32_samples(model, data):
    recipe = ImitationTraining(num_epochs=400, batch_size=NUM, learning_rate=5e-3, warmup_steps=10)
    policy = train_imitation(data, model=model, training=recipe)
    np.testing.assert_array_equal(policy(data.problem), jnp.argmax(data.target, axis=-1))


def test_loss_is_the_weighted_sum_that_the_recipe_says(data, teacher):
    recipe = dataclasses.replace(
        RECIPE, temperature=2.0, cross_entropy_weight=0.3, expected_cost_weight=10.0, recombined=8
    )
    task = imitation.ChainImitation(SMALL, recipe, spread.backwards)
    index = jnp.arange(16)
    examples, unlabelled = jax.jit(task.batch)(teacher.params, data, index, jax.random.key(4))
    assert unlabelled.batch_shape == (8,)
    assert examples.target.shape == (16, 6, 3)
    real = {np.asarray(v).tobytes() for v in data.problem.data}
    assert {np.asarray(v).tobytes() for v in unlabelled.data} <= real

    @jax.jit
    def expected_cost(problem):
        output = logits(SMALL, teacher.params, problem)
        return jnp.mean(imitation.log_expected_cost(output, problem))

    output = jax.jit(functools.partial(logits, SMALL, teacher.params))(examples.problem)
    output = np.asarray(output, np.float64) / 2.0
    normalised = output - np.log(np.exp(output).sum(axis=-1, keepdims=True))
    entropy = -4.0 * np.mean(np.sum(examples.target * normalised, axis=(-2, -1)))
    expected = 0.3 * entropy + 10.0 * (expected_cost(examples.problem) + expected_cost(unlabelled))
    value = jax.jit(task.loss)(teacher.params, (examples, unlabelled))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    plain = dataclasses.replace(recipe, recombined=0, expected_cost_weight=0.0)
    task = dataclasses.replace(task, training=plain)
    value = jax.jit(task.loss)(teacher.params, (examples, unlabelled))
    np.testing.assert_allclose(value, 0.3 * entropy, rtol=1e-5)


def test_a_checkpoint_holds_policy_and_recipe(data, tmp_path):
    policy = train_imitation(
        data, model=SMALL, training=RECIPE, description="wide", checkpoint=tmp_path / "run"
    )
    loaded = oj.policies.load(tmp_path / "run")
    assert loaded.config == SMALL
    jax.tree.map(np.testing.assert_array_equal, loaded.params, policy.params)
    np.testing.assert_array_equal(loaded(data.problem), policy(data.problem))
    stored, _ = checkpoints.load(tmp_path / "run", lambda _: policy.params)
    assert stored["training"] == as_data(RECIPE)
    assert stored["model"] == {"network": "imitation", **as_data(SMALL)}
    assert stored["data"] == {"description": "wide", "examples": NUM}


@pytest.mark.parametrize("objective", [oj.LATENCY, oj.Objective(0.5, 2.0)])
def test_expected_cost_of_a_certain_policy_is_its_cost(objective, data):
    rows = range(4)
    problem = data.problem[:4]
    decisions = [[0, 1, 1, 2, 0, 1], [2] * 6, [0] * 6, [1, 2, 0, 2, 1, 0]]
    certain = 80.0 * one_hot(np.array(decisions, np.int8)) - 40.0
    result = jax.jit(imitation.log_expected_cost)(certain, problem, objective)
    weights = objective.latency_weight, objective.energy_weight
    for row in rows:
        one = jax.tree.map(lambda leaf, row=row: np.asarray(leaf, np.float64)[row], problem)
        chain = oracle.Chain(*(getattr(one, f.name) for f in dataclasses.fields(one)))

        def cost(decision, chain=chain):
            seconds, joules = oracle.latency(chain, decision), oracle.energy(chain, decision)
            return weights[0] * seconds + weights[1] * joules

        scale = min(cost([k] * 6) for k in range(3))
        np.testing.assert_allclose(
            result[row], np.log(cost(decisions[row]) / scale), rtol=1e-3, atol=1e-4
        )


def test_half_of_the_chains_are_reversed_and_none_is_cheaper(data):
    vary = Variations(recombine=False, spread=0.0, rescale=1.0)
    varied = jax.jit(vary)(jax.random.key(1), data.problem)
    np.testing.assert_allclose(oj.solve(varied).cost, oj.solve(data.problem).cost, rtol=1e-5)
    turned = np.any(np.asarray(varied.cycles != data.problem.cycles), axis=-1)
    assert NUM / 4 < turned.sum() < 3 * NUM / 4


def test_recombined_requests_are_made_of_real_ones(data):
    made = jax.jit(recombine, static_argnums=2)(jax.random.key(0), data.problem, 200)
    sources = []
    for name in ("cycles", "data", "device_speed"):
        real = [np.asarray(v).tobytes() for v in getattr(data.problem, name)]
        sources.append([real.index(np.asarray(v).tobytes()) for v in getattr(made, name)])
    assert made.batch_shape == (200,)
    # Each quantity comes from a request of its own.
    for a, b in ((0, 1), (1, 2)):
        assert np.mean(np.equal(sources[a], sources[b])) < 0.3
    assert len(set(sources[0])) > NUM / 2


def test_variations_stay_legal_and_keep_only_what_they_may():
    narrow = oj.scenarios.sample(jax.random.key(2), oj.scenarios.NARROW, NUM)
    varied = jax.jit(Variations())(jax.random.key(0), narrow)
    oj.validate(varied)
    assert varied.batch_shape == (NUM,)
    identity = Variations(recombine=False, spread=0.0, rescale=1.0, reverse=False)
    same = jax.jit(identity)(jax.random.key(0), narrow)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), same, narrow)
    scaled = Variations(recombine=False, spread=0.0, rescale=2.0, reverse=False)
    factor = jax.jit(scaled)(jax.random.key(0), narrow).edge_speed / narrow.edge_speed
    assert 0.5 <= factor.min() < 0.7 and 1.4 < factor.max() <= 2.0


def test_a_teacher_answers_variations_inside_training(data, teacher):
    answers = teacher_of(teacher, 5.0)
    transform = taught(answers, Variations())
    batch = jax.jit(transform)(jax.random.key(0), data)
    np.testing.assert_allclose(batch.target.sum(-1), 1.0, rtol=1e-5)
    logarithms = np.asarray(log_probabilities(SMALL, teacher.params, batch.problem), np.float64)
    softened = np.exp(logarithms / 5.0)
    softened /= softened.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(batch.target, softened, rtol=1e-4)
    student = train_imitation(data, model=SMALL, training=RECIPE, transform=transform)
    changed = jax.tree.map(lambda a, b: np.any(a != b), student.params, teacher.params)
    assert jax.tree.all(changed)


def test_a_q_network_is_no_teacher():
    with pytest.raises(ValueError, match="teacher: needs probabilities of places, got a QNetwork"):
        teacher_of(LearnedPolicy(QNetworkConfig(), {}), 1.0)


def test_data_that_does_not_fit_is_refused(data):
    message = r"target: needs shape \(32, 6, 3\), got \(32, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        train_imitation(data._replace(target=data.target[:, :5]), model=SMALL, training=RECIPE)
