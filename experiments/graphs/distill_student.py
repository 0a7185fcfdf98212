"""Trains the student on task graphs; in the preset "paper" also with a teacher and as long without.

Writes checkpoints/graph_student, in the preset "paper" those of graph_teacher, graph_taught and
graph_baseline too, their metrics and results. The student in the package stands beside.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.graphs import test_sets, training
from experiments.graphs.presets import BASELINE, PACKAGED, PRESETS, STUDENT, TAUGHT
from experiments.reporting import statistics
from experiments.reporting.stage import TRAINING, Settings, Stage, script


def compute(settings: Settings) -> dict[str, Any]:
    """Results of the rows of the preset, see `training.trained`, and of the packaged student."""
    rows = PRESETS[settings.preset].rows
    found = {name: training.trained(name, settings) for name in rows}
    return found | {PACKAGED: training.packaged(settings)}


def _section(results: dict[str, Any], settings: Settings) -> str:
    rows = PRESETS[settings.preset].rows
    if BASELINE in rows:
        about = (
            "Taught and baseline are shorter trainings of the student's network with the larger"
            f" teacher and without; taught minus baseline, paired by seed:"
            f" {', '.join(_differences(results))}."
        )
    else:
        about = (
            f"The student learnt for {rows[STUDENT].training.num_epochs} epochs, from the best of"
            " its own schedules. The one in the package learnt from more and for longer:"
            " --preset=paper."
        )
    return (
        "## Learned policies on task graphs\n\nMean of makespan over the best one known; one"
        f" schedule, and the best of sampled ones. {about}\n\n"
        + training.table({name: results[name] for name in (*rows, PACKAGED)})
        + "\n"
    )


def _differences(results: dict[str, Any]) -> Iterator[str]:
    for size in test_sets.SIZES:
        with_teacher, without = (results[n][str(size)]["per_seed"] for n in (TAUGHT, BASELINE))
        change, width = statistics.mean_and_interval(np.subtract(with_teacher, without))
        text = statistics.plus_minus(
            float(change), None if width is None else float(width), digits=4
        )
        yield f"{text} at N = {size}"


STAGE = Stage("student of task graphs", compute, _section, latency_only=True, flags=TRAINING)

if __name__ == "__main__":
    script(STAGE)
