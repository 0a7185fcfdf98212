"""What to minimise: latency, energy of the device, a weighted sum of both, or the period."""

import dataclasses
import numbers
from typing import Any

import jax
import numpy as np

from offload_jax.validation import FINITE, Number, check_class, require


def is_zero(weight: Any) -> bool:
    """True for a plain 0, whose terms need not be computed; False for anything traced."""
    return isinstance(weight, numbers.Real) and weight == 0


def _check_number(name: str, value: Number) -> None:
    if isinstance(value, numbers.Real):  # not traced, nor a leaf of a pytree being rebuilt
        require(name, np.asarray(value), FINITE.holds(value), FINITE.wording)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PowerModel:
    """What the device spends (the usual models of the mobile edge computing literature).

    Attributes:
      switched_capacitance: kappa in joule seconds squared per cycle cubed; a subtask of c cycles
        at p1 cycles/s costs kappa * p1**2 * c joules on the device.
      transmit_watts: radio power while sending to the edge.
      receive_watts: radio power while receiving from the edge.
      idle_watts: power while edge or cloud compute or talk to each other.
    """

    switched_capacitance: Number = 1e-27
    transmit_watts: Number = 1.258
    receive_watts: Number = 1.181
    idle_watts: Number = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_number(f"power.{field.name}", getattr(self, field.name))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Objective:
    """What to minimise: `latency_weight` * seconds + `energy_weight` * joules of the device.

    Attributes:
      latency_weight: weight of a second, not negative.
      energy_weight: weight of a joule, not negative; not both weights are 0.
      power: the device's power model.
    """

    latency_weight: Number = 1.0
    energy_weight: Number = 0.0
    power: PowerModel = PowerModel()

    def __post_init__(self) -> None:
        _check_number("latency_weight", self.latency_weight)
        _check_number("energy_weight", self.energy_weight)
        if is_zero(self.latency_weight) and is_zero(self.energy_weight):
            raise ValueError("latency_weight and energy_weight are both 0: nothing to minimise")

    @property
    def weightless(self) -> tuple[bool, bool]:
        """Which of the two weights are plain zeros."""
        return is_zero(self.latency_weight), is_zero(self.energy_weight)

    def without(self, weightless: tuple[bool, bool]) -> "Objective":
        """With plain zeros for the weights that `weightless` said were so before `jit` traced them.

        What they weigh is then not computed.
        """
        no_latency, no_energy = weightless
        latency_weight = 0.0 if no_latency else self.latency_weight
        energy_weight = 0.0 if no_energy else self.energy_weight
        return Objective(latency_weight, energy_weight, self.power)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Period:
    """The period of a stream of equal requests: seconds from one result to the next.

    It is the largest load of any resource by one request: the seconds for which a processor
    computes, over its servers, or for which a serial link carries data. Round trips, the cloud of
    the paper and links that carry any number of transfers at a time delay requests, but hold up
    none.

    Attributes:
      power: the device's power model, where energy is limited.
    """

    power: PowerModel = PowerModel()

    @property
    def weightless(self) -> tuple[bool, bool]:
        """As of an `Objective`: the period weighs neither seconds nor joules."""
        return True, True

    def without(self, weightless: tuple[bool, bool]) -> "Period":
        """As of an `Objective`: itself."""
        del weightless
        return self


LATENCY = Objective()
ENERGY = Objective(latency_weight=0.0, energy_weight=1.0)
PERIOD = Period()


def energy_of(power: PowerModel | None = None) -> Objective:
    """The energy alone, by a power model; the default one if None."""
    check_class("power", power, PowerModel, type(None))
    return ENERGY if power is None else dataclasses.replace(ENERGY, power=power)
