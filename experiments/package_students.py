"""Copies the students of a run into the package, which ships them.

There `oj.policies.student()` and `oj.graphs.policies.student()` read them. A family whose student
is not in the run keeps the one it has.
"""

from pathlib import Path
from typing import Any

from absl import flags

import offload_jax as oj
from experiments.graphs.presets import STUDENT
from experiments.reporting import command_line
from offload_jax.chains import learned as chains
from offload_jax.graphs._jax import policy as graphs
from offload_jax.learning import policies

FAMILIES: dict[str, tuple[Any, Any]] = {
    "kd_dil": (oj.policies.load, chains),
    STUDENT: (oj.graphs.policies.load, graphs),
}


def main(values: flags.FlagValues) -> None:
    checkpoints = Path(values.workdir) / "checkpoints"
    found = [name for name in FAMILIES if (checkpoints / name).is_dir()]
    if not found:
        raise ValueError(f"{checkpoints}: holds neither {' nor '.join(FAMILIES)}")
    for name in found:
        load, family = FAMILIES[name]
        policies.write(family.STUDENT, load(checkpoints / name))
        print(f"{checkpoints / name} -> {family.STUDENT}")


def define(values: flags.FlagValues) -> None:
    command_line.define(values, "workdir")


if __name__ == "__main__":
    command_line.run(main, define)
