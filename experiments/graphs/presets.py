"""What is trained on task graphs."""

import dataclasses
from collections.abc import Mapping

from experiments.graphs.training_sets import Ground
from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs.training import GraphTraining


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to train a policy.

    Attributes:
      model: the network.
      training: the recipe.
      labels: "own", the best of its own samples; "search", the schedules that search found;
        "teacher", the best of the teacher's samples and its softened answers.
      trainings: repetitions, each with requests and weights of its own seed.
      requests: training graphs of each group.
      title: what tables call a row that is compared with the student.
    """

    model: GraphPolicyConfig
    training: GraphTraining
    labels: str
    trainings: int
    requests: int = 4096
    title: str = ""


GROUNDS = (
    Ground((8, 10, 12)),
    Ground((14, 17, 20)),
    Ground((24, 28, 32)),
    Ground((40, 46, 52)),
    Ground((64, 72, 80)),
    Ground((104, 116, 128)),
    Ground((12, 16, 20), servers=2),
    Ground((24, 28, 32), servers=4),
    Ground((8,), users=3),
    Ground((16, 32, 64), networks=True),
)
"""Layered graphs by size, with more servers, of several users, and those of networks."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """One way to train on task graphs.

    Attributes:
      rows: what is trained and kept as a checkpoint, by name.
      ablations: what is trained to be compared with the student, by what is different.
      grounds: the groups of training graphs.
      simulations: of search for each label.
      judged: test graphs of each size.
      samples: of the policies that look at many schedules.
      elsewhere: sizes that no group has, on which the best of several trainings is chosen.
    """

    rows: Mapping[str, Row]
    ablations: Mapping[str, Row]
    grounds: tuple[Ground, ...] = GROUNDS
    simulations: int = 10_000
    judged: int = 1000
    samples: tuple[int, ...] = (64,)
    elsewhere: tuple[int, ...] = (22, 36, 60, 90)


TEACHER, STUDENT, BASELINE = "graph_teacher", "graph_student", "graph_baseline"
PACKAGED = "student in the package"

_STUDENT = GraphPolicyConfig(rounds=1, message=12)
_TEACHER = GraphPolicyConfig(hidden=96, second=64, order_hidden=48, rounds=2, message=24)
_OWN = GraphTraining(
    num_epochs=40,
    batch_size=64,
    num_samples=16,
    learning_rate=3e-3,
    warmup_steps=20,
    average_decay=0.998,
)
_TAUGHT = dataclasses.replace(_OWN, temperature=1.0)


def _for(training: GraphTraining, num_epochs: int) -> GraphTraining:
    return dataclasses.replace(training, num_epochs=num_epochs)


def _rows(teacher: int, student: int, trainings: int) -> dict[str, Row]:
    """Teacher, student and baseline, after so many epochs; the last two several times."""
    return {
        TEACHER: Row(_TEACHER, _for(_OWN, teacher), "own", 1),
        STUDENT: Row(_STUDENT, _for(_TAUGHT, student), "teacher", trainings),
        BASELINE: Row(_STUDENT, _for(_OWN, student), "own", trainings),
    }


def _ablations(num_epochs: int, trainings: int) -> dict[str, Row]:
    student = Row(_STUDENT, _for(_TAUGHT, num_epochs), "teacher", trainings)
    own = Row(_STUDENT, _for(_OWN, num_epochs), "own", trainings)
    hotter = {
        f"temperature_{temperature:g}": dataclasses.replace(
            student,
            training=dataclasses.replace(student.training, temperature=temperature),
            title=f"distilled, T = {temperature:g}",
        )
        for temperature in (1.0, 2.0, 4.0)
    }
    fewer = {
        f"requests_{4 * requests}": dataclasses.replace(
            student,
            requests=requests,
            training=_for(_TAUGHT, num_epochs * student.requests // requests),
            title=f"distilled, {4 * requests} requests",
        )
        for requests in (32, 128, 512)
    }
    return {
        **hotter,
        **fewer,
        "search_schedules": dataclasses.replace(
            own, labels="search", title="schedules that search found"
        ),
        "own_schedules": dataclasses.replace(own, title="its own best schedules"),
        "own_independent": dataclasses.replace(
            own,
            training=dataclasses.replace(own.training, shared_noise=0.0),
            title="its own best, tasks sampled independently",
        ),
        "own_best_and_worst": dataclasses.replace(
            own,
            training=dataclasses.replace(own.training, contrast=3),
            title="its own best and worst three",
        ),
    }


PRESETS = {
    # Minutes, without a teacher; what the package ships is measured beside it.
    "default": Preset(
        {STUDENT: Row(_STUDENT, _for(_OWN, 10), "own", 1, requests=1024)}, {}, judged=200
    ),
    "paper": Preset(_rows(teacher=16, student=10, trainings=5), _ablations(5, 3)),
}
