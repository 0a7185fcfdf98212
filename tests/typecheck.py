"""The run-time checker of annotations, named by the import hook in `conftest.py`."""

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
