"""The best placements over the bandwidths of two links."""

import math
from typing import Any, NamedTuple

import numpy as np

from offload_jax.graphs.at_once import Part, places_over
from offload_jax.network import Network
from offload_jax.plans.task import costs_of

# A grid is twenty times below and above what the network has.
_FACTOR, _POINTS = 20.0, 97


class Plane(NamedTuple):
    """Placements of least serial latency over two quantities.

    Attributes:
      x: `[X]` increasing values of the first.
      y: `[Y]` the same of the second.
      labels: what they are, with their units.
      place: int8 `[Y, X, N]` the place of each layer.
    """

    x: np.ndarray
    y: np.ndarray
    labels: tuple[str, str]
    place: np.ndarray


def plane(what: Any, network: Network | None = None, *, num: int = _POINTS) -> Plane:
    """Sweeps the bandwidths of a network's first two links; of a single one, and the second speed.

    Both directions of a link are swept together. Serial latency is the latency of chains, and of
    graphs in which nothing runs side by side.

    Args:
      what: as for `plan`.
      network: as for `plan`, with places in a row.
      num: of values on each axis.

    Returns:
      The plane; the network is in its middle.

    Raises:
      ValueError: as `plan`; or the network has no links, or a link that is down, a place that
        computes for free, or places in no row.
    """
    _, network, costs = costs_of(what, network)
    if not network.links:
        raise ValueError("network: a map needs at least one link, whose bandwidth it sweeps")
    factors = np.geomspace(1 / _FACTOR, _FACTOR, num)
    parts, values, labels = [], [], []
    for number, link in enumerate(network.links[:2]):
        parts.append(Part(links=(2 * number, 2 * number + 1)))
        values.append(8e-6 * float(np.asarray(link.bandwidth)))
        labels.append(f"{link.source} to {link.target}, Mbit/s")
    if len(parts) < 2:
        place = network.places[1]
        parts.append(Part(places=(1,)))
        values.append(1e-9 * float(np.asarray(place.speed)))
        labels.append(f"speed of {place.name}, GHz")
    for label, value in zip(labels, values, strict=True):
        if not 0 < value < math.inf:
            raise ValueError(f"network: {label.partition(',')[0]}: cannot be swept from {value}")
    x, y = (value * factors for value in values)
    places = places_over(costs, (parts[0], parts[1]), factors, factors)
    return Plane(x, y, (labels[0], labels[1]), places)
