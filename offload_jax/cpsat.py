"""What both families need of OR-Tools CP-SAT: a careful solver, and many solves at once."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from offload_jax.extras import needs

with needs("cpsat"):
    import joblib
    from joblib.parallel import get_active_backend
    from ortools.sat.python import cp_model
    from tqdm.auto import tqdm

# A proof holds up to the rounding of costs to integers. A scaling that would be coarser than this
# share of the cost is repeated with the cost found as its bound.
RELATIVE_ERROR = 1e-9

# What `optimal` (False, True) means where nothing was found, and where something was.
_STATUSES = np.array([["UNKNOWN", "INFEASIBLE"], ["FEASIBLE", "OPTIMAL"]])


def statuses(solution: Any) -> np.ndarray:
    """CP-SAT's word for every row of a solution, from its `cost` and `optimal`."""
    found = np.isfinite(np.asarray(solution.cost)).astype(int)
    return np.asarray(_STATUSES[found, np.asarray(solution.optimal).astype(int)])


def run_model(
    model: cp_model.CpModel,
    callback: cp_model.CpSolverSolutionCallback | None = None,
    *,
    deadline: float,
    **parameters: Any,
) -> tuple[cp_model.CpSolver, str]:
    """Solves a model until a proof or the deadline, on one thread, the same way every time.

    Args:
      model: with integer coefficients.
      callback: called with every better solution.
      deadline: of `time.monotonic`, `inf` if none; it may have passed.
      **parameters: further `SatParameters`.

    Returns:
      The solver, which holds the values, and "OPTIMAL", "FEASIBLE", "INFEASIBLE" or "UNKNOWN".
    """
    solver = cp_model.CpSolver()
    parameters |= {
        "num_workers": 1,
        # Its handler would stay installed after the solve and end the process at the next Ctrl-C.
        "catch_sigint_signal": False,
        "random_seed": 0,
        # The default absolute gap of 1e-4 and any relative gap accept wrong answers.
        "absolute_gap_limit": 0.0,
        "relative_gap_limit": 0.0,
        "max_time_in_seconds": max(0.0, deadline - time.monotonic()),
    }
    for name, value in parameters.items():
        setattr(solver.parameters, name, value)
    status = solver.status_name(solver.solve(model, callback))
    return solver, status if status in _STATUSES else "UNKNOWN"


def run_all(
    calls: Iterable[Callable[[], Any]], num: int, *, min_parallel: int, progress: bool | None = None
) -> list[Any]:
    """Makes independent calls over the cores of this machine, or where joblib has been told to.

    Inside `joblib.parallel_config(backend="dask")` or `"ray"` they run on that cluster.

    Args:
      calls: what to do; pickled for other processes.
      num: how many.
      min_parallel: calls below which starting processes costs more than it saves.
      progress: whether to show a bar; on a terminal only if None.

    Returns:
      What they return, in order.
    """
    backend, configured = get_active_backend()
    processes = 1 if num < min_parallel else configured or -1
    # A bar that moves needs results one by one, and not every backend hands them out so: Ray's.
    return_as = "generator" if backend.supports_return_generator else "list"
    jobs = (joblib.delayed(call)() for call in calls)
    answers = joblib.Parallel(n_jobs=processes, return_as=return_as)(jobs)
    hidden = None if progress is None else not progress
    return list(tqdm(answers, total=num, desc="cpsat", delay=1.0, disable=hidden))
