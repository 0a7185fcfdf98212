"""Packages that only a part of the library needs: one error for all that are missing."""

import contextlib
import importlib.util
from collections.abc import Iterator


@contextlib.contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports of packages that an extra brings.

    Args:
      extra: one of `project.optional-dependencies` in pyproject.toml.

    Raises:
      ImportError: a package is missing; names it and the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{error.name} is not installed: it comes with the extra {extra},"
            f" pip install '.[{extra}]' in a clone of offload_jax",
            name=error.name,
        ) from None


def is_installed(package: str) -> bool:
    """Whether a package is there to be imported; a broken one is, and says so when it is."""
    return importlib.util.find_spec(package) is not None
