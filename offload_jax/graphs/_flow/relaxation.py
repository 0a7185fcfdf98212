"""A bound on the period where tasks may be split: a linear program, for places joined in any way.

With x[v, k] for the share of task v at place k, the least T with

    sum over k of x[v, k] = 1,   sum over v of seconds[v, k] x[v, k] <= servers[k] T,
    sum over v of memory[v] x[v, k] <= max_memory[k],   x[v, k] = 0 where v alone does not fit.

Links carry inputs and outputs likewise. What passes between tasks is left out; where places are in
a row, cuts count it (`bound.least_period`).
"""

import math

import numpy as np

from offload_jax.graphs.period import links_crossed
from offload_jax.graphs.request import Request, link_entries, processors
from offload_jax.side_constraints import RELATIVE_TOLERANCE

# The solver meets its constraints up to 1e-7.
_ROUNDING = 1e-6


def relaxed_period(request: Request, memory: np.ndarray, max_memory: np.ndarray) -> float:
    """Seconds that no placement's period is below.

    Args:
      request: one row.
      memory: `[N]` bytes of tasks.
      max_memory: `[K]` bytes of places, `inf` where they have no limit.

    Returns:
      The bound; `inf` where tasks have no place even in parts.
    """
    from scipy import sparse
    from scipy.optimize import linprog

    num_tasks, num_places = request.seconds.shape
    servers = request.servers
    too_large = memory[:, None] > max_memory * (1 + RELATIVE_TOLERANCE)
    whole_at = np.where(too_large, math.inf, request.seconds)
    task, place = np.nonzero(whole_at < math.inf)
    seconds = whole_at[task, place]
    if len(np.unique(task)) < num_tasks:
        return math.inf
    # One task alone, which is not split.
    user = request.user[task]
    shares = seconds / np.maximum(servers, 1)[place] * (servers > 0)[place]
    least = np.full(num_tasks, math.inf)
    np.minimum.at(least, task, shares)
    largest = float(least.max())
    pair, alone = place, np.ones(len(task))
    back = place * num_places
    crosses = links_crossed(request)
    # Load of each limited processor and serial link by each task at each place.
    at = processors(request)[user, place]
    limits = np.zeros(at.max() + 1)
    limits[at] = max_memory[place]
    loads = [np.where(at == k, shares, 0.0) for k in np.unique(at[(servers > 0)[place]]).tolist()]
    moved = request.input[task, None] * crosses[pair] + request.output[task, None] * crosses[back]
    entries = link_entries(request)[user]
    rate = request.seconds_per_byte[entries]
    busy = moved * np.where(rate < math.inf, rate, 0.0)
    for link in np.flatnonzero(request.serial):
        for entry in np.unique(entries[:, link]):
            loads.append(np.where(entries[:, link] == entry, busy[:, link], 0.0))
    unit = max((float(load.max(initial=0.0)) for load in loads), default=0.0)
    if unit == 0.0:
        return 0.0
    rows, bounds = [np.append(load / unit, -1.0) for load in loads], [0.0] * len(loads)
    size = max(float(memory.max(initial=0.0)), 1.0)
    for k in np.flatnonzero(np.isfinite(limits)):
        rows.append(np.append(np.where(at == k, memory[task] / size, 0.0), 0.0))
        bounds.append(limits[k] * (1 + RELATIVE_TOLERANCE) / size)
    whole = (num_tasks, len(task) + 1)
    found = linprog(
        np.append(0.0 * alone, 1.0),
        A_ub=sparse.csr_array(np.array(rows)),
        b_ub=bounds,
        A_eq=sparse.csr_array((alone, (task, np.arange(len(task)))), whole),
        b_eq=np.ones(num_tasks),
        bounds=(0, None),
    )
    if found.status == 2:
        return math.inf
    split = float(found.fun) * unit * (1 - _ROUNDING) if found.x is not None else 0.0
    return max(largest, split)
