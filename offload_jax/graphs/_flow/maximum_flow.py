"""Minimum cuts by a maximum flow of OR-Tools, or of SciPy, which comes with JAX."""

import functools
import importlib.util
from typing import Literal

import numpy as np

Solver = Literal["ortools", "scipy"]


@functools.cache
def installed() -> Solver:
    """OR-Tools where it is, else SciPy."""
    return "ortools" if importlib.util.find_spec("ortools") else "scipy"


def capacity_bits(solver: Solver, num_from_source: int) -> int:
    """How many bits a capacity may have so that no sum overflows.

    OR-Tools has 64 bits and adds what leaves the source; float64, from which capacities come, holds
    53. SciPy has 32 bits and adds two opposite arcs.
    """
    return min(52, 61 - num_from_source.bit_length()) if solver == "ortools" else 29


def source_side(
    solver: Solver,
    num_nodes: int,
    tails: np.ndarray,
    heads: np.ndarray,
    capacities: np.ndarray,
) -> np.ndarray:
    """A least cut that parts the source, node `num_nodes - 2`, from the sink, the last node.

    Args:
      solver: which maximum flow to use.
      num_nodes: n.
      tails: int32 `[m]`, the source among them.
      heads: int32 `[m]`, the sink among them; no arc leads from a node to itself.
      capacities: int64 `[m]`; 2 to the `capacity_bits` is more than the cut costs.

    Returns:
      bool `[n]`, the nodes on the side of the source. It is the least such set of all minimum cuts,
      whatever the solver: the nodes that the residual graph of any maximum flow reaches.
    """
    nodes = np.zeros(num_nodes, bool)
    solve = _by_ortools if solver == "ortools" else _by_scipy
    nodes[solve(num_nodes, tails, heads, capacities)] = True
    return nodes


def _by_ortools(
    num_nodes: int, tails: np.ndarray, heads: np.ndarray, capacities: np.ndarray
) -> list[int]:
    from ortools.graph.python import max_flow

    solver = max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(tails, heads, capacities)
    status = solver.solve(num_nodes - 2, num_nodes - 1)
    if status != solver.OPTIMAL:
        raise RuntimeError(f"OR-Tools' maximum flow ended with the status {status.name}")
    return solver.get_source_side_min_cut()


def _by_scipy(
    num_nodes: int, tails: np.ndarray, heads: np.ndarray, capacities: np.ndarray
) -> np.ndarray:
    from scipy.sparse import coo_array, csgraph

    network = coo_array((capacities, (tails, heads)), (num_nodes, num_nodes)).tocsr()
    # Parallel arcs were added; more than the whole cut costs none needs.
    network.data = np.minimum(network.data, 1 << capacity_bits("scipy", 0)).astype(np.int32)
    found = csgraph.maximum_flow(network, num_nodes - 2, num_nodes - 1)
    residual = (network - found.flow).tocsr()
    residual.data = (residual.data > 0).astype(np.int32)
    residual.eliminate_zeros()
    return csgraph.breadth_first_order(residual, num_nodes - 2, return_predecessors=False)
