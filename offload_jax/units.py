"""Quantities with their units, as people write them: "2 GHz", "20 Mbit/s", "5 ms", "4 GB"."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from offload_jax.network import FLOPS_PER_CYCLE

_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {f"{name}i": 1024.0**power for power, name in enumerate("KMGTP", 1)}
_SMALL = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}
_NUMBER = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?) *(\S+)")


class Quantity(NamedTuple):
    """Something that is measured.

    Attributes:
      units: what each unit is in the SI unit of this library.
      examples: how an error shows what is meant.
    """

    units: Mapping[str, float]
    examples: str


def _units(base: str, prefixes: Mapping[str, float], factor: float = 1.0) -> dict[str, float]:
    return {prefix + base: value * factor for prefix, value in prefixes.items()}


_BYTES = _PREFIXES | _BINARY
SPEED = Quantity(
    _units("Hz", _PREFIXES) | _units("FLOP/s", _PREFIXES, 1 / FLOPS_PER_CYCLE),
    '"2 GHz" or "40 GFLOP/s"',
)
BANDWIDTH = Quantity(
    _units("B/s", _BYTES) | _units("bit/s", _BYTES, 1 / 8), '"20 Mbit/s" or "2.5 MB/s"'
)
SIZE = Quantity(_units("B", _BYTES), '"4 GB" or "512 MiB"')
TIME = Quantity(_units("s", _SMALL), '"5 ms" or "0.1 s"')
POWER = Quantity(_units("W", _PREFIXES | _SMALL), '"3 W" or "250 mW"')
ENERGY = Quantity(_units("J", _PREFIXES | _SMALL), '"2 J" or "50 mJ"')


def parse(what: str, text: Any, quantity: Quantity) -> float:
    """A number in SI units: cycles per second, bytes, bytes per second, seconds or watts.

    Args:
      what: which value it is, for the error.
      text: a number and a unit. A bare number is refused: bits taken for bytes are an error that
        nobody sees.
      quantity: one of the above.

    Raises:
      ValueError: it is no text, has no number, or a unit of something else.
    """
    match = _NUMBER.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{what} = {text!r:.60}: must be text with a number and a unit, such as"
            f" {quantity.examples}"
        )
    number, unit = match.groups()
    if unit not in quantity.units:
        raise ValueError(f"{what} = {text!r:.60}: unknown unit, write {quantity.examples}")
    return float(number) * quantity.units[unit]
