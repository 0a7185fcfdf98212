"""Tiny trainings for a process that a test kills: `python -m tests.learning.killable name path`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax

import offload_jax as oj
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.learned import LearnedPolicy
from offload_jax.chains.q_network import QNetworkConfig
from offload_jax.learning.deep_q_learning import DqnTraining, train_dqn
from offload_jax.learning.distillation import mirror
from offload_jax.learning.imitation import Examples, ImitationTraining, one_hot, train_imitation

NUM_EPOCHS = 8
TRAININGS = ("imitation", "dqn")


def train(
    name: str, path: Path | None, on_epoch: Callable[[int, object], None] | None = None
) -> LearnedPolicy:
    """The same training whenever it is called."""
    problem = oj.scenarios.sample(jax.random.key(0), oj.scenarios.WIDE, 30)
    if name == "dqn":
        return train_dqn(
            problem,
            model=QNetworkConfig(hidden=(8,)),
            training=DqnTraining(
                num_epochs=NUM_EPOCHS, steps_per_epoch=3, actors=8, batch_size=8, replay_size=50
            ),
            checkpoint=path,
            checkpoint_every=2,
            on_epoch=on_epoch,
        )
    return train_imitation(
        Examples(problem, one_hot(oj.solve(problem).decision)),
        model=ImitationConfig(hidden=(8,)),
        training=ImitationTraining(
            num_epochs=NUM_EPOCHS,
            batch_size=10,
            average_decay=0.9,
            expected_cost_weight=1.0,
            recombined=5,
        ),
        transform=mirror,
        checkpoint=path,
        checkpoint_every=2,
        on_epoch=on_epoch,
    )


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]), lambda epoch, metrics: time.sleep(0.2))
