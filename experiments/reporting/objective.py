"""What the flag `--objective` means, and what texts call an objective."""

import offload_jax as oj

_NAMED = {"latency": oj.LATENCY, "energy": oj.ENERGY}


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
