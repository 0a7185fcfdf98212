"""What is the same for all rows of a batch, as the simulator in JAX is told it."""

from typing import NamedTuple

from offload_jax.graphs.costs import GraphCosts


class Platform(NamedTuple):
    """What is the same for all rows; hashable.

    Attributes:
      routes, servers, serial, send_once: as in `GraphCosts`.
    """

    routes: tuple[tuple[tuple[int, ...] | None, ...], ...]
    servers: tuple[int | None, ...]
    serial: tuple[bool, ...]
    send_once: bool

    @property
    def num_places(self) -> int:
        return len(self.servers)

    @property
    def num_hops(self) -> int:
        """H, the hops of the longest route, at least 1."""
        return max(1, *(len(route or ()) for row in self.routes for route in row))


def platform_of(costs: GraphCosts) -> Platform:
    """The static part of costs."""
    if costs.num_users > 1:
        raise NotImplementedError("num_users: several users inside jit")
    return Platform(costs.routes, costs.servers, costs.serial, costs.send_once)
