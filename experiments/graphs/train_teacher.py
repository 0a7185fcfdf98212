"""Trains the large network on task graphs.

Writes checkpoints/graph_teacher, metrics/graph_teacher_<seed>.jsonl and
results/trained/graph_teacher.json.
"""

from typing import Any

from experiments.graphs import training
from experiments.graphs.presets import TEACHER
from experiments.reporting.stage import Settings, Stage, script


def compute(settings: Settings) -> dict[str, Any]:
    """The teacher's results, see `training.trained`."""
    return {TEACHER: training.trained(TEACHER, settings)}


def _section(results: dict[str, Any], settings: Settings) -> str:
    del settings
    rows = {name: row for name, row in results.items() if isinstance(row, dict)}
    return (
        "## The teacher on task graphs\n\nMean of makespan over the best one known; one schedule,"
        " and the best of sampled ones.\n\n" + training.table(rows) + "\n"
    )


STAGE = Stage("teacher of task graphs", compute, _section, latency_only=True)

if __name__ == "__main__":
    script(STAGE)
