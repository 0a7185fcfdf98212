"""The run-time checker of annotations, named by the import hook in `conftest.py`."""

import inspect
from collections.abc import Callable
from typing import Any

import beartype
from jax import export

# What `jax.export` traces with in place of a size; it is good where an int is asked for.
_Symbol = type(export.symbolic_shape("size")[0])

# As for static checkers, an int is good where a float is asked for.
check = beartype.beartype(
    conf=beartype.BeartypeConf(
        is_pep484_tower=True,
        hint_overrides=beartype.FrozenDict({int: int | _Symbol}),
    )
)


def unchecked(made: Any) -> Callable[..., Any]:
    """A function or class as users have it, where nothing looks at annotations."""
    if not isinstance(made, type):
        return inspect.unwrap(made)

    def make(*args: Any, **kwargs: Any) -> Any:
        instance = object.__new__(made)
        inspect.unwrap(made.__init__)(instance, *args, **kwargs)
        return instance

    return make
