"""A tiny training for a process that a test kills: `python -m tests.learning.killable path`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offload_jax.learning import imitation
from tests.learning import toy

NUM_EPOCHS = 8


def train(path: Path | None, on_epoch: Callable[[int, object], None] | None = None) -> Any:
    """The same training whenever it is called."""
    recipe = imitation.ImitationRecipe(num_epochs=NUM_EPOCHS, batch_size=10, average_decay=0.9)
    return imitation.train(
        [imitation.Group(toy.points(30), toy.Regression(), recipe.batch_size)],
        model=toy.Linear(),
        recipe=recipe,
        config={"model": toy.Linear()},
        checkpoint=path,
        checkpoint_every=2,
        on_epoch=on_epoch,
    )


if __name__ == "__main__":
    train(Path(sys.argv[1]), lambda epoch, metrics: time.sleep(0.2))
