"""Strict settings for every test; they are set before the package is first imported."""

import os

import jax
import jaxtyping
from hypothesis import HealthCheck, settings

from tests import typecheck

# Shapes in annotations are checked whenever a test calls a function that has them.
jaxtyping.install_import_hook("offload_jax", f"{typecheck.__name__}.check")

# A shape that broadcasts by accident is an error.
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example compiles, so it says nothing about the time of the others.
settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=20
)
settings.register_profile(
    "ci",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=20,
    derandomize=True,
    database=None,
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "error")
