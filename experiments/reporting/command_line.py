"""How every script meets its user: the same flags, one-line errors, a clean stop on Ctrl-C."""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import flags, logging

from experiments.reporting import interrupts

PRESETS = ("default", "paper")
"""Names of sizes and recipes: minutes, or the sizes of the paper (about an hour)."""

_FLAGS: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "workdir": (flags.DEFINE_string, "runs/reproduce", "Where everything is written."),
    "preset": (
        functools.partial(flags.DEFINE_enum, enum_values=PRESETS),
        PRESETS[0],
        "Sizes and recipes.",
    ),
    "seed": (flags.DEFINE_integer, 0, "Seed of everything random."),
    "objective": (
        flags.DEFINE_string,
        "latency",
        "latency, energy, or the weights of a second and a joule: 1,0.5.",
    ),
    "progress": (flags.DEFINE_bool, True, "Show progress bars."),
    "tensorboard": (flags.DEFINE_bool, False, "Write TensorBoard files of trainings too."),
    "trace_dir": (flags.DEFINE_string, None, "Folder of recorded bandwidth traces."),
    "graph_dir": (flags.DEFINE_string, None, "Folder of task graphs: .gv, .dot, .json, .stg."),
    "policy": (
        flags.DEFINE_multi_string,
        None,
        "Policy for chains of your own, module:function; may be given several times.",
    ),
    "graph_policy": (
        flags.DEFINE_multi_string,
        None,
        "Policy for task graphs of your own, module:function; may be given several times.",
    ),
}


def define(values: flags.FlagValues, *names: str, **defaults: Any) -> None:
    """Defines flags that scripts share.

    Args:
      values: where; `run` and `execute` pass them on.
      names: out of `workdir`, `preset`, `seed`, `objective`, `progress`, `tensorboard`,
        `trace_dir`, `graph_dir`, `policy`, `graph_policy`.
      defaults: of these flags, where they are not the common ones.
    """
    for name in names:
        add, default, text = _FLAGS[name]
        add(name=name, default=defaults.get(name, default), help=text, flag_values=values)


def check_choice(values: flags.FlagValues, choice: str, names: Mapping[str, Sequence[str]]) -> None:
    """Refuses flags that would be ignored.

    Args:
      values: parsed flags.
      choice: one of them.
      names: for each of its values the flags that are of use with that value alone.

    Raises:
      ValueError: a flag is given that is for another value.
    """
    for value, theirs in names.items():
        for name in theirs:
            if value != values[choice].value and values[name].present:
                raise ValueError(f"--{name}: is for --{choice}={value} only")


def run(
    main: Callable[[flags.FlagValues], Any],
    define: Callable[[flags.FlagValues], Any],
    *,
    resume: Callable[[flags.FlagValues], str] | None = None,
) -> NoReturn:
    """Defines flags, parses the command line, calls `main` with the flags and ends the process.

    Args:
      main: the script; an integer that it returns is the exit status.
      define: defines its flags.
      resume: see `execute`.
    """
    # Not `flags.FLAGS`, which has what every imported package defines too.
    values = flags.FlagValues()
    define(values)
    # jax reports at INFO the platforms that it did not find, orbax every step of every checkpoint.
    logging.set_verbosity(logging.WARNING)

    def parse_and_execute() -> int:
        status = _parse(values, sys.argv)
        return execute(main, values, resume=resume) if status is None else status

    interrupts.run(parse_and_execute)


def execute(
    main: Callable[[flags.FlagValues], Any],
    values: flags.FlagValues,
    *,
    resume: Callable[[flags.FlagValues], str] | None = None,
) -> int:
    """Calls `main`; what a user can cause becomes one line on stderr.

    Args:
      main: the script.
      values: its parsed flags.
      resume: says how to go on after an interruption or on a full disk, if not by running again.

    Returns:
      The exit status: what `main` returned, 1 after an error, 130 after Ctrl-C.
    """

    def hint() -> str:
        return "run again to go on where it stopped" if resume is None else resume(values)

    try:
        return main(values) or 0
    except KeyboardInterrupt:
        _say(f"interrupted; {hint()}")
        return interrupts.STATUS
    except BlockingIOError as error:
        _say(f"{error.filename}: {error.strerror}")
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}; {hint()}")
    except (ValueError, ArithmeticError, RuntimeError, ImportError) as error:
        _say(str(error) or type(error).__name__)
    return 1


def _parse(values: flags.FlagValues, argv: list[str]) -> int | None:
    """Parses the command line; gives the exit status where that is all there is to do."""
    if {"--help", "-h"} & set(argv):
        print(_help(values))
        return 0
    try:
        (_, *rest) = values(argv)
    except flags.Error as error:
        _say(str(error))
        return 1
    if rest:
        _say(f"unexpected argument {rest[0]!r}")
        return 1
    return None


def _help(values: flags.FlagValues) -> str:
    """What the script is and its flags with their defaults, without the modules they stand in."""
    text = values.get_help(include_special_flags=False)
    described = [line for line in text.splitlines() if line.startswith(" ")]
    return "\n".join([sys.modules["__main__"].__doc__ or "", "Flags:", *described])


def _say(message: str) -> None:
    script = Path(sys.argv[0])
    # A package that is run by `-m` is called by its own name.
    name = script.parent.name if script.stem == "__main__" else script.stem
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
