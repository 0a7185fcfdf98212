"""A small training for processes of several devices: `python -m tests.learning.spread out.npz`.

Options: `--folder=` of checkpoints, `--port= --process=` of two, `--stop=` after this many epochs.
"""

import argparse
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import offload_jax as oj
from offload_jax.chains.imitation import (
    Examples,
    ImitationTraining,
    one_hot,
    train_imitation,
)
from offload_jax.chains.imitation_network import ImitationConfig
from offload_jax.chains.symmetry import reverse

NUM_EPOCHS = 4


def backwards(key: jax.Array, examples: Examples) -> Examples:
    """A transform that reverses the chains together with their targets."""
    del key
    return Examples(reverse(examples.problem), jnp.flip(examples.target, axis=-2))


def train(folder: Path | None, stop: int) -> dict[str, np.ndarray]:
    """Weights and losses of the same training whenever it is called."""
    losses: list[float] = []

    def on_epoch(epoch: int, metrics) -> None:
        losses.append(metrics["loss"])
        if epoch == stop:
            raise KeyboardInterrupt

    scenario = dataclasses.replace(oj.scenarios.NARROW, num_subtasks=3)
    problem = oj.scenarios.sample(jax.random.key(0), scenario, 200)
    policy = train_imitation(
        Examples(problem, one_hot(oj.solve(problem).decision)),
        model=ImitationConfig(num_subtasks=3, feature_set="raw", hidden=(8,), sharing="shared"),
        training=ImitationTraining(
            num_epochs=NUM_EPOCHS,
            batch_size=40,
            average_decay=0.9,
            expected_cost_weight=1.0,
            recombined=10,
        ),
        transform=backwards,
        checkpoint=folder,
        checkpoint_every=1,
        on_epoch=on_epoch,
    )
    leaves = jax.tree.leaves(policy.params)
    oj.metrics.normalized_latency(problem, policy(problem))  # weights are of use as they are
    return {f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)} | {
        "losses": np.array(losses)
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--port")
    parser.add_argument("--process", type=int)
    parser.add_argument("--stop", type=int, default=0)
    options = parser.parse_args()
    if options.port:
        jax.distributed.initialize(
            f"localhost:{options.port}",
            num_processes=2,
            process_id=options.process,
            initialization_timeout=60,
            shutdown_timeout_seconds=20,
        )
    assert len(jax.devices()) == 2
    try:
        found = train(options.folder, options.stop)
    except KeyboardInterrupt:
        return
    np.savez(options.out, **found)


if __name__ == "__main__":
    main()
