"""The documented path to the configuration of learned policies for task graphs."""

from offload_jax.graphs._jax.network import GraphPolicyConfig

__all__ = ["GraphPolicyConfig"]
