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
    return lambda function: compiler(*signature, nogil=True, **options)(inspect.unwrap(function))
