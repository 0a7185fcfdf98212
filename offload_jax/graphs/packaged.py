"""The student of task graphs that comes with the package."""

from pathlib import Path

from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs._jax.policy import LearnedGraphPolicy
from offload_jax.learning import pretrained

STUDENT = Path(__file__).parent / "student.npz"


def write(policy: LearnedGraphPolicy, path: Path) -> None:
    """Writes a policy as `read` reads it."""
    pretrained.write(path, policy.config, policy.params)


def read(path: Path = STUDENT) -> LearnedGraphPolicy:
    """The policy that `write` wrote."""
    fields, params = pretrained.read(path)
    return LearnedGraphPolicy(GraphPolicyConfig(**fields), params)
