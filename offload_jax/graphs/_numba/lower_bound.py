"""What a decision costs and what no schedule is below, for one request: compiled, in float64."""

from offload_jax.graphs._numba.ranks import pair_costs
from offload_jax.graphs._numba.simulator import compiled, new_state, simulate
from offload_jax.graphs._numba.ways import paths


@compiled
def score(request, place, order):
    """The makespan of a decision and the lower bound of `_jax.lower_bound`, as it is summed up."""
    rate, delay = pair_costs(request)
    _, _, through, _, _ = paths(request, rate, delay)
    return simulate(request, new_state(request), place, order), through.max()
