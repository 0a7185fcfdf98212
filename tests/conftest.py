"""Strict settings for every test; they are set before the package is first imported."""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

# Most of a run is compilation, so what makes programs fast is left out: LLVM's passes, code in
# parts for several cores and, where it can be switched off, the slower one of XLA's two generators
# of loops. Programs are kept for other workers, for the processes that tests start and for the
# next run.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
    " --xla_cpu_parallel_codegen_split_count=1"
    + " --xla_cpu_use_fusion_emitters=false"
    * version("jaxlib").startswith("0.10.")
)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
# numba keeps a compiled function as long as its own file stays the same, whatever it calls, so each
# state of the sources has a cache of its own.
os.environ["NUMBA_CACHE_DIR"] = str(
    Path(__file__).parents[1]
    / ".pytest_cache"
    / "numba"
    / hashlib.sha256(
        b"".join(
            path.read_bytes()
            for path in sorted(Path(__file__).parents[1].glob("offload_jax/*/_numba/*.py"))
        )
    ).hexdigest()
)
os.environ["NUMBA_OPT"] = "1"
# Nobody reads in a program which line of Python asked for an operation.
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"

import gc

import jax
import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

from tests import typecheck

# Shapes in annotations are checked whenever a test calls a function that has them.
jaxtyping.install_import_hook("offload_jax", f"{typecheck.__name__}.check")

# A shape that broadcasts by accident is an error.
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example compiles, so it says nothing about the time of the others.
settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=20
)
settings.register_profile(
    "ci",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=20,
    derandomize=True,
    database=None,
)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# Modules, annotations and traced programs are millions of objects that stay until the end. The
# garbage collector would look through them again and again, which was a sixth of a run.
gc.set_threshold(100_000, 50, 100)


# Each of two workers starts with one half of this, and one that has finished takes over what comes
# last in the other's. So what needs the tiny run of all experiments stays together, the tests of
# graphs share their programs in one process, those of chains and of single requests in the other,
# and what stands between shares little.
_FIRST = (
    "experiments",
    "graphs",
    "export",
    "benchmarks",
    "datasets",
    "learning",
    "workloads",
    "chains",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        first = item.path.relative_to(folder).parts[0]
        return _FIRST.index(first) if first in _FIRST else len(_FIRST)

    items.sort(key=rank)


# Bytes of a worker's memory above which it lets go of its programs: all of them together take 6 GB.
# Those that are needed again are traced again and come from the cache on disk, which takes longer
# than most tests. What stays afterwards is not theirs, so the next time is when as much has come
# on top.
_MOST_MEMORY = 1.3e9
_MOST_PROGRAMS = 0.25e9
_without_programs = 0.0


def _memory() -> float:
    """Bytes that this process holds in memory; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    global _without_programs
    if _memory() > max(_MOST_MEMORY, _without_programs + _MOST_PROGRAMS):
        from experiments.reporting.memory import drop_programs

        drop_programs()
        _without_programs = _memory()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    # pytest collects five times more before it ends, and Python again.
    gc.collect()
    gc.freeze()
