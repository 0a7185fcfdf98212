"""Networks written in Flax, and their profiles."""

from offload_jax.extras import needs

with needs("learn"):
    import flax  # noqa: F401
