"""What is trained on task graphs."""

import dataclasses
from collections.abc import Mapping

from offload_jax.graphs.graph_network import GraphPolicyConfig
from offload_jax.graphs.imitation import GraphTraining


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to train a policy.

    Attributes:
      model: the network.
      training: the recipe.
      labels: "own", the best of its own samples; "search", the schedules that search found;
        "teacher", the best of the teacher's samples and its softened answers.
      trainings: repetitions, each with requests and weights of its own seed.
    """

    model: GraphPolicyConfig
    training: GraphTraining
    labels: str
    trainings: int


@dataclasses.dataclass(frozen=True)
class Preset:
    """One way to train on task graphs.

    Attributes:
      rows: what is trained and kept as a checkpoint, by name.
      sizes: numbers of tasks of the training graphs.
      requests: training graphs of each size.
      simulations: of search for each label.
      judged: test graphs of each size.
      samples: of the policies that look at many schedules.
    """

    rows: Mapping[str, Row]
    sizes: tuple[int, ...] = (8, 12, 16, 20)
    requests: int = 2048
    simulations: int = 10_000
    judged: int = 200
    samples: tuple[int, ...] = (16, 64)


TEACHER, STUDENT, BASELINE = "graph_teacher", "graph_student", "graph_baseline"

_STUDENT = GraphPolicyConfig(rounds=1, message=12)
_TEACHER = GraphPolicyConfig(hidden=96, second=64, order_hidden=48, rounds=2, message=24)
_OWN = GraphTraining(num_epochs=40, batch_size=256, learning_rate=3e-3, average_decay=0.99)
_TAUGHT = dataclasses.replace(_OWN, temperature=2.0)

DEFAULT = Preset(
    {
        TEACHER: Row(_TEACHER, dataclasses.replace(_OWN, num_epochs=20), "own", 1),
        STUDENT: Row(_STUDENT, dataclasses.replace(_TAUGHT, num_epochs=15), "teacher", 1),
        BASELINE: Row(_STUDENT, _OWN, "own", 1),
    }
)
PAPER = dataclasses.replace(
    DEFAULT,
    rows={
        TEACHER: Row(_TEACHER, dataclasses.replace(_OWN, num_epochs=150), "own", 1),
        STUDENT: Row(_STUDENT, dataclasses.replace(_TAUGHT, num_epochs=100), "teacher", 5),
        BASELINE: Row(_STUDENT, dataclasses.replace(_OWN, num_epochs=100), "own", 5),
    },
    requests=8192,
    judged=1000,
)
PRESETS = {"default": DEFAULT, "paper": PAPER}
