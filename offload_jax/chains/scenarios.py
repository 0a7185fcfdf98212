"""Distributions of offloading requests, as data (Chen et al. 2020, sections 5.1 and 5.2)."""

import dataclasses

import jax

from offload_jax.chains.problem import ChainProblem
from offload_jax.sampling import Range, check_ranges, check_request, draw
from offload_jax.validation import check_integer

_QUANTITIES = tuple(ChainProblem.own_axes)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Every quantity of a request uniform in its range, all independent.

    A user's own scenario is another instance, or `dataclasses.replace(WIDE, num_subtasks=12)`.
    Equal ends fix a quantity.

    Attributes:
      name: what reports and manifests call it.
      num_subtasks: A.
      cycles: CPU cycles of each subtask.
      data: bytes of each of the A + 1 transfers.
      device_speed: cycles per second.
      edge_speed: cycles per second.
      device_edge_bandwidth: bytes per second.
      edge_cloud_bandwidth: bytes per second.
    """

    name: str
    num_subtasks: int
    cycles: Range
    data: Range
    device_speed: Range
    edge_speed: Range
    device_edge_bandwidth: Range
    edge_cloud_bandwidth: Range

    def __post_init__(self) -> None:
        check_integer("num_subtasks", self.num_subtasks)
        check_ranges(self, _QUANTITIES)

    def with_bandwidth_floor(self, floor: float) -> "Scenario":
        """The same scenario with both bandwidths drawn from `floor` (bytes per second) upwards.

        With bandwidths that reach 0 the mean of 1 / bandwidth, and so the mean latency of any
        policy that always transmits, does not exist.
        """
        return dataclasses.replace(
            self,
            name=f"{self.name}-floor-{floor / 1e6:g}MBps",
            device_edge_bandwidth=(floor, max(floor, self.device_edge_bandwidth[1])),
            edge_cloud_bandwidth=(floor, max(floor, self.edge_cloud_bandwidth[1])),
        )


WIDE = Scenario(
    name="wide",
    num_subtasks=6,
    cycles=(0.0, 2000e6),
    data=(0.0, 10e6),
    device_speed=(100e6, 1000e6),
    edge_speed=(500e6, 5000e6),
    device_edge_bandwidth=(0.0, 2e6),
    edge_cloud_bandwidth=(0.0, 3e6),
)
"""Training and testing of section 5.1, testing of section 5.2."""

NARROW = dataclasses.replace(WIDE, name="narrow", cycles=(500e6, 1500e6), data=(3e6, 8e6))
"""Training of section 5.2."""


def sample(key: jax.Array, scenario: Scenario, num: int) -> ChainProblem:
    """Draws independent requests.

    Args:
      key: a JAX random key; the same key gives the same requests.
      scenario: the distribution.
      num: how many, at least 0.

    Returns:
      A `ChainProblem` with batch shape `[num]`.

    Raises:
      ValueError: `num` is negative or no integer, or the others are of another class.
    """
    check_request(key, scenario, Scenario, num)
    keys = jax.random.split(key, len(_QUANTITIES))
    axes = {"cycles": (scenario.num_subtasks,), "data": (scenario.num_subtasks + 1,)}
    return ChainProblem(**draw(keys, scenario, num, _QUANTITIES, axes))
