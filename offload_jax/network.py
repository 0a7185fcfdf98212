"""Places and the links between them: finite clouds, round trips, asymmetric links, many edges.

The paper's requests have three places, a cloud that computes for free and links that carry both
ways at one rate. A `Network` has any number of places, each with a speed, and links between any two
of them.

A hop takes, on chains and on task graphs alike,

    data / bandwidth + round_trip_time / 2

seconds, so going to a place and coming back costs a whole round trip. 0 bytes arrive at once
wherever they go, even where links are down.
"""

import dataclasses
import enum
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from offload_jax import validation
from offload_jax.validation import ArrayLike, Rule


class Place(enum.IntEnum):
    """Where a subtask runs; the values of a decision over the paper's three places."""

    DEVICE = 0
    EDGE = 1
    CLOUD = 2


FLOPS_PER_CYCLE = 2.0
"""Floating-point operations in a cycle, unless told otherwise: one multiply-add."""

_SPEED = Rule(lambda v: v > 0, "must be greater than 0")
_BANDWIDTH = Rule(lambda v: v >= 0, "must not be negative or NaN (0 is a dead link)")


@dataclasses.dataclass(frozen=True)
class Processor:
    """A place that can run subtasks.

    Attributes:
      name: how links and measured tables refer to it.
      speed: `[...]` cycles per second; `inf` computes for free, as the paper's cloud. The device,
        the first place of a network, needs a finite one unless its times were measured.
      servers: how many tasks of a task graph it runs at a time; None is any number.
      memory: bytes for the weights of what runs there; None is no limit.
      watts: what it draws while it computes; None is not known.
    """

    name: str
    speed: ArrayLike = math.inf
    servers: int | None = 1
    memory: float | None = None
    watts: float | None = None

    def __post_init__(self) -> None:
        validation.check_class("name of a processor", self.name, str)
        if self.servers is not None:
            validation.check_integer(f"servers of {self.name!r}", self.servers)
        _check(f"speed of {self.name!r}", self.speed, _SPEED)
        for field in ("memory", "watts"):
            if getattr(self, field) is not None:
                _check(f"{field} of {self.name!r}", getattr(self, field), validation.FINITE)


@dataclasses.dataclass(frozen=True)
class Link:
    """A link between two places.

    Attributes:
      source: the name of one end.
      target: the name of the other end.
      bandwidth: `[...]` bytes per second from source to target; 0 is a link that is down, `inf`
        one that only delays.
      reverse_bandwidth: bytes per second from target to source; None is `bandwidth`.
      round_trip_time: seconds for going there and back, without data.
      serial: whether each direction carries one transfer of a task graph at a time.
    """

    source: str
    target: str
    bandwidth: ArrayLike
    reverse_bandwidth: ArrayLike | None = None
    round_trip_time: ArrayLike = 0.0
    serial: bool = True

    def __post_init__(self) -> None:
        for end in (self.source, self.target):
            validation.check_class("end of a link", end, str)
        if self.source == self.target:
            raise ValueError(f"link {self.source!r} to itself: the ends must differ")
        where = f"link {self.source!r} to {self.target!r}"
        _check(f"{where}: bandwidth", self.bandwidth, _BANDWIDTH)
        if self.reverse_bandwidth is not None:
            _check(f"{where}: reverse_bandwidth", self.reverse_bandwidth, _BANDWIDTH)
        _check(f"{where}: round_trip_time", self.round_trip_time, validation.FINITE)


class Hop(NamedTuple):
    """One direction of a link.

    Attributes:
      source: the number of the place that it leaves.
      target: the number of the place that it reaches.
      bandwidth: `[...]` bytes per second.
      round_trip_time: `[...]` seconds there and back.
    """

    source: int
    target: int
    bandwidth: ArrayLike
    round_trip_time: ArrayLike


@dataclasses.dataclass(frozen=True)
class Network:
    """Places and the links between them; the first place is the device.

    Attributes:
      places: K processors with different names; their order numbers the places of a decision.
      links: at most one between any two places.
    """

    places: Sequence[Processor]
    links: Sequence[Link]

    def __post_init__(self) -> None:
        for field, kind in (("places", Processor), ("links", Link)):
            validation.check_class(field, getattr(self, field), Iterable)
            object.__setattr__(self, field, tuple(getattr(self, field)))
            for index, item in enumerate(getattr(self, field)):
                validation.check_class(f"{field}[{index}]", item, kind)
        names = self.place_names
        if not names:
            raise ValueError("places: a network needs at least the device")
        if len(set(names)) != len(names):
            raise ValueError(f"places: names must differ, got {names}")
        seen = set()
        for link in self.links:
            for end in (link.source, link.target):
                if end not in names:
                    raise ValueError(f"links: unknown place {end!r}, places are {names}")
            ends = frozenset((link.source, link.target))
            if ends in seen:
                raise ValueError(f"links: two between {link.source!r} and {link.target!r}")
            seen.add(ends)
        shapes = {f"speed of {place.name!r}": np.shape(place.speed) for place in self.places}
        for hop in self.hops():
            where = f"{names[hop.source]!r} to {names[hop.target]!r}"
            shapes[f"bandwidth of {where}"] = np.shape(hop.bandwidth)
            shapes[f"round_trip_time of {where}"] = np.shape(hop.round_trip_time)
        validation.broadcast_shapes(shapes)

    @property
    def place_names(self) -> tuple[str, ...]:
        """The K names, in order."""
        return tuple(place.name for place in self.places)

    def hops(self) -> Iterator[Hop]:
        """Both directions of every link, in the order of the links."""
        number = {name: place for place, name in enumerate(self.place_names)}
        for link in self.links:
            back = link.bandwidth if link.reverse_bandwidth is None else link.reverse_bandwidth
            ends = number[link.source], number[link.target]
            yield Hop(*ends, link.bandwidth, link.round_trip_time)
            yield Hop(*ends[::-1], back, link.round_trip_time)

    def require_device_speed(self, why: str) -> None:
        """Refuses a device that computes for free, where its times do not come from elsewhere.

        Args:
          why: what needs the speed, for the message.

        Raises:
          ValueError: the speed of the first place is `inf`.
        """
        device = self.places[0]
        rule = validation.POSITIVE._replace(wording=f"{why} needs the finite speed of the device")
        _check(f"speed of {device.name!r}", device.speed, rule)


def _check(what: str, value: ArrayLike, rule: Rule) -> None:
    array = validation.as_float_array(what, value)
    validation.check_kind(what, array)
    if not validation.is_traced(array):
        validation.require(what, array, rule.holds(np.asarray(array)), rule.wording)
