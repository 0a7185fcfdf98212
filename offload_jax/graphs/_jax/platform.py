"""What is the same for all rows of a batch, as the simulator in JAX is told it."""

from typing import NamedTuple

import numpy as np
from jax import Array

from offload_jax.graphs.costs import GraphCosts, copies, own_ways


class Platform(NamedTuple):
    """What is the same for all rows; hashable.

    Attributes:
      routes, servers, serial, send_once, num_users: as in `GraphCosts`.
      own_places, own_links: likewise, and none of one user.
    """

    routes: tuple[tuple[tuple[int, ...] | None, ...], ...]
    servers: tuple[int | None, ...]
    serial: tuple[bool, ...]
    send_once: bool
    num_users: int
    own_places: tuple[bool, ...]
    own_links: tuple[bool, ...]

    @property
    def num_places(self) -> int:
        return len(self.servers)

    @property
    def num_hops(self) -> int:
        """H, the hops of the longest route, at least 1."""
        return max(1, *(len(route or ()) for row in self.routes for route in row))

    @property
    def own_ways(self) -> tuple[bool, ...]:
        """For each place whether every user has links of its own on all the way there."""
        return own_ways(self.routes, self.own_links, self.num_users)

    def by_link(self, values: Array) -> tuple[Array, ...]:
        """Of entries of links `[R, B]` those of each of the L links, `[U, B]` or `[1, B]`."""
        lengths = copies(self.own_links, self.num_users)
        ends = np.cumsum(lengths).tolist()
        return tuple(values[end - length : end] for end, length in zip(ends, lengths, strict=True))


def platform_of(costs: GraphCosts) -> Platform:
    """The static part of costs."""
    several = costs.num_users > 1
    return Platform(
        costs.routes,
        costs.servers,
        costs.serial,
        costs.send_once,
        costs.num_users,
        *(tuple(several and own for own in each) for each in (costs.own_places, costs.own_links)),
    )
