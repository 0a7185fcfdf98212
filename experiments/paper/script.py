"""The command line that all scripts of learned policies share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from experiments.paper.presets import PRESETS
from experiments.reporting import command_line, objective


def main(run: Callable[..., dict[str, Any]]) -> None:
    """Defines the flags, calls `run` with them and prints its headline."""
    preset = flags.DEFINE_enum("preset", "quick", list(PRESETS), "Sizes and recipes.")
    workdir = flags.DEFINE_string("workdir", "runs/reproduce", "Where everything is written.")
    seed = flags.DEFINE_integer("seed", 0, "Seed of requests and weights.")
    progress = flags.DEFINE_bool("progress", True, "Show progress bars.")
    goal = objective.define()
    tensorboard = flags.DEFINE_bool("tensorboard", False, "Write TensorBoard files too.")

    def call() -> None:
        results = run(
            PRESETS[preset.value].for_objective(objective.parse(goal.value)),
            Path(workdir.value),
            seed=seed.value,
            progress=progress.value,
            tensorboard=tensorboard.value,
        )
        for name, metrics in results.items():
            if isinstance(metrics, dict) and "ratio_of_means" in metrics:
                interval = metrics.get("ratio_of_means_interval")
                spread = "" if interval is None else f" +- {interval:.4f}"
                print(f"{name:32s} {metrics['ratio_of_means']:.4f}{spread}")

    command_line.run(call)
