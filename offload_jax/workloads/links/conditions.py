"""Named network conditions and processor speeds, each with the source of its figures.

Both links carry data both ways at one rate in the chain problem. The rate of the wireless link is
the uplink's, because the input and the activations of a task travel up and only its small result
travels down.

Sources of the wireless uplinks:

- 3G, LTE and Wi-Fi: the averages for the United States that Eshratifar, Abrishami and Pedram use
  in "JointDNN: An Efficient Training and Inference Engine for Intelligent Mobile Cloud Computing
  Services" (IEEE Transactions on Mobile Computing 20(2), 2021): 1.1, 5.85 and 18.88 Mbit/s. They
  are common in later work on splitting networks.
- 5G: the median 5G upload of Speedtest users worldwide in the third quarter of 2021, 21.08 Mbit/s
  (Ookla, "Growing and Slowing: The State of 5G Worldwide in 2021", 20 December 2021).

Sources of the link from edge to cloud:

- The named conditions share 1.5 MB/s, the mean of the range [0, 3] MB/s that Chen et al. 2020
  (arXiv 2004.04366, section 5.1) draw it from: an assumption of that paper, not a measurement.
- `FIXED_BROADBAND_UPLOAD` is a measured alternative, 44.10 Mbit/s: the average upload of fixed
  broadband worldwide in August 2020 (Ookla, Speedtest Global Index). Use it with
  `dataclasses.replace(LTE, edge_cloud_bandwidth=FIXED_BROADBAND_UPLOAD)`.
"""

import dataclasses

BYTES_PER_MEGABIT = 1e6 / 8

FIXED_BROADBAND_UPLOAD = 44.10 * BYTES_PER_MEGABIT
"""Bytes per second; Speedtest Global Index, August 2020, average upload of fixed broadband."""

_JOINTDNN = "uplink: US average used by JointDNN (Eshratifar et al., IEEE TMC 2021)"
_OOKLA_5G = "uplink: worldwide median of 5G, Q3 2021 (Ookla Speedtest Intelligence, 2021-12-20)"
_PAPER_WAN = "edge to cloud: mean of [0, 3] MB/s, assumed by Chen et al. 2020 (arXiv 2004.04366)"
_PAPER_WAN_BANDWIDTH = 1.5e6


@dataclasses.dataclass(frozen=True)
class NetworkCondition:
    """The bandwidths of the two links under one kind of access network.

    Attributes:
      name: the access network.
      device_edge_bandwidth: bytes per second between device and edge.
      edge_cloud_bandwidth: bytes per second between edge and cloud.
      source: where the two figures come from.
    """

    name: str
    device_edge_bandwidth: float
    edge_cloud_bandwidth: float
    source: str


def _condition(name: str, megabits: float, source: str) -> NetworkCondition:
    uplink = megabits * BYTES_PER_MEGABIT
    return NetworkCondition(name, uplink, _PAPER_WAN_BANDWIDTH, f"{source}; {_PAPER_WAN}")


THREE_G = _condition("3G", 1.1, _JOINTDNN)
LTE = _condition("LTE", 5.85, _JOINTDNN)
WIFI = _condition("Wi-Fi", 18.88, _JOINTDNN)
FIVE_G = _condition("5G", 21.08, _OOKLA_5G)

NETWORK_CONDITIONS = (THREE_G, LTE, WIFI, FIVE_G)
"""All of the above, slowest uplink first."""


@dataclasses.dataclass(frozen=True)
class ProcessorSpeeds:
    """The speeds of a device and of the edge server beside it.

    Attributes:
      name: what the pair stands for.
      device_speed: cycles per second of the device.
      edge_speed: cycles per second of the edge server.
      source: where the two figures come from.
    """

    name: str
    device_speed: float
    edge_speed: float
    source: str


_PAPER_SPEEDS = "ranges [100, 1000] and [500, 5000] MHz of Chen et al. 2020 (arXiv 2004.04366)"

MEAN_SPEEDS = ProcessorSpeeds("mean", 550e6, 2750e6, f"means of the {_PAPER_SPEEDS}")
WEAK_DEVICE = ProcessorSpeeds(
    "weak device", 100e6, 5000e6, f"slowest device and fastest edge of the {_PAPER_SPEEDS}"
)
STRONG_DEVICE = ProcessorSpeeds(
    "strong device", 1000e6, 500e6, f"fastest device and slowest edge of the {_PAPER_SPEEDS}"
)

PROCESSOR_SPEEDS = (WEAK_DEVICE, MEAN_SPEEDS, STRONG_DEVICE)
"""All of the above, slowest device first."""
