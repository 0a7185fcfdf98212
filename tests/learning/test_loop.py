"""The loop on a toy: averages by hand, resumes bit for bit after SIGKILL, and stops on NaN."""

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

from offload_jax.learning import checkpoints, deep_q_learning, imitation, loop
from tests.learning import killable, toy

RECIPE = imitation.ImitationRecipe(num_epochs=2, batch_size=10)


def train(recipe=RECIPE, task=None, **options):
    examples = options.pop("examples", None) or toy.points(20)
    return imitation.train(
        [imitation.Group(examples, task or toy.Regression(), recipe.batch_size)],
        model=toy.Linear(),
        recipe=recipe,
        config=options.pop("config", {"recipe": recipe}),
        **options,
    )


def weights_equal(a, b) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def newest(path: Path):
    """Parameters of the newest checkpoint."""
    return checkpoints.load(path, lambda _: train())[1]


def test_average_forgets_its_start_while_it_is_young() -> None:
    values = [5.0, -1.0, 2.0, 4.0]
    average, expected = jnp.float32(100.0), 100.0
    for step, value in enumerate(values):
        average = loop.average(average, jnp.float32(value), decay=0.3, step=jnp.int32(step))
        kept = min(0.3, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
        np.testing.assert_allclose(average, expected, rtol=1e-6)
    # After the first step a tenth of the initial weights is left, whatever the decay.
    np.testing.assert_allclose(loop.average(1.0, 0.0, decay=0.999, step=jnp.int32(0)), 0.1)
    np.testing.assert_allclose(loop.average(1.0, 0.0, decay=0.999, step=jnp.int32(10**6)), 0.999)
    np.testing.assert_array_equal(loop.average(1.0, jnp.ones(2), decay=0.0, step=jnp.int32(5)), 1.0)


def test_learning_rate_rises_and_falls_to_nothing() -> None:
    rate = loop.learning_rate_schedule(2.0, warmup_steps=10, num_steps=110)
    seen = [float(rate(step)) for step in (0, 5, 10, 60, 110)]
    np.testing.assert_allclose(seen, [0.0, 1.0, 2.0, 1.0, 0.0], atol=1e-6)
    # Never more than a tenth of a short training is warm-up.
    short = loop.learning_rate_schedule(2.0, warmup_steps=10, num_steps=20)
    np.testing.assert_allclose([short(0), short(1), short(2)], [0.0, 1.0, 2.0], atol=1e-6)


def test_first_step_is_that_of_adamw() -> None:
    recipe = loop.Recipe(num_epochs=1, learning_rate=0.1, warmup_steps=0, weight_decay=0.5)
    state = loop.start(recipe, {"x": jnp.array([2.0, -4.0])})
    state, value = loop.descend(
        recipe, state, lambda params: jnp.sum(params["x"] ** 2), steps_per_epoch=10
    )
    # Adam's first step is the sign of the gradient; decay pulls at the weights themselves.
    np.testing.assert_allclose(state.params["x"], [2.0 - 0.1 - 0.1, -4.0 + 0.1 + 0.2], rtol=1e-5)
    assert value == 20.0
    assert state.step == 1
    weights_equal(state.averaged, state.params)


def test_regression_finds_the_line() -> None:
    recipe = dataclasses.replace(RECIPE, num_epochs=200, learning_rate=0.1, warmup_steps=0)
    losses = []
    params = train(recipe, on_epoch=lambda epoch, metrics: losses.append(metrics["loss"]))
    np.testing.assert_allclose(params["kernel"][:, 0], [3.0, -2.0], atol=1e-2)
    np.testing.assert_allclose(params["bias"], [1.0], atol=1e-2)
    assert len(losses) == 200
    assert losses[-1] < 1e-3 < losses[0]


def test_labels_may_come_from_the_network_itself() -> None:
    losses = []
    recipe = dataclasses.replace(RECIPE, num_epochs=10, learning_rate=0.1, warmup_steps=0)
    first, last = (
        train(dataclasses.replace(recipe, num_epochs=num), toy.OneBetter(), on_epoch=on_epoch)
        for num, on_epoch in ((1, None), (10, lambda _, metrics: losses.append(metrics["loss"])))
    )
    # It is always one off, however far it has come.
    np.testing.assert_allclose(losses, 1.0, rtol=1e-5)
    assert last["bias"][0] > first["bias"][0] + 0.5


def test_another_seed_is_the_same_program_with_other_weights() -> None:
    traces = []

    @dataclasses.dataclass(frozen=True)
    class Counted(toy.Regression):
        def loss(self, params, batch):
            traces.append(None)
            return super().loss(params, batch)

    seeds = [train(dataclasses.replace(RECIPE, seed=seed), Counted()) for seed in (0, 0, 1)]
    assert len(traces) == 1
    weights_equal(seeds[0], seeds[1])
    assert not np.array_equal(seeds[0]["kernel"], seeds[2]["kernel"])


def test_killed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    uninterrupted = killable.train(None)
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "tests.learning.killable", str(folder)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment)
    try:
        deadline = time.monotonic() + 600
        # The process sleeps after each epoch, so this is somewhere in the middle.
        while not list(folder.glob("epoch_00000004")):
            assert process.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    epochs = []
    resumed = killable.train(folder, lambda epoch, _: epochs.append(epoch))
    assert epochs[0] > 4
    assert epochs[-1] == killable.NUM_EPOCHS
    weights_equal(resumed, uninterrupted)
    weights_equal(newest(folder), uninterrupted)
    again = killable.train(folder, lambda epoch, _: pytest.fail("a finished training is repeated"))
    weights_equal(again, uninterrupted)


