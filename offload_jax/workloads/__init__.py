"""Real tasks and real links: networks cut into stages, network conditions and recorded traces.

Links need NumPy alone; what needs Flax, the networks, is imported when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from offload_jax.chains.task_profile import FLOPS_PER_CYCLE, TaskProfile
from offload_jax.workloads.links.conditions import (
    FIVE_G,
    FIXED_BROADBAND_UPLOAD,
    LTE,
    MEAN_SPEEDS,
    NETWORK_CONDITIONS,
    PROCESSOR_SPEEDS,
    STRONG_DEVICE,
    THREE_G,
    WEAK_DEVICE,
    WIFI,
    NetworkCondition,
    ProcessorSpeeds,
)
from offload_jax.workloads.links.markov import markov_trace
from offload_jax.workloads.links.replay import Replay, replay, request_times
from offload_jax.workloads.links.traces import BandwidthTrace, read_trace, read_trace_dir

if TYPE_CHECKING:
    from offload_jax.workloads.networks.alexnet import alexnet
    from offload_jax.workloads.networks.googlenet import googlenet
    from offload_jax.workloads.networks.jaxpr_graph import profile_graph
    from offload_jax.workloads.networks.layers import StageChain
    from offload_jax.workloads.networks.mobilenet import mobilenet_v2
    from offload_jax.workloads.networks.profile import abstract_network, profile_network
    from offload_jax.workloads.networks.resnet import resnet18, resnet50
    from offload_jax.workloads.networks.vgg import vgg16

__all__ = [
    "FIVE_G",
    "FIXED_BROADBAND_UPLOAD",
    "FLOPS_PER_CYCLE",
    "LTE",
    "MEAN_SPEEDS",
    "NETWORK_CONDITIONS",
    "PROCESSOR_SPEEDS",
    "STRONG_DEVICE",
    "THREE_G",
    "WEAK_DEVICE",
    "WIFI",
    "BandwidthTrace",
    "NetworkCondition",
    "ProcessorSpeeds",
    "Replay",
    "StageChain",
    "TaskProfile",
    "abstract_network",
    "alexnet",
    "googlenet",
    "markov_trace",
    "mobilenet_v2",
    "profile_graph",
    "profile_network",
    "read_trace",
    "read_trace_dir",
    "replay",
    "request_times",
    "resnet18",
    "resnet50",
    "vgg16",
]

# Where names lie that need Flax.
_LAZY = {
    "alexnet": ("alexnet",),
    "googlenet": ("googlenet",),
    "jaxpr_graph": ("profile_graph",),
    "layers": ("StageChain",),
    "mobilenet": ("mobilenet_v2",),
    "profile": ("abstract_network", "profile_network"),
    "resnet": ("resnet18", "resnet50"),
    "vgg": ("vgg16",),
}


def __getattr__(name: str) -> Any:
    for module, names in _LAZY.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.networks.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
