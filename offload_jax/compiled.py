"""Functions that numba compiles."""

import inspect
from collections.abc import Callable
from typing import Any

from offload_jax.extras import needs

with needs("single"):
    import numba


def njit(*signature: str, **options: Any) -> Callable[[Callable], Any]:
    """`numba.njit` of the bare function, which a checker of annotations may have wrapped."""
    compiler: Any = numba.njit

    def compiled(function: Callable) -> Any:
        bare = inspect.unwrap(function)
        try:
            return compiler(*signature, nogil=True, **options)(bare)
        except RuntimeError:
            # There is no folder that numba could write to, so every process compiles anew.
            return compiler(*signature, nogil=True, **{**options, "cache": False})(bare)

    return compiled
