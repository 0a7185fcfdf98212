"""Memory of a process that compiles much."""

import ctypes
import gc

import jax


def drop_programs() -> None:
    """Lets go of compiled programs; those that are needed again are compiled again."""
    jax.clear_caches()
    gc.collect()
    # glibc keeps what was freed until it is told to give it back.
    getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)
