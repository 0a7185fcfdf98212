"""Losses and softened labels against hand computation, enumeration and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.learning import distillation, losses


def problems(num: int) -> oj.ChainProblem:
    return oj.scenarios.sample(jax.random.key(5), oj.scenarios.WIDE, num)


@pytest.mark.parametrize(
    ("temperature", "expected"), [(5.0, (0.71, 0.20, 0.09)), (10.0, (0.53, 0.28, 0.19))]
)
def test_softening_gives_the_corrected_example(temperature, expected):
    softened = distillation.soften(jnp.log(jnp.array([0.998, 2e-3, 3e-5])), temperature)
    np.testing.assert_allclose(softened, expected, atol=0.005)


def test_softening_of_the_printed_example():
    softened = distillation.soften(jnp.log(jnp.array([0.999, 2e-4, 3e-6])), 5.0)
    np.testing.assert_allclose(softened, (0.79, 0.14, 0.06), atol=0.007)


def test_temperature_one_gives_the_teacher_back():
    probability = jnp.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    softened = distillation.soften(jnp.log(probability), 1.0)
    np.testing.assert_allclose(softened, probability, rtol=1e-6)


def test_probabilities_of_zero_soften_without_nan():
    softened = distillation.soften(jnp.log(jnp.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])), 5.0)
    np.testing.assert_allclose(softened, [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], rtol=1e-6)


def test_temperature_below_one_is_refused():
    with pytest.raises(ValueError, match=r"temperature = 0\.5: must be at least 1"):
        distillation.soften(jnp.zeros(3), 0.5)


@pytest.mark.parametrize("objective", [oj.LATENCY, oj.Objective(0.5, 2.0)])
def test_expected_cost_is_the_mean_over_all_decisions(objective):
    problem = problems(4)
    logits = jax.random.normal(jax.random.key(0), (4, 6, 3))
    probability = np.asarray(jax.nn.softmax(logits), np.float64)

    def cost(decisions, problem):
        seconds = np.asarray(oj.latency(problem, decisions), np.float64)
        joules = np.asarray(oj.energy(problem, decisions), np.float64)
        return objective.latency_weight * seconds + objective.energy_weight * joules

    expected = np.zeros(4)
    decisions = np.array(list(itertools.product(range(3), repeat=6)), np.int8)
    costs = cost(decisions, problem[:, None])
    for column, decision in enumerate(decisions):
        weight = np.prod([probability[:, t, place] for t, place in enumerate(decision)], axis=0)
        expected += weight * costs[:, column]
    scale = np.min([cost(np.full((4, 6), k, np.int8), problem) for k in range(3)], axis=0)
    result = losses.log_expected_cost(logits, problem, objective)
    np.testing.assert_allclose(result, np.log(expected / scale), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["cross_entropy", "matched", "log_expected_cost"])
def test_gradients_agree_with_finite_differences(name):
    with jax.enable_x64(True):
        problem = problems(2)
        rng = np.random.default_rng(1)
        logits = jnp.asarray(rng.normal(size=(2, 6, 3)))
        target = jax.nn.softmax(rng.normal(size=(2, 6, 3)))

        def value(logits):
            if name == "log_expected_cost":
                return jnp.sum(losses.log_expected_cost(logits, problem))
            temperature = 5.0 if name == "matched" else 1.0
            return jnp.sum(losses.cross_entropy(logits, target, temperature=temperature))

        gradient = jax.grad(value)(logits)
        for index in itertools.islice(np.ndindex(2, 6, 3), 0, None, 5):
            step = jnp.zeros_like(logits).at[index].set(1e-5)
            difference = (value(logits + step) - value(logits - step)) / 2e-5
            np.testing.assert_allclose(gradient[index], difference, rtol=2e-3, atol=1e-5)


def test_dead_links_give_finite_loss_and_gradient():
    problem = oj.ChainProblem([1e9] * 6, [1e6] * 7, 1e9, 2e9, 0.0, 0.0)
    value, gradient = jax.value_and_grad(lambda logits: losses.log_expected_cost(logits, problem))(
        jnp.zeros((6, 3))
    )
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    certain = jnp.full((6, 3), -40.0).at[:, 0].set(40.0)
    np.testing.assert_allclose(losses.log_expected_cost(certain, problem), 0.0, atol=1e-5)
    assert value > 1.0


def test_variations_stay_legal_and_keep_only_what_they_may():
    narrow = oj.scenarios.sample(jax.random.key(2), oj.scenarios.NARROW, 50)
    varied = distillation.Variations()(jax.random.key(0), narrow)
    oj.validate(varied)
    assert varied.batch_shape == (50,)
    identity = distillation.Variations(recombine=False, spread=0.0, resize=1.0, reverse=False)
    same = identity(jax.random.key(0), narrow)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), same, narrow)
