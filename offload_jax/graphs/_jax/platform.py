"""What is the same for all rows of a batch, as the simulator in JAX is told it."""

from typing import NamedTuple

import jax

from offload_jax.graphs.costs import GraphCosts


class Platform(NamedTuple):
    """What is the same for all rows; hashable.

    Attributes:
      routes, servers, serial, send_once: as in `GraphCosts`.
      home: the one place where all inputs lie and all outputs go, None if tasks differ.
    """

    routes: tuple[tuple[tuple[int, ...] | None, ...], ...]
    servers: tuple[int | None, ...]
    serial: tuple[bool, ...]
    send_once: bool
    home: int | None

    @property
    def num_places(self) -> int:
        return len(self.servers)

    @property
    def num_hops(self) -> int:
        """H, the hops of the longest route, at least 1."""
        return max(1, *(len(route or ()) for row in self.routes for route in row))


def platform_of(costs: GraphCosts) -> Platform:
    """The static part of costs; `home` is static where it is known to be one place."""
    home = None
    if not isinstance(costs.home, jax.Array):
        places = set(costs.home.ravel().tolist())
        home = places.pop() if len(places) == 1 else None
    return Platform(costs.routes, costs.servers, costs.serial, costs.send_once, home)
