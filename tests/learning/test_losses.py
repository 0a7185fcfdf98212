"""Losses and softened answers against hand computation, enumeration and finite differences."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offload_jax.learning import distillation, losses


def table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Execution `[2, 4, 3]` and transfer `[2, 5, 3, 3]` costs of two chains."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2.0, (2, 4, 3)), rng.uniform(0.0, 2.0, (2, 5, 3, 3))


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


def test_expected_cost_is_the_mean_over_all_decisions():
    execution, transfer = table(0)
    logits = np.random.default_rng(1).normal(size=(2, 4, 3))
    probability = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)

    def cost(row, decision):
        path = (0, *decision, 0)
        moves = sum(transfer[row, t, j, k] for t, (j, k) in enumerate(itertools.pairwise(path)))
        return moves + sum(execution[row, t, k] for t, k in enumerate(decision))

    arrays = (jnp.asarray(a, jnp.float32) for a in (logits, execution, transfer))
    result = jax.jit(losses.log_expected_cost)(*arrays)
    for row in range(2):
        expected = 0.0
        for decision in itertools.product(range(3), repeat=4):
            chance = math.prod(probability[row, t, k] for t, k in enumerate(decision))
            expected += chance * cost(row, decision)
        scale = min(cost(row, (k,) * 4) for k in range(3))
        np.testing.assert_allclose(result[row], math.log(expected / scale), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "matched", "log_expected_cost"])
def test_gradients_agree_with_finite_differences(name):
    with jax.enable_x64(True):
        execution, transfer = map(jnp.asarray, table(2))
        rng = np.random.default_rng(1)
        logits = jnp.asarray(rng.normal(size=(2, 4, 3)))
        target = jax.nn.softmax(rng.normal(size=(2, 4, 3)))

        @jax.jit
        def value(logits):
            if name == "log_expected_cost":
                return jnp.sum(losses.log_expected_cost(logits, execution, transfer))
            temperature = 5.0 if name == "matched" else 1.0
            return jnp.sum(losses.cross_entropy(logits, target, temperature=temperature))

        gradient = jax.grad(value)(logits)
        for index in itertools.islice(np.ndindex(2, 4, 3), 0, None, 5):
            step = np.zeros(logits.shape)
            step[index] = 1e-5
            difference = (value(logits + step) - value(logits - step)) / 2e-5
            np.testing.assert_allclose(gradient[index], difference, rtol=2e-3, atol=1e-5)


def test_impossible_moves_give_finite_loss_and_gradient():
    execution = np.ones((4, 3), np.float32)
    transfer = np.where(np.eye(3, dtype=bool), 0.0, np.full((5, 3, 3), np.inf)).astype(np.float32)
    execution, transfer = jnp.asarray(execution), jnp.asarray(transfer)
    both = jax.jit(jax.value_and_grad(losses.log_expected_cost))
    value, gradient = both(jnp.zeros((4, 3)), execution, transfer)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    certain = jnp.asarray(np.tile(np.float32([40.0, -40.0, -40.0]), (4, 1)))
    stays, _ = both(certain, execution, transfer)
    np.testing.assert_allclose(stays, 0.0, atol=1e-5)
    assert value > 1.0
