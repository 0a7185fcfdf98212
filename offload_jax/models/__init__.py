"""Learned policies: features of a request, the networks over them, and the policy object."""

from offload_jax.models.features import FEATURE_SETS, features, num_features
from offload_jax.models.imitation import ImitationConfig
from offload_jax.models.parameters import abstract_parameters, initialize, num_parameters
from offload_jax.models.policy import LearnedPolicy
from offload_jax.models.q_network import QNetworkConfig

__all__ = [
    "FEATURE_SETS",
    "ImitationConfig",
    "LearnedPolicy",
    "QNetworkConfig",
    "abstract_parameters",
    "features",
    "initialize",
    "num_features",
    "num_parameters",
]
