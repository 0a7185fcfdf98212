"""What the student would be if it were trained in another way.

Writes results/trained/<row>.json and their metrics. The default preset trains none of them.
"""

from typing import Any

from experiments.graphs import training
from experiments.graphs.presets import PRESETS
from experiments.reporting.stage import TRAINING, Settings, Stage, script


def compute(settings: Settings) -> dict[str, Any]:
    """Results of every row, see `training.trained`."""
    return {name: training.trained(name, settings) for name in PRESETS[settings.preset].ablations}


def _section(results: dict[str, Any], settings: Settings) -> str:
    text = "## Other ways to train the student\n\n"
    titles = {name: row.title for name, row in PRESETS[settings.preset].ablations.items()}
    rows = {title: results[name] for name, title in titles.items()}
    if not rows:
        return text + f"Not part of the preset {settings.preset}; --preset=paper has them.\n"
    return (
        text
        + "Mean of makespan over the best one known, as above; all for the same number of steps"
        f" and with {next(iter(rows.values()))['trainings']} trainings.\n\n"
        + training.table(rows)
        + "\n"
    )


STAGE = Stage("ablations on task graphs", compute, _section, latency_only=True, flags=TRAINING)

if __name__ == "__main__":
    script(STAGE)
