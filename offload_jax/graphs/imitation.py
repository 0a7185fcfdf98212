"""The path by which `training` was documented before."""

from offload_jax.graphs.training import GraphTraining, train_graph_policy

__all__ = ["GraphTraining", "train_graph_policy"]
