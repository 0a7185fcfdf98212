"""Training over several devices: each holds all weights and learns from a part of every batch.

The devices are those that JAX has: all of this process, or after `jax.distributed.initialize` those
of all processes, each of which makes the same call with the same data. With one device nothing here
does anything.

Weights, optimiser and examples are on all devices. `spread` splits a batch; XLA adds what the
devices found. Process 0 alone writes checkpoints and reads them; the others are sent what it read,
so they need no folder.
"""

import contextlib
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_AXIS = "batch"

Tree = TypeVar("Tree")


def training_mesh() -> Mesh | None:
    """All devices in a row; None if there is one only."""
    devices = jax.devices()
    return Mesh(np.array(devices), (_AXIS,)) if len(devices) > 1 else None


def active(mesh: Mesh | None) -> contextlib.AbstractContextManager[Any]:
    """In which `spread` knows the devices."""
    return contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh)


def check_batch_size(batch_size: int) -> None:
    """Refuses batches that the devices cannot share evenly.

    Raises:
      ValueError: names the number of devices.
    """
    num = len(jax.devices())
    if batch_size % num:
        raise ValueError(f"batch_size = {batch_size}: must be a multiple of the {num} devices")


def spread(batch: Tree) -> Tree:
    """Splits what a step learns from over the devices, inside a training.

    Only where it is computed changes: what cannot be shared evenly stays whole.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if _AXIS not in mesh.axis_names:
        return batch

    def split(leaf: Any) -> Any:
        if not leaf.ndim or leaf.shape[0] % mesh.shape[_AXIS]:
            return leaf
        return jax.lax.with_sharding_constraint(leaf, PartitionSpec(_AXIS))

    return jax.tree.map(split, batch)


def replicated(tree: Tree) -> Tree:
    """Keeps what an epoch gives on all devices, inside a training."""
    if _AXIS not in jax.sharding.get_abstract_mesh().axis_names:
        return tree
    whole = PartitionSpec()
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, whole), tree)


def everywhere(mesh: Mesh | None, tree: Tree) -> Tree:
    """Copies arrays to all devices; every process gives the same ones."""
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())

    def copy(leaf: Any) -> jax.Array:
        array = np.asarray(leaf)
        return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)

    return jax.tree.map(copy, tree)


def on_host(mesh: Mesh | None, tree: Tree) -> Tree:
    """What `everywhere` gave as NumPy arrays, which no process has to be asked for."""
    return tree if mesh is None else jax.tree.map(np.asarray, tree)


def here(mesh: Mesh | None, tree: Tree) -> Tree:
    """A copy on one device of this process of what `everywhere` gave, as other arrays are."""
    return tree if mesh is None else jax.tree.map(jnp.asarray, on_host(mesh, tree))


def writes() -> bool:
    """Whether this process is the one that writes and reads files."""
    return jax.process_index() == 0


def from_writer(tree: Tree) -> Tree:
    """What process 0 has of a tree, on all processes."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(tree)
