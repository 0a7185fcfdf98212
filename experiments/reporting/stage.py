"""An experiment: what it computes, draws and says. `experiments.reproduce` runs a list of them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

import offload_jax as oj
from experiments.reporting import command_line, objective
from experiments.reporting.files import check_writable


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
      workdir: gets `results/`, `figures/`, `checkpoints/`, `metrics/`.
      preset: name of sizes and recipes; every family of experiments says what it means by it.
      seed: of everything random.
      objective: what is minimised.
      trace_dir: folder of recorded bandwidth traces, or None.
      graph_dir: folder of task graphs, or None.
      policies: the user's own for chains, as `module:function`.
      graph_policies: the same for task graphs.
      progress: show progress bars.
      tensorboard: write TensorBoard files of trainings too.
    """

    workdir: Path
    preset: str = command_line.PRESETS[0]
    seed: int = 0
    objective: oj.Objective = oj.LATENCY
    trace_dir: Path | None = None
    graph_dir: Path | None = None
    policies: tuple[str, ...] = ()
    graph_policies: tuple[str, ...] = ()
    progress: bool = True
    tensorboard: bool = False

    @classmethod
    def from_flags(cls, values: flags.FlagValues) -> "Settings":
        """What the command line says; what a script has no flag for is as by default.

        Raises:
          ValueError: an objective that is none, or a folder that nothing can be written to.
        """
        given: dict[str, Any] = {n: values[n].value for n in SETTINGS if n in values}
        if "objective" in given:
            given["objective"] = objective.parse(given["objective"])
        given["policies"] = tuple(given.pop("policy", None) or ())
        given["graph_policies"] = tuple(given.pop("graph_policy", None) or ())
        for name in ("workdir", "trace_dir", "graph_dir"):
            given[name] = Path(given[name]) if given.get(name) else None
        check_writable(given["workdir"], "workdir")
        return cls(**given)

    @property
    def quantity(self) -> str:
        """What is minimised, in a word or two."""
        return objective.quantity(self.objective)

    def result(self, name: str) -> Path:
        """The file of cached results."""
        return self.workdir / "results" / f"{name}.json"

    def figure(self, name: str) -> Path:
        """The file of a figure."""
        return self.workdir / "figures" / f"{name}.png"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One experiment.

    Attributes:
      name: what it is called on the terminal.
      compute: gives the results, cached; takes the settings and the options below.
      section: the part of the report, as Markdown.
      draw: draws all figures from the results; done in every run, so that a figure that was
        deleted comes back.
      flags: which of `SETTINGS` it reads; its own script refuses the others. `workdir` goes
        without saying.
      latency_only: whether it is about latency and left out for another objective.
      options: more flags of its own script: name -> type and help. A value that is not given is
        not passed on.
    """

    name: str
    compute: Callable[..., dict[str, Any]]
    section: Callable[[dict[str, Any], Settings], str]
    draw: Callable[[dict[str, Any], Settings], None] | None = None
    flags: Sequence[str] = ()
    latency_only: bool = False
    options: Mapping[str, tuple[type, str]] = dataclasses.field(default_factory=dict)

    def run(self, settings: Settings, **options: Any) -> tuple[dict[str, Any], str]:
        """Computes what is missing and draws everything; gives results and section."""
        results = self.compute(settings, **options)
        if self.draw is not None:
            self.draw(results, settings)
        return results, self.section(results, settings)


_DEFINE: dict[type, Callable[..., Any]] = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}
TRAINING = ("preset", "seed", "progress", "tensorboard")
"""What whoever trains reads."""
SETTINGS = (
    "workdir",
    "objective",
    "trace_dir",
    "graph_dir",
    "policy",
    "graph_policy",
    *TRAINING,
)
"""The flags that `Settings` are made from."""


def define(stage: Stage, values: flags.FlagValues) -> None:
    """The flags of one stage."""
    command_line.define(values, "workdir", *stage.flags)
    if "graph_policy" in stage.flags:
        flags.DEFINE_alias("policy", "graph_policy", flag_values=values)
    for name, (kind, text) in stage.options.items():
        _DEFINE[kind](name, None, text, flag_values=values)


def script(stage: Stage) -> None:
    """The command line of one stage: runs it and prints its section."""

    def main(values: flags.FlagValues) -> None:
        settings = Settings.from_flags(values)
        given = {name: values[name].value for name in stage.options}
        print(stage.run(settings, **{k: v for k, v in given.items() if v is not None})[1])

    command_line.run(main, functools.partial(define, stage))
