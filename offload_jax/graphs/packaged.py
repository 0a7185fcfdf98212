"""The student of task graphs that comes with the package."""

from pathlib import Path

from offload_jax.graphs.graph_network import GraphPolicyConfig
from offload_jax.graphs.learned import LearnedGraphPolicy
from offload_jax.learning import weights

STUDENT = Path(__file__).parent / "student.npz"


def write(policy: LearnedGraphPolicy, path: Path) -> None:
    """Writes a policy as `read` reads it."""
    weights.write(path, policy.config, policy.params)


def read(path: Path = STUDENT) -> LearnedGraphPolicy:
    """The policy that `write` wrote."""
    fields, params = weights.read(path)
    return LearnedGraphPolicy(GraphPolicyConfig(**fields), params)
