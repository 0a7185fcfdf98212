"""Training of learned policies: imitation, distillation, deep Q-learning."""

from offload_jax.training.distillation import Variations, soften
from offload_jax.training.dqn import DqnTraining, train_dqn
from offload_jax.training.imitation import Examples, ImitationTraining, train_imitation
from offload_jax.training.loop import TrainingDiverged

__all__ = [
    "DqnTraining",
    "Examples",
    "ImitationTraining",
    "TrainingDiverged",
    "Variations",
    "soften",
    "train_dqn",
    "train_imitation",
]
