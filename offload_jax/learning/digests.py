"""What identifies parameters, in checkpoints and in what is made from them."""

import hashlib
from typing import Any

import jax
import numpy as np


def digest(tree: Any) -> str:
    """SHA-256 over shapes, types and bytes of all leaves."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        total.update(f"{array.shape}{array.dtype}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
