"""Many solves at once: over the processes of this machine, or wherever joblib has been told to.

Inside `joblib.parallel_config(backend="dask")` or `"ray"` they run on that cluster.
"""

from collections.abc import Iterable
from typing import Any

from offload_jax.extras import needs

with needs("cpsat"):
    import joblib
    from joblib.parallel import get_active_backend
    from tqdm.auto import tqdm


def run_all(
    jobs: Iterable[Any],
    num: int,
    *,
    min_parallel: int,
    num_processes: int | None = None,
    num_threads: int = 1,
    progress: bool | None = None,
) -> list[Any]:
    """Runs independent jobs.

    Args:
      jobs: of `joblib.delayed`.
      num: how many.
      min_parallel: jobs below which starting processes costs more than it saves.
      num_processes: how many at once; if None what `joblib.parallel_config` says, else all cores.
      num_threads: that each job uses.
      progress: whether to show a bar; on a terminal only if None.

    Returns:
      What they return, in order.
    """
    backend, configured = get_active_backend()
    cores = -1 if num_threads == 1 else max(1, joblib.cpu_count() // num_threads)
    processes = 1 if num < min_parallel else num_processes or configured or cores
    # A bar that moves needs results one by one, and not every backend hands them out so: Ray's.
    return_as = "generator" if backend.supports_return_generator else "list"
    answers = joblib.Parallel(n_jobs=processes, return_as=return_as)(jobs)
    hidden = None if progress is None else not progress
    return list(tqdm(answers, total=num, desc="cpsat", delay=1.0, disable=hidden))
