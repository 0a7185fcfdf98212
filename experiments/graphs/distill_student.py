"""Trains the student on task graphs, with the teacher and without.

Writes checkpoints/graph_student, checkpoints/graph_baseline, their metrics and results; trains the
teacher first if it is not there.
"""

from typing import Any

import numpy as np

from experiments.graphs import test_sets, training
from experiments.graphs.presets import BASELINE, STUDENT, TEACHER
from experiments.reporting import statistics
from experiments.reporting.stage import Settings, Stage, script


def compute(settings: Settings) -> dict[str, Any]:
    """Results of teacher, student and baseline, see `training.trained`."""
    return {name: training.trained(name, settings) for name in (TEACHER, STUDENT, BASELINE)}


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    differences = []
    for size in test_sets.SIZES:
        with_teacher, without = (results[n][str(size)]["per_seed"] for n in (STUDENT, BASELINE))
        change, width = statistics.mean_and_interval(np.subtract(with_teacher, without))
        text = statistics.plus_minus(
            float(change), None if width is None else float(width), digits=4
        )
        differences.append(f"{text} at N = {size}")
    return (
        "## Student and teacher on task graphs\n\nMean of makespan over the best one known; one"
        " schedule, and the best of sampled ones. The baseline is the student's network trained"
        f" without the teacher; student minus baseline, paired by seed: {', '.join(differences)}."
        "\n\n"
        + training.table({name: results[name] for name in (TEACHER, STUDENT, BASELINE)})
        + "\n"
    )


STAGE = Stage("student of task graphs", compute, _section, latency_only=True)

if __name__ == "__main__":
    script(STAGE)
