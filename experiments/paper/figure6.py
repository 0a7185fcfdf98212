"""Figure 6: the small networks, trained on few narrow requests and tested on wide ones.

Writes figures/figure6.png, student_curve.png, temperatures.png; trains what is missing, the large
network that teaches included.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.paper import presets, random_chains
from experiments.paper.evaluation import LITERAL, NARROW
from experiments.paper.training import trained
from experiments.reporting import comparison, plots
from experiments.reporting.stage import TRAINING, Settings, Stage, script

_STUDENTS = ("kd_dil", "kd_dil_paper", "baseline_dil")
_LEFT_OUT = ("local", "edge", "cloud", "random")
CLAIMS = tuple(
    (student, other)
    for student in ("kd_dil_paper", "kd_dil")
    for other in ("baseline_dil", "greedy", "greedy_with_return", "drl_small")
)


def compute(settings: Settings) -> dict[str, Any]:
    """The rows that are trained on narrow requests, the heuristics, and DRL on wide ones.

    Returns:
      `untrained`: scenario -> policy -> metrics; `trained`: name -> what `training.trained` gives.
    """
    rows = presets.student_rows(presets.of(settings))
    return {
        "untrained": random_chains.compute(settings)["scenarios"],
        "trained": {name: trained(name, row, settings) for name, row in rows.items()},
    }


def rows_of(results: Mapping[str, Any], scenario: str = LITERAL) -> dict[str, Any]:
    """Metrics of every policy in one scenario."""
    untrained = results["untrained"][scenario]
    learned = {name: entry[scenario] for name, entry in results["trained"].items()}
    return {name: row for name, row in untrained.items() if name not in _LEFT_OUT} | learned


def draw(results: Mapping[str, Any], settings: Settings) -> None:
    """The bars, how the students learnt, and the sweep over T."""
    rows = rows_of(results)
    learned = results["trained"].keys() - {*_STUDENTS, "drl_small"}
    comparison.bars(
        settings.figure("figure6"),
        {"wide test requests": {name: rows[name] for name in rows if name not in learned}},
        quantity=settings.quantity,
        heading=f"Small networks, {_num_requests(results)} narrow training requests",
    )
    comparison.curves(
        settings.figure("student_curve"),
        {name: results["trained"][name]["curve"].get("loss", ()) for name in _STUDENTS},
        quantity="training loss (each student its own)",
    )
    _draw_temperatures(rows, settings)


def _draw_temperatures(rows: comparison.Rows, settings: Settings) -> None:
    """The two readings of the student's temperature over T; at T = 1 they are the same."""
    temperatures = presets.of(settings).temperatures
    with plots.figure(settings.figure("temperatures")) as (_, axes):
        for text, prefix, aside in (
            ("student at temperature 1", "kd_student_one", -0.05),
            ("student at T, factor T²", "kd_matched", 0.05),
        ):
            names = [f"{prefix}_{temperature:g}" for temperature in temperatures]
            points = [_row_at(rows, name, t) for name, t in zip(names, temperatures, strict=True)]
            axes.errorbar(
                np.add(temperatures, aside),
                [row["ratio_of_means"] for row in points],
                [row.get("ratio_of_means_interval", 0.0) for row in points],
                capsize=3,
                marker="o",
                label=text,
            )
        axes.axhline(
            rows["baseline_dil"]["ratio_of_means"], color="0.4", ls="--", label="exact labels"
        )
        axes.set_xlabel("temperature T of the teacher's labels")
        axes.set_ylabel(f"mean {settings.quantity} / mean optimal {settings.quantity}")
        axes.legend()


def _row_at(rows: comparison.Rows, name: str, temperature: float) -> Mapping[str, Any]:
    if name in rows:
        return rows[name]
    return rows["kd_student_one_1" if temperature == 1.0 else "kd_dil_paper"]


def _num_requests(results: Mapping[str, Any]) -> str:
    return f"{results['trained']['kd_dil_paper']['requests']:,}"


def section(results: Mapping[str, Any], settings: Settings) -> str:
    """The part of the report about figure 6, as Markdown."""
    rows = rows_of(results)
    return "\n".join(
        [
            f"## Figure 6: policies trained on {_num_requests(results)} narrow requests, tested on"
            " wide ones\n",
            "Means and intervals over trainings. A seed draws the same requests for every policy,"
            " so orders are compared seed by seed.\n",
            "![Figure 6](figures/figure6.png)\n",
            comparison.table(rows),
            "\n### Orders\n",
            comparison.claims(rows, CLAIMS),
            "\n### Tested on narrow requests\n",
            comparison.table(rows_of(results, NARROW)),
            "\n### Temperature of the labels\n",
            "The student learns at temperature 1, or at that of the labels with the factor T².\n",
            "![Temperature of the labels](figures/temperatures.png)\n",
            "![Learning curves of the students](figures/student_curve.png)\n",
        ]
    )


STAGE = Stage("figure 6", compute, section, draw, flags=(*TRAINING, "objective", "policy"))

if __name__ == "__main__":
    script(STAGE)
