"""Minimum cuts for the rows of a batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from offload_jax.graphs._flow.bound import lower_bound
from offload_jax.graphs._flow.cut import Bytes, Cut, Layers, Prices
from offload_jax.graphs._flow.row import Row, find_row, row_or_none
from offload_jax.graphs._flow.swaps import least_by_swaps
from offload_jax.graphs._jax import rules
from offload_jax.graphs.costs import GraphCosts
from offload_jax.graphs.decision import Decision
from offload_jax.graphs.request import Request, unpack_rows


class Cuts(NamedTuple):
    """Placements of least serial latency, by upward rank.

    Attributes:
      decision: places and order.
      cost: `[...]` their serial latency.
      lower_bound: `[...]` no placement has less.
      optimal: bool `[...]` whether no placement has less than these: where places are in a row.
    """

    decision: Decision
    cost: Array
    lower_bound: Array
    optimal: Array


def cut(costs: GraphCosts) -> Cuts:
    """Minimises the serial latency of each row; by moves of two places if they are in no row.

    Args:
      costs: concrete, leading dimensions free.

    Raises:
      ValueError: the places are not in a row, and results are sent once.
    """
    row = find_row(costs.routes) if costs.send_once else row_or_none(costs.routes)
    requests = unpack_rows(costs)
    if row is None:
        found = [least_by_swaps(request, costs.routes) for request in requests]
    else:
        found = [least_serial(request, row) for request in requests]
    shape = (*costs.batch_shape, costs.num_tasks)
    place = np.array([one.place for one in found], np.int8).reshape(shape)
    cost, least = (
        np.array([getattr(one, name) for one in found]).reshape(costs.batch_shape)
        for name in ("cost", "lower_bound")
    )
    decision = rules.filled(costs, place)
    bounds = (value.astype(jnp.result_type(float)) for value in (cost, np.minimum(least, cost)))
    optimal = np.full(cost.shape, row is not None)
    return Cuts(decision, *map(jax.device_put, (*bounds, optimal)))


def least_serial(request: Request, row: Row) -> Cut:
    """The placement of least serial latency for one request."""
    layers = Layers(Bytes.of(request), row)
    return layers.cut(layers.charges(Prices.of(request)))


def lower_bounds(costs: GraphCosts, makespan: Any) -> np.ndarray:
    """Lower bounds on makespans, by loads and longest paths.

    Args:
      costs: concrete, leading dimensions free.
      makespan: `[...]` of known schedules.

    Returns:
      `[...]` of the makespans' precision, at most the makespans.
    """
    makespan = np.asarray(makespan)
    eps = float(np.finfo(makespan.dtype).eps)
    # Rounding may have made a makespan a little shorter than it is.
    horizons = np.ravel(makespan.astype(float)) * (1 + 8 * costs.num_tasks * eps)
    rows = zip(unpack_rows(costs), horizons.tolist(), strict=True)
    bounds = np.reshape([lower_bound(*row, costs) for row in rows], makespan.shape) * (1 - eps)
    return np.asarray(np.minimum(bounds.astype(makespan.dtype), makespan))
