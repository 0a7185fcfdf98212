"""Exact solvers behind one function, `solve`."""

from offload_jax.solvers.solve import Solution, solve

__all__ = ["Solution", "solve"]
