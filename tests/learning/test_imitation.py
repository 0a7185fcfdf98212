"""Imitation training: it learns, resumes bit for bit after SIGKILL, and stops on NaN."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import offload_jax as oj
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.learning import checkpoints
from offload_jax.learning.distillation import Variations, label_variations, mirror, soft_labels
from offload_jax.learning.imitation import (
    Examples,
    ImitationTraining,
    one_hot,
    recombined,
    train_imitation,
)
from offload_jax.learning.loop import TrainingDiverged
from tests.learning import killable

SMALL = ImitationConfig(hidden=(16,), feature_set="physical")


def examples(num: int) -> Examples:
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, num)
    return Examples(problem, one_hot(oj.solve(problem).decision))


def weights_equal(a, b) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
    "model",
    [
        ImitationConfig(hidden=(64, 64)),
        ImitationConfig(hidden=(64, 64), feature_set="times", sharing="shared", residual=True),
    ],
)
def test_overfits_32_samples(model):
    data = examples(32)
    recipe = ImitationTraining(num_epochs=400, batch_size=32, learning_rate=5e-3, warmup_steps=10)
    policy = train_imitation(data, model=model, training=recipe)
    np.testing.assert_array_equal(policy(data.problem), jnp.argmax(data.target, axis=-1))


def test_killed_training_ends_with_the_same_weights(tmp_path):
    for name in killable.TRAININGS:
        uninterrupted = killable.train(name, None)
        command = [sys.executable, "-m", "tests.learning.killable", name, str(tmp_path / name)]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        root = Path(__file__).parents[2]
        process = subprocess.Popen(command, cwd=root, env=environment)
        deadline = time.monotonic() + 600
        # The process sleeps after each epoch, so this is somewhere in the middle.
        while not list((tmp_path / name).glob("epoch_00000004")):
            assert process.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        epochs = []
        folder = tmp_path / name
        resumed = killable.train(name, folder, lambda epoch, _, to=epochs: to.append(epoch))
        assert epochs[0] > 4
        assert epochs[-1] == killable.NUM_EPOCHS
        weights_equal(resumed.params, uninterrupted.params)
        weights_equal(oj.policies.load(tmp_path / name).params, uninterrupted.params)


def test_finished_training_is_not_repeated(tmp_path):
    recipe = ImitationTraining(num_epochs=2, batch_size=10)
    first = train_imitation(examples(20), model=SMALL, training=recipe, checkpoint=tmp_path / "run")
    epochs = []
    again = train_imitation(
        examples(20),
        model=SMALL,
        training=recipe,
        checkpoint=tmp_path / "run",
        on_epoch=lambda epoch, _: epochs.append(epoch),
    )
    assert epochs == []
    weights_equal(first.params, again.params)


def test_nan_stops_with_the_step_and_keeps_the_last_good_checkpoint(tmp_path):
    recipe = ImitationTraining(num_epochs=6, batch_size=10)
    data = examples(40)

    def interrupt(epoch, metrics):
        if epoch == 2:
            raise KeyboardInterrupt

    def train(data, on_epoch=None):
        return train_imitation(
            data,
            model=SMALL,
            training=recipe,
            checkpoint=tmp_path / "run",
            checkpoint_every=1,
            on_epoch=on_epoch,
        )

    with pytest.raises(KeyboardInterrupt):
        train(data, interrupt)
    good = oj.policies.load(tmp_path / "run").params
    # One label in forty is broken: the loss of one step of the third epoch is NaN.
    broken = data._replace(target=data.target.at[7, 0, 0].set(jnp.nan))
    message = r"loss is nan at step (8|9|10|11) \(epoch 2, .* last good checkpoint in .*run is kept"
    with pytest.raises(TrainingDiverged, match=message):
        train(broken)
    weights_equal(oj.policies.load(tmp_path / "run").params, good)


def test_seed_decides_the_weights():
    recipe = ImitationTraining(num_epochs=1, batch_size=10)
    policies = [
        train_imitation(examples(20), model=SMALL, training=dataclasses.replace(recipe, seed=seed))
        for seed in (0, 0, 1)
    ]
    weights_equal(policies[0].params, policies[1].params)
    kernels = [policy.params["networks"]["layer_0"]["kernel"] for policy in policies]
    assert not np.array_equal(kernels[0], kernels[2])


def test_mirror_keeps_labels_optimal():
    data = examples(64)
    mirrored = mirror(jax.random.key(1), data)
    decision = jnp.argmax(mirrored.target, axis=-1)
    optimum = oj.solve(mirrored.problem).cost
    np.testing.assert_allclose(oj.latency(mirrored.problem, decision), optimum, rtol=1e-5)
    turned = np.any(np.asarray(mirrored.problem.cycles != data.problem.cycles), axis=-1)
    assert 10 < turned.sum() < 54


def test_recombined_requests_are_made_of_real_ones():
    problem = examples(30).problem
    made = recombined(jax.random.key(0), problem, 200)
    for name in ("cycles", "data", "device_speed"):
        real = {np.asarray(v).tobytes() for v in getattr(problem, name)}
        assert {np.asarray(v).tobytes() for v in getattr(made, name)} <= real
    assert made.batch_shape == (200,)


def test_teacher_labels_variations_inside_training():
    data = examples(40)
    recipe = ImitationTraining(num_epochs=2, batch_size=20)
    teacher = train_imitation(data, model=SMALL, training=recipe)
    label = soft_labels(teacher, 5.0)
    batch = label_variations(label, Variations())(jax.random.key(0), data)
    np.testing.assert_allclose(batch.target, label(batch.problem), rtol=1e-5)
    np.testing.assert_allclose(batch.target.sum(-1), 1.0, rtol=1e-5)
    student = train_imitation(
        data, model=SMALL, training=recipe, transform=label_variations(label, Variations())
    )
    assert student(data.problem).shape == (40, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 50}, "batch_size = 50: there are only 20 examples"),
        ({}, r"target: needs shape \(20, 6, 3\), got \(20, 5, 3\)"),
    ],
)
def test_data_that_does_not_fit_is_refused(change, message):
    data = examples(20)
    if not change:
        data = data._replace(target=data.target[:, :5])
    recipe = ImitationTraining(**{"num_epochs": 1, "batch_size": 10, **change})
    with pytest.raises(ValueError, match=message):
        train_imitation(data, model=SMALL, training=recipe)


def test_configuration_beside_the_weights_is_complete(tmp_path):
    recipe = ImitationTraining(num_epochs=1, batch_size=10)
    train_imitation(
        examples(20),
        model=SMALL,
        training=recipe,
        description="wide",
        checkpoint=tmp_path / "run",
    )
    stored = checkpoints.stored_config(tmp_path / "run")
    assert stored["training"] == checkpoints.plain(recipe)
    assert stored["model"] == checkpoints.plain(SMALL)
    assert stored["data"] == {"description": "wide", "examples": 20}
    assert stored["epoch"] == 1