def test_interrupted_q_learning_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe = deep_q_learning.DeepQRecipe(
        num_epochs=6, steps_per_epoch=3, actors=4, batch_size=8, replay_size=20, warmup_steps=0
    )

    def train(path, on_epoch=None):
        return deep_q_learning.train(
            toy.points(30)[0],
            toy.Bandit(),
            model=toy.Linear(2),
            recipe=recipe,
            config={},
            checkpoint=path,
            checkpoint_every=2,
            on_epoch=on_epoch,
        )

    def interrupt(epoch, metrics):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", interrupt)
    epochs = []
    resumed = train(tmp_path / "run", lambda epoch, _: epochs.append(epoch))
    assert epochs == [3, 4, 5, 6]
    weights_equal(resumed, train(None))


def test_nan_stops_with_the_step_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, num_epochs=6)
    where, values = toy.points(40)
    options = {"config": {}, "checkpoint": tmp_path / "run", "checkpoint_every": 1}

    def interrupt(epoch, metrics):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, examples=(where, values), on_epoch=interrupt, **options)
    good = newest(tmp_path / "run")
    # One value in forty is broken: the loss of one step of the third epoch is NaN.
    broken = where, values.at[7].set(jnp.nan)
    message = r"loss is nan at step (8|9|10|11) \(epoch 2, .* last good checkpoint in .*run is kept"
    with pytest.raises(loop.TrainingDiverged, match=message):
        train(recipe, examples=broken, **options)
    weights_equal(newest(tmp_path / "run"), good)


def test_two_trainings_do_not_meet_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def start_another(epoch, metrics):
        with pytest.raises(BlockingIOError, match="another process is writing this checkpoint"):
            train(checkpoint=folder)

    first = train(checkpoint=folder, on_epoch=start_another)
    weights_equal(newest(folder), first)
    weights_equal(train(checkpoint=folder), first)  # the folder is free again


@pytest.mark.parametrize("batch_size", [0, 21])
def test_batches_need_as_many_examples(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size = {batch_size}: there are only 20 examples"):
        train(dataclasses.replace(RECIPE, batch_size=batch_size))


def test_q_learning_finds_the_best_arm_and_explores_less_and_less() -> None:
    recipe = deep_q_learning.DeepQRecipe(
        num_epochs=20, steps_per_epoch=20, actors=16, batch_size=32, replay_size=500,
        learning_rate=0.05, warmup_steps=0,
    )  # fmt: skip
    states, _ = toy.points(50)
    rewards = []
    params = deep_q_learning.train(
        states,
        toy.Bandit(),
        model=toy.Linear(2),
        recipe=recipe,
        config={},
        on_epoch=lambda epoch, metrics: rewards.append(metrics["reward"]),
    )
    # A value is what its arm earns, so the optimum is the identity.
    np.testing.assert_allclose(params["kernel"], np.eye(2), atol=0.05)
    assert rewards[-1] > rewards[0] + 0.3


def test_epsilon_falls_linearly_and_stays() -> None:
    recipe = deep_q_learning.DeepQRecipe(
        num_epochs=10, steps_per_epoch=10, epsilon_start=1.0, epsilon_end=0.2, exploration=0.5
    )
    epsilon = [float(deep_q_learning.epsilon_at(recipe, step)) for step in (0, 25, 50, 99)]
    np.testing.assert_allclose(epsilon, [1.0, 0.6, 0.2, 0.2], rtol=1e-6)
