"""Copies the student of a run into the package, where `oj.graphs.policies.student()` reads it."""

from pathlib import Path

from absl import flags

import offload_jax as oj
from experiments.graphs.presets import STUDENT
from experiments.reporting import command_line
from offload_jax.graphs import packaged


def main(values: flags.FlagValues) -> None:
    policy = oj.graphs.policies.load(Path(values.workdir) / "checkpoints" / STUDENT)
    packaged.write(policy, packaged.STUDENT)
    print(packaged.STUDENT)


def define(values: flags.FlagValues) -> None:
    command_line.define(values, "workdir")


if __name__ == "__main__":
    command_line.run(main, define)
