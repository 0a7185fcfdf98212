"""The flag `--objective`, and what texts call an objective."""

from absl import flags

import offload_jax as oj

_NAMED = {"latency": oj.LATENCY, "energy": oj.ENERGY}


def define(values: flags.FlagValues = flags.FLAGS) -> flags.FlagHolder[str]:
    """Defines `--objective`; `parse` reads its value."""
    return flags.DEFINE_string(
        "objective",
        "latency",
        "latency, energy, or the weights of a second and a joule: 1,0.5.",
        flag_values=values,
    )


def parse(text: str) -> oj.Objective:
    """The objective that a flag names.

    Raises:
      ValueError: it is neither a name nor two weights.
    """
    if text in _NAMED:
        return _NAMED[text]
    try:
        seconds, joules = (float(weight) for weight in text.split(","))
    except ValueError:
        raise ValueError(
            f"objective: {text!r} is neither latency, energy nor two weights such as 1,0.5"
        ) from None
    return oj.Objective(seconds, joules)


def quantity(objective: oj.Objective) -> str:
    """What is minimised, in a word or two: latency, energy, weighted cost."""
    named = [name for name, known in _NAMED.items() if known == objective]
    return named[0] if named else "weighted cost"
