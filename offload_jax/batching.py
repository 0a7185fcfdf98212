"""Leading batch dimensions: their common shape, selecting from them, working through in chunks."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from offload_jax.summary import summarize
from offload_jax.validation import broadcast_shapes, is_traced

BatchedType = TypeVar("BatchedType", bound="Batched")


class Batched:
    """A dataclass of arrays whose leading dimensions are a batch and broadcast by NumPy's rules.

    Attributes:
      own_axes: how many trailing axes of each field are its own, by name in the order of fields.
      taken_by: which functions take it, for the errors of those that do not.
    """

    own_axes: ClassVar[Mapping[str, int]]
    taken_by: ClassVar[str]

    @property
    def batch_shapes(self) -> dict[str, tuple[int, ...]]:
        """The leading dimensions of each field."""
        shapes = {name: getattr(self, name).shape for name in self.own_axes}
        return {name: shape[: len(shape) - self.own_axes[name]] for name, shape in shapes.items()}

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The broadcast shape of all leading dimensions."""
        return broadcast_shapes(self.batch_shapes)

    def __repr__(self) -> str:
        return summarize(self)

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError(f"a single {type(self).__name__} has no length")
        return self.batch_shape[0]

    def __getitem__(self: BatchedType, index: Any) -> BatchedType:
        """Selects from the batch: `problem[3]`, `problem[:100]`, `problem[mask]`."""
        if not is_traced(index):
            # NumPy says what is out of range, where JAX would take the last one.
            np.broadcast_to(np.zeros((), bool), self.batch_shape)[index]
        axes = index if isinstance(index, tuple) else (index,)
        to_the_end = any(axis is Ellipsis for axis in axes)

        def select(leaf: Any, own_axes: int) -> Any:
            return leaf[(*axes, *[slice(None)] * (own_axes if to_the_end else 0))]

        return _map_fields(select, broadcast_batch(self))

    def __iter__(self: BatchedType) -> Iterator[BatchedType]:
        rows = broadcast_batch(self)
        return (rows[i] for i in range(len(rows)))


def broadcast_batch(source: BatchedType) -> BatchedType:
    """Gives every field its full batch shape."""
    batch = source.batch_shape

    def expand(value: Any, own_axes: int) -> Any:
        library = jnp if isinstance(value, jax.Array) else np
        return library.broadcast_to(value, batch + value.shape[value.ndim - own_axes :])

    return _map_fields(expand, source)


def _map_fields(function: Callable[[Any, int], Any], source: BatchedType) -> BatchedType:
    fields = {name: function(getattr(source, name), own) for name, own in source.own_axes.items()}
    return dataclasses.replace(source, **fields)  # type: ignore[type-var]


def lift(value: Any, rank: int) -> Any:
    """Adds axes of length 1 in front; JAX can be told to refuse to add them by itself."""
    return value.reshape((1,) * (rank - value.ndim) + value.shape)


def is_known(size: Any) -> bool:
    """Whether a size has a value: `jax.export` traces with dimensions that have none yet."""
    return isinstance(size, int)


