"""Tables of what users have: `[V, ..., B]` with V users, or one row that all share."""

import jax.numpy as jnp
from jax import Array


def rows_of(table: Array, user: Array | None) -> Array:
    """The rows `[N, ..., B]` of users `[N, B]`; of a table of one row that one `[1, ..., B]`."""
    if len(table) == 1 or user is None:
        return table
    wide = jnp.broadcast_to(table, (*table.shape[:-1], max(table.shape[-1], user.shape[-1])))
    index = user.reshape(len(user), *(1,) * (table.ndim - 2), user.shape[-1])
    return jnp.take_along_axis(wide, index, axis=0)


def row_of(table: Array, user: Array | None) -> Array:
    """The row `[..., B]` of users `[B]`."""
    return rows_of(table, user if user is None else user[None])[0]


def with_row(table: Array, user: Array | None, row: Array) -> Array:
    """The table with another row of users `[B]`."""
    if len(table) == 1 or user is None:
        return row[None]
    number = jnp.arange(len(table)).reshape(-1, *(1,) * (table.ndim - 1))
    return jnp.where(number == user.reshape((1,) * (table.ndim - 1) + user.shape), row[None], table)
