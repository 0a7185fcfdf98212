"""The command line that all scripts of learned policies share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from experiments import command_line, objective
from experiments.presets import PRESETS

_PRESET = flags.DEFINE_enum("preset", "quick", list(PRESETS), "Sizes and recipes.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/reproduce", "Where everything is written.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of requests and weights.")
_PROGRESS = flags.DEFINE_bool("progress", True, "Show progress bars.")
_OBJECTIVE = objective.define()
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write TensorBoard files too.")


def main(run: Callable[..., dict[str, Any]]) -> None:
    """Calls `run` with the flags and prints its headline."""

    def call() -> None:
        results = run(
            PRESETS[_PRESET.value].for_objective(objective.parse(_OBJECTIVE.value)),
            Path(_WORKDIR.value),
            seed=_SEED.value,
            progress=_PROGRESS.value,
            tensorboard=_TENSORBOARD.value,
        )
        for name, metrics in results.items():
            if isinstance(metrics, dict) and "ratio_of_means" in metrics:
                interval = metrics.get("ratio_of_means_interval")
                spread = "" if interval is None else f" +- {interval:.4f}"
                print(f"{name:32s} {metrics['ratio_of_means']:.4f}{spread}")

    command_line.run(call)