def map_chunks(
    function: Callable[..., Any],
    source: Batched,
    *per_row: Any,
    own_axes: int | Sequence[int] = 0,
    chunk_rows: int | None,
    multiple: int = 1,
    at_once: int = 1,
) -> Any:
    """Works through a batch of any shape a chunk at a time, so that memory does not grow with it.

    Args:
      function: maps `source` and `per_row`, cut to one batch axis `[n]` (1 where all rows share a
        field), to a pytree of arrays `[n, ...]`.
      source: leading dimensions free.
      *per_row: further arrays whose leading dimensions broadcast with those of `source`.
      own_axes: how many trailing axes of each of them are its own; a number is for all.
      chunk_rows: the largest n; None for all rows at once, as is also done where the size of the
        batch has no value yet.
      multiple: n is a multiple of this, unless the batch is a single chunk.
      at_once: chunks between which nothing depends, so that XLA may give each a thread.

    Returns:
      What `function` returns, with the leading dimensions `[*batch, ...]`.
    """
    shapes = {f"per_row[{i}]": jnp.shape(value) for i, value in enumerate(per_row)}
    each_own = [own_axes] * len(per_row) if isinstance(own_axes, int) else [*own_axes]
    each = zip(shapes.items(), each_own, strict=True)
    shapes = {name: shape[: len(shape) - own] for (name, shape), own in each}
    batch = broadcast_shapes({"source": source.batch_shape, **shapes})
    all_axes = [*source.own_axes.values(), *each_own]
    leaves, structure = jax.tree.flatten((source, *per_row))
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    size = math.prod(batch)
    if not is_known(size):
        chunk, steps, at_once, whole, rest = size, 1, 1, 1, 0
    else:
        chunk_rows = chunk_rows or max(1, size)
        at_once = at_once if size > chunk_rows else 1
        # All chunks as long, and the last one put back to where it fits: it repeats some rows of
        # those before it, and nothing has to be padded.
        steps = max(1, math.ceil(size / (chunk_rows * at_once)))
        chunk = math.ceil(size / (steps * at_once))
        chunk = max(1, min(size, math.ceil(chunk / multiple) * multiple))
        steps = max(1, math.ceil(size / (chunk * at_once)))
        whole, rest = divmod(size, chunk)

    def flatten(leaf: jax.Array, own: int) -> jax.Array:
        """Merges the leading dimensions into one, of length 1 where the batch shares the leaf."""
        tail = leaf.shape[leaf.ndim - own :]
        if math.prod(leaf.shape[: leaf.ndim - own]) == 1:
            return leaf.reshape(1, *tail)
        if size == 0:
            return jnp.zeros((1, *tail), leaf.dtype)
        return jnp.broadcast_to(leaf, batch + tail).reshape(size, *tail)

    def run(leaves: list[jax.Array]) -> Any:
        flat = [flatten(leaf, own) for leaf, own in zip(leaves, all_axes, strict=True)]

        def run_chunk(number: Any) -> Any:
            def cut(leaf: jax.Array) -> jax.Array:
                if chunk == size or leaf.shape[0] == 1:
                    return leaf
                start = jnp.minimum(number * chunk, max(0, size - chunk))
                return jax.lax.dynamic_slice_in_dim(leaf, start, chunk)

            found = function(*jax.tree.unflatten(structure, map(cut, flat)))
            return jax.tree.map(lambda v: jnp.broadcast_to(v, (chunk, *v.shape[1:])), found)

        def run_chunks(step: Any) -> Any:
            found = [run_chunk(step * at_once + i) for i in range(at_once)]
            return jax.tree.map(lambda *v: jnp.concatenate(v), *found)

        def join(found: jax.Array) -> jax.Array:
            tail = found.shape[2:]
            chunks = found.reshape(steps * at_once, chunk, *tail)
            rows = chunks.reshape(-1, *tail)[: whole * chunk if size else 0]
            if rest:
                rows = jnp.concatenate([rows, chunks[whole, chunk - rest :]])
            return rows.reshape(*batch, *tail)

        if steps == 1:
            found = jax.tree.map(lambda v: v[None], run_chunks(0))
        else:
            found = jax.lax.map(run_chunks, jnp.arange(steps))
        return jax.tree.map(join, found)

    return without_explicit_axes(run, _batch_spec(leaves, all_axes, batch))(leaves)


def without_explicit_axes(function: Callable, spec: PartitionSpec) -> Callable:
    """`function`, where a mesh of explicit axes is set, with their sharding left to the compiler.

    Args:
      function: arrays to a pytree of arrays.
      spec: how the mesh shards what it returns; the same for all of it.
    """
    if AxisType.Explicit not in jax.sharding.get_abstract_mesh().axis_types:
        return function
    automatic = jax.sharding.auto_axes(function, out_sharding=spec)
    return functools.wraps(function)(lambda *arrays: automatic(*jax.tree.map(jnp.asarray, arrays)))


def _batch_spec(leaves: list[jax.Array], own_axes: list[int], batch: tuple[int, ...]) -> Any:
    """By which axes of the mesh the leading dimensions are sharded: each as its first leaf is."""
    spec: list[Any] = [None] * len(batch)
    for leaf, own in zip(leaves, own_axes, strict=True):
        names = tuple(jax.typeof(leaf).sharding.spec)
        names = (*names, *[None] * (leaf.ndim - len(names)))[: leaf.ndim - own]
        for axis, name in enumerate(reversed(names), 1):
            if name is not None and spec[-axis] is None:
                spec[-axis] = name
    return PartitionSpec(*spec)
