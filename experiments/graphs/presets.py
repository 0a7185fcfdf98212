"""What is trained on task graphs."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.graphs.training_sets import Ground
from offload_jax.graphs._jax.network import GraphPolicyConfig
from offload_jax.graphs.columns import AGREED, GAPS
from offload_jax.graphs.training import GraphTraining

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
    Ground((96, 144), networks=True),
)
"""Layered graphs by size, with more servers, of several users, and those of networks."""


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
      grounds: the groups of training graphs.
      start: the row whose chosen training each goes on from; "" for none.
    """

    model: GraphPolicyConfig
    training: GraphTraining
    labels: str
    trainings: int
    requests: int = 4096
    title: str = ""
    grounds: tuple[Ground, ...] = GROUNDS
    start: str = ""


@dataclasses.dataclass(frozen=True)
class Preset:
    """One way to train on task graphs.

    Attributes:
      rows: what is trained and kept as a checkpoint, by name.
      ablations: what is trained to be compared with the student, by what is different.
      simulations: of search for each label.
      judged: test graphs of each size.
      samples: of the policies that look at many schedules.
      elsewhere: sizes that no group has, on which the best of several trainings is chosen.
    """

    rows: Mapping[str, Row]
    ablations: Mapping[str, Row]
    simulations: int = 10_000
    judged: int = 1000
    samples: tuple[int, ...] = (64,)
    elsewhere: tuple[int, ...] = (22, 36, 60, 90)


TEACHER, FIRST, STUDENT, TAUGHT, BASELINE = (
    "graph_teacher",
    "graph_first",
    "graph_student",
    "graph_taught",
    "graph_baseline",
)
PACKAGED = "student in the package"

_STUDENT = GraphPolicyConfig(rounds=1, message=12)
_TEACHER = GraphPolicyConfig(hidden=96, second=64, order_hidden=48, rounds=2, message=24)
_OWN = GraphTraining(
    num_epochs=18,
    batch_size=64,
    num_samples=24,
    shared_noise=0.0,
    learning_rate=3e-3,
    warmup_steps=20,
    average_decay=0.998,
)


def _short(num_epochs: int, **changes: Any) -> GraphTraining:
    return dataclasses.replace(_OWN, num_epochs=num_epochs, **changes)


def _distilled(num_epochs: int, trainings: int) -> dict[str, Row]:
    """A teacher, a student of it and the same without it, after so many epochs."""
    return {
        TEACHER: Row(_TEACHER, _OWN, "own", 1),
        TAUGHT: Row(_STUDENT, _short(num_epochs), "teacher", trainings),
        BASELINE: Row(_STUDENT, _short(num_epochs), "own", trainings),
    }


def _ablations(num_epochs: int, trainings: int) -> dict[str, Row]:
    own = Row(_STUDENT, _short(num_epochs), "own", trainings)

    def taught(title: str, requests: int = own.requests, **changes: Any) -> Row:
        epochs = num_epochs * own.requests // requests
        return Row(_STUDENT, _short(epochs, **changes), "teacher", trainings, requests, title)

    hotter = {
        f"temperature_{t:g}": taught(f"distilled, T = {t:g}", temperature=t)
        for t in (1.0, 2.0, 4.0)
    }
    fewer = {
        f"requests_{requests}": taught(f"distilled, {requests} requests of a group", requests)
        for requests in (256, 1024)
    }
    return {
        **hotter,
        **fewer,
        "search_schedules": dataclasses.replace(
            own, labels="search", title="schedules that search found"
        ),
        "own_schedules": dataclasses.replace(own, title="its own best schedules"),
        "with_rules": dataclasses.replace(
            own, training=_short(num_epochs, rules=True), title="its own best, or that of a rule"
        ),
        "own_together": dataclasses.replace(
            own,
            training=_short(num_epochs, shared_noise=2.0),
            title="its own best, tasks drawn to places together",
        ),
        "own_best_and_worst": dataclasses.replace(
            own, training=_short(num_epochs, contrast=3), title="its own best and worst three"
        ),
        "small_graphs": dataclasses.replace(
            own, grounds=GROUNDS[:2], title="its own best, of at most 20 tasks"
        ),
        "no_networks": dataclasses.replace(
            own,
            grounds=tuple(ground for ground in GROUNDS if not ground.networks),
            title="its own best, without graphs of networks",
        ),
        "no_serial_latency": dataclasses.replace(
            own,
            training=_short(num_epochs, unseen=AGREED),
            title="its own best, without messages about the serial latency",
        ),
        "no_gaps": dataclasses.replace(
            own, training=_short(num_epochs, unseen=GAPS), title="its own best, without gaps"
        ),
    }


PRESETS = {
    # Minutes; what the package ships is measured beside it.
    "default": Preset(
        {STUDENT: Row(_STUDENT, _short(10), "own", 1, requests=1024)}, {}, judged=200
    ),
    "paper": Preset(
        {
            FIRST: Row(_STUDENT, _short(10, rules=True), "own", 3),
            STUDENT: Row(
                _STUDENT, _short(10, rules=True, learning_rate=2e-3), "own", 1, start=FIRST
            ),
            **_distilled(10, trainings=5),
        },
        _ablations(5, trainings=3),
    ),
}
