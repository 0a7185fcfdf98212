"""Training of learned policies: imitation, distillation, deep Q-learning."""

from offload_jax.training.imitation import Examples, ImitationTraining, train_imitation
from offload_jax.training.loop import TrainingDiverged

__all__ = ["Examples", "ImitationTraining", "TrainingDiverged", "train_imitation"]
